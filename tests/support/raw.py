"""Plain sockets for tests: what a device really sends, before any parser of ours has seen it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

PATIENCE_S = 20.0
"""Matters only where something fails: a busy machine is waited for."""
# A fake device's picture: SOI, its comment of 16 bytes, and everything to the first FFD9 after that.
STAMPED_JPEG = re.compile(rb"\xff\xd8\xff\xfe\x00\x12.{16}.*?\xff\xd9", re.DOTALL)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass  # the other end was faster


@asynccontextmanager
async def asked(port: int, target: str, headers: str = "") -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which ``target`` has been asked for."""
    async with connected(port) as (reader, writer):
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
        yield reader


@dataclass(frozen=True)
class Response:
    """One whole answer."""

    status: int
    head: str
    body: bytes


async def get(port: int, target: str, headers: str = "") -> Response:
    """The answer to one request, whose length is known or whose end is the connection's."""
    async with asked(port, target, headers) as reader:
        return await response(reader)


async def response(reader: asyncio.StreamReader) -> Response:
    """The next answer on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"(?i)content-length: *(\d+)", head)
    body = await reader.readexactly(int(length[1])) if length else await reader.read()
    return Response(int(head.split()[1]), head, body)


async def until_pictures(reader: asyncio.StreamReader, count: int, data: bytes = b"") -> bytes:
    """Everything up to some way after the ``count``-th whole picture (what follows it in the same write included)."""
    while len(STAMPED_JPEG.findall(data)) < count:
        more = await asyncio.wait_for(reader.read(65_536), PATIENCE_S)
        if not more:
            raise EOFError(f"closed after {len(data)} bytes")
        data += more
    return data


async def silent_for(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether nothing comes (and nothing closes) for that long."""
    try:
        await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return True
    return False


async def until_silent(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """Everything up to a pause of that length."""
    data = b""
    while True:
        try:
            more = await asyncio.wait_for(reader.read(65_536), seconds)
        except TimeoutError:
            return data
        if not more:
            raise EOFError(f"closed after {len(data)} bytes")
        data += more
