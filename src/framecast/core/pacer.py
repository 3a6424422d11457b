"""Thinning a stream to a rate, evenly."""

from __future__ import annotations


class Pacer:
    """Says which frames to take so that at most ``fps`` a second pass, as evenly as the source allows.

    It keeps a grid of due times and takes the frame nearest to each: a frame passes when it comes no earlier than half
    a source interval before the next due time. So 30 fps thinned to 15 takes every second frame however the network
    shakes them, and the grid (not the frame taken) carries the rate, so that 30 thinned to 20 is 20 and not 15.

    Args:
        fps: Frames a second, above 0.
    """

    def __init__(self, fps: float) -> None:
        if fps <= 0:
            raise ValueError("fps must be above 0")
        self.fps = fps
        self.interval_ns = round(1e9 / fps)
        self._due_ns: int | None = None
        self._last_ns: int | None = None
        self._source_interval_ns = 0.0

    def take(self, now_ns: int) -> bool:
        """Whether the frame that arrives at ``now_ns`` is to pass."""
        if self._last_ns is not None:
            # Longer pauses say nothing more: nothing is thinned then.
            gap = min(now_ns - self._last_ns, self.interval_ns)
            if self._source_interval_ns == 0:
                self._source_interval_ns = float(gap)
            else:
                self._source_interval_ns += (gap - self._source_interval_ns) / 8
        self._last_ns = now_ns
        if self._due_ns is None:
            self._due_ns = now_ns + self.interval_ns
            return True
        early_ns = self._source_interval_ns / 2
        if now_ns < self._due_ns - early_ns:
            return False
        self._due_ns += self.interval_ns
        if self._due_ns < now_ns - self.interval_ns / 2:
            # The source paused: start a new grid here instead of making up for lost frames.
            self._due_ns = now_ns + self.interval_ns
        return True
