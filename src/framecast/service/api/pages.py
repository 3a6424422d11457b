"""The pages and what they load."""

from __future__ import annotations

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.errors import not_found
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.web import PAGES, WORKER, Asset, page_policy, version

SUMMARIES = {
    "/": "The wall: all cameras.",
    "/cameras/{id}": "One camera, with its numbers and settings.",
    "/mjpeg": "One camera on a plain canvas.",
    "/events": "What was seen; the rules by which that is told, and to whom.",
    "/people": "People whom the cameras know by their faces.",
    "/analytics": "What happened to the cameras over hours and days.",
    "/access": "People, tokens, sessions, the log of changes, the tunnel.",
    "/setup": "Where owner links and invitations lead.",
    "/docs": "The reference of this API.",
}
VERSION_HEADER = "X-Framecast-Pages"
"""Names the pages that a page or a file is of, for the service worker: those it keeps may be others."""


def routes(service: Service) -> list[Route]:
    """The routes of this module. Pages hold no secret: what they show comes through the API, with its rights."""

    edition = version(service.assets)

    def page(path: str, file: str) -> Route:
        async def show(call: Call) -> web.StreamResponse:
            return _send(service, call, service.assets[file], edition, page=True)

        return Route("GET", path, Right.PUBLIC, show, SUMMARIES[path], answer="text/html", tag="pages")

    async def static(call: Call) -> web.StreamResponse:
        asset = service.assets.get("static/" + call.parameter)
        if asset is None:
            raise not_found(f"There is no file {call.parameter[:200]!r}")
        return _send(service, call, asset, edition, page=False)

    async def worker(call: Call) -> web.StreamResponse:
        return _send(service, call, service.assets[WORKER], edition, page=True)

    async def icon(call: Call) -> web.StreamResponse:
        asset = service.assets.get("static/icon.svg")
        if asset is None:
            raise not_found()
        return _send(service, call, asset, edition, page=False)

    return [
        *(page(path, file) for path, file in PAGES.items()),
        Route("GET", "/static/{path:path}", Right.PUBLIC, static, "Files of the pages.", answer="file", tag="pages"),
        Route(
            "GET",
            f"/{WORKER}",
            Right.PUBLIC,
            worker,
            "The pages' service worker: they open offline, too.",
            answer="text/javascript",
            tag="pages",
        ),
        Route("GET", "/favicon.ico", Right.PUBLIC, icon, "The icon.", answer="image/svg+xml", tag="pages"),
    ]


def _send(service: Service, call: Call, asset: Asset, edition: str, *, page: bool) -> web.StreamResponse:
    headers = {
        "ETag": asset.etag,
        "Cache-Control": "no-cache",
        "Content-Type": asset.content_type,
        VERSION_HEADER: edition,
    }
    if page:
        headers["Content-Security-Policy"] = page_policy(service.settings.server.allowed_origins)
    if call.request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, headers=headers)
