"""Watching coded video over plain HTTP: an MP4 that does not end."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from aiohttp import HttpVersion10, web

from framecast.core.ladder import NAMED
from framecast.core.rendition import Rendition, snap_quality, snap_width
from framecast.output.mp4 import CONTENT_TYPE
from framecast.service.api import query
from framecast.service.errors import ApiError, closing
from framecast.service.rights import Right
from framecast.service.routing import Call, Route
from framecast.service.service import Service, admitted

WATCH = {
    "width": query.WATCH["width"],
    "quality": "1 to 100, as of a JPEG, snapping up to a ladder; or source, high, medium, low. Default: as configured.",
    "fps": "Most pictures a second, a whole number up to 240. Default: all.",
    "sound": "0: without sound. Default: with it, where the camera has any.",
}


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def mp4(call: Call) -> web.StreamResponse:
        return await send_mp4(service, call)

    return [
        Route(
            "GET",
            "/api/v1/cameras/{id}/stream.mp4",
            Right.WATCH,
            mp4,
            "Watch: H.264 and AAC as fragmented MP4 without an end, for <video>, ffmpeg and recorders.",
            query=WATCH,
            answer=CONTENT_TYPE,
            tag="watch",
        )
    ]


@cache
def can_encode() -> bool:
    """Whether FFmpeg's libraries are installed (the media extra)."""
    return find_spec("av") is not None


def coded_rendition(call: Call) -> Rendition:
    """The H.264 that the query asks for.

    Raises:
        ApiError: A value is out of range, or no number; or nothing here can encode.
    """
    if not can_encode():
        raise ApiError(501, "media_missing", "H.264 needs further packages here: pip install 'framecast[media]'")
    level = NAMED.get(call.query.get("quality", ""), NAMED["source"])
    width = query.whole(call.query, "width", *query.WIDTH_PX)
    quality = 0 if call.query.get("quality") in NAMED else query.whole(call.query, "quality", 1, 100)
    return Rendition(
        "h264",
        width_px=query.lesser(snap_width(width) if width else 0, level.width_px),
        quality=snap_quality(quality) if quality else level.quality,
        fps=query.lesser(query.whole(call.query, "fps", 1, int(query.MOST_FPS)), level.fps),
    )


async def send_mp4(service: Service, call: Call) -> web.StreamResponse:
    """Answer with a camera's MP4 until the viewer goes."""
    request = call.request
    camera = service.camera(call.parameter)
    rendition = coded_rendition(call)
    sound = query.flag(call.query, "sound") is not False
    chunked = request.version > HttpVersion10
    response = web.StreamResponse(
        headers={
            "Content-Type": CONTENT_TYPE,
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
            "X-Content-Type-Options": "nosniff",
            "Accept-Ranges": "none",
        }
    )
    if request.method == "HEAD":
        return response
    fragments = service.fragments.get(camera.stream, rendition, audio=sound)
    if service.closing:
        raise closing()
    if chunked:
        response.enable_chunked_encoding()
    else:
        response.force_close()
    with admitted(service, camera, "mp4", call.peer, rendition=rendition.name) as viewer:
        await response.prepare(request)
        transport = request.transport
        if transport is not None and not service.cameras.has(camera):
            transport.abort()
        if transport is not None and not transport.is_closing():
            await service.mp4.serve(transport, viewer, fragments, chunked=chunked)
    return response
