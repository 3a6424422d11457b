"""What is seen, over plain HTTP: as server-sent events, or once."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.rendition import DETECTIONS
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.leaving import while_here
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, closing
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service, admitted

LOOK_WAIT_S = 10.0
YOUNG_S = 1.0
BEAT_S = 15.0
"""A line for nothing after so long without a look, lest somebody in between takes the connection for dead."""
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def looks(call: Call) -> web.StreamResponse:
        camera = service.camera(call.parameter)
        once = query.flag(call.query, "once")
        with admitted(service, camera, "detections", call.peer, holder=call.grant.counted_as):
            return await (_one(service, camera) if once else _all(service, camera, call))

    return [
        Route(
            "GET",
            "/api/v1/cameras/{id}/detections",
            Right.WATCH,
            looks,
            "What is seen in the pictures, each look as a server-sent event.",
            query={"once": "1: the newest look alone, as JSON."},
            answer="text/event-stream",
            tag="watch",
        ),
    ]


async def _one(service: Service, camera: Camera) -> web.Response:
    stream, mailbox = camera.stream, Mailbox()
    track = stream.track(DETECTIONS)
    track.attach(mailbox)
    try:
        latest = track.latest
        if latest is None or stream.clock.now_ns() - latest.pts_ns > YOUNG_S * 1e9:
            async with while_here(service, camera), asyncio.timeout(LOOK_WAIT_S):
                latest = await mailbox.get()
    except TimeoutError:
        reason = stream.reason or camera.sight.reason
        words = "No picture was looked at" + (f": {reason}" if reason else "")
        raise ApiError(503, "no_frame", words, headers={"Retry-After": "1"}) from None
    finally:
        track.detach(mailbox)
    return json_response(json.loads(latest.payload))


async def _all(service: Service, camera: Camera, call: Call) -> web.StreamResponse:
    if service.closing:
        raise closing()
    response = web.StreamResponse(headers=HEADERS)
    if call.request.method == "HEAD":
        return response
    stream, mailbox = camera.stream, Mailbox()
    await response.prepare(call.request)
    track = stream.track(DETECTIONS)
    track.attach(mailbox)
    try:
        async with while_here(service, camera):
            while True:
                try:
                    async with asyncio.timeout(BEAT_S):
                        said = _event(await mailbox.get())
                except TimeoutError:
                    said = b":\n\n"
                async with asyncio.timeout(stream.viewer_stall_timeout_s):
                    await response.write(said)
    except (ConnectionError, TimeoutError, ApiError):
        call.request.protocol.close()  # it has gone, takes nothing, or its camera is gone: there is no more to come
    finally:
        track.detach(mailbox)
    return response


def _event(look: Packet) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (look.frame_id, look.payload)
