"""Where inferences run: few at a time for all cameras, and fair among them.

A camera has at most one inference in the works and at most one waiting. Places are given in turn: who waits longest is
next, so that a camera with many pictures can't push another aside. The threads run at a lower priority than the one
that serves viewers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from framecast.core.threads import give_way

T = TypeVar("T")


class Turn(Protocol):
    """Runs what one has a turn for."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of ``work``, called in a thread."""


class InferencePool:
    """Runs inferences in a bounded number of threads. Belongs to one event loop.

    Args:
        places: How many run at once.

    Attributes:
        done: How many have been run.
    """

    def __init__(self, places: int = 1) -> None:
        self.done = 0
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._threads = ThreadPoolExecutor(places, "vision", initializer=give_way)

    async def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``, called in a thread when its turn comes."""
        async with self.turn() as turn:
            return await turn(work)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """A turn, when it comes: what is to be done can be chosen as late as then."""
        await self._enter()
        place = _Place(self, self._threads)
        try:
            yield place
        finally:
            place.leave_with(self._leave)

    def tidy(self, work: Callable[[], object]) -> None:
        """Have ``work``, which is quick and never fails, called in a thread without a turn."""
        self._threads.submit(work)

    def close(self) -> None:
        """Take nothing more; what runs is waited for."""
        self._threads.shutdown(cancel_futures=True)

    async def _enter(self) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done() and not turn.cancelled():
                self._leave()  # it was given a place that it has no use for
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Place:
    """A turn that came. It lasts as long as its thread is busy: who is cancelled can't call that one back."""

    def __init__(self, pool: InferencePool, threads: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._threads = threads
        self._running: Future[Any] | None = None

    async def __call__(self, work: Callable[[], T], /) -> T:
        self._running = running = self._threads.submit(work)
        result = await asyncio.wrap_future(running)
        self._pool.done += 1
        return result

    def leave_with(self, leave: Callable[[], object]) -> None:
        """Call ``leave`` on the loop, now or when the thread is done."""
        if self._running is None or self._running.done():
            leave()
            return
        loop = asyncio.get_running_loop()

        def tell(_: Future[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then, and nobody wait any more
                loop.call_soon_threadsafe(leave)

        self._running.add_done_callback(tell)
