"""What is seen, over plain HTTP: as server-sent events, or once."""

from __future__ import annotations

import asyncio
import json

from aiohttp import HttpVersion10, web

from framecast.core.mailbox import Mailbox
from framecast.core.rendition import DETECTIONS
from framecast.core.stream import Stream
from framecast.output.looks import HEADERS, Output, newest
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.leaving import admitted, while_here
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, closing
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

LOOK_WAIT_S = 10.0
YOUNG_S = 1.0


def routes(service: Service) -> list[Route]:
    """The routes of this module."""
    outputs: dict[Stream, Output] = {}

    def forget(camera: Camera) -> None:
        output = outputs.pop(camera.stream, None)
        if output is not None:
            output.close()

    async def looks(call: Call) -> web.StreamResponse:
        camera = service.camera(call.parameter)
        once = query.flag(call.query, "once")
        with admitted(service, camera, "detections", call.peer, holder=call.grant.counted_as) as viewer:
            if once:
                return await _one(service, camera)
            request, response = call.request, web.StreamResponse(headers=HEADERS)
            if request.method == "HEAD":
                return response
            if service.closing:
                raise closing()
            chunked = request.version > HttpVersion10
            if chunked:
                response.enable_chunked_encoding()
            else:
                response.force_close()
            output = outputs.setdefault(camera.stream, Output(camera.stream))
            try:
                await response.prepare(request)
                transport = request.transport
                if transport is not None and not transport.is_closing():
                    await output.serve(transport, viewer, chunked=chunked)
            finally:
                if not output and outputs.get(camera.stream) is output:
                    del outputs[camera.stream]
            return response

    service.cameras.on_removed.append(forget)
    return [
        Route(
            "GET",
            "/api/v1/cameras/{id}/detections",
            Right.WATCH,
            looks,
            "What is seen in the pictures, each look as a server-sent event.",
            query={"once": "1: the newest look alone, as JSON."},
            answer="text/event-stream, or application/json",
            tag="watch",
        ),
    ]


async def _one(service: Service, camera: Camera) -> web.Response:
    stream, mailbox = camera.stream, Mailbox()
    track = stream.track(DETECTIONS)
    track.attach(mailbox)
    try:
        latest = newest(stream, track, YOUNG_S)
        if latest is None:
            async with while_here(service, camera), asyncio.timeout(LOOK_WAIT_S):
                latest = await mailbox.get()
    except TimeoutError:
        reason = stream.reason or camera.sight.reason
        words = "No picture was looked at" + (f": {reason}" if reason else "")
        raise ApiError(503, "no_frame", words, headers={"Retry-After": "1"}) from None
    finally:
        track.detach(mailbox)
    return json_response(json.loads(latest.payload))
