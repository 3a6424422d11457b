"""Who owns tasks, and the one place where any exception is caught.

Every task of the process belongs to a Supervisor. A part that fails is logged, counted and marked as failed;
whether and when it is tried again is the part's own affair, with `Backoff` for the pauses. A failing part never
takes its neighbours with it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from framecast.core.packet import Packet

log = logging.getLogger("framecast.supervise")

KEEP_CAP_S = 60.0


class Sink(Protocol):
    """Whatever reads a track.

    ``bulk`` sinks (fan-outs with many viewers) are served after the others.
    """

    bulk: bool

    def push(self, packet: Packet) -> None:
        """Take one packet, at once."""

    def clear(self) -> None:
        """Forget every packet: what was shown before must not be shown again (a privacy mask was set)."""


def deliver(sinks: Iterable[Sink], packet: Packet, on_broken: Callable[[Sink], None]) -> None:
    """Hand ``packet`` to each sink; one that raises is reported to ``on_broken`` and harms nobody else."""
    for sink in sinks:
        try:
            sink.push(packet)
        except Exception:
            log.exception("a reader broke and was taken off its track: %r", sink)
            on_broken(sink)


Told = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]
"""Told by a loop what a callback raised."""


class Backoff:
    """Pauses between attempts: doubling, capped, and spread so that fifty cameras don't come back as one.

    Args:
        first_s: The first pause.
        cap_s: The longest pause before jitter.
        jitter: Each pause is drawn evenly from ``(1 - jitter) * pause`` to ``(1 + jitter) * pause``.
    """

    def __init__(
        self,
        first_s: float = 0.5,
        cap_s: float = 15.0,
        jitter: float = 0.25,
        rng: random.Random | None = None,
    ) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._jitter = jitter
        self._rng = rng or random.Random()
        self._attempt = 0

    def reset(self) -> None:
        """Begin again with the first pause: the last attempt was a success."""
        self._attempt = 0

    def next_s(self) -> float:
        """Seconds to wait before the next attempt."""
        pause = min(self._cap_s, self._first_s * 2.0 ** min(self._attempt, 30))
        self._attempt += 1
        return pause * float(self._rng.uniform(1 - self._jitter, 1 + self._jitter))


class Supervisor:
    """Owner of tasks, as an async context manager: leaving it cancels and awaits them all.

    Attributes:
        failures: Count of unexpected exceptions by the name of the part.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_before: Told | None = None
        self.failures: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(
        self,
        name: str,
        coroutine: Coroutine[Any, Any, None],
        on_failure: Callable[[Exception], None] | None = None,
    ) -> asyncio.Task[None]:
        """Run ``coroutine`` as a task of this supervisor; what it raises is logged, counted and passed on."""
        task = asyncio.get_running_loop().create_task(self._guard(name, coroutine, on_failure), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Cancelled before its first step, a task never gets to await what it was given.
        task.add_done_callback(lambda _: coroutine.close())
        return task

    async def _guard(
        self,
        name: str,
        coroutine: Coroutine[Any, Any, None],
        on_failure: Callable[[Exception], None] | None,
    ) -> None:
        try:
            await coroutine
        except Exception as error:
            self.failures[name.split(":", 1)[0]] += 1
            log.exception("%s failed", name)
            if on_failure is not None:
                on_failure(error)

    def keep(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run ``run()`` as a task, and again after a pause each time it fails unexpectedly; ends when it returns.

        Pauses double up to a minute; a run that lasted longer than that begins again with the first.
        """
        task = asyncio.get_running_loop().create_task(self._keep(name, run), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        backoff = Backoff(first_s=1.0, cap_s=KEEP_CAP_S)
        loop = asyncio.get_running_loop()
        failed = True
        while failed:
            failed = False
            began = loop.time()

            def note(_: Exception) -> None:
                nonlocal failed
                failed = True

            await self._guard(name, run(), note)
            if failed:
                if loop.time() - began > KEEP_CAP_S:
                    backoff.reset()
                await asyncio.sleep(backoff.next_s())

    async def __aenter__(self) -> Supervisor:
        loop = asyncio.get_running_loop()
        self._told_before = loop.get_exception_handler()
        loop.set_exception_handler(self._nobody_caught)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        asyncio.get_running_loop().set_exception_handler(self._told_before)

    def _nobody_caught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback of the loop raised.

        uvloop closes a TLS connection at once whose opener was cancelled, and may then still write the last bytes of
        its handshake. That is the end that was asked for.
        """
        error = context.get("exception")
        is_tls = context.get("message") == "Fatal error on SSL protocol"
        if is_tls and isinstance(error, RuntimeError) and str(error).endswith("the handler is closed"):
            log.debug("a connection was closed while it was opened: %s", error)
        elif self._told_before is not None:
            self._told_before(loop, context)
        else:
            loop.default_exception_handler(context)

    async def stop(self) -> None:
        """Cancel and await every task."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
