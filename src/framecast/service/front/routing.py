"""The table of routes, and how a path finds its row: two dictionary look-ups, no patterns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from framecast.service.access.rights import Grant, Right
from framecast.service.front.client import Client

Handler = Callable[["Call"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    Attributes:
        method: ``GET`` answers HEAD as well.
        path: With at most one ``{name}``; ``{name:path}`` swallows slashes, and may follow it as
            ``{id}/word/{name:path}``.
        right: What a caller needs.
        handler: What answers.
        summary: One line for the reference.
        query: Query parameters and what they mean.
        body: What the request's body is, in words; empty for none.
        answer: What comes back, in words.
        websocket: Whether it is one: pages of other origins are kept out.
        tags: Group in the reference.
    """

    method: str
    path: str
    right: Right
    handler: Handler
    summary: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    answer: str = "application/json"
    websocket: bool = False
    tag: str = "api"


@dataclass(slots=True)
class Call:
    """A request on its way to a handler.

    Attributes:
        request: aiohttp's.
        route: Its row of the table.
        parameter: What stands where the path has ``{name}``.
        grant: What the caller may do.
        client: Who that is, and by what address it sees this server.
        path: What was asked for, without what a proxy has in front of it.
        query: Query parameters, the last of each name.
    """

    request: web.BaseRequest
    route: Route
    parameter: str
    grant: Grant
    client: Client
    path: str

    @property
    def peer(self) -> str:
        """IP address of the caller; ``local`` for the control socket."""
        return self.client.address

    @property
    def query(self) -> Mapping[str, str]:
        """Query parameters."""
        return self.request.query

    @property
    def rest(self) -> str:
        """What stands where the path has a second name, ``{id}/word/{name:path}``; empty where it has none."""
        prefix, _, behind = self.route.path.partition("{")
        word = behind.partition("}")[2].partition("{")[0]
        return self.path.removeprefix(prefix + self.parameter + word) if "{" in behind else ""


class Table:
    """Finds the row for a path."""

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self._exact: dict[str, dict[str, Route]] = {}
        self._prefixed: dict[str, dict[str, dict[str, Route]]] = {}
        for route in routes:
            prefix, brace, rest = route.path.partition("{")
            if not brace:
                self._exact.setdefault(route.path, {})[route.method] = route
                continue
            name, _, suffix = rest.partition("}")
            suffix, inner, _ = suffix.partition("{")
            key = "*" if name.endswith(":path") else suffix + "*" if inner else suffix
            self._prefixed.setdefault(prefix, {}).setdefault(key, {})[route.method] = route

    def find(self, path: str) -> tuple[dict[str, Route], str] | None:
        """The methods of a path and its parameter; None when nothing is there."""
        methods = self._exact.get(path)
        if methods is not None:
            return methods, ""
        at = path.find("/")
        while at >= 0:
            suffixes = self._prefixed.get(path[: at + 1])
            if suffixes is not None:
                parameter, slash, rest = path[at + 1 :].partition("/")
                methods = suffixes.get(slash + rest)
                if methods is None and rest:
                    word, inner, more = rest.partition("/")
                    methods = suffixes.get(f"/{word}/*") if inner and more else None
                if methods is not None and parameter:
                    return methods, parameter
                if "*" in suffixes:
                    return suffixes["*"], path[at + 1 :]
            at = path.find("/", at + 1)
        return None
