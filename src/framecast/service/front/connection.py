"""One connection: aiohttp's handler of it, with limits and answers of our own."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from framecast.core.descriptors import Borrowed, borrow
from framecast.service.access.rights import NOTHING, Right
from framecast.service.errors import ApiError
from framecast.service.front import headers
from framecast.service.front.bodies import error_response, see_that_none_has_begun
from framecast.service.front.client import Client
from framecast.service.front.places import LOCAL, Places
from framecast.service.front.places import Connection as Place

log = logging.getLogger("framecast.service.front.connection")

QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux
JUNK_WAIT_S = 0.25
"""How long what may follow a broken upload is waited for: a device sends its picture in one go."""
QUIET_S = 0.02
"""Once nothing came for so long, what it sent in one go is taken as read."""
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r", re.I)


class InPlace:
    """The loop as a connection's task sees it, in which its requests are handled, too.

    aiohttp gives each request a task, so that it has context variables of its own; nothing here has any. With tasks
    that begin in the loop's next round, that costs a request two rounds more: 15 % of what a pushed picture costs.
    One serves all connections.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.create_future = loop.create_future
        self.time = loop.time
        self.call_at = loop.call_at

    def create_task(self, handling: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """What is awaited next."""
        return handling

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class Server(web.Server):
    """What a listening socket calls for each connection.

    Args:
        handle: Answers a request.
        places: Where connections are counted.
        local: This is the control socket.
        header_timeout_s: How long a connection may stay before its first request is there.
        allowed_origins: Pages that are as good as ours.
        options: aiohttp's.
    """

    def __init__(
        self,
        handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        places: Places,
        *,
        local: bool,
        header_timeout_s: float,
        allowed_origins: Sequence[str],
        **options: Any,
    ) -> None:
        super().__init__(handle, **options)
        self.places = places
        self.local = local
        self.header_timeout_s = header_timeout_s
        self.allowed_origins = allowed_origins
        self.in_place = InPlace(self._loop)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def after(self, precursor: Place) -> RequestHandler:
        """The same for a connection that was counted before it got here."""
        connection = Connection(self, loop=self._loop, **self._kwargs)
        connection.precursor = precursor
        return connection


class Connection(RequestHandler):
    """aiohttp's handler of one connection, with limits and answers of our own.

    Attributes:
        grant, need: What the latest request was let in by, and the right that it asked for.
        camera_id: The camera that it is about; empty for several or none.
        client: Who sent it.
        precursor: What was counted among the places for it during its handshake.
        received: Bytes that came since they were counted last.
        brings: Whether messages come over it, a device's say.
        ends: The timer of what let it in, where that is for a time.
        changing: The task that handles its latest request that may change something.
    """

    __slots__ = (
        "_body",
        "_deaf",
        "_eager",
        "_first_timer",
        "_in_place",
        "_junk",
        "_server",
        "brings",
        "camera_id",
        "changing",
        "client",
        "ends",
        "grant",
        "local",
        "need",
        "peer",
        "precursor",
        "received",
    )

    def __init__(self, server: Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._server = server
        self._in_place = cast(asyncio.AbstractEventLoop, server.in_place)
        self.local = server.local
        self.peer = ""
        self.grant = NOTHING
        self.need = Right.PUBLIC
        self.camera_id = ""
        self.received = 0
        self.brings = False
        self.ends: asyncio.TimerHandle | None = None
        self.client: Client | None = None
        self.precursor: Place | None = None
        self.changing: asyncio.Task[Any] | None = None
        self._eager: Borrowed | None = None
        self._body: StreamReader | None = None
        self._first_timer: asyncio.TimerHandle | None = None
        self._junk: asyncio.Future[None] | None = None
        self._deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = LOCAL if self.local else peer[0] if isinstance(peer, tuple) else "unknown"
        if self.precursor is not None:
            self._server.places.closed(self.precursor)
            self.precursor = None
        if not self._server.places.opened(self):
            cast(asyncio.Transport, transport).abort()
        self._first_timer = self._loop.call_later(self._server.header_timeout_s, self._first_deadline)
        if sys.version_info < (3, 12):  # else the task of a request begins at once, and this is no gain
            self._loop = self._in_place

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._first_timer is not None:
            self._first_timer.cancel()
            self._first_timer = None
        self.end_at(0.0)
        if self._eager is not None:
            self._eager.detach()
            self._eager = None
        self._server.places.closed(self)
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """Whether nothing was asked over it yet."""
        return self._request_count == 0

    def evict(self) -> None:
        """Close it, since others need the room."""
        if self.transport is not None:
            self.transport.abort()

    def end_at(self, until_s: float) -> None:
        """Cut it at this time (Unix seconds), whatever goes on over it then; 0 for never."""
        if self.ends is not None:
            self.ends.cancel()
            self.ends = None
        if until_s:
            self.ends = self._loop.call_later(max(0.0, until_s - time.time()), self.evict)

    def acknowledge_at_once(self, body: StreamReader, *, endless: bool) -> None:
        """Have the kernel acknowledge what comes over this connection as it comes.

        Simple firmwares leave Nagle's algorithm on: the end of a picture then waits for the acknowledgement of what
        went before, which the kernel delays by 40 ms. It forgets this again by itself, so it is asked at each read,
        but for the last one of a request, which the answer acknowledges.

        Args:
            body: Of the request that is answered now.
            endless: Messages without an answer follow it.
        """
        self._body = None if endless else body
        if QUICK_ACK is None or self.local or self._eager is not None or self.transport is None:
            return
        theirs = self.transport.get_extra_info("socket")
        # The loop's own stand-in makes and closes a socket for each call. This one shares the descriptor, which stays
        # the transport's: it is let go of in `connection_lost`.
        self._eager = borrow(theirs)
        self._eager.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)

    def _first_deadline(self) -> None:
        self._first_timer = None
        if self._request_count == 0:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self._deaf:
            return
        # aiohttp's parser forgets whole requests that came in the same data as something that is none. An upload
        # whose length is too small is such a case, so its head is parsed before its body, unless it says to end with
        # the data. A cut anywhere is harmless.
        if data.startswith((b"POST ", b"PUT ")):
            end = data.find(b"\r\n\r\n") + 4
            if 4 <= end < len(data) and not _says(data, end, len(data) - end):
                super().data_received(data[:end])
                data = data[end:]
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._give_up()
        if self._eager is not None and data and self._expects_more():
            self._eager.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)  # type: ignore[arg-type]
        if self._junk is not None and self._messages and not self._junk.done():
            self._junk.set_result(None)

    def _give_up(self) -> None:
        """Read nothing more, since what comes is no request; one whose body it was to be ends at once.

        aiohttp would leave that one waiting for its body, and take each further piece for another error.
        """
        self._deaf = True
        waiting = [body for message, body in self._messages if not isinstance(message, _ErrInfo)]
        broken = waiting[-1] if waiting else None
        if broken is None and self._current_request is not None:
            broken = self._current_request.content
        if broken is not None and not broken.is_eof() and broken.exception() is None:
            broken.set_exception(web.RequestPayloadError("what comes is no body"))
            broken.feed_eof()  # and nobody lingers for more of it

    def _expects_more(self) -> bool:
        if self.transport is None or self.transport.is_closing():
            return False
        body = self._messages[-1][1] if self._messages else self._body
        return body is None or not body.is_eof()

    async def is_followed_by_junk(self) -> bool:
        """Whether the request being answered is followed by something that is none, now or soon."""
        if not self._messages:
            self._junk = self._loop.create_future()
            try:
                async with asyncio.timeout(JUNK_WAIT_S):
                    await self._junk
            except TimeoutError:
                return False
            finally:
                self._junk = None
        return isinstance(self._messages[0][0], _ErrInfo)

    async def hear_out(self) -> None:
        """Read what a device still sends in one go behind a request that ends its connection.

        A connection that is closed with bytes unread takes the answer to them along.
        """
        self._deaf = True
        until_s, before = self._loop.time() + JUNK_WAIT_S, -1
        while before != self.received and self._loop.time() < until_s:
            before = self.received
            await asyncio.sleep(QUIET_S)

    def decorate(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Give an answer, of whatever kind, the headers that every answer carries."""
        grant = self.grant
        shared = grant.in_address or grant.kind in ("none", "link")
        secure = request.secure if self.client is None else self.client.secure
        headers.decorate(request, response, self._server.allowed_origins, shared=shared, secure=secure)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            words = "The peer has gone"  # before the head of its answer was out: nobody is there to read this
        elif status >= 500 and not isinstance(exc, ApiError):
            log.error("a request failed: %s %s", request.method, request.path, exc_info=exc)
            words = "Something went wrong here; the log says what"
        else:
            words = "This is not a request that can be read: " + (message or str(exc)).partition("\n")[0][:200]
        response = error_response(status, "internal" if status >= 500 else "bad_request", words)
        response.force_close()
        see_that_none_has_begun(request, response)
        return response


def _says(data: bytes, end: int, length: int) -> bool:
    """Whether the head that ends at ``end`` announces a body of ``length`` bytes."""
    found = _CONTENT_LENGTH.search(data, 0, end)
    return found is not None and int(found[1]) == length


class Request(web.BaseRequest):
    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        cast(Connection, self.protocol).decorate(self, response)


def is_about(request: web.BaseRequest, camera_id: str) -> None:
    """Note which camera a request is about whose path doesn't say."""
    cast(Connection, request.protocol).camera_id = camera_id


async def is_followed_by_junk(request: web.BaseRequest) -> bool:
    """Whether a request whose body was read is followed by bytes that are no request: its length was too small."""
    return await cast(Connection, request.protocol).is_followed_by_junk()
