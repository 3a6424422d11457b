"""Addresses to listen on, as text and as parts."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)

_SEGMENTS = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
_MAX_BASE_PATH = 200
_OURS = ("api", "cameras", "static")


class Address(NamedTuple):
    """Host and port; the host of an IPv6 address has no brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_host(text: str) -> str:
    """``text`` as a host without brackets; raises ValueError, saying what would be accepted."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if not _NAME.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
            raise ValueError("an IP address or a host name, without a port") from None
        return text.lower()


def parse_address(text: str) -> Address:
    """``HOST:PORT`` or ``[IPV6]:PORT``; raises ValueError, saying what would be accepted."""
    accepted = 'HOST:PORT, such as "127.0.0.1:5000" or "[::1]:5000"'
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535 or (":" in host and host[0] != "["):
        raise ValueError(accepted)
    try:
        return Address(parse_host(host), int(port))
    except ValueError:
        raise ValueError(accepted) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_base_path(path: str) -> bool:
    """Whether the server may live below this path: ``/cams``, ``/home/cams``."""
    return len(path) <= _MAX_BASE_PATH and _SEGMENTS.fullmatch(path) is not None


def parse_base_path(text: str) -> str:
    """``/cams`` without a final slash, empty for none; raises ValueError, saying what would be accepted."""
    path = text.rstrip("/")
    if path and (not is_base_path(path) or path.split("/")[1] in _OURS):
        raise ValueError(f'a path such as "/cams", not beginning with one of our own (/{", /".join(_OURS)})')
    return path
