"""Where cameras, and who is told of them, may be that come in over the API: not here, at no metadata service.

Names are resolved only when a camera is connected, and may then resolve to something else, so the address is
checked at that moment too (``address_refusal``), after the URL was (``url_refusal``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from framecast.core.errors import Misuse
from framecast.service.config.sections import NetworkSettings

CheckAddress = Callable[[str, str], None]
CAMERAS = "cameras"

_SHARED = ipaddress.ip_network("100.64.0.0/10")
_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"})
"""Where Amazon, Alibaba, Azure and Oracle answer their own machines, besides the link-local 169.254.169.254."""


def url_refusal(url: str, network: NetworkSettings, what: str = CAMERAS) -> str:
    """Why a URL may not come in over the API; empty when it may, as far as can be told without resolving.

    Args:
        what: Whose URL it is, in words.
    """
    scheme = url.partition(":")[0]
    if scheme == "file" and not network.allow_files:
        return "file: URLs can be given on the command line or in the configuration file only (network.allow_files)"
    if scheme not in ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps"):
        return ""
    host = urlsplit(url).hostname or ""
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        host = "127.0.0.1"
    try:
        return address_refusal(host, network, what)
    except ValueError:
        return ""


def check_address(network: NetworkSettings, what: str = CAMERAS) -> CheckAddress:
    """A check of each address before it is connected: names may resolve to anything, redirects lead anywhere."""

    def check(host: str, address: str) -> None:
        refusal = address_refusal(address, network, what)
        if refusal:
            raise Misuse(f"{host if host == address else f'{host} is at {address}'}: {refusal}")

    return check


def address_refusal(address: str, network: NetworkSettings, what: str = CAMERAS) -> str:
    """Why they may not be at this IP address; empty when they may. Raises ValueError when it is no address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv4 address in other clothes is judged as what it is.
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    if ip.is_unspecified or ip.is_loopback:
        # Connecting to 0.0.0.0 reaches this machine.
        return "" if network.allow_loopback else f"{what} on this machine are not allowed (network.allow_loopback)"
    if ip.is_link_local or str(ip) in _METADATA:
        return "" if network.allow_link_local else "link-local addresses are not allowed (network.allow_link_local)"
    if ip.is_multicast or ip.is_reserved:
        return f"no {what} can be at a multicast or reserved address"
    if ip.is_private or (ip.version == 4 and ip in _SHARED):
        return "" if network.allow_private else "private networks are not allowed (network.allow_private)"
    return "" if network.allow_public else "public addresses are not allowed (network.allow_public)"
