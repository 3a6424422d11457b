"""The integrity gate: nothing that is not a whole, sensible JPEG gets to the viewers.

One broken picture can end a browser's `<img>` for good, so every cause is checked before fan-out and counted:
markers, end and size on every frame (a few microseconds), and the entropy-coded data itself by decoding it at an eighth
of its size, as far as a budget of CPU allows (about 10 us a kilobyte). A frame that the budget did not cover passes
on its markers. Between the two stands the bound on pictures a second: what comes beyond it costs nothing more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from framecast.core.packet import Format
from framecast.core.stream import Stream
from framecast.wire.jpeg import MAX_BYTES, MAX_PIXELS, Header, Inspector, JpegError, verify_scan

Verify = Literal["auto", "always", "never"]

MOST_PROGRESSIVE_PIXELS = 2_000_000
"""Larger progressive pictures are not decoded in search of damage: with 32 scans, 25 megapixels hold the loop for
0.3 s. No camera is known to send them."""


FULL_FROM = 0.25
"""Of the time of the thread that asks: as long as it rests so much, scans are decoded for the budget's whole share."""
LEAST = 0.25
"""Of that share: taken from a thread that never rests, where each scan costs somebody a picture."""
LOOK_S = 0.1


class ScanBudget:
    """A share of one core for decoding scans, for all cameras together: a token bucket filled by time.

    The share is smaller while the thread that asks is nearly always busy.

    Args:
        share: Share of one core, 0 to 1.
        burst_s: Most CPU seconds saved up.
        now: The time.
        worked: CPU seconds of the thread that asks.

    Attributes:
        covered: Scans that were decoded.
        passed: Scans that were not, for want of budget.
    """

    def __init__(
        self,
        share: float = 0.08,
        burst_s: float = 0.08,
        now: Callable[[], float] = time.perf_counter,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        self.covered = 0
        self.passed = 0
        self._share = self._share_now = share
        self._burst_s = burst_s
        self._now = now
        self._worked = worked
        self._left_s = burst_s
        self._filled_at = self._looked_at = now()
        self._worked_s = worked()

    def begin(self) -> float | None:
        """The time, when there is budget for one more scan; None when there is none."""
        now = self._now()
        if now - self._looked_at >= LOOK_S:
            self._look(now)
        self._left_s = min(self._burst_s, self._left_s + (now - self._filled_at) * self._share_now)
        self._filled_at = now
        if self._left_s <= 0:
            self.passed += 1
            return None
        return now

    def _look(self, now: float) -> None:
        """See how busy the thread was since the last time."""
        worked_s = self._worked()
        idle = 1 - (worked_s - self._worked_s) / (now - self._looked_at)
        self._looked_at, self._worked_s = now, worked_s
        self._share_now = self._share * min(1.0, max(LEAST, idle / FULL_FROM))

    def hold(self) -> None:
        """Let pictures pass on their markers until `release`: what decodes is being imported, for long."""
        self._left_s = -math.inf

    def release(self) -> None:
        """Begin anew, with all that can be saved up."""
        self._left_s, self._filled_at = self._burst_s, self._now()

    def end(self, began: float) -> None:
        """Charge what the scan took."""
        self._left_s -= self._now() - began
        self.covered += 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may be: bytes, and pixels by its header; and how many may come a second (0: any number)."""

    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    max_fps: int = 0


class Rate:
    """Whole pictures a second, with a second's worth let through at once: links that stuttered deliver in bursts.

    Args:
        fps: Most pictures a second, above 0.
    """

    def __init__(self, fps: int) -> None:
        self._interval_ns = 1_000_000_000 // fps
        self._due_ns = 0

    def take(self, now_ns: int) -> bool:
        """Whether the picture that comes at ``now_ns`` may pass."""
        due_ns = max(self._due_ns, now_ns - 1_000_000_000) + self._interval_ns
        if due_ns > now_ns:
            return False
        self._due_ns = due_ns
        return True


class Gate:
    """Checks one camera's pictures and counts what it refuses, by cause, on the stream.

    Args:
        stream: Where causes are counted.
        limits: Largest picture.
        verify: ``auto`` decodes scans while the budget lasts, ``always`` each one, ``never`` none.
        budget: Shared by all cameras.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        limits: Limits | None = None,
        verify: Verify = "auto",
        budget: ScanBudget | None = None,
    ) -> None:
        limits = limits or Limits()
        self._stream = stream
        self._inspector = Inspector(max_bytes=limits.max_bytes, max_pixels=limits.max_pixels)
        self._verify = verify
        self._budget = budget or ScanBudget()
        self._max_bytes = limits.max_bytes
        self._rate = Rate(limits.max_fps) if limits.max_fps else None
        self._coded_rate = Rate(limits.max_fps) if limits.max_fps else None
        self._skipping = ""
        self.cause = ""
        """Why ``check`` refused its last picture but for those it let through."""
        self._header: Header | None = None
        self._format = Format("mjpeg")

    def admits(self, size_bytes: int, *, key: bool) -> bool:
        """Whether an access unit may pass; behind one that may not, all are refused up to the next that needs none."""
        cause = "" if key else self._skipping
        if size_bytes > self._max_bytes:
            cause = "too_many_bytes"
        elif not cause and self._coded_rate is not None and not self._coded_rate.take(self._stream.clock.now_ns()):
            cause = "too_many_pictures"
        self._skipping = cause
        if cause:
            self._stream.refused[cause] += 1
        return not cause

    def check(self, payload: bytes) -> tuple[Format, bytes] | None:
        """The picture's format and its bytes without padding; None when it is refused (``cause`` says why)."""
        try:
            header, jpeg = self._inspector.inspect(payload)
            if self._rate is not None and not self._rate.take(self._stream.clock.now_ns()):
                self._refuse("too_many_pictures")
                return None
            if self._verify == "auto" and not takes_long(header):
                began = self._budget.begin()
                if began is not None:
                    try:
                        verify_scan(jpeg)
                    finally:
                        self._budget.end(began)
            elif self._verify == "auto":
                self._budget.passed += 1
            elif self._verify == "always":
                verify_scan(jpeg)
        except JpegError as error:
            self._refuse(error.fault.value)
            return None
        if len(jpeg) != len(payload):
            self._stream.quirks["padding_after_eoi"] += 1
        if header is not self._header:
            if header.exif_thumbnail and (self._header is None or not self._header.exif_thumbnail):
                self._stream.quirks["exif_thumbnail"] += 1
            if (header.width_px, header.height_px) != (self._format.width_px, self._format.height_px):
                self._format = Format("mjpeg", header.width_px, header.height_px)
            self._header = header
        return self._format, jpeg

    def _refuse(self, cause: str) -> None:
        self.cause = cause
        self._stream.refused[cause] += 1


def takes_long(header: Header) -> bool:
    """Whether decoding a picture in search of damage would hold the loop for too long, whatever budget is left."""
    return header.progressive and header.width_px * header.height_px > MOST_PROGRESSIVE_PIXELS
