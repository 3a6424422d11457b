"""A listening socket on 127.0.0.1 that can be closed again, with all that came in by it."""

from __future__ import annotations

import asyncio
from typing import cast

from framecast.service.front.connection import Connection, Server
from framecast.service.front.http import Front

HOST = "127.0.0.1"
BACKLOG = 1024


class Door:
    """A way in to a front, open for a time.

    Args:
        front: What answers.
    """

    def __init__(self, front: Front) -> None:
        self._front = front
        self._server: Server | None = None
        self._listener: asyncio.Server | None = None

    async def open(self, port: int) -> int:
        """Listen on a port, 0 for any free one; returns the one taken.

        Raises:
            OSError: It can't be had.
        """
        await self.close()
        if self._server is None:
            self._server = self._front.server()
        self._listener = await asyncio.get_running_loop().create_server(
            self._server, HOST, port, backlog=BACKLOG, reuse_address=True
        )
        taken: int = self._listener.sockets[0].getsockname()[1]
        return taken

    async def close(self) -> None:
        """Listen no more, and cut every connection but that of whoever asks for it just now."""
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        self._listener = None
        asking = asyncio.current_task()
        for each in self._server.connections:
            connection = cast(Connection, each)
            if connection.transport is not None and (connection.changing is None or connection.changing is not asking):
                connection.transport.abort()
