"""Devices whose sound is fetched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from framecast.wire import wav

SAMPLES = bytes(number % 251 for number in range(16_000))
Handle = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def device(handle: Handle) -> AsyncIterator[str]:
    """A device that answers as it is told; its address."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                await handle(head.decode(), writer)
        finally:
            writer.close()
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def answering(body: bytes, *fields: str, status: str = "200 OK") -> Handle:
    """Answers with this, and hangs up."""

    async def handle(_: str, writer: asyncio.StreamWriter) -> None:
        lines = "".join(f"{field}\r\n" for field in fields)
        writer.write(f"HTTP/1.0 {status}\r\n{lines}\r\n".encode() + body)
        await writer.drain()

    return handle


class Asked:
    """A device that counts who asks, and sends for as long as it is asked."""

    def __init__(self) -> None:
        self.sessions = 0
        self.open = 0
        self.broken = False

    async def __call__(self, _: str, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        if self.broken:
            return
        self.open += 1
        try:
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n" + wav.endless_header(16_000, 1))
            while not self.broken and not writer.is_closing():  # who asked may have gone, and uvloop complains
                writer.write(SAMPLES[:640])
                await writer.drain()
                await asyncio.sleep(0.005)
        finally:
            self.open -= 1
