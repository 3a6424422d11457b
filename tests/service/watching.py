"""Viewers that look at every byte."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from framecast.wire import media

STREAM = "/api/v1/cameras/cam/stream.mjpeg"
PATIENCE_S = 20.0
"""Matters only where something fails: a busy machine is waited for."""
EARLY = b"Content-Type: image/jpeg\r\n\r\n"
PART_HEADERS = re.compile(
    rb"Content-Type: image/jpeg\r\nX-Frame-Id: (\d+)\r\nX-Timestamp: (\d+\.\d{6})\r\nContent-Length: (\d+)\r\n\r\n"
)


@dataclass(frozen=True)
class Part:
    """One part of an MJPEG answer; without an id where its headers were sent early."""

    picture: bytes
    frame_id: int = 0
    timestamp: str = ""


class MjpegViewer:
    """Reads one MJPEG answer byte by byte, and accepts nothing but what docs/protocol.md says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, advance: bool) -> None:
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts = 0
        self._reader = reader
        self._advance = advance
        self._last: Part | None = None

    async def read_head(self) -> None:
        """Status and headers."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).decode()
        lines = head.split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}

    @property
    def chunked(self) -> bool:
        """Whether it comes in chunks."""
        return self.headers.get("transfer-encoding") == "chunked"

    async def opening(self) -> bytes:
        """What opens the body."""
        if self.chunked:
            return await self.chunk()
        return await asyncio.wait_for(self._reader.readexactly(9), PATIENCE_S)

    async def chunk(self, timeout_s: float = PATIENCE_S) -> bytes:
        """One chunk, whole."""
        async with asyncio.timeout(timeout_s):
            size = await self._reader.readuntil(b"\r\n")
            assert re.fullmatch(rb"[0-9a-f]+\r\n", size), size
            data = await self._reader.readexactly(int(size, 16) + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def part(self, timeout_s: float = PATIENCE_S) -> Part:
        """The next part, with what follows it."""
        self._last = await self._read_part(timeout_s)
        return self._last

    async def other(self, timeout_s: float = PATIENCE_S) -> Part:
        """The next part that is not the last one again: on a busy machine the heartbeat is there before a picture."""
        last = self._last
        async with asyncio.timeout(timeout_s):
            part = await self.part(timeout_s)
            while last and part.picture == last.picture and part.frame_id in (0, last.frame_id):
                part = await self.part(timeout_s)
        return part

    async def _read_part(self, timeout_s: float) -> Part:
        tail = b"\r\n--frame\r\n" + (EARLY if self._advance else b"")
        bare = self._advance and self.parts > 0
        self.parts += 1
        async with asyncio.timeout(timeout_s):
            if self.chunked:
                data = await self.chunk(timeout_s)
                if bare:
                    assert data.endswith(tail)
                    return Part(data.removesuffix(tail))
                match = PART_HEADERS.match(data)
                assert match, data[:200]
                rest = data[match.end() :]
                assert rest[int(match[3]) :] == tail
            else:
                assert not bare, "read pictures of HTTP/1.0 with advance by their markers"
                head = await self._reader.readuntil(b"\r\n\r\n")
                match = PART_HEADERS.fullmatch(head)
                assert match, head
                rest = await self._reader.readexactly(int(match[3]) + len(tail))
                assert rest.endswith(tail)
        return Part(rest[: int(match[3])], int(match[1]), match[2].decode())

    async def ended(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the connection is closed, whatever comes before."""
        async with asyncio.timeout(timeout_s):
            try:
                while await self._reader.read(1 << 16):
                    pass
            except ConnectionError:
                pass


@asynccontextmanager
async def mjpeg(
    port: int, target: str = STREAM, *, version: str = "1.1", headers: str = "", advance: bool = False
) -> AsyncIterator[MjpegViewer]:
    """A viewer whose answer has begun, and has been opened when its status is 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        writer.write(f"GET {target} HTTP/{version}\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n".encode())
        viewer = MjpegViewer(reader, writer, advance)
        await viewer.read_head()
        if viewer.status == 200:
            assert await viewer.opening() == b"--frame\r\n"
        yield viewer
    finally:
        writer.transport.abort()
        try:
            await writer.wait_closed()
        except OSError:
            pass


@asynccontextmanager
async def stood_still() -> AsyncIterator[list[float]]:
    """For how long at a time, in s, the loop came to nothing: that is the machine's delay, and no heartbeat's."""
    lost_s: list[float] = []
    clock = asyncio.get_running_loop().time

    async def look() -> None:
        while True:
            began = clock()
            await asyncio.sleep(0.01)
            lost_s.append(max(0.0, clock() - began - 0.015))

    looking = asyncio.create_task(look())
    try:
        yield lost_s
    finally:
        looking.cancel()


class Page:
    """A page with one dashboard socket. What it hears is kept by kind, so that a test may wait for what it wants."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.texts: list[dict[str, Any]] = []
        self.media: list[media.Message] = []

    @classmethod
    @asynccontextmanager
    async def opened(cls, client: aiohttp.ClientSession, url: str, **options: Any) -> AsyncIterator[Self]:
        """A page on whose socket nothing was said yet."""
        async with client.ws_connect(f"{url}/api/v1/ws", **options) as socket:
            yield cls(socket)

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.socket.send_str(json.dumps(message))

    async def subscribe(self, *cameras: str, **wish: Any) -> None:
        """Subscribe to cameras, all with the same wish."""
        await self.say(type="subscribe", cameras=[{"id": camera, **wish} for camera in cameras])

    async def ack(self, message: media.Message) -> None:
        """Acknowledge a picture."""
        await self.say(type="ack", camera=message.camera, frame=message.frame_id)

    async def hear(self, kind: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next text of this kind, those that were kept first."""
        async with asyncio.timeout(timeout_s):
            while True:
                for index, text in enumerate(self.texts):
                    if text["type"] == kind:
                        return self.texts.pop(index)
                await self._receive()

    async def see(self, timeout_s: float = PATIENCE_S) -> media.Message:
        """The next picture."""
        async with asyncio.timeout(timeout_s):
            while not self.media:
                await self._receive()
        return self.media.pop(0)

    async def state(self, camera_id: str, state: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The camera object that first says that a camera is in this state."""
        async with asyncio.timeout(timeout_s):
            while True:
                camera = (await self.hear("camera"))["camera"]
                if camera["id"] == camera_id and camera["state"] == state:
                    assert isinstance(camera, dict)
                    return camera

    async def settle(self) -> None:
        """Wait until everything said so far has been answered: a ping comes back after it."""
        await self.say(type="ping", t="settle")
        while (await self.hear("pong"))["t"] != "settle":
            pass

    async def _receive(self) -> None:
        message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            self.texts.append(json.loads(message.data))
        elif message.type is aiohttp.WSMsgType.BINARY:
            self.media.append(media.unpack(message.data))
        else:
            raise EOFError(f"closed: {message.type.name} {message.data}")
