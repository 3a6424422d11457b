"""POST to places that people named: bounded, without redirects, and only where it may go.

An address is judged when its socket is made, so a name can't resolve to one thing for the check and to another for the
connection.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from framecast.core.descriptors import entrusted
from framecast.core.errors import Misuse, reason_of
from framecast.core.names import Names
from framecast.service.cameras.reach import address_refusal
from framecast.service.config.sections import NetworkSettings
from framecast.service.events.courier import Undelivered

TIMEOUT_S = 20.0
NAMES_AT_ONCE = 4
"""Looked up by one poster."""
TRY_AGAIN = frozenset({401, 403, 404, 408, 425, 429})
"""Answers below 500 that may become others: who set up the receiver wrongly can mend it."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

CheckAddress = Callable[[str, str], None]


class Forbidden(OSError):
    """An address where nothing may be sent."""


class Refusal(Undelivered):
    """An answer that is no success.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, retry_after_s: float | None) -> None:
        self.status = status
        refused = status < 500 and status not in TRY_AGAIN
        super().__init__(f"it answered with status {status}", refused=refused, retry_after_s=retry_after_s)


def check_public(allow_private: bool) -> CheckAddress:
    """A check that lets through what is on the internet, and what is at home where that is allowed."""
    home, internet = NetworkSettings(allow_loopback=True), NetworkSettings()

    def check(host: str, address: str) -> None:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip.sixtofour or _translated(ip) or ip
        if allow_private and not address_refusal(str(ip), home):
            return
        # Some clouds answer their own machines at addresses that look like any on the internet.
        if not ip.is_global or ip.is_multicast or address_refusal(str(ip), internet):
            raise Misuse(f"{host} is no address on the internet (push.allow_private)")

    return check


def _translated(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which a network that has no IPv4 itself leads this one (NAT64)."""
    return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None


class _Resolver(AbstractResolver):
    """What the HTTP client asks for names."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `AbstractResolver`."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._names.addresses(host)
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Poster:
    """Sends what is to be sent to some places.

    Args:
        check: What their addresses have to pass; None lets all through.
        names: Finds them; left out, its own does, in threads of its own: whoever names a place chooses how long that
            takes, and what others look for would not be found meanwhile.
    """

    def __init__(self, check: CheckAddress | None = None, names: Names | None = None) -> None:
        self._check = check
        self._names = names or Names(at_once=NAMES_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Have this taken.

        Raises:
            Undelivered: It was not.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Each courier has one at most: who is slow must not take the places of others.
                connector=aiohttp.TCPConnector(limit=0, resolver=_Resolver(self._names), socket_factory=self._socket),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                status, retry_after = response.status, response.headers.get("Retry-After", "")
        except TimeoutError:
            raise Undelivered(f"no answer within {TIMEOUT_S:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise Undelivered(f"no connection: {_words(getattr(error, 'os_error', error))}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Undelivered(f"no answer: {_words(error)}") from None
        if status >= 300:
            raise Refusal(status, _seconds(retry_after))

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _socket(self, info: Any) -> socket.socket:
        address = info[4]
        if self._check is not None:
            try:
                self._check(address[0], address[0])
            except Misuse as error:
                raise Forbidden(str(error)) from None
        return entrusted(info)


def _seconds(text: str) -> float | None:
    """A Retry-After header."""
    if text.isascii() and text.isdigit() and len(text) < 9:
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # of a year, or a zone, that no integer holds
        return None
    return None if when.tzinfo is None else max(0.0, (when - datetime.now(UTC)).total_seconds())


def _words(error: BaseException) -> str:
    """Why, in one line, without the URL, which may be what lets in."""
    if isinstance(error, aiohttp.InvalidURL):
        return "its URL can't be used"
    said = error.message if isinstance(error, aiohttp.ClientResponseError) else ""
    if isinstance(error, OSError):
        said = reason_of(error)
    return " ".join((said or str(error) or type(error).__name__).split())[:200]
