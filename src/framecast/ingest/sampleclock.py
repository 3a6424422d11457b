"""From counted samples to capture times in the server's clock.

Theory of operation. A device records so many samples a second, by its own crystal, and says nothing of the time. So the
count of its samples is its clock, and `captureclock` maps it as it maps the stamps of pictures: the end of a chunk was
recorded at the earliest moment at which chunks come in, drift and all, and what one comes later than that it was under
way. Times are therefore smooth however the network shakes the chunks, and follow the crystal.

A converter may also run at quite another rate than the device believes (15,625 Hz called 16 kHz). What the promptest
chunks of each few seconds say about the pace shows that within a quarter of a minute; the count is then read at the
true rate.

But a count stands still while samples are lost (a full buffer in the device, a pause), which looks like a chunk that
comes late. A short lateness is believed to be the network's until it has lasted for longer than this network's usually
does; a long one is a pause at once, since no such device keeps seconds of sound for later (one that does sends them in
a burst, which shows at the next chunk).

Pure: nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import log

from framecast.ingest.captureclock import CaptureClock

S_NS = 1_000_000_000
ORIGIN_S = 1e-7
"""The count begins off the grid of whole seconds, so that nothing takes it for milliseconds."""
PAUSE_NS = 500_000_000
"""A chunk that comes later than this after its time comes after a pause."""
LOST_NS = 25_000_000
"""All chunks coming later than this ..."""
LOST_FOR_NS = 5 * S_NS
"""... for so long means that samples were lost. So it does ..."""
LOST_SOON_NS = 500_000_000
"""... after this, when so many late chunks in a row are as rare as one in e**9, or 8,000, here."""
RARE = 9.0
LEAST_SHARE, MOST_SHARE = 0.02, 0.98
REMEMBERED = 64
"""Chunks over which the share of late ones is known."""
PACE_NS = 4 * S_NS
"""The promptest chunk of each such span says how fast samples come."""
PACES = 3
"""Spans in a row that must agree on a pace."""
PACE_OFF = 0.003, 0.08
"""A pace that is off by less is left to `captureclock`, whose line follows it; one that is off by more is no pace."""
PACE_AGREE = 0.0015
EARLY_NS = 900_000_000
"""A chunk this much before its time begins a new line."""


class Pace:
    """How fast samples come, compared with a rate.

    Args:
        rate_hz: That rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._count = 0
        self._end_ns = 0
        self._prompt: tuple[int, float] = (0, 0.0)
        self._prompts: deque[tuple[int, float]] = deque(maxlen=PACES + 1)

    def skip(self, samples: int) -> None:
        """Count samples that were recorded and did not come."""
        self._count += samples

    def add(self, reference_ns: int, samples: int) -> float:
        """Count samples that came by ``reference_ns``; how much slower than the rate they come, 0 for as it says."""
        self._count += samples
        delay_ns = reference_ns - self._count * S_NS / self._rate_hz
        if not self._end_ns:
            self._end_ns, self._prompt = reference_ns + PACE_NS, (reference_ns, delay_ns)
        if delay_ns < self._prompt[1]:
            self._prompt = reference_ns, delay_ns
        if reference_ns < self._end_ns:
            return 0.0
        self._prompts.append(self._prompt)
        self._end_ns, self._prompt = reference_ns + PACE_NS, (reference_ns, delay_ns)
        if len(self._prompts) <= PACES:
            return 0.0
        steps = [_slope(before, after) for before, after in pairwise(self._prompts)]
        whole = _slope(self._prompts[0], self._prompts[-1])
        agree = max(PACE_AGREE, abs(whole) / 8)
        return (
            whole
            if PACE_OFF[0] < abs(whole) < PACE_OFF[1] and all(abs(step - whole) < agree for step in steps)
            else 0.0
        )


def _slope(before: tuple[int, float], after: tuple[int, float]) -> float:
    return (after[1] - before[1]) / max(after[0] - before[0], 1)


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
        self._declared_hz = sample_rate_hz
        self._rate_hz = float(sample_rate_hz)
        self._pace = Pace(self._rate_hz)
        self._pause_ns = pause_ns
        self._line = CaptureClock()
        self._count = 0
        self._end_ns = 0
        self._reference_ns = 0
        self._late_since_ns = 0
        self._late_chunks = 0
        self._least_late_ns = 0
        self._late_share = 0.5

    @property
    def drift_ppm(self) -> float:
        """How much the device's clock is slow (positive) or fast, in millionths; 0 until it is known."""
        return self._line.drift_ppm + (self._declared_hz / self._rate_hz - 1) * 1e6

    def map(self, reference_ns: int, samples: int) -> int:
        """When the first of the next ``samples`` was recorded, Unix ns of the server's clock.

        Args:
            reference_ns: When the last of them was recorded at the latest: its arrival, or a stamp.
            samples: How many, of each channel; above 0.
        """
        reference_ns = self._reference_ns = max(reference_ns, self._reference_ns)
        slow = self._pace.add(reference_ns, samples)
        if slow:
            self._rate_hz *= 1 - slow
            self._pace = Pace(self._rate_hz)
            self._begin_line()
        length_ns = self._span_ns(samples)
        if self._end_ns:
            self._see_how_late(reference_ns, reference_ns - self._end_ns - length_ns)
        self._count += samples
        self._end_ns = self._line.map(reference_ns, ORIGIN_S + self._count / self._rate_hz).pts_ns
        return self._end_ns - length_ns

    def skip(self, samples: int) -> None:
        """Let time go on over samples that were recorded and did not come."""
        self._pace.skip(samples)
        self._advance(samples)

    def carry(self, samples: int) -> int:
        """`map` by the count alone, after a first `map`: what is said of these samples' time tells nothing."""
        self.skip(samples)
        return self._end_ns - self._span_ns(samples)

    def _see_how_late(self, reference_ns: int, late_ns: int) -> None:
        if late_ns > self._pause_ns:
            self._pause(late_ns)
            self._pace = Pace(self._rate_hz)
        elif late_ns < -EARLY_NS:
            self._begin_line()
        elif late_ns < LOST_NS:
            late = self._late_chunks if self._late_since_ns else 0
            self._late_share = 1 - (1 - self._late_share) * (1 - 1 / REMEMBERED) ** late
            self._late_share *= 1 - 1 / REMEMBERED
            self._late_since_ns = 0
        elif not self._late_since_ns:
            self._late_since_ns, self._late_chunks, self._least_late_ns = reference_ns, 1, late_ns
        else:
            self._late_chunks += 1
            self._least_late_ns = min(self._least_late_ns, late_ns)
            late_for_ns = reference_ns - self._late_since_ns
            share = min(max(self._late_share, LEAST_SHARE), MOST_SHARE)
            is_rare = -self._late_chunks * log(share) > RARE and late_for_ns > LOST_SOON_NS
            if is_rare or late_for_ns > LOST_FOR_NS:
                self._pause(self._least_late_ns)

    def _begin_line(self) -> None:
        self._line = CaptureClock()
        self._count = 0
        self._late_since_ns = 0

    def _pause(self, passed_ns: int) -> None:
        self.pauses += 1
        self._late_since_ns = 0
        # The pace is not told: samples that seem to be missing may be a converter's that runs slowly.
        self._advance(round(passed_ns * self._rate_hz / S_NS))

    def _advance(self, samples: int) -> None:
        self._count += samples
        if self._end_ns:
            self._end_ns += self._span_ns(samples)

    def _span_ns(self, samples: int) -> int:
        return round(samples * S_NS / self._rate_hz)
