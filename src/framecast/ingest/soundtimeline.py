"""When chunks of sound were recorded: from their order, their arrival and their stamps to times that rise.

Theory of operation. The samples are counted, and the count is mapped to the server's clock (`sampleclock`). What that
mapping is held against is the arrival of each chunk, or, where the device stamps chunks by the clock that stamps its
pictures, the capture time that a picture with that stamp would get: then the flash and the bang of a clap meet however
late either comes.

Pure: nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from framecast.core.packet import Format
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.sampleclock import PAUSE_NS, SampleClock

S_NS = 1_000_000_000
PLAUSIBLE_NS = 10 * S_NS
"""A stamp that makes a chunk older than this, or younger than its arrival by a second, tells nothing."""
STAMPED_PAUSE_NS = 60_000_000
"""Stamps know nothing of the network: what is late by more was recorded after a pause."""


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
        mapped_ns = self._mapped(chunk)
        stamped = mapped_ns is not None
        clock = self._clock
        if clock is None or restarted or chunk.form != self._form or stamped is not self._stamped:
            self.end()
            pause_ns = STAMPED_PAUSE_NS if stamped else PAUSE_NS
            clock = self._clock = SampleClock(chunk.form.sample_rate_hz, pause_ns)
            self._form, self._stamped = chunk.form, stamped
        if lost:
            clock.skip(lost * chunk.samples)
        pts_ns = clock.map(chunk.received_ns if mapped_ns is None else mapped_ns, chunk.samples)
        self._last_pts_ns = max(pts_ns, self._last_pts_ns + 1_000)
        return self._last_pts_ns

    def end(self) -> None:
        """The device is gone: what comes next is counted anew."""
        self._pauses = self.pauses
        self._clock = None

    def _mapped(self, chunk: Chunk) -> int | None:
        """When its last sample was recorded, by the pictures' clock; None when that knows nothing."""
        if chunk.stamp_s is None:
            return None
        first_ns = self._pictures.at(chunk.stamp_s) if self._pictures is not None else None
        if first_ns is None:
            return None
        end_ns = first_ns + chunk.samples * S_NS // chunk.form.sample_rate_hz
        return end_ns if -S_NS < chunk.received_ns - end_ns < PLAUSIBLE_NS else None
