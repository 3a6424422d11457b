"""People whom the cameras know by their faces, and faces that nobody has named yet."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from framecast.core.rendition import Rendition
from framecast.output import snapshot
from framecast.service.access.rights import Right
from framecast.service.api.watch import SNAPSHOT_WAIT_S, named
from framecast.service.errors import ApiError, bad_request
from framecast.service.front.bodies import json_response, read_body, read_json
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

PEOPLE = "/api/v1/people"
UNKNOWN = f"{PEOPLE}/unknown"
MOST_AGE_S = 5.0


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    gallery, limits = service.gallery, service.settings.limits

    async def body_of(call: Call) -> dict[str, Any]:
        return await read_json(call.request, timeout_s=limits.body_timeout_s)

    async def listing(_: Call) -> web.StreamResponse:
        return json_response(await gallery.run(lambda album: album.listing()))

    async def add(call: Call) -> web.StreamResponse:
        body = await body_of(call)
        made = await gallery.run(lambda album: album.create(body))
        location = call.client.path(f"{PEOPLE}/{made['id']}")
        return json_response(made, status=201, headers={"Location": location})

    async def rename(call: Call) -> web.StreamResponse:
        await gallery.run(lambda album: album.find(call.parameter))
        body = await body_of(call)
        return json_response(await gallery.run(lambda album: album.rename(call.parameter, body)))

    async def forget(call: Call) -> web.StreamResponse:
        await gallery.run(lambda album: album.forget(call.parameter))
        return web.Response(status=204)

    async def add_photo(call: Call) -> web.StreamResponse:
        await gallery.run(lambda album: album.find(call.parameter))
        data = await photo_of(call)
        return json_response(await gallery.add_photo(call.parameter, data), status=201)

    async def photo_of(call: Call) -> bytes:
        if call.request.content_type != "application/json":
            return await read_body(call.request, max_bytes=limits.max_frame_bytes, timeout_s=limits.body_timeout_s)
        fields = await body_of(call)
        if fields.keys() != {"camera"} or not isinstance(fields["camera"], str):
            raise bad_request(
                'Send a photo as JPEG or PNG, or {"camera": "ID"} for what that one sees now', "bad_value"
            )
        camera = named(service, call, fields["camera"], Right.WATCH)
        try:
            whole = Rendition("mjpeg")
            packet = await snapshot.take(camera.stream, whole, max_age_s=MOST_AGE_S, wait_s=SNAPSHOT_WAIT_S)
        except snapshot.NoFrame as error:
            raise ApiError(503, "no_frame", str(error), headers={"Retry-After": "1"}) from None
        return packet.payload

    async def photo(call: Call) -> web.StreamResponse:
        data = await gallery.run(lambda album: album.photo(call.parameter, call.rest))
        return web.Response(body=data, content_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def drop_photo(call: Call) -> web.StreamResponse:
        await gallery.run(lambda album: album.drop_photo(call.parameter, call.rest))
        return web.Response(status=204)

    async def unknown(_: Call) -> web.StreamResponse:
        return json_response(await gallery.run(lambda album: album.unknown()))

    async def name_unknown(call: Call) -> web.StreamResponse:
        await gallery.run(lambda album: album.find_unknown(call.parameter))
        body = await body_of(call)
        return json_response(await gallery.run(lambda album: album.name_unknown(call.parameter, body)))

    async def forget_unknown(call: Call) -> web.StreamResponse:
        await gallery.run(lambda album: album.forget_unknown(call.parameter))
        return web.Response(status=204)

    def route(method: str, path: str, right: Right, handler: Any, summary: str, **more: Any) -> Route:
        if method == "DELETE":
            more["answer"] = "204"
        return Route(method, path, right, handler, summary, tag="people", **more)

    operate, own = Right.OPERATE, Right.OWN
    person, photos = PEOPLE + "/{person}", PEOPLE + "/{person}/photos"
    return [
        route("GET", PEOPLE, operate, listing, "Who is known by the face."),
        route("POST", PEOPLE, own, add, "Add a person; known from the first photo on.", body="name"),
        route("PATCH", person, own, rename, "Rename a person.", body="name"),
        route("DELETE", person, own, forget, "Forget a person, and all that was kept of the face."),
        route(
            "POST",
            photos,
            own,
            add_photo,
            "Know somebody by another photo.",
            body="A JPEG or PNG with one face, or JSON: camera, for what that one sees now",
        ),
        route(
            "GET",
            photos + "/{name:path}",
            operate,
            photo,
            "A photo, of a person or an unknown face: the face and what is round it, as 1.jpg.",
            answer="image/jpeg",
        ),
        route("DELETE", photos + "/{name:path}", own, drop_photo, "Forget a photo."),
        route("GET", UNKNOWN, operate, unknown, "Faces that were seen and that nobody has named."),
        route(
            "POST",
            UNKNOWN + "/{group}",
            own,
            name_unknown,
            "Say who an unknown face is: somebody new, or somebody who is known already.",
            body="name",
        ),
        route("DELETE", UNKNOWN + "/{group}", own, forget_unknown, "Forget an unknown face."),
    ]
