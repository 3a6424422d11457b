"""HLS: playlists that players ask for again and again, and pieces that a cache may keep for good."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from aiohttp import web

from framecast.core.rendition import H264
from framecast.output.containers.transportstream import TransportStream
from framecast.output.hls.playlists import AHEAD, INDEX, STREAM, Gone, Hls, Source
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.coded import WATCH, coded_rendition, no_picture
from framecast.service.api.leaving import gone
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import bad_request, closing, not_found
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.wire import m3u8

FOR_GOOD_S = 31_536_000
KIND = "hls"
CONTAINERS = ("ts", "mp4")


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def answer(call: Call) -> web.StreamResponse:
        return await send_hls(service, call)

    return [
        Route(
            "GET",
            "/api/v1/cameras/{id}/hls/{name:path}",
            Right.WATCH,
            answer,
            "Watch: HLS with low latency. index.m3u8 is what players are given; it names everything else.",
            query={
                **WATCH,
                "container": f"{' or '.join(CONTAINERS)}; of the segments. Default: {CONTAINERS[0]}.",
                "_HLS_msn": "Of stream.m3u8: answer when it has the segment of this number.",
                "_HLS_part": "With _HLS_msn: answer when it has this part of that segment.",
            },
            answer=m3u8.CONTENT_TYPE,
            tag="watch",
        )
    ]


async def send_hls(service: Service, call: Call) -> web.StreamResponse:
    """Answer with a playlist or a piece of a camera's HLS."""
    camera = service.camera(call.parameter)
    rendition = coded_rendition(call)
    sound = query.flag(call.query, "sound") is not False
    container = call.query.get("container", CONTAINERS[0])
    if container not in CONTAINERS:
        raise bad_request(f"container has to be one of: {', '.join(CONTAINERS)}")
    scope = "public" if _is_open(service, call, camera) else "private"
    which = (rendition, sound, container)
    if call.rest not in (INDEX, STREAM):
        return await _piece(service, camera, service.hls.get(camera.camera_id, which), call, scope)
    if service.closing:
        raise closing()

    def make(on_end: Callable[[], None]) -> Hls:
        source: Source
        if container == "mp4":
            source = service.fragments.get(camera.stream, rendition, audio=sound)
        elif rendition == H264 and sound:
            source = service.transport_stream(camera)
        else:
            camera.stream.check(rendition)
            source = TransportStream(camera.stream, rendition, audio=sound)
        return Hls(
            source,
            lambda address, holder: service.cameras.admit(
                camera, KIND, address, rendition=rendition.name, holder=holder
            ),
            partial(service.cameras.dismiss, camera),
            on_end,
            sound=sound,
        )

    running = service.hls.open(camera.camera_id, which, make)
    running.touch(call.peer, call.grant.counted_as)
    try:
        return await _playlist(running, call, scope)
    except Gone:
        raise gone(service) from None


async def _playlist(running: Hls, call: Call, scope: str) -> web.StreamResponse:
    suffix = _suffix(call)
    if call.rest == INDEX:
        if not await running.wait_for_index(call.peer):
            raise no_picture(running.source.stream)
        return _text(running.index(suffix), f"{scope}, max-age=1")
    try:
        wanted = m3u8.wanted(call.query)
    except m3u8.QueryError as error:
        raise bad_request(str(error)) from None
    if wanted is None:
        if not await running.wait_for_start(call.peer):
            raise no_picture(running.source.stream)
        await running.wait_for_more(call.peer)
        # It is another one with the next part: shared by those who ask at the same time, and kept by no player.
        kept = "public, max-age=0, s-maxage=1" if scope == "public" else "private, no-cache"
        return _text(running.playlist(suffix), kept)
    newest = running.segmenter.newest
    if wanted.sequence > newest + AHEAD:
        raise bad_request(f"_HLS_msn={wanted.sequence} is too far ahead: the newest segment is {newest}")
    if not await running.wait_for(wanted, call.peer):
        raise no_picture(running.source.stream)
    return _text(running.playlist(suffix), f"{scope}, max-age={running.segmenter.target_s}")


async def _piece(service: Service, camera: Camera, running: Hls | None, call: Call, scope: str) -> web.StreamResponse:
    try:
        found = running is not None and await running.wait_for_part(call.rest, call.peer)
    except Gone:
        if not service.cameras.has(camera):
            raise gone(service) from None
        found = False
    payload = running.take(call.rest, call.peer) if running is not None and found else None
    if running is None or payload is None:
        raise not_found("There is no such piece, or no longer: begin with index.m3u8")
    return web.Response(
        body=payload,
        content_type="video/mp4" if call.rest.startswith("init-") else running.segmenter.container.content_type,
        headers={"Cache-Control": f"{scope}, max-age={FOR_GOOD_S}, immutable"},
    )


def _suffix(call: Call) -> str:
    """What a playlist's URIs have to carry on: which rendition it is, and the key of who can't send headers."""
    kept = {name: call.query[name] for name in (*WATCH, "container", "key", "link") if name in call.query}
    return f"?{urlencode(kept)}" if kept else ""


def _is_open(service: Service, call: Call, camera: Camera) -> bool:
    """Whether anybody may watch this camera: a cache between may then keep its pieces for all."""
    return service.access.decide(Right.WATCH, camera.camera_id, None, call.peer, time.time()).allow


def _text(body: bytes, cache: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": m3u8.CONTENT_TYPE, "Cache-Control": cache})
