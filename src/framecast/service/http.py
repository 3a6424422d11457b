"""The HTTP front: one table of routes, and what stands between a request and its handler.

aiohttp's low-level server is used without its application, router and middlewares: each request is matched with two
dictionary look-ups, and its right is checked before anything of it is read. In this order:

    connection limits -> Host (DNS rebinding) -> route -> right -> Origin -> handler -> headers of the answer

Whatever a handler raises as `ApiError` becomes JSON; nothing from outside becomes a 500.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import HttpVersion10, StreamReader, web
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from framecast.core.errors import LimitReached, StateError
from framecast.core.limits import Quietly
from framecast.service import headers, nowhere
from framecast.service.bodies import error_response, see_that_none_has_begun
from framecast.service.errors import ApiError, not_found
from framecast.service.places import LOCAL, Places
from framecast.service.places import Connection as Place
from framecast.service.rights import CONTROL, Access, Decision, Grant, Right, credential, host_allowed, origin_allowed
from framecast.service.routing import Call, Route, Table

log = logging.getLogger("framecast.service.http")

LINGER_S = 2.0
"""How long a refused upload is read on, so that its sender gets to see the answer."""
MAX_LINE_BYTES = 8190
QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r", re.I)
JUNK_WAIT_S = 0.25
"""How long what may follow a broken upload is waited for: a device sends its picture in one go."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What `Front` needs to know of the configuration; all times in seconds."""

    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: int = 8 << 20
    max_connections: int = 8192
    max_connections_per_address: int = 4096
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0


