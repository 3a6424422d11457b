"""HTTP/1.x GET for cameras: one connection, one answer at a time, its body handed over as it comes.

Bytes go from the socket through `wire.http1` straight into the caller's function, within the event loop's callback:
no stream reader, no task switch per frame. A name is resolved once and the address checked before the connection goes
to exactly that address. Proxies are never used: cameras are in the house.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from framecast import __version__
from framecast.core import names
from framecast.core.errors import BadStatus, DeviceError, Misuse, ProtocolError
from framecast.ingest.http_connection import ConnectFailed, Connection, Sink, explain
from framecast.ingest.target import Target
from framecast.wire import http1, httpauth, httprequest
from framecast.wire.urlsecrets import masked_location

CheckAddress = Callable[[str, str], None]
"""Called with a host and one of its addresses before connecting; raises Misuse where that is forbidden."""

MAX_REDIRECTS = 3
_FOUR_NUMBERS = re.compile(r"\d+(\.\d+){3}")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Options:
    """How to connect.

    Attributes:
        connect_timeout_s: For the name, the connection and TLS together, per address.
        head_timeout_s: From the request to the end of the answer's headers. Cameras start their sensor meanwhile.
        verify_tls: Whether a certificate must be signed by somebody known; cameras' own seldom are.
        check_address: May forbid an address.
    """

    connect_timeout_s: float = 5.0
    head_timeout_s: float = 8.0
    verify_tls: bool = True
    check_address: CheckAddress | None = None


class Response:
    """An answer whose body is still to come. Close it, also after an error.

    Attributes:
        target: What was asked in the end, redirects followed.
        head: Status and headers.
    """

    def __init__(self, target: Target, head: http1.Head, connection: Connection, client: Client) -> None:
        self.target = target
        self.head = head
        self._connection = connection
        self._client = client

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.head.status

    @property
    def media_type(self) -> str:
        """The Content-Type without parameters, in lower case; empty when the device names none."""
        return self.head.get("content-type").partition(";")[0].strip().lower()

    @property
    def quirks(self) -> tuple[str, ...]:
        """What is odd about the answer's framing."""
        return tuple(self._connection.parser.quirks)

    async def pump(self, sink: Sink) -> bool:
        """Call ``sink`` with the body's bytes as they come, from the event loop, until it ends.

        Returns:
            Whether the body was complete; a body without a length always is.

        Raises:
            DeviceError: The connection broke.
        """
        connection = self._connection
        connection.deliver_to(sink)
        await connection.done
        if connection.error is not None:
            raise connection.error
        return connection.complete

    def await_bytes(self, count: int) -> None:
        """Within `pump`: ``sink`` can do nothing before so many bytes more have come."""
        self._connection.await_bytes(count)

    async def body(self, most_bytes: int) -> bytes:
        """The whole body.

        Raises:
            DeviceError: It is larger than ``most_bytes``, or the connection broke before its end.
        """
        chunks: list[bytes] = []
        left = most_bytes

        def take(data: bytes) -> None:
            nonlocal left
            left -= len(data)
            if left >= 0:
                chunks.append(data)
            elif not done.done():
                done.set_result(None)

        done = self._connection.done
        complete = await self.pump(take)
        if left < 0:
            raise TooLarge(f"The answer is larger than {most_bytes} bytes")
        if not complete:
            raise Truncated("The camera hung up before its answer was complete")
        return b"".join(chunks)

    def close(self) -> None:
        """Let the connection go: back to the client if another request can follow, else closed at once."""
        connection = self._connection
        if connection.complete and connection.keep_alive and connection.error is None:
            connection.deliver_to(None)
            self._client.keep(self.target, connection)
        else:
            connection.abort()


class Truncated(DeviceError):
    """The answer ended before its promised length."""

    cause = "truncated"


class TooLarge(ProtocolError):
    """The answer is larger than anybody wants it."""

    cause = "too_many_bytes"


class _Challenge:
    """What a device asked for once, so that later requests carry their credentials at once."""

    def __init__(self, header: str) -> None:
        self.header = header
        self._count = 0

    def answer(self, target: Target, path: str) -> str | None:
        self._count += 1
        try:
            return httpauth.authorization(
                self.header,
                user=target.user,
                password=target.password,
                method="GET",
                target=path,
                cnonce=secrets.token_hex(8),
                count=self._count,
            )
        except ValueError as error:
            raise Misuse(f"The user or password can't be sent: {error}") from None


