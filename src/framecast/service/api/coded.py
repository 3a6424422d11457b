"""Watching coded video over plain HTTP: an MP4 that does not end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec

from aiohttp import HttpVersion10, web

from framecast.core.ladder import NAMED
from framecast.core.mailbox import Mailbox
from framecast.core.rendition import Rendition, snap_quality, snap_width
from framecast.core.stream import Stream
from framecast.output.containers.fragments import Fragments
from framecast.output.mp4 import CONTENT_TYPE
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.leaving import admitted, while_here
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, closing
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

START_WAIT_S = 12.0
"""Longest wait for the first picture: a camera that codes by itself may send a key picture each 10 s."""

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
    quality = 0 if call.query.get("quality") in NAMED else query.quality(call.query, auto=False)
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
    with (
        admitted(service, camera, "mp4", call.peer, rendition=rendition.name, holder=call.grant.counted_as) as viewer,
        _begun(fragments) as first,
    ):
        if fragments.track.latest is None:
            await _wait_for(first, service, camera)
        await response.prepare(request)
        transport = request.transport
        if transport is not None and not service.cameras.has(camera):
            transport.abort()
        if transport is not None and not transport.is_closing():
            leave = partial(fragments.track.detach, first)
            await service.mp4.serve(transport, viewer, fragments, chunked=chunked, on_start=leave)
    return response


@contextmanager
def _begun(fragments: Fragments) -> Iterator[Mailbox]:
    """Have fragments made from now on; what comes is put into a mailbox."""
    first = Mailbox(bound=1)
    fragments.track.attach(first)
    try:
        yield first
    finally:
        fragments.track.detach(first)


async def _wait_for(first: Mailbox, service: Service, camera: Camera) -> None:
    """Wait for something to send: a player that is answered with nothing waits for ever.

    Raises:
        ApiError: None came, or the camera went.
    """
    try:
        async with while_here(service, camera), asyncio.timeout(START_WAIT_S):
            async for _ in first:
                return
    except TimeoutError:
        raise no_picture(camera.stream) from None


def no_picture(stream: Stream) -> ApiError:
    """What is answered to who waited for a camera's first pictures in vain."""
    words = "No picture came in time" + (f". {stream.reason}" if stream.reason else "")
    return ApiError(503, "no_frame", words, headers={"Retry-After": "2"})
