"""What carries deliveries to one sink: in their order, one at a time, again and again until they are taken.

A delivery leaves the outbox when the sink has taken it, and not before. So each arrives at least once; after a crash
one may arrive twice, with the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from framecast.core.clock import SYSTEM
from framecast.core.errors import FramecastError, StateError
from framecast.core.limits import Quietly
from framecast.core.supervise import Backoff
from framecast.service.store.events import Event, Phase
from framecast.service.store.outbox import Delivery, Outbox, Outcome

log = logging.getLogger("framecast.service.events.courier")

FIRST_S = 1.0
CAP_S = 300.0
GIVE_UP_S = 24 * 3600.0
"""How long a delivery is tried at most."""
MOST_REFUSALS = 5
"""How often one is tried that the sink takes for no good message."""

Blocking = Callable[..., Awaitable[Any]]


class Undelivered(FramecastError):
    """A sink did not take a delivery.

    Args:
        message: Why, for people.
        refused: Whether it is this one that the sink does not want; others it may take.
        gone: Whether the sink is no more, and never will be.
        retry_after_s: When it wants to be asked again.
    """

    def __init__(
        self, message: str, *, refused: bool = False, gone: bool = False, retry_after_s: float | None = None
    ) -> None:
        self.refused = refused
        self.gone = gone
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Sink(Protocol):
    """Somebody who is told of events.

    Attributes:
        name: Unique, and the same after a restart; goes into paths.
        kind: ``webhook``, ``mqtt`` or ``push``: what rules name.
        label: What people are shown, without secrets.
        lasts_s: How long after its announcement something is still worth telling.
    """

    name: str
    kind: str
    label: str
    lasts_s: float

    def wants(self, event: Event, phase: Phase) -> bool:
        """Whether this is for it. Asked on the state's thread, within the transaction of the announcement."""

    async def send(self, delivery: Delivery) -> None:
        """Have it taken.

        Raises:
            Undelivered: It was not.
        """


class Courier:
    """Carries what waits for a sink.

    Args:
        sink: Who gets it.
        outbox: Where it waits.
        blocking: Runs a call on the state's thread.
        settle: Has it written what became of a delivery.
        on_gone: Told when the sink is no more.
        now_s: Unix time as people have it.

    Attributes:
        state: ``idle``, ``sending`` or ``failing``.
        delivered: Taken by the sink since the server began.
        given_up: Tried in vain to the end since then, or not any more, for too many waited, or for too long.
        last_s: When the sink took the last one, Unix s.
        last_error: Why the last attempt failed; empty once one succeeded.
    """

    def __init__(
        self,
        sink: Sink,
        outbox: Outbox,
        blocking: Blocking,
        settle: Callable[[Outcome], Awaitable[None]],
        on_gone: Callable[[Sink], object],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.sink = sink
        self.state = "idle"
        self.delivered = 0
        self.given_up = 0
        self.last_s: float | None = None
        self.last_error = ""
        self._outbox = outbox
        self._blocking = blocking
        self._settle = settle
        self._on_gone = on_gone
        self._now_s = now_s
        self._due_s: float | None = None
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._said = Quietly(60.0)

    @property
    def retry_in_s(self) -> float | None:
        """Seconds until the next attempt; None while none is waited for."""
        return None if self._due_s is None else max(0.0, self._due_s - self._now_s())

    def wake(self) -> None:
        """There may be something new."""
        self._wake.set()

    def hurry(self) -> None:
        """The sink may be reached again: don't wait."""
        self._hurry.set()

    async def run(self) -> None:
        """Carry until cancelled, or until the sink is gone."""
        backoff = Backoff(first_s=FIRST_S, cap_s=CAP_S)
        while True:
            self._wake.clear()
            try:
                delivery: Delivery | None = await self._blocking(self._outbox.next, self.sink.name)
                if delivery is None:
                    self.state = "idle"
                    await self._wake.wait()
                    continue
                if self._is_too_old(delivery):
                    await self._settle(Outcome(self.sink.name, delivery.seq))
                    self.note_lost(1, f"messages about events could not be sent for {self.sink.lasts_s / 3600:g} h")
                    continue
                await self._pause(delivery.due_s - self._now_s())
                self._hurry.clear()  # who says so from now on, while this is tried or written down, means the next
                self.state = "sending"
                if not await self._carry(delivery, backoff):
                    return
            except StateError as error:
                self._failed(str(error))
                self._hurry.clear()
                await self._pause(backoff.next_s())

    async def _carry(self, delivery: Delivery, backoff: Backoff) -> bool:
        """Try once; False when the sink is gone."""
        name = self.sink.name
        try:
            await self.sink.send(delivery)
        except Undelivered as error:
            if error.gone:
                log.info("%s (%s) is gone: %s", name, self.sink.label, error)
                self._on_gone(self.sink)
                return False
            self._failed(str(error))
            if self._is_hopeless(delivery, error):
                self.given_up += 1
                log.warning("%s: event %s is given up: %s", name, delivery.event_id, error)
                await self._settle(Outcome(name, delivery.seq))
            else:
                pause_s = min(CAP_S, max(backoff.next_s(), error.retry_after_s or 0.0))
                await self._settle(Outcome(name, delivery.seq, self._now_s() + pause_s, str(error)))
        else:
            backoff.reset()
            self.note_taken()
            await self._settle(Outcome(name, delivery.seq))
        return True

    def note_lost(self, count: int, why: str) -> None:
        """So many went that the sink was still to get."""
        self.given_up += count
        if self._said.due():
            log.warning("%s (%s): %s; %d are given up so far", self.sink.name, self.sink.label, why, self.given_up)

    def note_taken(self) -> None:
        """The sink took something."""
        if self.state == "failing" or self.last_error:
            log.info("%s takes messages again", self.sink.name)
        self.delivered += 1
        self.last_s = self._now_s()
        self.last_error = ""

    def _is_hopeless(self, delivery: Delivery, error: Undelivered) -> bool:
        too_often = error.refused and delivery.attempts + 1 >= MOST_REFUSALS
        return too_often or self._is_too_old(delivery)

    def _is_too_old(self, delivery: Delivery) -> bool:
        return delivery.at_s < given_up_before_s(self._now_s(), self.sink.lasts_s)

    def _failed(self, words: str) -> None:
        if words != self.last_error:
            log.warning("%s (%s) can't be told: %s", self.sink.name, self.sink.label, words)
        self.state = "failing"
        self.last_error = words

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self._due_s = self._now_s() + min(seconds, CAP_S)
        try:
            # A clock that was set may have put the end far away.
            async with asyncio.timeout(min(seconds, CAP_S)):
                await self._hurry.wait()
        except TimeoutError:
            pass
        finally:
            self._due_s = None


def given_up_before_s(now_s: float, lasts_s: float = GIVE_UP_S) -> float:
    """Unix time before which what was announced is not tried any more.

    A machine that learns the time late must not take what it just wrote down for days old: it goes by the clock that no
    step moves where that is behind. Where the clock is ahead it goes by that, unlike what is kept (`Present`): who was
    off for weeks must not tell of what happened then as if it were news.
    """
    return min(now_s, SYSTEM.now_ns() / 1e9) - lasts_s
