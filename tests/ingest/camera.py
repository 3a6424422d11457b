"""A camera made of canned answers, on a real socket, and a feed that remembers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from framecast.core.clock import SYSTEM, Clock

SOI, EOI = b"\xff\xd8\xff\xe0\x00\x04ab", b"\xff\xd9"


def picture(number: int, size: int = 3000) -> bytes:
    """Bytes shaped like a JPEG: a header, a scan that names its number, and an end."""
    header = SOI + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    text = f"<{number}>".encode()
    scan = text * (size // len(text))
    return header + scan + EOI


class RememberingFeed:
    """Takes everything and says what it got."""

    def __init__(self) -> None:
        self.clock: Clock = SYSTEM
        self.pictures: list[bytes] = []
        self.stamps: list[float | None] = []
        self.quirks: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.dialects: list[str] = []
        self.addresses: list[str] = []
        self.alive_calls = 0
        self.changed = asyncio.Event()

    @property
    def next_frame_id(self) -> int:
        return len(self.pictures) + 1

    def connected(self, dialect: str, address: str = "") -> None:
        self.dialects.append(dialect)
        self.addresses.append(address)

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
        self.pictures.append(payload)
        self.stamps.append(stamp_s)
        self.changed.set()
        return True

    def alive(self) -> None:
        self.alive_calls += 1
        self.changed.set()

    def quirk(self, code: str) -> None:
        self.quirks[code] += 1

    def fault(self, cause: str) -> None:
        self.faults[cause] += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; the test's timeout is the bound."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()


class Asked:
    """One request: its target and its headers, names in lower case."""

    def __init__(self, lines: list[str]) -> None:
        self.target = lines[0].split()[1]
        self.headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:] if line}


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[bool | None]]
"""Writes an answer; true when the connection is kept."""


class Camera:
    """Where it listens, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[Asked] = []
        self.connections = 0

    def url(self, path: str = "", login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}{path}"


@contextlib.asynccontextmanager
async def camera(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Camera]:
    """A camera that answers each request by ``answer``."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                asked = Asked(head.decode().split("\r\n"))
                here.asked.append(asked)
                if not await answer(asked, writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    here = Camera(server.sockets[0].getsockname()[1])
    try:
        yield here
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def until(condition: Callable[[], bool], most_s: float = 10.0) -> None:
    """Wait until ``condition`` holds of something that can't tell by itself; it is looked at again and again."""
    async with asyncio.timeout(most_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


def respond(body: bytes, kind: str = "image/jpeg", status: str = "200 OK", more: str = "") -> bytes:
    """A whole HTTP/1.1 answer."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body
