"""From counted samples to capture times in the server's clock.

Theory of operation. A device records so many samples a second, by its own crystal, and says nothing of the time. So the
count of its samples is its clock, and `captureclock` maps it as it maps the stamps of pictures: the end of a chunk was
recorded at the earliest moment at which chunks come in, drift and all, and what one comes later than that it was under
way. Times are therefore smooth however the network shakes the chunks, and follow the crystal.

But a count stands still while samples are lost (a full buffer in the device, a pause), which looks like a chunk that
comes late. A short lateness is believed to be the network's until it has lasted; a long one is a pause at once, since
no such device keeps seconds of sound for later (one that does sends them in a burst, which shows at the next chunk).

Pure: nothing here reads a clock.
"""

from __future__ import annotations

from framecast.ingest.captureclock import CaptureClock

S_NS = 1_000_000_000
ORIGIN_S = 1e-7
"""The count begins off the grid of whole seconds, so that nothing takes it for milliseconds."""
PAUSE_NS = 500_000_000
"""A chunk that comes later than this after its time comes after a pause."""
LOST_NS = 25_000_000
"""All chunks coming later than this ..."""
LOST_FOR_NS = 5 * S_NS
"""... for so long means that samples were lost."""
LOST_CHUNKS = 8
EARLY_NS = 900_000_000
"""A chunk this much before its time begins a new line."""


class SampleClock:
    """Maps the samples of one device, from its start to its next one.

    Args:
        sample_rate_hz: What the device calls its rate.
        pause_ns: Lateness that is a pause at once.

    Attributes:
        pauses: Times that samples were missing without the device saying so.
    """

    def __init__(self, sample_rate_hz: int, pause_ns: int = PAUSE_NS) -> None:
        self.pauses = 0
        self._rate_hz = sample_rate_hz
        self._pause_ns = pause_ns
        self._line = CaptureClock()
        self._count = 0
        self._end_ns = 0
        self._reference_ns = 0
        self._late_since_ns = 0
        self._late_chunks = 0
        self._least_late_ns = 0

    @property
    def drift_ppm(self) -> float:
        """How much the device's clock is slow (positive) or fast, in millionths; 0 until it is known."""
        return self._line.drift_ppm

    def map(self, reference_ns: int, samples: int) -> int:
        """When the first of the next ``samples`` was recorded, Unix ns of the server's clock.

        Args:
            reference_ns: When the last of them was recorded at the latest: its arrival, or a stamp.
            samples: How many, of each channel; above 0.
        """
        reference_ns = self._reference_ns = max(reference_ns, self._reference_ns)
        length_ns = self._span_ns(samples)
        if self._end_ns:
            self._see_how_late(reference_ns, reference_ns - self._end_ns - length_ns)
        self._count += samples
        self._end_ns = self._line.map(reference_ns, ORIGIN_S + self._count / self._rate_hz).pts_ns
        return self._end_ns - length_ns

    def skip(self, samples: int) -> None:
        """Let time go on over samples that were recorded and did not come."""
        self._count += samples
        if self._end_ns:
            self._end_ns += self._span_ns(samples)

    def _see_how_late(self, reference_ns: int, late_ns: int) -> None:
        if late_ns > self._pause_ns:
            self._pause(late_ns)
        elif late_ns < -EARLY_NS:
            self._line = CaptureClock()
            self._late_since_ns = 0
        elif late_ns < LOST_NS:
            self._late_since_ns = 0
        elif not self._late_since_ns:
            self._late_since_ns, self._late_chunks, self._least_late_ns = reference_ns, 1, late_ns
        else:
            self._late_chunks += 1
            self._least_late_ns = min(self._least_late_ns, late_ns)
            if reference_ns - self._late_since_ns >= LOST_FOR_NS and self._late_chunks >= LOST_CHUNKS:
                self._pause(self._least_late_ns)

    def _pause(self, passed_ns: int) -> None:
        self.pauses += 1
        self._late_since_ns = 0
        self.skip(round(passed_ns * self._rate_hz / S_NS))

    def _span_ns(self, samples: int) -> int:
        return samples * S_NS // self._rate_hz
