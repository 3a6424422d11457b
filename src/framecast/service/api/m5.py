"""The two extra ports of M5Stack devices: one takes JPEGs by WebSocket, the other gives out H.264 in MPEG-TS.

Without FFmpeg's libraries (the media extra), and for those who ask for ``?format=jpeg``, it gives out the JPEGs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from framecast.output.relay import relay, relay_coded
from framecast.service.access.rights import Right
from framecast.service.api.coded import can_encode
from framecast.service.api.leaving import admitted, last_words
from framecast.service.api.publish import publish_socket
from framecast.service.api.sockets import open_socket
from framecast.service.api.watch import allowed, named
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import bad_request
from framecast.service.front.routing import Call, Handler, Route, Table
from framecast.service.service import Service


def device_table(service: Service) -> Table:
    """Routes of the port where a device connects: the path names the camera, `/` is the configured or first one."""

    async def publish(call: Call) -> web.StreamResponse:
        camera = _camera(service, call, Right.PUBLISH)
        return await publish_socket(service, call, camera)

    return _table(publish, Right.PUBLISH, "A device connects and sends each picture as one binary message.")


def viewer_table(service: Service) -> Table:
    """Routes of the port where viewers connect; each picture is one binary message."""

    async def watch(call: Call) -> web.StreamResponse:
        camera = _camera(service, call, Right.WATCH)
        coded = _wants_coded(call)
        # Before the handshake: afterwards a refusal could not be told.
        with admitted(service, camera, "relay", call.peer, holder=call.grant.counted_as) as viewer:
            socket = await open_socket(service, call.request, max_message_bytes=4096)
            if not service.cameras.has(camera):  # its MPEG-TS would be that of the next camera of this id
                await _close(service, socket)
                return socket

            def removed(gone: Camera) -> None:
                if gone.camera_id == camera.camera_id:
                    service.supervisor.spawn("relay", _close(service, socket))

            service.cameras.on_removed.append(removed)
            sending = (
                relay_coded(service.transport_stream(camera).track, viewer, socket.send_bytes)
                if coded
                else relay(camera.stream, viewer, socket.send_bytes, bound=camera.options.buffer)
            )
            sender = service.supervisor.spawn("relay", _send(sending))
            try:
                while (await socket.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    pass
            finally:
                sender.cancel()
                service.cameras.on_removed.remove(removed)
        return socket

    return _table(
        watch,
        Right.WATCH,
        "A viewer connects and gets H.264 in MPEG-TS, or with ?format=jpeg each picture, as messages.",
    )


def _wants_coded(call: Call) -> bool:
    wanted = call.query.get("format", "mpegts")
    if wanted not in ("mpegts", "jpeg"):
        raise bad_request("format is mpegts or jpeg", "bad_value")
    return wanted == "mpegts" and can_encode()


def _table(handler: Handler, right: Right, words: str) -> Table:
    return Table(
        [
            Route("GET", "/", right, handler, words, answer="WebSocket", websocket=True, tag="compatibility"),
            Route("GET", "/{id}", right, handler, words, answer="WebSocket", websocket=True, tag="compatibility"),
        ]
    )


async def _send(sending: Coroutine[Any, Any, None]) -> None:
    try:
        await sending
    except ConnectionError:
        pass


async def _close(service: Service, socket: web.WebSocketResponse) -> None:
    code, words = last_words(service, WSCloseCode.GOING_AWAY, "the camera was removed")
    await socket.close(code=code, message=words.encode())


def _camera(service: Service, call: Call, right: Right) -> Camera:
    if call.parameter:
        return named(service, call, call.parameter, right)
    return allowed(service, call, service.compat_camera(service.settings.compat.m5), right)
