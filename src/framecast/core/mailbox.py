"""A reader's own small queue, for coroutines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from enum import Enum

from framecast.core.packet import Packet


class Policy(Enum):
    """What a reader that is behind loses. There is no BLOCK: nobody ever waits for a reader."""

    LATEST = "latest"
    """Pictures: everything but the newest ``bound`` packets."""
    SKIP_TO_KEY = "skip_to_key"
    """Coded video: everything up to the next packet that can be decoded alone."""
    DROP_OLDEST = "drop_oldest"
    """Sound: the oldest, up to ``bound`` packets stay."""


class Mailbox:
    """Async iterator over a track's packets, for one reading task.

    The iteration ends when the mailbox is closed and empty. Waiting is cancel-safe: nothing is lost.

    Args:
        bound: Most packets kept, in packets, beside those that it began with (see `begin`).
        policy: What goes when the bound is reached.

    Attributes:
        drops: Packets this reader lost because it was behind.
    """

    __slots__ = ("_beginning", "_beside", "_bound", "_closed", "_policy", "_queue", "_skipping", "_waiter", "drops")

    bulk = False

    def __init__(self, bound: int = 1, policy: Policy = Policy.LATEST) -> None:
        if bound < 1:
            raise ValueError("a mailbox holds at least one packet")
        self._bound = bound
        self._beginning = False
        self._beside = 0
        self._policy = policy
        self._queue: deque[Packet] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._skipping = False
        self.drops = 0

    def __len__(self) -> int:
        return len(self._queue)

    def begin(self, backlog: Iterable[Packet]) -> None:
        """Hold ``backlog`` and nothing else. It does not count for the bound.

        Nor does what comes before the first packet is read: where a track is made on demand, its backlog comes after
        the reader, all at once.
        """
        self.clear()
        self._queue.extend(backlog)
        self._beside = len(self._queue)
        self._beginning = True
        if self._queue:
            self._skipping = False
            self._wake()

    def push(self, packet: Packet) -> None:
        """Take a packet; never waits and never raises."""
        if self._closed:
            return
        if self._skipping:
            if not packet.key:
                self.drops += 1
                return
            self._skipping = False
        if self._beginning:
            self._beside += 1
        while len(self._queue) >= self._bound + self._beside:
            if self._policy is Policy.SKIP_TO_KEY:
                self.drops += len(self._queue)
                self._queue.clear()
                self._beside = 0
                if not packet.key:
                    self.drops += 1
                    self._skipping = True
                    return
            else:
                self._take()
                self.drops += 1
        self._queue.append(packet)
        self._wake()

    def clear(self) -> None:
        """Forget what is queued; coded video then goes on with the next packet that can be decoded alone."""
        self._queue.clear()
        self._beginning = False
        self._beside = 0
        self._skipping = self._policy is Policy.SKIP_TO_KEY

    def close(self) -> None:
        """End the iteration once what is queued has been read. Safe to call twice."""
        self._closed = True
        self._wake()

    async def get(self) -> Packet:
        """The next packet.

        Raises:
            StopAsyncIteration: The mailbox is closed and empty.
        """
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._take()

    def __aiter__(self) -> AsyncIterator[Packet]:
        return self

    async def __anext__(self) -> Packet:
        return await self.get()

    def _take(self) -> Packet:
        self._beginning = False
        if self._beside:
            self._beside -= 1
        return self._queue.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
