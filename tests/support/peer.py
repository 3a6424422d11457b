"""A server that takes what devices push and keeps every byte, without any parser of ours."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PATIENCE_S = 20.0
"""Matters only where something fails: a busy machine is waited for."""
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"success":true}'


@dataclass
class Pushed:
    """One request."""

    head: str
    body: bytes


@dataclass
class WsFrame:
    """One WebSocket frame, unmasked."""

    opcode: int
    last: bool
    masked: bool
    payload: bytes


@dataclass
class Peer:
    """What came, and how to answer it.

    Attributes:
        answer: Made anew for each request.
    """

    port: int = 0
    answer: Callable[[Pushed], bytes] = lambda pushed: ANSWER
    requests: asyncio.Queue[Pushed] = field(default_factory=asyncio.Queue)
    frames: asyncio.Queue[WsFrame] = field(default_factory=asyncio.Queue)
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def request(self) -> Pushed:
        """The next request."""
        return await asyncio.wait_for(self.requests.get(), PATIENCE_S)

    async def message(self) -> list[WsFrame]:
        """The frames of the next WebSocket message."""
        frames = [await asyncio.wait_for(self.frames.get(), PATIENCE_S)]
        while not frames[-1].last:
            frames.append(await asyncio.wait_for(self.frames.get(), PATIENCE_S))
        return frames


@asynccontextmanager
async def listening() -> AsyncIterator[Peer]:
    """A peer on a free port."""
    peer = Peer()
    talks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        peer.writers.append(writer)
        talks.add(asyncio.ensure_future(_talk(peer, reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        for writer in peer.writers:
            writer.transport.abort()


async def _talk(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            key = re.search(r"(?i)sec-websocket-key: *(\S+)", head)
            if key:
                await _websocket(peer, reader, writer, head, key[1])
                return
            length = re.search(r"(?i)content-length: *(\d+)", head)
            pushed = Pushed(head, await reader.readexactly(int(length[1]) if length else 0))
            peer.requests.put_nowait(pushed)
            writer.write(peer.answer(pushed))
    except (EOFError, OSError):
        pass  # the device is done
    finally:
        writer.close()


async def _websocket(
    peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, key: str
) -> None:
    peer.requests.put_nowait(Pushed(head, b""))
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    while True:
        first, second = await reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await reader.readexactly(8))
        mask = await reader.readexactly(4) if second & 0x80 else b""
        payload = await reader.readexactly(length)
        if mask:
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        peer.frames.put_nowait(WsFrame(first & 0x0F, bool(first & 0x80), bool(mask), payload))
