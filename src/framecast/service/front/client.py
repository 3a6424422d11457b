"""Who is asking, and by what address: read once a request, from the socket and from what trusted proxies add.

A proxy in front of the server takes the place of everybody behind it: the socket's other end is the proxy, the scheme
and the path are those between it and us. What it tells about the real ones is believed only where its address is named
in ``server.trusted_proxies``; from anybody else these headers are words that whoever asks has made up.

    X-Forwarded-For      addresses, each hop adding the one it saw: read from the right, past the trusted ones
    X-Forwarded-Proto    http or https, as the browser asked
    X-Forwarded-Host     the name by which it asked
    X-Forwarded-Prefix   the path that was taken off in front of ours

``Forwarded`` (RFC 7239) is not read: a proxy that writes the one kind mostly hands on what a client put into the other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from multidict import CIMultiDictProxy, istr

from framecast.service.access.rights import COOKIE, PREFIXED_COOKIE, SECURE_COOKIE
from framecast.service.config.addresses import is_base_path

FOR = istr("X-Forwarded-For")
PROTO = istr("X-Forwarded-Proto")
HOST = istr("X-Forwarded-Host")
PREFIX = istr("X-Forwarded-Prefix")
TELLTALES = (
    FOR,
    PROTO,
    HOST,
    istr("Forwarded"),
    istr("X-Real-IP"),
    istr("CF-Connecting-IP"),
    istr("Via"),
)
"""By these a proxy gives itself away; no browser sends any of them."""
MOST_SILENT = 1024
CONNECTION = istr("Connection")
USER_AGENT = istr("User-Agent")

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")

Headers = CIMultiDictProxy[str]
RawHeaders = tuple[tuple[bytes, bytes], ...]
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Client:
    """Whoever sent a request.

    Attributes:
        address: IP address; of the one behind the proxies, where those are trusted. ``local`` on the control socket.
        host: By what name, and port, it called this server: what stands in its address bar.
        secure: Whether it speaks HTTPS, with us or with the outermost proxy.
        prefix: The path below which it sees our pages, such as ``/cams``; empty at the top.
        forwarded: Whether a trusted proxy passed it on. What comes from its machine without a word is its own.
        peer: IP address of the socket's other end: the proxy's where there is one.
        proven: Whether no page can have written that it speaks HTTPS.
    """

    address: str
    host: str = ""
    secure: bool = False
    prefix: str = ""
    forwarded: bool = False
    peer: str = ""
    proven: bool = True

    @property
    def origin(self) -> str:
        """Scheme, name and port, as a browser writes its origin."""
        return f"{'https' if self.secure else 'http'}://{self.host or 'localhost'}"

    def path(self, ours: str) -> str:
        """Where it finds what lies at ``ours``: for Location, and for every link that is not relative."""
        return self.prefix + ours

    def url(self, ours: str) -> str:
        """The same as a whole address."""
        return self.origin + self.prefix + ours

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; over HTTPS no page that came otherwise can set it.

        Below a prefix it has that path, so that the other programs of this host, another Framecast among them, neither
        get it nor overwrite it.
        """
        if not self.secure:
            return COOKIE
        return PREFIXED_COOKIE if self.prefix else SECURE_COOKIE

    @property
    def cookie_path(self) -> str:
        """Where that cookie is sent."""
        return self.prefix + "/"


class Proxies:
    """Reads requests as the configured proxies pass them on.

    Args:
        trusted: Their addresses and networks.
        base_path: Where they have us, unless they say otherwise: ``/cams``. Paths that still begin with it are taken
            as those behind it.
    """

    def __init__(self, trusted: Iterable[str] = (), base_path: str = "") -> None:
        self.networks = tuple(ipaddress.ip_network(text) for text in trusted)
        self.base_path = base_path
        self.any = bool(self.networks or base_path)
        self._silent: set[str] = set()
        """Proxies that left out by what scheme they were asked: they hand on what a client wrote of it, then."""

    def trusts(self, address: str) -> bool:
        """Whether what this address says of others is believed."""
        return bool(self.networks) and _is_within(address, self.networks)

    def ours(self, path: str) -> str:
        """A request's path without `base_path`, where a proxy left it on."""
        base = self.base_path
        return path[len(base) :] if base and path.startswith(base + "/") else path

    def client(self, peer: str, headers: Headers, path: str, *, secure: bool) -> Client:
        """Who sent a request.

        Args:
            peer: IP address of the socket's other end.
            headers: The request's.
            path: As it was asked for.
            secure: Whether the socket speaks TLS.
        """
        host = headers.get("Host", "")
        prefix = self.base_path if self.ours(path) is not path else ""
        if not self.trusts(peer) or not any(name in headers for name in (FOR, PROTO, HOST, PREFIX)):
            return Client(peer, host, secure, prefix, peer=peer)
        address, hops = self._behind(peer, _values(headers, FOR))
        proto = _nth(_values(headers, PROTO), hops).lower()
        called = _nth(_values(headers, HOST), hops)
        told = _nth(_values(headers, PREFIX), hops).rstrip("/")
        if not proto and len(self._silent) < MOST_SILENT:
            self._silent.add(peer)
        return Client(
            address,
            called if _HOST.fullmatch(called) else host,
            proto in ("https", "wss") if proto else secure,
            prefix or (told if is_base_path(told) else self.base_path),
            forwarded=True,
            peer=peer,
            proven=bool(proto) and peer not in self._silent,
        )

    def _behind(self, peer: str, hops: list[str]) -> tuple[str, int]:
        """The nearest address that is not a trusted proxy's, and how many of them it is away."""
        address, away = peer, 0
        for text in reversed(hops):
            told = _address(text)
            if not told:
                break
            address, away = told, away + 1
            if not self.trusts(told):
                break
        return address, max(away, 1)


def gives_itself_away(headers: Headers, raw: RawHeaders = (), *, old: bool = False) -> str:
    """The header by which a request shows that a proxy sent it; empty when none does.

    A bare ``proxy_pass`` of nginx says nothing of a proxy, and calls us by the loopback address that it connects to.
    But it closes each connection, which no browser does, and begins with two lines as nobody else's HTTP/1.0 does.

    Args:
        raw: The header lines in their order.
        old: Whether it is HTTP/1.0.
    """
    for name in TELLTALES:
        if name in headers:
            return str(name)
    if headers.get(CONNECTION, "").lower() == "close":
        by_browser = headers.get(USER_AGENT, "").startswith("Mozilla/")
        if by_browser or (old and [name.lower() for name, _ in raw[:2]] == [b"host", b"connection"]):
            return "Connection: close"
    return ""


def _values(headers: Headers, name: istr) -> list[str]:
    """All values of a header that is a list, whether they came on one line or on several."""
    if name not in headers:
        return []
    return [value.strip() for value in ",".join(headers.getall(name)).split(",")]


def _nth(values: list[str], away: int) -> str:
    """What the hop wrote that saw the client: each proxy adds on the right, or there is one value for all."""
    return values[-min(away, len(values))] if values else ""


def _address(text: str) -> str:
    """The IP address in an entry, which may have a port; empty when there is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=4096)
def _is_within(text: str, networks: tuple[IpNetwork, ...]) -> bool:
    found = _address(text)
    if not found:
        return False
    address = ipaddress.ip_address(found)
    return any(address.version == network.version and address in network for network in networks)
