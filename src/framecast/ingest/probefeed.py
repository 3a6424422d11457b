"""A feed that measures instead of publishing."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from statistics import median

from framecast.core.clock import SYSTEM, Clock
from framecast.ingest.captureclock import CaptureClock
from framecast.ingest.gate import ScanBudget, takes_long
from framecast.wire.jpeg import MAX_BYTES, Header, Inspector, JpegError, verify_scan

PAUSE_S = 2.0
"""A silence this long within a stream is a stall."""
SHARE, BURST_S = 0.25, 0.25
"""Of one core for finding damage. It covers all pictures of a small camera, and leaves a server its viewers."""


class ProbeFeed:
    """Takes what a source feeds, checks pictures in full as far as its share of a core goes, and keeps the figures.

    Args:
        max_bytes: A larger picture is refused.
        clock: For arrivals.

    Attributes:
        dialect: What the device speaks, as soon as it does.
        header: Of the latest good picture.
        preview: The latest good picture.
        quirks: Oddities by code.
        faults: Losses by cause.
        frames: Good pictures so far.
        first: Set with the first good picture.
        sound_format: Rate in Hz and channels of the sound, if there is any.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, clock: Clock = SYSTEM) -> None:
        self.clock = clock
        self.dialect = ""
        self.header: Header | None = None
        self.preview: bytes | None = None
        self.quirks: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.frames = 0
        self.first = asyncio.Event()
        self.sound_format: tuple[int, int] | None = None
        self._stamp: tuple[float | None, int | None] = (None, None)
        self._bytes = 0
        self._arrivals_ns: list[int] = []
        self._inspector = Inspector(max_bytes=max_bytes)
        self._budget = ScanBudget(SHARE, BURST_S)
        self._capture = CaptureClock()

    @property
    def next_frame_id(self) -> int:
        """What the next accepted picture will be called."""
        return self.frames + 1

    def connected(self, dialect: str, address: str = "") -> None:
        """The device speaks."""
        self.dialect = dialect

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
        """One whole candidate picture."""
        now_ns = self.clock.now_ns() if received_ns is None else received_ns
        try:
            self.header, picture = self._inspector.inspect(payload)
            self._verify(self.header, picture)
        except JpegError as error:
            self.faults[error.fault.value] += 1
            return False
        if len(picture) != len(payload):
            self.quirks["padding_after_eoi"] += 1
        if self.header.exif_thumbnail:
            self.quirks["exif_thumbnail"] += 1
        capture = self._capture.map(now_ns, stamp_s)
        self.quirks.update(capture.quirks)
        if capture.new_epoch:
            self.faults["reboot"] += 1
        self.frames += 1
        self._bytes += len(picture)
        self._arrivals_ns.append(now_ns)
        self.preview = picture
        self.first.set()
        return True

    def _verify(self, header: Header, picture: bytes) -> None:
        began = None if takes_long(header) else self._budget.begin()
        if began is not None:
            try:
                verify_scan(picture)
            finally:
                self._budget.end(began)

    wants_pictures = True
    """It looks at the pictures, whatever the source codes."""

    def codes_itself(self, yes: bool) -> None:
        """Say whether access units will come."""

    def access_unit(
        self,
        payload: bytes,
        *,
        key: bool,
        width_px: int,
        height_px: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> int:
        """One access unit; its picture is what counts."""
        self._stamp = (stamp_s, received_ns)
        return self.next_frame_id

    def picture_of(self, frame_id: int, payload: bytes) -> None:
        """The JPEG of an access unit."""
        self.jpeg(payload, stamp_s=self._stamp[0], received_ns=self._stamp[1])

    def sound(
        self,
        payload: bytes,
        *,
        sample_rate_hz: int,
        channels: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> None:
        """One block of sound: remembered for the report."""
        self.sound_format = (sample_rate_hz, channels)

    def alive(self) -> None:
        """The device answers and has nothing new."""

    def quirk(self, code: str) -> None:
        """Count an oddity."""
        self.quirks[code] += 1

    def fault(self, cause: str) -> None:
        """Count a loss."""
        self.faults[cause] += 1

    def finish(self) -> None:
        """Count the silence since the last picture, if there is one."""
        if self._arrivals_ns and (self.clock.now_ns() - self._arrivals_ns[-1]) / 1e9 > PAUSE_S:
            self.faults["hang"] += 1
        self.faults["stall"] += sum(gap_s > PAUSE_S for gap_s in self._gaps_s())
        self.faults += Counter()  # drops zeros

    @property
    def fps(self) -> float:
        """Good pictures a second; 0 before there are two."""
        if len(self._arrivals_ns) < 2:
            return 0.0
        return (len(self._arrivals_ns) - 1) * 1e9 / max(1, self._arrivals_ns[-1] - self._arrivals_ns[0])

    @property
    def jitter_s(self) -> float:
        """Mean deviation of the gaps between pictures from their median."""
        gaps = self._gaps_s()
        if not gaps:
            return 0.0
        middle = median(gaps)
        return sum(abs(gap - middle) for gap in gaps) / len(gaps)

    @property
    def uneven(self) -> bool:
        """Whether pictures come so unevenly that people see it."""
        gaps = self._gaps_s()
        return len(gaps) >= 10 and self.jitter_s > max(0.1, median(gaps))

    @property
    def bytes_per_frame(self) -> int:
        """Mean size of good pictures."""
        return self._bytes // self.frames if self.frames else 0

    def _gaps_s(self) -> list[float]:
        return [(later - earlier) / 1e9 for earlier, later in pairwise(self._arrivals_ns)]
