"""The device that is asked: HTTP as a small firmware speaks it, one conversation a connection."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from framecast.mock.audio import Audio, stream_wav
from framecast.mock.controls import FAILED, NOT_FOUND, Answer, EspressifControls
from framecast.mock.dialects import Dialect, WhenFull
from framecast.mock.framing import Multipart, bent, with_faults
from framecast.mock.line import Line
from framecast.mock.shutter import Frame

_MAX_HEAD_BYTES = 16_384
_MOST_DIGITS = 20
_NONCE = "5f2a9c0e71d84b3f"
REALM = "ESP32-CAM"


class Asked(Protocol):
    """The device, as its conversations see it."""

    dialect: Dialect
    faults: frozenset[str]
    login: str
    viewers: list[Line]
    max_clients: int
    room: asyncio.Condition
    audio: Audio | None

    async def next_frame(self) -> Frame:
        """The next picture."""

    def uptime_s(self, frame: Frame) -> float:
        """When ``frame`` was taken, on the device's own clock."""

    def record(self, frame: Frame, line: Line) -> None:
        """``frame`` is written whole."""

    def befalls(self, name: str) -> bool:
        """Whether the fault ``name`` strikes this time."""

    def log(self, text: str) -> None:
        """Tell people."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class Conversations:
    """Answers every connection of one device.

    Args:
        device: Whose they are.
    """

    def __init__(self, device: Asked) -> None:
        self._device = device
        dialect = device.dialect
        self._controls: EspressifControls | None = dialect.controls() if dialect.controls else None
        self._stream = with_faults(dialect.stream, device.faults) if dialect.stream else None
        self._old_frames: deque[Frame] = deque(maxlen=max(1, dialect.stale_frames))

    async def hold(self, line: Line) -> None:
        """Serve one connection until either end closes it.

        Raises:
            OSError: The client is gone.
            EOFError: The client is gone in the middle of a request.
        """
        while (request := await _request(line.reader)) is not None:
            if not await self._answer(request, line):
                return

    async def _answer(self, request: Request, line: Line) -> bool:
        """Answer one request; whether the connection can carry another."""
        device = self._device
        challenge = self._challenge(request)
        if challenge:
            await self._whole(line, Answer("401 Unauthorized", body=b"Unauthorized"), challenge)
            return True
        if device.befalls("http-500"):
            await self._whole(line, FAILED)
            return True
        if request.method == "GET" and self._stream is not None and _asked(request, device.dialect.streams):
            await self._watch(line, self._stream)
            return False
        if request.method == "GET" and _asked(request, device.dialect.stills):
            return await self._still(line)
        if request.method == "GET" and device.audio is not None and _asked(request, device.dialect.sounds):
            audio, chunked = device.audio, self._stream is not None and self._stream.chunked
            await _until_gone(line, lambda: stream_wav(line, audio, chunked=chunked))
            return False
        answer = self._controls.answer(request.path, request.query) if self._controls else NOT_FOUND
        await self._whole(line, answer)
        return True

    async def _whole(self, line: Line, answer: Answer, more: str = "") -> None:
        head = (
            f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\n{more}\r\n"
        )
        await line.send(bent(head, self._device.faults).encode() + answer.body)

    async def _still(self, line: Line) -> bool:
        device = self._device
        frame = await device.next_frame()
        head = device.dialect.still
        stamp = f"{device.uptime_s(frame):.6f}"
        declared = str(len(frame.payload) + frame.length_error)
        if device.befalls("no-content-length"):
            head = re.sub(r"(?i)content-length:.*\r\n", "", head)
        head = head.replace("{length}", declared).replace("{stamp}", stamp)
        await line.send(bent(head, device.faults).encode(), frame.payload)
        device.record(frame, line)
        return "content-length" in head.lower()

    async def _watch(self, line: Line, stream: Multipart) -> None:
        """Stream until the client goes or the firmware needs its place for another."""
        device = self._device
        if len(device.viewers) >= device.max_clients:
            if device.dialect.when_full is WhenFull.REFUSED:
                await self._whole(line, Answer("500 Internal Server Error", body=b"No free stream sockets"))
                return
            if device.dialect.when_full is WhenFull.REPLACES:
                device.viewers[0].close()
                device.viewers.pop(0)
            else:
                async with device.room:
                    await device.room.wait_for(lambda: len(device.viewers) < device.max_clients)
        device.viewers.append(line)
        device.log(f"Viewer came ({len(device.viewers)} watching)")
        try:
            await _until_gone(line, lambda: self._play(line, stream))
        finally:
            if line in device.viewers:
                device.viewers.remove(line)
            async with device.room:
                device.room.notify_all()
            device.log(f"Viewer left ({len(device.viewers)} watching)")

    async def _play(self, line: Line, stream: Multipart) -> None:
        device = self._device
        await line.send(*stream.opened())
        if device.dialect.stale_frames:
            for frame in list(self._old_frames):
                await self._send_part(line, stream, frame)
        while True:
            frame = await device.next_frame()
            if frame.text:
                await line.send(*stream.text_part(frame.text))
            await self._send_part(line, stream, frame)
            self._old_frames.append(frame)

    async def _send_part(self, line: Line, stream: Multipart, frame: Frame) -> None:
        device = self._device
        length = None if device.befalls("no-content-length") else len(frame.payload) + frame.length_error
        await line.send(*stream.part(frame.payload, length=length, stamp_s=device.uptime_s(frame)))
        device.record(frame, line)

    def _challenge(self, request: Request) -> str:
        """The header that asks for a login; empty where the request carries it, or none is needed."""
        login = self._device.login
        given = request.headers.get("authorization", "")
        if "auth-digest" in self._device.faults:
            if _digest_fits(given, request.method, request.target, login):
                return ""
            return f'WWW-Authenticate: Digest realm="{REALM}", qop="auth", nonce="{_NONCE}", opaque="0"\r\n'
        if "auth" in self._device.faults:
            if given == "Basic " + base64.b64encode(login.encode()).decode():
                return ""
            return f'WWW-Authenticate: Basic realm="{REALM}"\r\n'
        return ""


async def _until_gone(line: Line, play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine ``play`` makes until it ends or the client closes its side."""
    playing = asyncio.ensure_future(play())
    listening = asyncio.ensure_future(_drain(line.reader))
    try:
        await asyncio.wait((playing, listening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        playing.cancel()
        listening.cancel()
        results = await asyncio.gather(playing, listening, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):
        pass


async def _request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the client is done."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    except asyncio.LimitOverrunError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) < 2 or len(head) > _MAX_HEAD_BYTES:
        return None
    fields = (line.partition(":") for line in lines if ":" in line)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    length = headers.get("content-length", "0")
    if len(length) > _MOST_DIGITS:
        return None
    if length.isdecimal():
        await reader.readexactly(min(int(length), _MAX_HEAD_BYTES))
    path, _, query = words[1].partition("?")
    return Request(words[0], path, query, headers)


def _asked(request: Request, targets: tuple[str, ...]) -> bool:
    """Whether the request is for one of ``targets``: the path is the same, and its query holds the target's."""
    for target in targets:
        path, _, query = target.partition("?")
        if request.path == path and set(filter(None, query.split("&"))) <= set(request.query.split("&")):
            return True
    return False


def _digest_fits(header: str, method: str, target: str, login: str) -> bool:
    """Whether an Authorization header answers our challenge (RFC 7616, MD5, qop auth)."""
    if not header.startswith("Digest "):
        return False
    pairs = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)
    values = {name.lower(): quoted or bare for name, quoted, bare in pairs}
    user, _, password = login.partition(":")
    if values.get("username") != user or values.get("nonce") != _NONCE or values.get("uri") != target:
        return False
    secret = _md5(f"{user}:{REALM}:{password}")
    middle = f"{_NONCE}:{values.get('nc')}:{values.get('cnonce')}:{values.get('qop')}"
    return values.get("response") == _md5(f"{secret}:{middle}:{_md5(f'{method}:{target}')}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
