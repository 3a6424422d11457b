"""Routes that existing devices and pages already call. Each belongs to a camera named in `[compat]`, or the first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from framecast.core.limits import Quietly
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.publish import answer, hand_in, read_picture
from framecast.service.api.sound import BODY, hand_in_sound, listeners, read_sound, send_sound
from framecast.service.api.watch import allowed, named, send_mjpeg, send_snapshot
from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera
from framecast.service.config import CAMERA_ID
from framecast.service.errors import ApiError
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service

log = logging.getLogger("framecast.service.api.compat")


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    unmatched = Quietly(10.0)

    def doorbell_camera(call: Call, right: Right, device_id: str = "") -> Camera:
        camera = service.cameras.get(device_id) if device_id else None
        return allowed(service, call, camera or service.compat_camera(service.settings.compat.doorbell), right)

    def doorbell_inlet(call: Call, device_id: str) -> Camera:
        camera = doorbell_camera(call, Right.PUBLISH, device_id)
        if device_id and device_id != camera.camera_id and camera.desk is None:
            words = f"no camera has the id {device_id}: framecast cameras add {device_id} push:"
            if not CAMERA_ID.fullmatch(device_id):
                words = f"no camera can have the id {device_id[:64]!r}: name one for the doorbell in compat.doorbell"
            if unmatched.due():
                log.warning("a doorbell at %s is refused: %s", call.peer, words)
            raise ApiError(409, "not_a_push_camera", words[:1].upper() + words[1:])
        return camera

    async def doorbell_push(call: Call) -> web.StreamResponse:
        posted = await read_picture(
            service, call, service.cameras.get(service.settings.compat.doorbell) or service.cameras.first
        )
        camera = doorbell_inlet(call, posted.device_id)
        packet = await hand_in(call, camera, posted)
        return answer(packet, camera, _number_or_text(posted.frame_id) if posted.frame_id else packet.frame_id)

    async def doorbell_stream(call: Call) -> web.StreamResponse:
        return await send_mjpeg(service, call, doorbell_camera(call, Right.WATCH))

    async def doorbell_snapshot(call: Call) -> web.StreamResponse:
        return await send_snapshot(service, call, doorbell_camera(call, Right.WATCH))

    async def doorbell_stats(call: Call) -> web.StreamResponse:
        return json_response({"success": True, "stats": _doorbell_stats(doorbell_camera(call, Right.WATCH))})

    async def doorbell_hear(call: Call) -> web.StreamResponse:
        meant = service.cameras.get(service.settings.compat.doorbell) or service.cameras.first
        posted = await read_sound(service, call, meant)
        return hand_in_sound(call, doorbell_camera(call, Right.PUBLISH, posted.device_id), posted)

    async def doorbell_sound(call: Call) -> web.StreamResponse:
        # What a browser's media element asks for, it has to get in a container.
        is_wav = call.request.headers.get("Range", "").startswith("bytes=0-")
        return await send_sound(service, call, doorbell_camera(call, Right.WATCH), is_wav=is_wav)

    async def broadcast(call: Call, overlay: Mapping[str, str] | None = None) -> web.StreamResponse:
        camera_id = call.query.get("camera", "")
        if camera_id:
            camera = named(service, call, camera_id, Right.WATCH)
        else:
            camera = allowed(service, call, service.compat_camera(service.settings.compat.broadcast), Right.WATCH)
        return await send_mjpeg(service, call, camera, overlay=overlay)

    async def annotated(call: Call) -> web.StreamResponse:
        overlay = {name for name in call.query.get("overlay", "").split(",") if name} | {"detections"}
        return await broadcast(call, {**call.query, "overlay": ",".join(sorted(overlay))})

    def robot_camera(call: Call) -> Camera:
        return allowed(service, call, service.compat_camera(service.settings.compat.robot), Right.WATCH)

    async def robot_stream(call: Call) -> web.StreamResponse:
        return await send_mjpeg(service, call, robot_camera(call))

    async def robot_stats(call: Call) -> web.StreamResponse:
        camera = robot_camera(call)
        shown = views.video(camera) or {"width": 0, "height": 0, "fps": 0.0}
        settings = service.settings
        return json_response(
            {
                "active_clients": len(camera.stream.viewers),
                "frame_cache_enabled": True,
                "stream_fps": camera.options.fps or shown["fps"],
                "camera_resolution": f"{shown['width']}x{shown['height']}",
                "jpeg_quality": settings.capture.quality,
            }
        )

    async def m5_status(call: Call) -> web.StreamResponse:
        camera = allowed(service, call, service.compat_camera(service.settings.compat.m5), Right.WATCH)
        return json_response(
            {
                "camera_clients": int(camera.stream.state in ("live", "stalled")),
                "viewer_clients": len(camera.stream.viewers),
                "streaming": camera.stream.state == "live",
            }
        )

    watch, publish = Right.WATCH, Right.PUBLISH

    def route(method: str, path: str, right: Right, handler: Any, words: str, **more: Any) -> Route:
        return Route(method, path, right, handler, words, tag="compatibility", **more)

    mjpeg: dict[str, Any] = {"answer": "multipart/x-mixed-replace", "query": query.WATCH}
    chosen = {"answer": mjpeg["answer"], "query": {**query.WATCH, "camera": "Id; default: the first."}}
    return [
        route(
            "POST",
            "/api/v1/devices/doorbell/camera-stream",
            publish,
            doorbell_push,
            "Doorbell: push one picture.",
            body="Form with frame, device_id, frame_id and timestamp (ms, uptime or Unix)",
        ),
        route(
            "POST",
            "/api/v1/devices/doorbell/mic-stream",
            publish,
            doorbell_hear,
            "Doorbell: push one chunk of sound.",
            body=BODY,
        ),
        route(
            "GET",
            "/api/v1/stream/audio",
            watch,
            doorbell_sound,
            "Doorbell: its sound, raw; a WAV for the Range: bytes=0- of a browser's media element.",
            answer="audio/pcm",
        ),
        route("GET", "/api/v1/stream/camera", watch, doorbell_stream, "Doorbell: MJPEG.", **mjpeg),
        route(
            "GET",
            "/api/v1/stream/camera/snapshot",
            watch,
            doorbell_snapshot,
            "Doorbell: snapshot.",
            answer="image/jpeg",
        ),
        route("GET", "/api/v1/stream/stats", watch, doorbell_stats, "Doorbell: numbers."),
        route(
            "GET",
            "/stream",
            watch,
            broadcast,
            "Broadcast: MJPEG.",
            **chosen,
        ),
        route(
            "GET",
            "/stream/detect",
            watch,
            annotated,
            "Broadcast: MJPEG with boxes and names around what is seen.",
            **chosen,
        ),
        route("GET", "/api/robot/stream", watch, robot_stream, "Robot: MJPEG.", **mjpeg),
        route("GET", "/api/robot/stream/stats", watch, robot_stats, "Robot: numbers."),
        route("GET", "/video_feed", watch, robot_stream, "Flask era: MJPEG.", **mjpeg),
        route("GET", "/status", watch, m5_status, "M5Stack: who is connected."),
    ]


def _doorbell_stats(camera: Camera) -> dict[str, Any]:
    stream, sound = camera.stream, camera.sound
    latest, heard, microphone = views.newest(stream), stream.audio.latest, sound.microphone
    frames, chunks = len(stream.video.ring), len(stream.audio.ring)
    unheard = microphone.lost + microphone.late + sum(microphone.refused.values())
    listening = listeners(stream)
    return {
        "framesReceived": stream.published,
        "audioChunksReceived": microphone.published,
        "framesDropped": sum(stream.refused.values()) + max(0, views.drops(camera) - sound.listeners.drops),
        "audioChunksDropped": unheard + sound.listeners.drops,
        "videoClientsConnected": len(stream.viewers) - listening,
        "audioClientsConnected": sound.heard_by,
        "currentFrames": frames,
        "currentAudioChunks": chunks,
        "lastFrameTime": latest.received_ns // 1_000_000 if latest is not None else None,
        "lastAudioTime": heard.received_ns // 1_000_000 if heard is not None else None,
        "bufferUsage": {
            "frames": f"{frames}/{stream.video.ring_bound}",
            "audio": f"{chunks}/{stream.audio.ring_bound}",
        },
        "streamActive": {"video": stream.state == "live", "audio": microphone.active},
    }


def _number_or_text(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text
