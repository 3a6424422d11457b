"""What makes a derived track, and the track that runs it only while somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from framecast.core.clock import SYSTEM, Clock
from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.repeat import Coder, Repeat
from framecast.core.supervise import Backoff, Supervisor
from framecast.core.track import Track


class Worker(Protocol):
    """Turns the packets of one track into those of another."""

    async def run(self, source: Mailbox, out: Track) -> None:
        """Read ``source`` until it ends and publish to ``out``; keeps frame_id, epoch, pts_ns and received_ns."""


class Passthrough:
    """Hands on what is right already."""

    async def run(self, source: Mailbox, out: Track) -> None:
        """See `Worker`."""
        async for packet in source:
            out.publish(packet)


class WorkedTrack:
    """Runs a worker between two tracks while the second one is wanted, and for a grace after.

    Theory of operation: ``idle`` (no task, nothing attached to the source) -> somebody attaches to ``out`` ->
    ``working`` (a task, its one-packet mailbox attached to the source and primed with the latest packet) -> the last
    one leaves -> ``grace`` (still working, timer armed) -> timer: back to ``idle`` and ``on_idle`` is told.

    Args:
        source: Where packets come from.
        out: Where the worker publishes.
        make_worker: Makes a fresh worker each time work starts.
        supervisor: Owner of the task.
        grace_s: How long to go on with nobody attached.
        make_mailbox: Makes the worker's mailbox; one place, the newest wins, when left out.
        worth_making: Whether the source's latest packet, when work begins, is still worth anything; always when left
            out.
        clock: Of the packets' stamps.
        on_idle: Called when work has ended for want of readers.
    """

    def __init__(
        self,
        source: Track,
        out: Track,
        make_worker: Callable[[], Worker],
        supervisor: Supervisor,
        *,
        grace_s: float = 5.0,
        make_mailbox: Callable[[], Mailbox] = Mailbox,
        worth_making: Callable[[Packet], bool] | None = None,
        clock: Clock = SYSTEM,
        on_idle: Callable[[], None] | None = None,
    ) -> None:
        self.source = source
        self.out = out
        self._make_worker = make_worker
        self._supervisor = supervisor
        self._grace_s = grace_s
        self._make_mailbox = make_mailbox
        self._worth_making = worth_making
        self._clock = clock
        self._on_idle = on_idle
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._backoff = Backoff()
        self._before: Packet | None = None
        self._closed = False
        out.on_demand = self._demand
        if out.wanted:
            self._demand(True)

    @property
    def working(self) -> bool:
        """Whether the worker's task runs."""
        return self._task is not None

    def restart(self) -> None:
        """Throw away what is in the works and begin anew with a fresh worker, if anybody is attached."""
        # One that failed does not work, and a timer is all there is to try it again.
        resting = self._task is None and self._timer is None
        self._stop()
        if not resting:
            self._demand(self.out.wanted)

    def close(self) -> None:
        """Stop for good; readers stay attached to ``out``, which gets nothing more from here."""
        self._closed = True
        if self.out.on_demand == self._demand:
            self.out.on_demand = None
        self._stop()

    def _demand(self, wanted: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        if wanted:
            if self._task is None:
                self._task = self._supervisor.spawn(f"worker:{self.out.name}", self._work(), self._failed)
        else:
            self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._idle)

    async def _work(self) -> None:
        mailbox = self._make_mailbox()
        self._before = self.out.latest
        latest = self.source.latest
        if latest is not None and (self._worth_making is None or self._worth_making(latest)):
            for packet in self.source.backlog:
                mailbox.push(packet)
        self.source.attach(mailbox)
        repeat: Repeat | None = None
        try:
            worker = self._make_worker()
            if isinstance(worker, Coder):
                repeat = Repeat(worker, self.source, mailbox, self.out, self._clock, self._worth_making)
                self.out.on_key_wanted = repeat.want_key
            await worker.run(mailbox, self.out)
        finally:
            self.source.detach(mailbox)
            if repeat is not None:
                repeat.close()
                if self.out.on_key_wanted == repeat.want_key:
                    self.out.on_key_wanted = None
            if self._task is asyncio.current_task():
                self._task = None

    def _failed(self, error: Exception) -> None:
        if self.out.latest is not self._before:
            self._backoff.reset()
        if not self._closed and self.out.wanted:
            self._timer = asyncio.get_running_loop().call_later(self._backoff.next_s(), self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._demand(self.out.wanted)

    def _idle(self) -> None:
        self._timer = None
        self._stop()
        if self._on_idle is not None:
            self._on_idle()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
