"""Devices that push their pictures: POST, PUT and WebSocket."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from functools import partial
from typing import NamedTuple

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from framecast.core.errors import Replaced
from framecast.core.mailbox import Mailbox, Policy
from framecast.core.packet import Packet
from framecast.ingest.push import Desk
from framecast.ingest.sound import Microphone
from framecast.output.talk import KEPT_CHUNKS, Talk
from framecast.service.access.rights import Right
from framecast.service.api.leaving import last_words
from framecast.service.api.sockets import Silence, open_socket
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, bad_request
from framecast.service.front.bodies import read_body
from framecast.service.front.connection import is_followed_by_junk
from framecast.service.front.headers import Brief
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.wire import form, pcm
from framecast.wire.errors import FormError
from framecast.wire.pcm import PcmError

REPLACED_CODE = 4409
"""WebSocket close code: another device took the camera over (HTTP would say 409)."""
GONE_CODE = 4404
"""WebSocket close code: the camera is gone, or was changed into one that is fetched."""
SILENT_CODE = 4408
SILENT_S = 30.0
TRUNCATED = "truncated"
WRAPPED = "content_length_wrapped"


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def post(call: Call) -> web.StreamResponse:
        posted = await read_picture(service, call, service.camera(call.parameter))
        camera = service.camera(call.parameter)  # as it is now: it may have been changed while the body came
        packet = await hand_in(call, camera, posted)
        return answer(packet, camera, packet.frame_id)

    async def socket(call: Call) -> web.StreamResponse:
        return await publish_socket(service, call, service.camera(call.parameter))

    text = "A JPEG: raw (image/jpeg), or multipart/form-data with a field frame, imageFile or image"
    return [
        Route(method, "/api/v1/cameras/{id}/frames", Right.PUBLISH, post, words, body=text, tag="publish")
        for method, words in (
            ("POST", "A device pushes one picture."),
            ("PUT", "The same, for firmwares that PUT."),
        )
    ] + [
        Route(
            "GET",
            "/api/v1/cameras/{id}/publish",
            Right.PUBLISH,
            socket,
            "A device pushes each picture as one binary WebSocket message (fragmented or not).",
            answer="WebSocket",
            websocket=True,
            tag="publish",
        )
    ]


class Posted(NamedTuple):
    """What a device posted besides the picture; empty where it sent nothing."""

    picture: bytes
    dialect: str
    device_id: str = ""
    frame_id: str = ""
    stamp_s: float | None = None


async def read_picture(service: Service, call: Call, camera: Camera | None) -> Posted:
    """The picture in a request, raw or in a form.

    Args:
        camera: The one it is meant for, as far as that is known before the request was read.

    Raises:
        ApiError: There is none, or it is not whole; the cause is counted on the camera.
    """
    request = call.request
    limits = service.settings.limits
    try:
        body = await read_body(request, max_bytes=limits.max_frame_bytes + 65_536, timeout_s=limits.body_timeout_s)
    except ApiError as error:
        if error.status == 413 and camera is not None:
            camera.stream.refused["too_many_bytes"] += 1
        raise
    content_type = request.headers.get("Content-Type", "")
    if not content_type.lower().startswith("multipart/"):
        if not body:
            raise bad_request("There is no picture in the request", "no_picture")
        dialect = "HTTP POST, raw JPEG" if request.method == "POST" else "HTTP PUT (PrusaConnect style)"
        return Posted(body, dialect, stamp_s=pcm.stamp_of(request.headers.get("X-Timestamp")))
    try:
        fields = form.parse_form(body, content_type)
    except FormError as error:
        if camera is not None:
            camera.stream.refused[error.cause] += 1
        if error.cause == WRAPPED:
            raise _wrapped() from None
        words = f"The form can't be read: {error}. Send multipart/form-data with the picture in a field named frame"
        raise bad_request(words, error.cause, close=True) from None
    picture = form.picture(fields)
    if picture is None:
        raise bad_request("The form has no field frame, imageFile or image", "no_picture")
    texts = {field.name: field.value for field in fields if len(field.value) <= 128 and field.value is not picture}
    return Posted(
        picture,
        "HTTP POST, form",
        device_id=_text(texts.get("device_id")),
        frame_id=_text(texts.get("frame_id")),
        stamp_s=_stamp_s(_text(texts.get("timestamp"))),
    )


async def hand_in(call: Call, camera: Camera, posted: Posted) -> Packet:
    """Publish a posted picture.

    Raises:
        ApiError: The camera takes none, another device has taken over, or the picture is refused.
    """
    desk = desk_of(camera)
    identity = (call.peer, call.grant.name, posted.device_id)
    try:
        desk.check_in(identity, dialect=posted.dialect, address=call.peer)
    except Replaced as error:
        raise ApiError(409, "replaced", str(error), close=True) from None
    packet = desk.jpeg(posted.picture, stamp_s=posted.stamp_s)
    if packet is None:
        cause = desk.cause
        refused = camera.stream.refused
        if cause == TRUNCATED and await is_followed_by_junk(call.request):
            refused[TRUNCATED] -= 1
            refused += Counter({WRAPPED: 1})  # drops what is back at 0
            raise _wrapped()
        if cause == "too_many_pictures":
            words = "More pictures come in a second than one camera may send (limits.max_fps_per_camera)"
            raise ApiError(429, cause, words, headers={"Retry-After": "1"})
        raise bad_request(f"The picture is refused: {cause}", cause, close=cause == TRUNCATED)
    return packet


def _wrapped() -> ApiError:
    return bad_request(
        "The Content-Length is smaller than the body: many sketches keep it in a 16-bit number, which wraps at 65,536; "
        "make it a size_t",
        WRAPPED,
        close=True,
    )


def answer(packet: Packet, camera: Camera, frame_id: int | str) -> web.StreamResponse:
    """What a device is told about a picture it posted."""
    shown = frame_id if isinstance(frame_id, int) else json.dumps(frame_id)
    clients = len(camera.stream.viewers)
    return Brief(f'{{"success":true,"frame_id":{shown},"size":{len(packet.payload)},"clients":{clients}}}')


async def publish_socket(service: Service, call: Call, camera: Camera) -> web.StreamResponse:
    """Take pictures from a device's WebSocket until it goes, falls silent or is replaced."""
    desk_of(camera)
    socket = await open_socket(service, call.request, max_message_bytes=service.settings.limits.max_frame_bytes)
    now = service.cameras.get(camera.camera_id)  # as it is now: it may have been changed during the handshake
    if now is None or now.desk is None:
        await _close(socket, *last_words(service, GONE_CODE, "this camera takes no pictures any more"))
        return socket
    desk = now.desk
    identity = object()
    farewell: list[tuple[int, str]] = []

    def dismiss(code: int, words: str) -> None:
        if not farewell:
            farewell.append((code, words))
            service.supervisor.spawn("farewell to a publisher", _close(socket, code, words))

    def replaced() -> None:
        dismiss(*last_words(service, REPLACED_CODE, "another device took this camera over, or it was restarted"))

    silence = Silence(SILENT_S, partial(dismiss, SILENT_CODE, "nothing came"))
    desk.check_in(identity, dialect="WebSocket", address=call.peer, on_replaced=replaced)
    speaker = service.supervisor.spawn(f"speaker:{camera.camera_id}", _speak(socket, now.sound.talk))
    try:
        while not socket.closed:
            message = await socket.receive()
            if farewell:
                await _close(socket, *farewell[0])
                break  # what was on its way already must not appear as the other one's
            if message.type is WSMsgType.BINARY:
                silence.broken()
                if pcm.is_tagged(message.data):
                    _hear(now.sound.microphone, identity, call.peer, message.data)
                else:
                    desk.jpeg(message.data)
            elif message.type is not WSMsgType.TEXT:
                error = message.data
                if isinstance(error, WebSocketError) and error.code == WSCloseCode.MESSAGE_TOO_BIG:
                    camera.stream.refused["too_many_bytes"] += 1
                break
    finally:
        silence.end()
        speaker.cancel()
        desk.leave(identity)
        now.sound.microphone.leave(identity)
    return socket


