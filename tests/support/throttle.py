"""A link that carries so much and no more, before a real server: what a slow Wi-Fi is to a viewer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

TICK_S = 0.01
BUFFER_BYTES = 16 * 1024
"""What the link itself holds, as a modem does; the sockets on both its sides are made as small as they get."""


@dataclass
class Throttle:
    """What goes from the server to the viewers of one address.

    Attributes:
        rate: Bytes a second, for all of its connections together; 0 for all there is.
        burst_bytes: What passes at once after a pause.
        delay_s: What a request or message takes on its way to the server; twice that where one follows another.
    """

    port: int = 0
    rate: float = 0.0
    burst_bytes: float = 2000.0
    delay_s: float = 0.0
    _tokens: float = 0.0
    _at_s: float = 0.0

    async def take(self, size: int) -> None:
        """Wait until so many bytes may pass."""
        loop = asyncio.get_running_loop()
        while self.rate:
            now = loop.time()
            self._tokens = min(self.burst_bytes, self._tokens + (now - self._at_s) * self.rate)
            self._at_s = now
            if self._tokens > 0:
                break
            await asyncio.sleep(TICK_S)
        self._tokens -= size

    def cut(self, rate: float) -> None:
        """Let so much pass from now on; 0 for everything."""
        self._tokens, self._at_s = 0.0, asyncio.get_running_loop().time()
        self.rate = rate


@asynccontextmanager
async def throttled(port: int) -> AsyncIterator[Throttle]:
    """A link in front of a server's port."""
    throttle = Throttle()
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool) -> None:
        try:
            while data := await reader.read(1024 if down and throttle.rate else BUFFER_BYTES):
                if down:
                    await throttle.take(len(data))
                else:
                    await asyncio.sleep(throttle.delay_s)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        far.setblocking(False)
        await asyncio.get_running_loop().sock_connect(far, ("127.0.0.1", port))
        far_reader, far_writer = await asyncio.open_connection(sock=far, limit=BUFFER_BYTES // 4)
        for run in (pass_on(reader, far_writer, down=False), pass_on(far_reader, writer, down=True)):
            task = asyncio.get_running_loop().create_task(run)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    near = socket.socket()
    near.bind(("127.0.0.1", 0))
    near.listen()
    server = await asyncio.start_server(serve, sock=near, limit=BUFFER_BYTES)
    throttle.port = near.getsockname()[1]
    try:
        yield throttle
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
