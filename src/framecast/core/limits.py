"""Saying something at most so often."""

from __future__ import annotations

import time
from collections.abc import Callable


class Quietly:
    """Lets one through per period and counts the others.

    Args:
        period_s: Shortest time between two.
    """

    def __init__(self, period_s: float = 1.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._monotonic = monotonic
        self._next = 0.0
        self.withheld = 0

    def due(self) -> bool:
        """Whether one may go now; counts it as withheld when not. The caller resets `withheld` once reported."""
        now = self._monotonic()
        if now < self._next:
            self.withheld += 1
            return False
        self._next = now + self._period_s
        return True