def _hear(microphone: Microphone, identity: object, address: str, message: bytes) -> None:
    """Publish a message of sound; what is none is counted and dropped, since nobody there reads answers."""
    try:
        block = pcm.unpack(message)
    except PcmError as error:
        microphone.refuse(error.cause)
        return
    with contextlib.suppress(Replaced, PcmError):
        microphone.check_in(identity, address=address)
        microphone.chunk(
            block.payload, sample_rate_hz=block.sample_rate_hz, channels=block.channels, sequence=block.sequence
        )


async def _speak(socket: web.WebSocketResponse, talk: Talk) -> None:
    """Send a device what is said to it, tagged; a device that is behind loses the oldest."""
    mailbox = Mailbox(KEPT_CHUNKS, Policy.DROP_OLDEST)
    talk.track.attach(mailbox)
    try:
        async for packet in mailbox:
            if talk.is_stale(packet):
                continue
            tag = pcm.pack_tag(packet.format.sample_rate_hz, packet.format.channels, packet.frame_id)
            await socket.send_bytes(tag + packet.payload)
    except ConnectionError:
        pass  # it has gone; whoever reads from it finds out too
    finally:
        talk.track.detach(mailbox)


def desk_of(camera: Camera) -> Desk:
    """Where a camera takes pictures in.

    Raises:
        ApiError: It is one that is fetched.
    """
    if camera.desk is None:
        raise ApiError(
            409, "not_a_push_camera", f"Camera {camera.camera_id!r} is fetched; a device may push to one with url push:"
        )
    return camera.desk


async def _close(socket: web.WebSocketResponse, code: int, words: str) -> None:
    await socket.close(code=code, message=words.encode())


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", "replace").strip() if value is not None else ""


def _stamp_s(text: str) -> float | None:
    """Seconds from a stamp in milliseconds, uptime or Unix; None when it is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        return None
    return int(text) / 1000
