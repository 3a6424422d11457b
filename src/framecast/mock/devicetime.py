"""A device's own clock: it begins anew at each start, and its crystal is off."""

from __future__ import annotations

from framecast.core.clock import Clock

MOST_PPM = 2_000.0
"""Ten times what such devices are off."""


class DeviceTime:
    """Seconds of the device's clock.

    Args:
        clock: True time.
        ppm: By how many millionths it is fast (positive) or slow.
        start_s: What it shows now.
    """

    def __init__(self, clock: Clock, ppm: float = 0.0, start_s: float = 0.0) -> None:
        self._clock = clock
        self._pace = 1 + ppm * 1e-6
        self._jumped_s = 0.0
        self.begin(start_s)

    def begin(self, start_s: float = 0.0) -> None:
        """The device starts; its clock shows ``start_s``."""
        self._from_ns = self._clock.now_ns()
        self._start_s = start_s
        self._jumped_s = 0.0

    def jump(self, seconds: float) -> None:
        """Move its stamps, and nothing that it does."""
        self._jumped_s += seconds

    def at_s(self, true_ns: int) -> float:
        """What it shows at a true time (Unix ns), jumps left out."""
        return self._start_s + (true_ns - self._from_ns) / 1e9 * self._pace

    def now_s(self) -> float:
        """What it shows now, jumps left out."""
        return self.at_s(self._clock.now_ns())

    def wait_s(self, moment_s: float) -> float:
        """How long (true seconds) until it shows ``moment_s``; negative where that is over."""
        return (moment_s - self.now_s()) / self._pace

    def stamp_s(self, moment_s: float) -> float:
        """How the device writes a moment of its clock."""
        return max(0.0, moment_s + self._jumped_s)
