"""A small HTTP server that hands its viewers to an MJPEG output, and viewers on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from framecast.core.rendition import SOURCE
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.viewer import Viewer, new_viewer
from framecast.output.mjpeg import Output
from tests.core.fakes import JPEG

HEAD = b"HTTP/1.0 200 OK\r\n\r\n"
PART = re.compile(rb"X-Frame-Id: (\d+)\r\nX-Timestamp: [\d.]+\r\nContent-Length: (\d+)\r\n\r\n")


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate it signed itself."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def trusting() -> ssl.SSLContext:
    """A viewer's context that believes anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Front(asyncio.Protocol):
    """What had the connection first: reads a request, answers with a head, and hands over."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.heard = b""
        self.lost = False
        self.serving: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.house.fronts.append(self)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if b"\r\n\r\n" in self.heard and self.serving is None:
            self.transport.write(HEAD)
            if self.house.pauses_reading:
                self.transport.pause_reading()
            viewer = new_viewer("mjpeg", "::1", self.house.stream.clock)
            self.house.viewers.append(viewer)
            self.serving = asyncio.ensure_future(self._serve(viewer))

    async def _serve(self, viewer: Viewer) -> None:
        self.house.serving += 1
        try:
            await self.house.output.serve(
                self.transport, viewer, rendition=SOURCE, chunked=False, advance=False, fps=0.0
            )
        finally:
            self.house.serving -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class House:
    """One camera, served."""

    def __init__(self, supervisor: Supervisor, tls: ssl.SSLContext | None) -> None:
        self.stream = Stream("door", 1, supervisor)
        self.publisher = self.stream.open_publisher("door")
        self.output = Output(self.stream, heartbeat_s=0)
        self.fronts: list[Front] = []
        self.viewers: list[Viewer] = []
        self.players: list[Player] = []
        self.serving = 0
        self.pauses_reading = False
        self.port = 0
        self._tls = tls

    def publish(self, size: int = 1000) -> int:
        """One picture; its id."""
        now_ns = self.stream.clock.now_ns()
        frame_id = self.stream.frame_ids.next
        self.publisher.publish(frame_id.to_bytes(4, "big") * (size // 4), JPEG, now_ns, now_ns)
        return frame_id

    async def connect(self, *, send: bytes = b"GET / HTTP/1.0\r\n\r\n", read_ahead_bytes: int = 1 << 16) -> Player:
        """A viewer whose request is on its way."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=trusting() if self._tls else None, limit=read_ahead_bytes
        )
        writer.write(send)
        player = Player(reader, writer)
        self.players.append(player)
        return player


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[House]:
    """A house whose door is open."""
    async with Supervisor() as supervisor:
        house = House(supervisor, tls)
        server = await asyncio.get_running_loop().create_server(lambda: Front(house), "127.0.0.1", 0, ssl=tls)
        house.port = server.sockets[0].getsockname()[1]
        try:
            yield house
        finally:
            house.output.close()
            server.close()
            for player in house.players:
                await player.close()
            for front in house.fronts:
                front.transport.abort()
                if front.serving is not None:
                    await asyncio.gather(front.serving, return_exceptions=True)


class Player:
    """A viewer that reads parts as an ESP32 display does: lines, then as many bytes as announced."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def opened(self) -> Player:
        """The head and the first boundary."""
        assert await self.reader.readexactly(len(HEAD)) == HEAD
        assert await self.reader.readline() == b"--frame\r\n"
        return self

    async def part(self) -> int:
        """The id of the next picture, which is whole."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        match = PART.search(head)
        assert match, head
        frame_id, size = int(match[1]), int(match[2])
        picture = await self.reader.readexactly(size)
        assert picture == frame_id.to_bytes(4, "big") * (size // 4)
        assert await self.reader.readexactly(11) == b"\r\n--frame\r\n"
        return frame_id

    async def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
