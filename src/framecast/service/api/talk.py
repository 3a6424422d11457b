"""Talking back: a page's microphone to a camera's speaker."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import HttpVersion10, WSMsgType, web

from framecast.core.errors import LimitReached
from framecast.core.viewer import new_viewer
from framecast.output import talk
from framecast.service.access.rights import Right
from framecast.service.api.leaving import last_words
from framecast.service.api.publish import GONE_CODE
from framecast.service.api.sockets import open_socket
from framecast.service.api.sound import form_headers, stream_sound
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, closing
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.wire import pcm
from framecast.wire.pcm import PcmError

LOOK_S = 0.5
MAX_MESSAGE_BYTES = 64 * 1024
MOST_ERRORS = 20
"""A page that can't be understood so often is let go."""
BROKEN_CODE = 4400
MOST_SPEAKERS = 4


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    async def speaker(call: Call) -> web.StreamResponse:
        return await send_speaker(service, call, service.camera(call.parameter))

    async def talking(call: Call) -> web.StreamResponse:
        camera = service.camera(call.parameter)
        if not camera.config.talk:
            raise ApiError(409, "no_talk", "Nobody may talk to this camera (talk = false)")
        socket = await open_socket(service, call.request, max_message_bytes=MAX_MESSAGE_BYTES)
        await _Talker(socket, service, camera, call.grant.user or call.grant.name or call.peer).run()
        return socket

    return [
        Route(
            "GET",
            "/api/v1/cameras/{id}/talk",
            Right.OPERATE,
            talking,
            "Talk to a camera: binary messages of s16le, 16 kHz mono; answers who has the floor.",
            answer="WebSocket",
            websocket=True,
            tag="talk",
        ),
        Route(
            "GET",
            "/api/v1/cameras/{id}/speaker",
            Right.PUBLISH,
            speaker,
            "The device reads what is said to it: s16le, 16 kHz mono, without an end.",
            answer="audio/pcm",
            tag="talk",
        ),
    ]


async def send_speaker(service: Service, call: Call, camera: Camera) -> web.StreamResponse:
    """Answer with what is said to a camera until its device goes."""
    request = call.request
    chunked = request.version > HttpVersion10
    response = web.StreamResponse(
        headers={"Content-Type": "audio/pcm", "Cache-Control": "no-store, no-transform", **form_headers(talk.FORM)}
    )
    if request.method == "HEAD":
        return response
    if service.closing:
        raise closing()
    speakers = camera.sound.speakers
    if len(speakers) >= MOST_SPEAKERS:
        raise LimitReached(f"this camera has its {MOST_SPEAKERS} speakers already", MOST_SPEAKERS)
    viewer = new_viewer("speaker", call.peer, service.clock, rendition="talk")
    await stream_sound(request, response, speakers, viewer, is_wav=False, chunked=chunked, form=talk.FORM)
    return response


class _Talker:
    """One page that may talk."""

    def __init__(self, socket: web.WebSocketResponse, service: Service, camera: Camera, name: str) -> None:
        self._socket = socket
        self._service = service
        self._camera_id = camera.camera_id
        self._name = name
        self._sound = camera.sound
        self._talk = camera.sound.talk
        self._changed = asyncio.Event()
        self._errors = 0

    async def run(self) -> None:
        self._talk.on_change.append(self._changed.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                teller = tasks.create_task(self._tell())
                await self._hear()
                teller.cancel()
        finally:
            self._talk.on_change.remove(self._changed.set)
            self._talk.release(self)

    async def _hear(self) -> None:
        while not self._socket.closed:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                await self._say(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._command(message.data)
            else:
                return
            if self._errors > MOST_ERRORS:
                await self._socket.close(code=BROKEN_CODE, message=b"this is no talking")
                return

    async def _say(self, payload: bytes) -> None:
        try:
            pcm.check(payload, talk.RATE_HZ, talk.CHANNELS)
        except PcmError as error:
            await self._complain(error.cause, str(error))
            return
        if self._talk.take(self, self._name):
            self._talk.say(self, payload)

    async def _command(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or message.get("do") not in ("talk", "stop"):
            await self._complain("bad_message", 'Send samples, {"do": "talk"} or {"do": "stop"}')
        elif message["do"] == "stop":
            self._talk.release(self)
        elif not self._talk.take(self, self._name):
            self._changed.set()  # it hears again who has the floor

    async def _tell(self) -> None:
        """Say who has the floor whenever that changes, and take it from one who is silent."""
        told: dict[str, Any] = {}
        while True:
            self._changed.clear()
            camera = self._service.cameras.get(self._camera_id)
            if camera is None or camera.sound is not self._sound or not camera.config.talk:
                self._talk.release(self)
                code, words = last_words(self._service, GONE_CODE, "nobody may talk to this camera any more")
                await self._socket.close(code=code, message=words.encode())
                return
            if self._talk.has(self) and self._talk.silent_s >= talk.SILENT_S:
                self._talk.release(self)
            state = self._state()
            if state != told:
                told = state
                await self._send(state)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()

    def _state(self) -> dict[str, Any]:
        mine = self._talk.has(self)
        return {
            "state": "yours" if mine else "busy" if self._talk.taken else "free",
            "who": "" if mine else self._talk.name,
            "heard": self._talk.track.wanted,
            "duplex": self._sound.duplex,
            "sample_rate": talk.RATE_HZ,
            "channels": talk.CHANNELS,
        }

    async def _complain(self, code: str, message: str) -> None:
        self._errors += 1
        await self._send({"error": {"code": code, "message": message}})

    async def _send(self, data: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):  # `_hear` finds out too
            await self._socket.send_str(json.dumps(data))
