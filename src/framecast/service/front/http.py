"""The HTTP front: one table of routes, and what stands between a request and its handler.

aiohttp's low-level server is used without its application, router and middlewares: each request is matched with two
dictionary look-ups, and its right is checked before anything of it is read. In this order:

    connection limits -> client -> Host (DNS rebinding) -> route -> rate -> right -> name, Origin (``front/defence.py``)
    -> handler -> headers of the answer

Whatever a handler raises as `ApiError` becomes JSON; nothing from outside becomes a 500.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import HttpVersion10, HttpVersion11, web

from framecast.core.errors import LimitReached, StateError
from framecast.core.limits import Quietly
from framecast.service.access.rights import (
    CONTROL,
    Access,
    Cut,
    Decision,
    Grant,
    Right,
    credential,
)
from framecast.service.access.sites import host_allowed
from framecast.service.errors import ApiError, not_found
from framecast.service.front import headers, nowhere
from framecast.service.front.bodies import error_response, see_that_none_has_begun
from framecast.service.front.client import FOR as FORWARDED_FOR
from framecast.service.front.client import Client, Proxies, gives_itself_away
from framecast.service.front.connection import Connection, Request, Server
from framecast.service.front.defence import Defence, is_counted
from framecast.service.front.places import Places
from framecast.service.front.rates import Rates
from framecast.service.front.routing import Call, Handler, Route, Table

log = logging.getLogger("framecast.service.front.http")

LINGER_S = 2.0
"""How long a refused upload is read on, so that its sender gets to see the answer."""
MAX_LINE_BYTES = 8190
UPLOADS = ("POST", "PUT")
SPOKEN = (HttpVersion11, HttpVersion10)


@dataclass(frozen=True, slots=True)
class Rules:
    """What `Front` needs to know of the configuration; all times in seconds."""

    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: int = 8 << 20
    max_connections: int = 8192
    max_connections_per_address: int = 4096
    max_connections_per_token: int = 4096
    requests_per_s: float = 0.0
    requests_burst: int = 1
    received_bytes_per_s: int = 0
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0


class Front:
    """Answers requests from a table of routes.

    Args:
        table: The routes.
        access: Who may do what.
        rules: Limits and allowed names.
        proxies: Whose word counts about who is asking.
        answer: Has a call answered; what keeps the audit log stands there.
    """

    def __init__(
        self,
        table: Table,
        access: Callable[[], Access],
        rules: Rules,
        proxies: Proxies,
        answer: Handler | None = None,
    ) -> None:
        self.table = table
        self.rules = rules
        self.proxies = proxies
        self.requests: Counter[int] = Counter()
        self._access = access
        self._answer_call = answer
        self.places = Places(
            rules.max_connections,
            rules.max_connections_per_address,
            rules.max_connections_per_token,
            shared=proxies.trusts,
        )
        self.rates = Rates(rules.requests_per_s, rules.requests_burst, rules.received_bytes_per_s)
        self._defence = Defence(self.rates, rules.allowed_hosts, rules.allowed_origins)
        self._servers: list[Server] = []
        self._refused_quietly = Quietly(10.0)
        self._proxy_quietly = Quietly(3600.0)
        wall = (table.find("/") or ({}, ""))[0].get("GET")
        self._has_pages = wall is not None and wall.answer == "text/html"

    def server(self, *, local: bool = False) -> Server:
        """What a listening socket calls for each connection.

        Args:
            local: This is the control socket: whoever connects is the operator.
        """
        loop = asyncio.get_running_loop()

        def make_request(*args: Any) -> web.BaseRequest:
            return Request(*args, loop=loop, client_max_size=self.rules.max_body_bytes)  # type: ignore[misc]

        server = Server(
            self.handle,
            self.places,
            local=local,
            header_timeout_s=self.rules.header_timeout_s,
            allowed_origins=self.rules.allowed_origins,
            request_factory=make_request,
            access_log=None,
            logger=log,
            keepalive_timeout=self.rules.idle_timeout_s,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            tcp_keepalive=True,
            auto_decompress=False,  # 100 KB can become 100 MB; devices compress nothing, and need not
        )
        self._servers.append(server)
        return server

    def drop(self, cut: Cut) -> None:
        """End the connections that this is about, since what let them in is gone.

        But not the one that is asking for it just now: it is to get its answer.
        """
        asking = asyncio.current_task()
        for server in self._servers:
            for connection in server.connections:
                found = cast(Connection, connection)
                if found.local or found.transport is None or not cut.hits(found.grant, found.need, found.camera_id):
                    continue
                if cut.camera and cut.need is Right.PUBLISH and self._may_push(found, cut.camera):
                    continue
                if found.changing is None or found.changing is not asking:
                    found.transport.abort()

    def _may_push(self, connection: Connection, camera_id: str) -> bool:
        """Whether a device may go on: a camera may keep some of the networks from which it takes pictures."""
        client = connection.client
        return client is not None and self._access().covers(connection.grant, Right.PUBLISH, camera_id, client.address)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            response = await self._answer(request)
        except ApiError as error:
            path = self.proxies.ours(request.rel_url.raw_path)
            if self._has_pages and nowhere.is_for(request, path, error):
                response = nowhere.page(path, error, self.rules.allowed_origins)
            else:
                response = error_response(error.status, error.code, error.message, error.headers)
            if error.close:
                response.force_close()
                if request.method in UPLOADS and request.content.is_eof():
                    await cast(Connection, request.protocol).hear_out()
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
        if request._version not in SPOKEN:
            request._version = HttpVersion11  # `version` is what the answer has, too, once it was asked for
            raise ApiError(400, "bad_request", "HTTP/1.0 and HTTP/1.1 are spoken here", close=True)
        connection = cast(Connection, request.protocol)
        local = connection.local
        access = self._access()
        client = self._client(connection, request)
        path = self.proxies.ours(request.path)
        if not local and access.open:
            self._see_that_it_is_near(client, request)
        found = self.table.find(path)
        method = "GET" if request.method == "HEAD" else request.method
        route = None if found is None else found[0].get(method)
        if not local and is_counted(route):
            self._defence.count(client)
        if found is None:
            if path and path == self.proxies.base_path:
                return web.Response(status=308, headers={"Location": path + "/"})  # pages are relative to it
            if not local and not access.open:
                # Whether a path exists is nobody's business without a right; pages and health checks are found above.
                self._authorise(access, request, Right.WATCH, None, client)
            raise not_found(f"There is nothing at {path[:200]}")
        methods, parameter = found
        if method == "OPTIONS":
            return self._preflight(request, methods)
        if route is None:
            allowed = ", ".join(sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}))
            raise ApiError(405, "method_not_allowed", f"Use one of: {allowed}", headers={"Allow": allowed})
        if local:
            grant = CONTROL
        else:
            camera_id = parameter if route.path.startswith("/api/v1/cameras/{id}") else None
            grant = self._authorise(access, request, route.right, camera_id, client)
            if route.right is not Right.PUBLIC:
                self._defence.check_name(client, grant, request.headers.get("Host", ""))
            counted_as = grant.counted_as
            if counted_as != connection.grant.counted_as and not self.places.held(connection, counted_as):
                words = "Too many connections are open with this token or account (limits.max_connections_per_token)"
                raise ApiError(429, "too_many_connections", words, close=True, headers={"Retry-After": "10"})
            connection.grant, connection.need, connection.camera_id = grant, route.right, camera_id or ""
            if grant.until_s or connection.ends:
                connection.end_at(grant.until_s)
            reads = method == "GET" or route.right is Right.PUBLISH
            connection.changing = None if reads else asyncio.current_task()
            if (method != "GET" or route.websocket) and not self._defence.check_page(client, request, grant):
                raise self._wrong_origin(client, request)
            if route.right is Right.PUBLISH:
                self._defence.count_bytes(client, counted_as)
            elif counted_as:
                self._defence.count(client, counted_as)
        connection.brings = route.websocket
        if route.right is Right.PUBLISH:
            connection.acknowledge_at_once(request.content, endless=route.websocket)
        call = Call(request, route, parameter, grant, client, path)
        if method == "GET" or self._answer_call is None or route.right is Right.PUBLISH:
            return await route.handler(call)
        return await self._answer_call(call)

    def _client(self, connection: Connection, request: web.BaseRequest) -> Client:
        """Who is asking; the same as before, mostly, where no proxy is in between."""
        known = connection.client
        is_new = known is None
        if known is None or self.proxies.any or known.host != request.headers.get("Host", ""):
            known = connection.client = self.proxies.client(
                connection.peer, request.headers, request.path, secure=request.secure
            )
            if is_new and not known.forwarded and FORWARDED_FOR in request.headers and self._proxy_quietly.due():
                log.warning(
                    "%s passes on requests of others (%s), and server.trusted_proxies does not name it: "
                    "all behind it count as one",
                    known.peer,
                    FORWARDED_FOR,
                )
        return known

    def _see_that_it_is_near(self, client: Client, request: web.BaseRequest) -> None:
        """Keep an open server to this machine: other sites' pages may reach it by a name, anybody through a proxy.

        Raises:
            ApiError: This request came in one of these ways.
        """
        if client.host and not host_allowed(client.host, self.rules.allowed_hosts):
            raise ApiError(
                421,
                "wrong_host",
                "This server answers to localhost only; name others in server.allowed_hosts, or create a token",
            )
        old = request.version < HttpVersion11
        telltale = gives_itself_away(request.headers, request.raw_headers, old=old)
        if telltale:
            raise ApiError(
                403,
                "behind_proxy",
                f"This came through a proxy ({telltale}), and the server is open: everybody would get in. Make an "
                "account (framecast user create NAME --role owner) or a token first, and name the proxy in "
                "server.trusted_proxies",
            )

    def _wrong_origin(self, client: Client, request: web.BaseRequest) -> ApiError:
        telltale = "" if client.forwarded else gives_itself_away(request.headers)
        words = "Pages of other sites may not do this (server.allowed_origins)"
        if telltale:
            words += f". If it was our own page: a proxy hid its name, so put {client.peer} in server.trusted_proxies"
        return ApiError(403, "wrong_origin", words)

    def _authorise(
        self, access: Access, request: web.BaseRequest, need: Right, camera_id: str | None, client: Client
    ) -> Grant:
        peer = client.address
        decision = self.decide(access, request, self.proxies.ours(request.path), need, camera_id, client)
        if (
            not decision.allow
            and camera_id is None
            and need is Right.PUBLISH
            and access.covers_any(decision.grant, need, peer)
        ):
            return decision.grant  # which camera it is stands in the body; the handler asks again
        if not decision.allow:
            if need is Right.PUBLISH:
                self._defence.count(client)
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
    def decide(
        access: Access, request: web.BaseRequest, path: str, need: Right, camera_id: str | None, client: Client
    ) -> Decision:
        """What the rules say about a request."""
        if access.open:
            return access.decide(need, camera_id, None, client.address, time.time())
        cookie = client.cookie if client.secure else ""
        shown = credential(request.headers, request.query, request.cookies, path, cookie=cookie)
        return access.decide(need, camera_id, shown, client.address, time.time())

    def sweep(self) -> None:
        """Count what came over all connections since the last time, and cut those that bring too much."""
        received: Counter[tuple[str, str]] = Counter()
        for connection in self._connections():
            size, connection.received = connection.received, 0
            if size and connection.client is not None and not connection.local:
                received[connection.client.address, connection.grant.counted_as] += size
        self.rates.sweep(received, time.monotonic())
        if not self.rates.any_over:
            return
        for connection in self._connections():
            client, transport = connection.client, connection.transport
            if not connection.brings or client is None or transport is None:
                continue
            if self.rates.is_over(client.address, connection.grant.counted_as):
                self.rates.refuse_bytes(client.address)
                transport.abort()

    def _connections(self) -> Iterator[Connection]:
        for server in self._servers:
            yield from cast(list[Connection], server.connections)

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
