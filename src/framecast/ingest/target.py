"""What an http(s) URL means: where to connect, what to ask for, as whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import quote, unquote, urljoin, urlsplit

from framecast.core.errors import Misuse
from framecast.wire.urlsecrets import masked_path, masked_query

DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE = "/%:@!$&'()*+,;=~-._?"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_NAME = re.compile(r"[^][%@:/?#\\\x00-\x20\x7f]*")
_WITH_ZONE = re.compile(r"[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?")

ACCEPTED = "an address such as 192.168.1.20, or http://HOST[:PORT][/PATH]"


@dataclass(frozen=True, slots=True)
class Target:
    """One http(s) URL, taken apart.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or address, IPv6 without brackets.
        port: The port, the scheme's own where none is given.
        path: Path and query, percent-encoded; empty where the URL names none.
        user: User name; empty for none.
        password: Its password.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    user: str = ""
    password: str = ""

    @classmethod
    def parse(cls, url: str) -> Target:
        """Take ``url`` apart; a bare address or host name means http.

        Raises:
            Misuse: It is no http(s) URL.
        """
        text = url.strip()
        if not _SCHEME.match(text):
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
            scheme = parts.scheme.lower()
            host = host if host.isascii() else host.encode("idna").decode("ascii")
            if not _NAME.fullmatch(host):
                ip_address(host if _WITH_ZONE.fullmatch(host) else "")
            path = quote(parts.path, safe=_SAFE)
            if parts.query:
                path = f"{path or '/'}?{quote(parts.query, safe=_SAFE)}"
        except ValueError:
            raise Misuse(f"{url!r} can't be used: {ACCEPTED}") from None
        if scheme not in DEFAULT_PORTS or not host or _CONTROL.search(text) or port == 0:
            raise Misuse(f"{url!r} can't be used: {ACCEPTED}")
        return cls(
            scheme,
            host,
            port or DEFAULT_PORTS[scheme],
            path,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    @property
    def authority(self) -> str:
        """``host:port`` for the Host header, the port left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """``host:port``, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must be the same for credentials to be sent there too."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The URL without user and password."""
        return f"{self.scheme}://{self.authority}{self.path or '/'}"

    @property
    def shown(self) -> str:
        """The URL as everybody may see it: without the secrets in its path and query, either."""
        path, mark, query = (self.path or "/").partition("?")
        return f"{self.scheme}://{self.authority}{masked_path(path)}{mark}{masked_query(query)}"

    def at(self, path: str, port: int | None = None) -> Target:
        """Another path, and perhaps another port, of the same device."""
        return replace(self, path=path, port=self.port if port is None else port)

    def follow(self, location: str) -> Target:
        """Where a redirect leads; credentials go along only to the same scheme, host and port.

        Raises:
            Misuse: It leads to something else than http(s).
        """
        try:
            url = urljoin(self.url, location)
        except ValueError:
            raise Misuse(f"{location!r} can't be used: {ACCEPTED}") from None
        there = Target.parse(url)
        if there.origin == self.origin and not there.user:
            return replace(there, user=self.user, password=self.password)
        return there
