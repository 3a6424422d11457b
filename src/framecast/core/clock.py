"""Time that only moves forward.

Unix time for stamps that leave the process, taken from the monotonic clock plus an offset read once at
start: a step of the wall clock (NTP, a Raspberry Pi that finds the network late) never moves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Unix nanoseconds on a monotonic base.

    Args:
        monotonic_ns: Source of ticks, in ns. Tests pass their own.
        unix_ns: Read once, to fix the offset.
    """

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self.offset_ns = unix_ns() - monotonic_ns()

    def now_ns(self) -> int:
        """Unix ns, never going back."""
        return self._monotonic_ns() + self.offset_ns


class ManualClock(Clock):
    """A clock that a test, or a replay, moves by hand.

    Args:
        now_ns: Unix ns it starts at.
    """

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self.ticks_ns = now_ns
        super().__init__(monotonic_ns=lambda: self.ticks_ns, unix_ns=lambda: self.ticks_ns)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.ticks_ns += round(seconds * 1e9)


SYSTEM = Clock()
