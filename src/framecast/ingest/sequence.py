"""Chunks in the order of their numbers, whatever the network or the device made of it.

Theory of operation. The next number is expected. A chunk that is ahead of it waits for those in between, while few
wait and not for long; then those in between count as lost. One that is behind it came twice (its number and its bytes
are known), or too late. Numbers that go back for good are a device that has started again, unless the counter just
reached its end. Numbers that leap are another count.

Pure: nothing here reads a clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

REMEMBERED = 64
"""Numbers whose chunks are recognised when they come again, and how far behind one can be too late."""
MOST_LOST = 1_000
"""A leap over more numbers than this (a minute of sound) is another count."""
HOLD_NS = 250_000_000
"""Longest wait for a chunk that is missing."""
RUN = 3
"""Chunks in a row that are too late: the device counts anew."""
WRAPS = tuple((1 << bits, 4 if bits == 8 else REMEMBERED) for bits in (8, 16, 31, 32, 63, 64))
"""Where counters start again at 0, and how near to it numbers must be for that to be meant."""


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """A chunk whose turn has come.

    Attributes:
        lost: Chunks missing right before it.
        restarted: The count began anew with it.
    """

    item: T
    lost: int = 0
    restarted: bool = False


class Sequencer(Generic[T]):
    """Orders the chunks of one device.

    Args:
        window: Most chunks that wait for one that is missing; 0 where the way they come keeps their order.

    Attributes:
        counts: ``lost``, ``doubled``, ``late`` and ``restarts``.
    """

    def __init__(self, window: int = 2) -> None:
        self.counts: Counter[str] = Counter()
        self._window = window
        self._expected: int | None = None
        self._held: dict[int, T] = {}
        self._held_since_ns = 0
        self._seen: OrderedDict[int, int] = OrderedDict()
        self._behind: int | None = None
        self._run = 0

    def take(self, number: int, payload: bytes, item: T, now_ns: int) -> list[Placed[T]]:
        """What may be passed on now that ``item`` has come.

        Args:
            number: The device's number of it, 0 or more.
            payload: Its bytes, by which a repetition is known.
            item: What to give back in its turn.
            now_ns: When it came.
        """
        expected = self._expected
        if expected is None:
            return self._begin(number, payload, item, restarted=False)
        number = self._unwrapped(number, expected)
        expected = self._expected
        assert expected is not None
        if number < expected:
            return self._take_behind(number, expected, payload, item)
        self._behind = None
        if number - expected > MOST_LOST:
            return self._begin(number, payload, item, restarted=True)
        if number in self._held:
            self.counts["doubled"] += 1
            return []
        self._remember(number, payload)
        if not self._held:
            self._held_since_ns = now_ns
        self._held[number] = item
        patient = number - expected <= REMEMBERED and now_ns < self.due_ns
        return self._release(self._window if patient else 0)

    @property
    def waiting(self) -> int:
        """Chunks that wait for one before them."""
        return len(self._held)

    @property
    def due_ns(self) -> int:
        """When what waits has waited long enough."""
        return self._held_since_ns + HOLD_NS

    def overdue(self, now_ns: int) -> list[Placed[T]]:
        """What has waited long enough, though nothing came since."""
        return self._release(0) if self._held and now_ns >= self.due_ns else []

    def rest(self) -> list[Placed[T]]:
        """What still waits, since nothing more will come."""
        return self._release(0)

    def _begin(self, number: int, payload: bytes, item: T, *, restarted: bool) -> list[Placed[T]]:
        placed = self._release(0)
        if restarted:
            self.counts["restarts"] += 1
        self._seen.clear()
        self._behind = None
        self._remember(number, payload)
        self._expected = number + 1
        placed.append(Placed(item, 0, restarted))
        return placed

    def _take_behind(self, number: int, expected: int, payload: bytes, item: T) -> list[Placed[T]]:
        known = self._seen.get(number)
        if known == hash(payload):
            self.counts["doubled"] += 1
            return []
        self._run = self._run + 1 if self._behind is not None and number == self._behind + 1 else 1
        self._behind = number
        # The first ones of a count begin it anew, unless those before which they should have come only overtook them.
        first = number <= 1 and expected - number - 1 > self._window
        if known is not None or first or expected - number > REMEMBERED or self._run >= RUN:
            return self._begin(number, payload, item, restarted=True)
        self.counts["late"] += 1
        return []

    def _unwrapped(self, number: int, expected: int) -> int:
        """``number`` in a count without end: across the wrap in either direction."""
        for wrap, near in WRAPS:
            if number < near and expected - near < wrap <= expected + near and number < expected - near:
                self._rebase(wrap)
                return number
            if expected < near and wrap - near <= number < wrap:
                return number - wrap
        return number

    def _rebase(self, wrap: int) -> None:
        assert self._expected is not None
        self._expected -= wrap
        self._held = {number - wrap: item for number, item in self._held.items()}
        self._seen = OrderedDict((number - wrap, digest) for number, digest in self._seen.items())

    def _release(self, window: int) -> list[Placed[T]]:
        """Those whose turn it is; more than ``window`` never go on waiting."""
        placed: list[Placed[T]] = []
        held, expected = self._held, self._expected
        while held:
            assert expected is not None
            number = min(held)
            lost = number - expected
            if lost and len(held) <= window:
                break
            if lost:
                self.counts["lost"] += lost
            placed.append(Placed(held.pop(number), lost))
            expected = number + 1
        self._expected = expected
        return placed

    def _remember(self, number: int, payload: bytes) -> None:
        self._seen[number] = hash(payload)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
