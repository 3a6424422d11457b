"""Which size and quality fits into so many bytes.

Theory of operation. A ladder of rungs (width, quality) goes from what was asked down to a small, coarse picture. A
fitter stands on one rung: each picture is first made there. Too large: it steps down at once, as far as a model of JPEG
sizes says, and tries again until it fits, so that no picture ever exceeds the limit. It steps up one rung only after a
run of pictures that the model says would have fitted there too; when that fails, the next run must be longer. So a
steady scene costs one encode a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from framecast.core.rendition import QUALITIES, WIDTHS_PX

# Bytes a pixel at a quality, relative to quality 80, measured on street and room pictures. Only ratios matter.
_BYTES_AT = {
    10: 0.22,
    20: 0.34,
    30: 0.44,
    40: 0.52,
    50: 0.6,
    60: 0.68,
    70: 0.81,
    80: 1.0,
    85: 1.17,
    90: 1.46,
    95: 2.1,
    100: 4.1,
}
_NARROWED_QUALITIES = (50, 40, 30)
_LAST_QUALITIES = (20, 10)
_HEADER_BYTES = 620
_FIRST_RUN = 15
_LONGEST_RUN = 480
_SAFE_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Rung:
    """One size and quality."""

    width_px: int
    quality: int


def rungs(width_px: int, quality: int) -> tuple[Rung, ...]:
    """The ladder from ``width_px`` and ``quality`` down: first coarser, then narrower."""
    steps = [Rung(width_px, quality)]
    steps += [Rung(width_px, each) for each in reversed(QUALITIES) if each < quality]
    for width in reversed(WIDTHS_PX):
        if width < width_px:
            steps += [Rung(width, each) for each in _NARROWED_QUALITIES if each <= quality]
    steps += [Rung(steps[-1].width_px, each) for each in _LAST_QUALITIES if each < quality]
    return tuple(steps)


def _weight(rung: Rung) -> float:
    """Expected bytes of a picture at ``rung``, up to a factor."""
    quality = rung.quality
    below = max((each for each in _BYTES_AT if each <= quality), default=10)
    above = min((each for each in _BYTES_AT if each >= quality), default=100)
    share = (quality - below) / (above - below) if above > below else 0.0
    return rung.width_px**2 * (_BYTES_AT[below] + share * (_BYTES_AT[above] - _BYTES_AT[below]))


class Fitter:
    """Remembers which rung fits.

    Args:
        max_bytes: What a picture may take.
        ladder: As `rungs` gives it, not empty.
    """

    def __init__(self, max_bytes: int, ladder: tuple[Rung, ...]) -> None:
        self.max_bytes = max_bytes
        self.ladder = ladder
        self._at = 0
        self._roomy = 0
        self._run = _FIRST_RUN
        self._trying_up = False

    @property
    def rung(self) -> Rung:
        """Where the next picture is tried."""
        return self.ladder[self._at]

    def fits(self, size_bytes: int) -> bool:
        """Whether a picture made at `rung` may go out; when not, `rung` is now a lower one, or `exhausted`."""
        if size_bytes <= self.max_bytes:
            self._settle(size_bytes)
            return True
        if self._trying_up:
            self._run = min(_LONGEST_RUN, self._run * 2)
            self._trying_up = False
        self._roomy = 0
        failed = self.rung
        self._at += 1
        while self._at < len(self.ladder) - 1 and self._expected(size_bytes, failed, self.rung) > self.max_bytes:
            self._at += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether the last rung failed too."""
        return self._at >= len(self.ladder)

    def restart(self) -> None:
        """Stand on the last rung again after all have failed: the next picture may be simpler."""
        self._at = len(self.ladder) - 1

    def _settle(self, size_bytes: int) -> None:
        if self._trying_up:
            self._trying_up = False
            self._run = max(_FIRST_RUN, self._run // 2)
        if self._at == 0:
            return
        above = self.ladder[self._at - 1]
        if self._expected(size_bytes, self.rung, above) > _SAFE_SHARE * self.max_bytes:
            self._roomy = 0
            return
        self._roomy += 1
        if self._roomy >= self._run:
            self._roomy = 0
            self._at -= 1
            self._trying_up = True

    @staticmethod
    def _expected(size_bytes: int, at: Rung, other: Rung) -> float:
        scan = max(0, size_bytes - _HEADER_BYTES)
        return _HEADER_BYTES + scan * _weight(other) / _weight(at)
