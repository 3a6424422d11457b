"""A server that somebody watches while others misbehave."""

from __future__ import annotations

import asyncio
import re

from tests.service.serving import Server
from tests.service.watching import MjpegViewer


class Watched:
    """A server that somebody watches."""

    def __init__(self, server: Server, viewer: MjpegViewer) -> None:
        self.server = server
        self._viewer = viewer

    async def goes_on(self) -> None:
        """The viewer gets frames as before."""
        while self._viewer._reader._buffer:  # type: ignore[attr-defined]
            await self._viewer.part()
        for _ in range(2):
            await self._viewer.part(10.0)

    async def says(self, data: bytes, timeout_s: float = 20.0) -> int:
        """The status that answers these bytes; 0 when the connection is just closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            async with asyncio.timeout(timeout_s):
                try:
                    writer.write(data)
                    line = await reader.readline()
                except ConnectionError:
                    return 0
            if not line:
                return 0
            assert re.fullmatch(rb"HTTP/1\.[01] \d{3} .*\r\n", line), line
            return int(line.split()[1])
        finally:
            writer.transport.abort()


def get(target: str, headers: str = "") -> bytes:
    """A request."""
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode("latin-1")
