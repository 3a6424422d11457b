"""A server that resets its connections, and a look at what was not closed as it should be."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that ends a connection by a reset."""


class Resetting:
    """Resets each connection a number of turns of the event loop after it has it.

    Attributes:
        port: Where.
        patience: That number.
        resets: How many were reset.
    """

    def __init__(self) -> None:
        self.patience = 0
        self.resets = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._waiting: list[tuple[int, socket.socket]] = []
        self._turns = 0
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turns += 1
        with suppress(BlockingIOError):
            self._waiting.append((self._turns + self.patience, self._listener.accept()[0]))
        while self._waiting and self._waiting[0][0] <= self._turns:
            with self._waiting.pop(0)[1] as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.resets += 1
        self._next = self._loop.call_soon(self._turn)

    def close(self) -> None:
        """Listen no more."""
        self._next.cancel()
        self._listener.close()
        for _, connection in self._waiting:
            connection.close()


@contextmanager
def leaked() -> Iterator[list[str]]:
    """What was not closed, or was closed by somebody else, when it went; complete once this is left."""
    gc.collect()
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield told
        gc.collect()
        told += [str(each.message) for each in caught]