class _Connection(RequestHandler):
    """aiohttp's handler of one connection, with limits and answers of our own.

    Attributes:
        token: Name of the token that the latest request showed; empty for none.
        precursor: What was counted among the places for it during its handshake.
        changing: The task that handles its latest request that may change something.
    """

    __slots__ = (
        "_body",
        "_eager",
        "_first_timer",
        "_front",
        "_junk",
        "changing",
        "local",
        "peer",
        "precursor",
        "token",
    )

    def __init__(self, server: _Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._front = server.front
        self.local = server.local
        self.peer = ""
        self.token = ""
        self.precursor: Place | None = None
        self.changing: asyncio.Task[Any] | None = None
        self._eager: socket.socket | None = None
        self._body: StreamReader | None = None
        self._first_timer: asyncio.TimerHandle | None = None
        self._junk: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = LOCAL if self.local else peer[0] if isinstance(peer, tuple) else "unknown"
        if self.precursor is not None:
            self._front.places.closed(self.precursor)
            self.precursor = None
        if not self._front.places.opened(self):
            cast(asyncio.Transport, transport).abort()
        self._first_timer = self._loop.call_later(self._front.rules.header_timeout_s, self._first_deadline)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._first_timer is not None:
            self._first_timer.cancel()
            self._first_timer = None
        if self._eager is not None:
            self._eager.detach()
            self._eager = None
        self._front.places.closed(self)
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """Whether nothing was asked over it yet."""
        return self._request_count == 0

    def evict(self) -> None:
        """Close it, since others need the room."""
        if self.transport is not None:
            self.transport.abort()

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
        self._eager = socket.socket(theirs.family, theirs.type, theirs.proto, fileno=theirs.fileno())
        self._eager.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)

    def _first_deadline(self) -> None:
        self._first_timer = None
        if self._request_count == 0:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        # aiohttp's parser forgets whole requests that came in the same data as something that is none. An upload
        # whose length is too small is such a case, so its head is parsed before its body, unless it says to end with
        # the data. A cut anywhere is harmless.
        if data.startswith((b"POST ", b"PUT ")):
            end = data.find(b"\r\n\r\n") + 4
            if 4 <= end < len(data) and not _says(data, end, len(data) - end):
                super().data_received(data[:end])
                data = data[end:]
        super().data_received(data)
        if self._eager is not None and data and self._expects_more():
            self._eager.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)  # type: ignore[arg-type]
        if self._junk is not None and self._messages and not self._junk.done():
            self._junk.set_result(None)

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

    def decorate(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Give an answer, of whatever kind, the headers that every answer carries."""
        headers.decorate(request, response, self._front.rules.allowed_origins)

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


class _Request(web.BaseRequest):
    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        cast(_Connection, self.protocol).decorate(self, response)


class _Server(web.Server):
    def __init__(self, front: Front, *, local: bool, **options: Any) -> None:
        super().__init__(front.handle, **options)
        self.front = front
        self.local = local

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def after(self, precursor: Place) -> RequestHandler:
        """The same for a connection that was counted before it got here."""
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        connection.precursor = precursor
        return connection


class Front:
    """Answers requests from a table of routes.

    Args:
        table: The routes.
        access: Who may do what.
        rules: Limits and allowed names.
    """

    def __init__(self, table: Table, access: Callable[[], Access], rules: Rules) -> None:
        self.table = table
        self.rules = rules
        self.requests: Counter[int] = Counter()
        self._access = access
        self.places = Places(rules.max_connections, rules.max_connections_per_address)
        self._servers: list[_Server] = []
        self._refused_quietly = Quietly(10.0)
        wall = (table.find("/") or ({}, ""))[0].get("GET")
        self._has_pages = wall is not None and wall.answer == "text/html"

    def server(self, *, local: bool = False) -> _Server:
        """What a listening socket calls for each connection.

        Args:
            local: This is the control socket: whoever connects is the operator.
        """
        loop = asyncio.get_running_loop()

        def make_request(*args: Any) -> web.BaseRequest:
            return _Request(*args, loop=loop, client_max_size=self.rules.max_body_bytes)  # type: ignore[misc]

        server = _Server(
            self,
            local=local,
            request_factory=make_request,
            access_log=None,
            logger=log,
            keepalive_timeout=self.rules.idle_timeout_s,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            tcp_keepalive=True,
        )
        self._servers.append(server)
        return server

    def drop(self, token: str) -> None:
        """Cut every connection that this token opened, since it was revoked; with an empty name those without one.

        But not the one that is asking for it just now: it is to get its answer.
        """
        asking = asyncio.current_task()
        for server in self._servers:
            for connection in server.connections:
                found = cast(_Connection, connection)
                if found.token != token or found.local or found.transport is None:
                    continue
                if found.changing is None or found.changing is not asking:
                    found.transport.abort()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            response = await self._answer(request)
        except ApiError as error:
            if self._has_pages and nowhere.is_for(request, error):
                response = nowhere.page(request, error, self.rules.allowed_origins)
            else:
                response = error_response(error.status, error.code, error.message, error.headers)
            if error.close:
                response.force_close()
        except StateError as error:
            log.error("%s %s: %s", request.method, request.path, error)
            words = f"It could not be kept, so nothing is changed: {error}"
            response = error_response(507 if "full" in str(error) else 503, "not_kept", words)
        except LimitReached as error:
            response = error_response(503, "limit_reached", str(error), {"Retry-After": "10"})
        except web.HTTPException as error:
            response = error_response(error.status, "bad_request", error.reason)
            if error.status == 413:
                response.force_close()
        except UnicodeError:
            response = error_response(400, "bad_request", "The request has bytes that are no text")
            response.force_close()
        see_that_none_has_begun(request, response)
        self.requests[response.status] += 1
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.version < HttpVersion10:
            raise ApiError(400, "bad_request", "HTTP/1.0 and HTTP/1.1 are spoken here", close=True)
        connection = cast(_Connection, request.protocol)
        local, peer = connection.local, connection.peer
        access = self._access()
        host = request.headers.get("Host", "")
        if not local and access.open and host and not host_allowed(host, self.rules.allowed_hosts):
            raise ApiError(
                421,
                "wrong_host",
                "This server answers to localhost only; name others in server.allowed_hosts, or create a token",
            )
        found = self.table.find(request.path)
        if found is None:
            if not local and not access.open:
                # Whether a path exists is nobody's business without a right; pages and health checks are found above.
                self._authorise(access, request, Right.WATCH, None, peer)
            raise not_found(f"There is nothing at {request.path[:200]}")
        methods, parameter = found
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS":
            return self._preflight(request, methods)
        route = methods.get(method)
        if route is None:
            allowed = ", ".join(sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}))
            raise ApiError(405, "method_not_allowed", f"Use one of: {allowed}", headers={"Allow": allowed})
        if local:
            grant = CONTROL
        else:
            camera_id = parameter if route.path.startswith("/api/v1/cameras/{id}") else None
            grant = self._authorise(access, request, route.right, camera_id, peer)
            connection.token = grant.name
            connection.changing = asyncio.current_task() if route.right is Right.OPERATE else None
            if (method != "GET" or route.websocket) and not origin_allowed(
                request.headers.get("Origin"), host, self.rules.allowed_origins, tls=request.secure
            ):
                raise ApiError(403, "wrong_origin", "Pages of other sites may not do this (server.allowed_origins)")
        if route.right is Right.PUBLISH:
            connection.acknowledge_at_once(request.content, endless=route.websocket)
        return await route.handler(Call(request, route, parameter, grant, peer))

    def _authorise(
        self, access: Access, request: web.BaseRequest, need: Right, camera_id: str | None, peer: str
    ) -> Grant:
        decision = self.decide(access, request, need, camera_id, peer)
        if (
            not decision.allow
            and camera_id is None
            and need is Right.PUBLISH
            and access.covers_any(decision.grant, need, peer)
        ):
            return decision.grant  # which camera it is stands in the body; the handler asks again
        if not decision.allow:
            if need is Right.PUBLISH and self._refused_quietly.due():
                log.warning("a device at %s may not push to %s: %s", peer, camera_id or request.path, decision.reason)
            raise ApiError(
                decision.status,
                "unauthorised" if decision.status == 401 else "forbidden",
                decision.reason,
                headers={"WWW-Authenticate": 'Basic realm="Framecast"'} if decision.status == 401 else {},
            )
        return decision.grant

    @staticmethod
    def decide(access: Access, request: web.BaseRequest, need: Right, camera_id: str | None, peer: str) -> Decision:
        """What the rules say about a request."""
        shown = None if access.open else credential(request.headers, request.query, request.cookies)
        return access.decide(need, camera_id, shown, peer, time.time())

    def _preflight(self, request: web.BaseRequest, methods: Mapping[str, Route]) -> web.StreamResponse:
        allowed = ", ".join(sorted({*methods, "OPTIONS"}))
        post = methods.get("POST")
        taken = {"Accept-Post": post.body} if post is not None and post.body.startswith("application/") else {}
        return web.Response(
            status=204,
            headers={
                **taken,
                "Allow": allowed,
                "Access-Control-Allow-Methods": allowed,
                "Access-Control-Allow-Headers": headers.ACCEPTED,
                "Access-Control-Max-Age": "600",
            },
        )


async def is_followed_by_junk(request: web.BaseRequest) -> bool:
    """Whether a request whose body was read is followed by bytes that are no request: its length was too small."""
    return await cast(_Connection, request.protocol).is_followed_by_junk()
