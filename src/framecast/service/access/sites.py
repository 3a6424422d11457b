"""Names of sites: which this server answers to, and whose pages may ask it for something."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit


def host_allowed(host_header: str, allowed_hosts: Collection[str] = ()) -> bool:
    """Whether an open server may answer to this Host header: localhost, loopback addresses, configured names.

    A page of another site whose name was rebound to 127.0.0.1 still sends that name.
    """
    return _host_allowed(host_header, tuple(allowed_hosts))


@lru_cache(maxsize=256)
def _host_allowed(host_header: str, allowed_hosts: tuple[str, ...]) -> bool:
    name = host_name(host_header)
    if name is None:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in {host.lower() for host in allowed_hosts}:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def origin_allowed(
    origin: str | None, host_header: str, allowed_origins: Collection[str] = (), *, tls: bool = False
) -> bool:
    """Whether a request that changes something, or opens a WebSocket, may come from this page.

    Programs send no Origin and may. A page may if it is our own, or its origin is allowed. Behind a proxy that
    ends TLS our own pages are https while we see http; never the other way round.
    """
    if origin is None:
        return True
    if origin.lower().rstrip("/") in allowed_origins:
        return True
    scheme, _, authority = origin.lower().partition("://")
    if scheme not in ("http", "https") or (tls and scheme == "http"):
        return False
    default = ":443" if scheme == "https" else ":80"
    return bool(authority) and authority.removesuffix(default) == host_header.strip().lower().removesuffix(default)


def host_name(host_header: str) -> str | None:
    """The name in a Host header, without port and final dot, in lower case; None when there is none."""
    try:
        parts = urlsplit("//" + host_header.strip())
        _ = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.path or parts.username is not None or parts.query:
        return None
    return parts.hostname.lower().rstrip(".")
