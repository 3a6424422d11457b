"""Watching over plain HTTP: MJPEG and snapshots."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import HttpVersion10, web

from framecast.output import mjpeg, snapshot
from framecast.output.following import Plan
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.leaving import admitted, while_here
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, closing
from framecast.service.front.connection import is_about
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

SNAPSHOT_WAIT_S = 5.0
MOST_MAX_AGE_S = 86_400.0


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def stream(call: Call) -> web.StreamResponse:
        return await send_mjpeg(service, call, service.camera(call.parameter))

    async def picture(call: Call) -> web.StreamResponse:
        return await send_snapshot(service, call, service.camera(call.parameter))

    return [
        Route(
            "GET",
            "/api/v1/cameras/{id}/stream.mjpeg",
            Right.WATCH,
            stream,
            "Watch: MJPEG that plays in an <img>, VLC, ffmpeg, OpenCV, Home Assistant and small displays.",
            query={
                **query.WATCH,
                "advance": "1 or 0: send the next part's headers early, or not. Default: for browsers' pictures only.",
            },
            answer=mjpeg.CONTENT_TYPE,
            tag="watch",
        ),
        Route(
            "GET",
            "/api/v1/cameras/{id}/snapshot.jpg",
            Right.WATCH,
            picture,
            "The newest picture; a sleeping camera is woken for it.",
            query={
                **{name: text for name, text in query.WATCH.items() if name != "fps"},
                "max_age": "Oldest acceptable picture in seconds, 0 to 86400; 503 when there is none.",
            },
            answer="image/jpeg",
            tag="watch",
        ),
    ]


async def send_mjpeg(
    service: Service, call: Call, camera: Camera, *, fps: float = 0.0, overlay: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Answer with a camera's MJPEG until the viewer goes.

    Args:
        fps: Most frames a second whatever the query says, 0 for no limit.
        overlay: Query parameters to be used in place of the request's.
    """
    request = call.request
    parameters = call.query if overlay is None else overlay
    wish = query.wish(parameters, camera.options)
    if fps:
        wish = query.Wish(wish.rendition, min(fps, wish.fps or fps))
    advance = query.flag(parameters, "advance")
    if advance is None:
        advance = _is_picture_request(request)
    chunked = request.version > HttpVersion10
    response = web.StreamResponse(headers=mjpeg.HEADERS)
    if request.method == "HEAD":
        return response
    camera.output.check(wish.rendition)
    if service.closing:
        raise closing()
    if chunked:
        response.enable_chunked_encoding()
    else:
        response.force_close()
    name = wish.rendition.name
    with admitted(
        service, camera, "mjpeg", call.peer, fps_limit=wish.fps, rendition=name, holder=call.grant.counted_as
    ) as viewer:
        if wish.quality:
            viewer.choice = wish.choice
        await response.prepare(request)
        transport = request.transport
        if transport is not None and not transport.is_closing():
            await camera.output.serve(
                transport,
                viewer,
                rendition=wish.rendition,
                chunked=chunked,
                advance=advance,
                fps=wish.fps,
                plan=(lambda level: _plan(wish.at(level))) if wish.auto else None,
            )
    return response


def _plan(wish: query.Wish) -> Plan:
    return Plan(wish.rendition, wish.fps)


async def send_snapshot(service: Service, call: Call, camera: Camera) -> web.StreamResponse:
    """Answer with a camera's newest picture."""
    request = call.request
    wish = query.wish({key: value for key, value in call.query.items() if key != "fps"}, camera.options)
    max_age_s = query.number(call.query, "max_age", 0.0, MOST_MAX_AGE_S) if "max_age" in call.query else None
    name = wish.rendition.name
    with admitted(service, camera, "snapshot", call.peer, rendition=name, holder=call.grant.counted_as) as viewer:
        try:
            async with while_here(service, camera):
                packet = await snapshot.take(camera.stream, wish.rendition, max_age_s=max_age_s, wait_s=SNAPSHOT_WAIT_S)
        except snapshot.NoFrame as error:
            reason = camera.stream.reason
            words = f"{error}. {reason}" if reason else str(error)
            raise ApiError(503, "no_frame", words, headers={"Retry-After": "1"}) from None
        etag = f'"{packet.frame_id:x}-{name}"'
        is_known = _matches(request.headers.get("If-None-Match", ""), etag)
        viewer.count(sent=1, size_bytes=0 if is_known else len(packet.payload))
    age_s = max(0, camera.stream.clock.now_ns() - packet.pts_ns) / 1e9
    headers = {
        "Cache-Control": "no-store",
        "ETag": etag,
        "X-Frame-Id": str(packet.frame_id),
        "X-Timestamp": mjpeg.timestamp(packet.pts_ns),
        "X-Frame-Age": f"{age_s:.3f}",
        "Content-Disposition": f'inline; filename="{camera.camera_id}-{packet.frame_id}.jpg"',
    }
    if is_known:
        return web.Response(status=304, headers=headers)
    return web.Response(body=packet.payload, content_type="image/jpeg", headers=headers)


def allowed(service: Service, call: Call, camera: Camera, right: Right) -> Camera:
    """The camera, when the caller's right covers it: these routes name no camera that could be checked before."""
    if service.access.covers(call.grant, right, camera.camera_id, call.peer):
        is_about(call.request, camera.camera_id)
        return camera
    raise _forbidden("the camera that this address stands for", right)  # and which that is, is not theirs to know


def named(service: Service, call: Call, camera_id: str, right: Right) -> Camera:
    """The camera of this id; whether it exists is told only to those whose right would cover it."""
    if not service.access.covers(call.grant, right, camera_id, call.peer):
        raise _forbidden(f"camera {camera_id[:63]}", right)
    is_about(call.request, camera_id)
    return service.camera(camera_id)


def _forbidden(camera: str, right: Right) -> ApiError:
    words = f"This token doesn't have the right to {right.value} {camera}."
    return ApiError(403, "forbidden", words)


def _is_picture_request(request: web.BaseRequest) -> bool:
    """Whether a browser wants this for an <img>: Chromium then paints only what the next part's headers follow."""
    if request.headers.get("Sec-Fetch-Dest") == "image":
        return True
    accept = request.headers.get("Accept", "")
    return "image/avif" in accept or "image/webp" in accept


def _matches(if_none_match: str, etag: str) -> bool:
    return any(part.strip().removeprefix("W/") in (etag, "*") for part in if_none_match[:1000].split(","))
