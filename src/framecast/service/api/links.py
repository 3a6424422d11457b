"""Links to one picture or stream, for what knows nothing but an address."""

from __future__ import annotations

import math
import time
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from aiohttp import web

from framecast.service.access.links import LONGEST_S, PARAMETER, Maker, camera_of
from framecast.service.access.rights import Right
from framecast.service.errors import ApiError, bad_request
from framecast.service.front.bodies import json_response, read_json
from framecast.service.front.routing import Call, Route, Table
from framecast.service.service import Service

DEFAULT_S = 3600
MAX_PATH_CHARS = 1000
_MEDIA = ("image/jpeg", "multipart/", "video/", "audio/", "application/vnd.apple.mpegurl")


def routes(service: Service, others: list[Route]) -> list[Route]:
    """The routes of this module; ``others`` are those that a link may lead to."""
    timeout_s = service.settings.limits.body_timeout_s
    table = Table([route for route in others if _can_be_linked(route)])

    async def make(call: Call) -> web.StreamResponse:
        fields = await read_json(call.request, timeout_s=timeout_s)
        path, query, ttl_s = _asked(fields)
        camera_id = camera_of(path)
        if table.find(path) is None or not camera_id:
            raise bad_request(
                "path has to be that of a picture or stream, such as /api/v1/cameras/door/stream.mjpeg", "bad_value"
            )
        grant = call.grant
        if not service.access.covers(grant, Right.WATCH, camera_id, call.peer):
            raise ApiError(403, "forbidden", f"You don't have the right to watch camera {camera_id[:63]}.")
        service.camera(camera_id)
        if grant.kind == "link":
            raise ApiError(403, "forbidden", "A link makes no links")
        if grant.in_address:
            # It would outlive allow_query_key, by which the camera's owner takes back what addresses may carry.
            raise ApiError(403, "forbidden", "A key in an address makes no links; send it in a header, or log in")
        expires_s = math.ceil(time.time()) + ttl_s  # whole seconds, and no less than was asked for
        signed = []
        if grant.kind in ("token", "user"):
            maker = Maker(grant.name, grant.session, service.keyring.stamp_of_holder(grant.name))
            signed = [(PARAMETER, service.links.sign(path, maker, expires_s))]
        elif grant.local:
            raise bad_request("A link ends with what let its maker in; make it with a token or an account", "bad_value")
        asked = urlencode([*query, *signed])
        url = call.client.url(quote(path)) + (f"?{asked}" if asked else "")
        return json_response({"url": url, "expires": expires_s}, status=201)

    return [
        Route(
            "POST",
            "/api/v1/links",
            Right.WATCH,
            make,
            "Make an address that shows one picture or stream for some time, to whoever has it.",
            body=f"path (with its query), ttl_s? (1 to {LONGEST_S}; {DEFAULT_S} when left out)",
            tag="access",
        )
    ]


def _can_be_linked(route: Route) -> bool:
    return (
        route.method == "GET"
        and route.right is Right.WATCH
        and not route.websocket
        and route.path.startswith("/api/v1/cameras/{id}/")
        and route.answer.startswith(_MEDIA)
    )


def _asked(fields: dict[str, Any]) -> tuple[str, list[tuple[str, str]], int]:
    """Path, query and life."""
    path, ttl_s = fields.get("path"), fields.get("ttl_s", DEFAULT_S)
    if not fields.keys() <= {"path", "ttl_s"}:
        raise bad_request("A link has path and ttl_s", "bad_value")
    if not isinstance(path, str) or not path.isascii() or not path.isprintable() or len(path) > MAX_PATH_CHARS:
        raise bad_request(
            "path has to be a path of this server, such as /api/v1/cameras/door/snapshot.jpg", "bad_value"
        )
    if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not 1 <= ttl_s <= LONGEST_S:
        raise bad_request(f"ttl_s has to be a whole number from 1 to {LONGEST_S}, in s", "bad_value")
    path, _, query = path.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name not in ("key", PARAMETER)]
    return path, kept, ttl_s
