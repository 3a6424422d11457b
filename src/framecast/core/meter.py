"""Rates and percentiles over the last seconds, at a cost a hot path can bear."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

BUCKET_NS = 250_000_000
BUCKETS = 16
"""Window: 16 buckets of 250 ms, four seconds."""


class Meter:
    """Frames and bytes per second over the last four seconds."""

    __slots__ = ("_buckets", "_bytes", "_count", "_start_ns", "bytes", "count")

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self._buckets: deque[tuple[int, int, int]] = deque(maxlen=BUCKETS)  # start_ns, count, bytes
        self._start_ns = 0
        self._count = 0
        self._bytes = 0

    def add(self, size_bytes: int, now_ns: int) -> None:
        """Count one frame of ``size_bytes``."""
        if now_ns - self._start_ns >= BUCKET_NS:
            if self._count:
                self._buckets.append((self._start_ns, self._count, self._bytes))
            self._start_ns = now_ns
            self._count = 0
            self._bytes = 0
        self._count += 1
        self._bytes += size_bytes
        self.count += 1
        self.bytes += size_bytes

    def rates(self, now_ns: int) -> tuple[float, float]:
        """(frames a second, bytes a second); zeros when the window holds fewer than two frames."""
        oldest_ns = now_ns - BUCKETS * BUCKET_NS
        kept = [bucket for bucket in self._buckets if bucket[0] >= oldest_ns]
        count = sum(bucket[1] for bucket in kept)
        size = sum(bucket[2] for bucket in kept)
        if self._count and self._start_ns >= oldest_ns:
            if not kept:
                kept = [(self._start_ns, self._count, self._bytes)]
            count += self._count
            size += self._bytes
        if count < 2:
            return 0.0, 0.0
        # A frame opens its bucket, so the span runs to the frame that will open the next one: about now.
        span_s = max(now_ns - kept[0][0], BUCKET_NS) / 1e9
        return count / span_s, size / span_s


class Percentiles:
    """The last 256 samples, and what lies below which share of them.

    Attributes:
        count: Samples so far.
    """

    __slots__ = ("_samples", "count")

    def __init__(self) -> None:
        self.count = 0
        self._samples: deque[float] = deque(maxlen=256)

    def add(self, sample: float) -> None:
        """Keep one sample."""
        self.count += 1
        self._samples.append(sample)

    def since(self, count: int) -> list[float]:
        """The samples after the first ``count``, as far as they are kept."""
        return list(self._samples)[max(0, len(self._samples) - (self.count - count)) :]

    def at(self, *shares: float) -> tuple[float, ...]:
        """The values at ``shares`` (0 to 1); zeros while there is no sample."""
        return shares_of(self._samples, *shares)


def shares_of(samples: Collection[float], *shares: float) -> tuple[float, ...]:
    """The values below which ``shares`` (0 to 1) of the samples lie; zeros while there is none."""
    if not samples:
        return tuple(0.0 for _ in shares)
    ordered = sorted(samples)
    return tuple(ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in shares)