class Client:
    """Fetches from one camera. Keeps the last connection for the next request where the camera allows it.

    Args:
        options: How to connect.
        trace: Told what has been achieved, for people: ``resolve``, ``connect`` or ``request``, and words.
    """

    def __init__(self, options: Options | None = None, trace: Callable[[str, str], None] | None = None) -> None:
        self.options = options or Options()
        self._trace = trace or _untraced
        self._kept: tuple[tuple[str, str, int], Connection] | None = None
        self._challenges: dict[tuple[str, str, int], _Challenge] = {}

    async def get(self, target: Target, headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """The answer to a GET, credentials and redirects seen to.

        Args:
            target: What to fetch.
            headers: To send along.

        Raises:
            DeviceError: No connection, no HTTP, or a redirect that leads nowhere.
            Misuse: The address is forbidden.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._get_authorised(target, headers)
            if response.status not in _REDIRECTS:
                return response
            location = response.head.get("location")
            response.close()
            if not location:
                raise BadStatus("The camera redirects without saying where to", response.status)
            try:
                target = target.follow(location)
            except Misuse:
                where = masked_location(location)
                raise BadStatus(
                    f"The camera redirects to {where!r}, which is no http address", response.status
                ) from None
        raise BadStatus(f"The camera redirects more than {MAX_REDIRECTS} times", response.status)

    def keep(self, target: Target, connection: Connection) -> None:
        """Have an idle connection for the next request."""
        self.close()
        self._kept = (target.origin, connection)

    def close(self) -> None:
        """Let the kept connection go."""
        if self._kept is not None:
            self._kept[1].abort()
            self._kept = None

    async def _get_authorised(self, target: Target, headers: tuple[tuple[str, str], ...]) -> Response:
        challenge = self._challenges.get(target.origin)
        response = await self._get_once(target, headers, challenge)
        if response.status != 401 or not target.user:
            return response
        header = ", ".join(response.head.get_all("www-authenticate"))
        if challenge is not None and header == challenge.header:
            return response
        response.close()
        challenge = self._challenges[target.origin] = _Challenge(header)
        return await self._get_once(target, headers, challenge)

    async def _get_once(
        self, target: Target, headers: tuple[tuple[str, str], ...], challenge: _Challenge | None
    ) -> Response:
        path = target.path or "/"
        wanted = [("User-Agent", f"framecast/{__version__}"), ("Accept", "*/*"), *headers]
        answer = challenge.answer(target, path) if challenge is not None and target.user else None
        if answer is not None:
            wanted.append(("Authorization", answer))
        request = httprequest.request("GET", target.authority, path, wanted)
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == target.origin and not kept[1].done.cancelled():
            connection = kept[1]
            if connection.keep_alive:
                head = await self._ask(connection, request, target)
                if head is not None:
                    return Response(target, head, connection, self)
                # The camera closed it in the meantime: that is its right, a fresh one decides.
        elif kept is not None:
            kept[1].abort()
        connection = await self._connect(target)
        head = await self._ask(connection, request, target)
        if head is None:
            assert connection.error is not None
            raise connection.error
        return Response(target, head, connection, self)

    async def _ask(self, connection: Connection, request: bytes, where: Target) -> http1.Head | None:
        try:
            connection.ask(request)
            async with asyncio.timeout(self.options.head_timeout_s):
                head = await connection.head
            if head is not None:
                kind = head.get("content-type") or "no Content-Type"
                self._trace("request", f"Answered {head.status} {head.reason}".rstrip() + f", {kind}")
            return head
        except TimeoutError:
            connection.abort()
            seconds = self.options.head_timeout_s
            raise ConnectFailed(
                f"It took the connection, and then said nothing for {seconds:.0f} s", "silent"
            ) from None
        except asyncio.CancelledError:
            connection.abort()
            raise

    async def _connect(self, target: Target) -> Connection:
        loop = asyncio.get_running_loop()
        failure: ConnectFailed | None = None
        addresses = await self._resolve(target)
        for address in addresses:
            try:
                async with asyncio.timeout(self.options.connect_timeout_s):
                    _, connection = await loop.create_connection(
                        Connection,
                        address,
                        target.port,
                        ssl=tls_context(self.options.verify_tls) if target.scheme == "https" else None,
                        server_hostname=target.host if target.scheme == "https" else None,
                    )
                    self._trace("connect", f"Connected to {target.address}")
                    return connection
            except (OSError, TimeoutError) as error:
                failure = explain(error, target, self.options.connect_timeout_s)
        assert failure is not None
        raise failure

    async def _resolve(self, target: Target) -> list[str]:
        try:
            async with asyncio.timeout(self.options.connect_timeout_s):
                addresses = await names.SHARED.addresses(target.host)
        except TimeoutError:
            raise ConnectFailed(f"The name server has no answer for {target.host}", "dns") from None
        except (OSError, UnicodeError):
            words = f"Nobody knows a host called {target.host}"
            if _FOUR_NUMBERS.fullmatch(target.host):
                words = f"{target.host} is no IP address: its four numbers have to be from 0 to 255"
            raise ConnectFailed(words, "dns") from None
        allowed: list[str] = []
        refusal: Misuse | None = None
        for address in addresses:
            try:
                if self.options.check_address is not None:
                    self.options.check_address(target.host, address)
                allowed.append(address)
            except Misuse as error:
                refusal = error
        if not allowed:
            raise refusal or ConnectFailed(f"{target.host} has no address", "dns")
        if target.host not in allowed:
            self._trace("resolve", f"{target.host} is {allowed[0]}")
        return allowed


def _untraced(step: str, text: str) -> None:
    """Nobody wants to know."""


@lru_cache(maxsize=2)
def tls_context(verify: bool) -> ssl.SSLContext:
    """One context for all connections: reading the system's certificates takes some 20 ms."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
