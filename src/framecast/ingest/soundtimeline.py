"""When chunks of sound were recorded: from their order, their arrival and their stamps to times that rise.

Theory of operation. The samples are counted, and the count is mapped to the server's clock (`sampleclock`). What that
mapping is held against is the arrival of each chunk, or, where the device stamps chunks by the clock that stamps its
pictures, the capture time that a picture with that stamp would get: then the flash and the bang of a clap meet however
late either comes.

By that a chunk may end after its arrival, by as much as pictures are under way for longer than sound; this lead has a
top that hardly moves. A stamp far above it is wrong, and would hold all that follows at its time: the chunk is counted,
and no more. Where it happens to one chunk after another it is the pictures' line that has moved.

Pure: nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from framecast.core.packet import Format
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.sampleclock import PAUSE_NS, SampleClock

S_NS = 1_000_000_000
PLAUSIBLE_NS = 10 * S_NS
"""A stamp that makes a chunk older than this, or younger than its arrival by a second, tells nothing."""
STAMPED_PAUSE_NS = 60_000_000
"""Stamps know nothing of the network: what is late by more was recorded after a pause."""
AHEAD_NS = 60_000_000
"""A stamp that makes a chunk end this much further ahead of its arrival than ..."""
LEADS = 32
"""... any of so many before it is wrong, ..."""
BELIEVED = 3
"""... but not so many in a row."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sound as it came.

    Attributes:
        payload: s16le, channels interleaved.
        form: Its rate and channels.
        samples: How many, of each channel.
        stamp_s: The device's stamp of its first sample, by the clock that stamps its pictures; None without one.
        received_ns: When its last byte came, Unix ns.
    """

    payload: bytes
    form: Format
    samples: int
    stamp_s: float | None
    received_ns: int


class SoundTimeline:
    """Times of one camera's sound, whichever device sends it."""

    def __init__(self) -> None:
        self._pictures: CaptureClock | None = None
        self._clock: SampleClock | None = None
        self._form: Format | None = None
        self._stamped = False
        self._leads: deque[int] = deque(maxlen=LEADS)
        self._ahead = 0
        self._pauses = 0
        self._last_pts_ns = 0

    @property
    def pauses(self) -> int:
        """Times that sound was missing without the numbers saying so."""
        return self._pauses + (self._clock.pauses if self._clock is not None else 0)

    @property
    def drift_ppm(self) -> float:
        """How much the device's sampling is slow (positive) or fast, in millionths."""
        return self._clock.drift_ppm if self._clock is not None else 0.0

    def follow(self, pictures: CaptureClock) -> None:
        """Map the stamps of chunks as the stamps of the pictures are mapped from now on."""
        self._pictures = pictures

    def pts_ns(self, chunk: Chunk, *, lost: int = 0, restarted: bool = False) -> int:
        """When the first sample of the next chunk was recorded, Unix ns; later than that of the one before.

        Args:
            chunk: The next one.
            lost: Chunks missing right before it.
            restarted: The device began anew with it.
        """
        end_ns = self._mapped(chunk)
        clock = self._clock if chunk.form == self._form and not restarted else None
        if clock is not None and self._stamped and end_ns is not None and self._is_wrong(end_ns - chunk.received_ns):
            clock.skip(lost * chunk.samples)
            pts_ns = clock.carry(chunk.samples)
        else:
            pts_ns = self._told(chunk, end_ns, clock, lost)
        self._last_pts_ns = max(pts_ns, self._last_pts_ns + 1_000)
        return self._last_pts_ns

    def end(self) -> None:
        """The device is gone: what comes next is counted anew."""
        self._pauses = self.pauses
        self._clock = None
        self._leads.clear()
        self._ahead = 0

    def _told(self, chunk: Chunk, end_ns: int | None, clock: SampleClock | None, lost: int) -> int:
        """What the count says of a chunk that ended at ``end_ns`` by its stamp, where that is not absurd."""
        if end_ns is not None and not -S_NS < chunk.received_ns - end_ns < PLAUSIBLE_NS:
            end_ns = None
        stamped = end_ns is not None
        if clock is None or stamped is not self._stamped:
            self.end()
            pause_ns = STAMPED_PAUSE_NS if stamped else PAUSE_NS
            clock = self._clock = SampleClock(chunk.form.sample_rate_hz, pause_ns)
            self._form, self._stamped = chunk.form, stamped
        if lost:
            clock.skip(lost * chunk.samples)
        if end_ns is None:
            return clock.map(chunk.received_ns, chunk.samples)
        self._leads.append(end_ns - chunk.received_ns)
        return clock.map(end_ns, chunk.samples)

    def _is_wrong(self, lead_ns: int) -> bool:
        """Whether a stamp can't be right that makes its chunk end so long after its arrival."""
        self._ahead = self._ahead + 1 if lead_ns > max(0, *self._leads) + AHEAD_NS else 0
        return 0 < self._ahead < BELIEVED

    def _mapped(self, chunk: Chunk) -> int | None:
        """When its last sample was recorded, by the pictures' clock; None when that knows nothing."""
        if chunk.stamp_s is None:
            return None
        first_ns = self._pictures.at(chunk.stamp_s) if self._pictures is not None else None
        return None if first_ns is None else first_ns + chunk.samples * S_NS // chunk.form.sample_rate_hz
