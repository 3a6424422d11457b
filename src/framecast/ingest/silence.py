"""How long a camera may be silent before it is news, and why it is: that depends on how often its pictures come.

Pure: nothing here reads a clock. All times are seconds of one that only moves forward.
"""

from __future__ import annotations

from math import inf

from framecast.ingest.codes import TABLE
from framecast.wire.jpeg import Fault

SHORTEST_S = 2.0
"""Shorter silences are normal for all cameras."""
LONGEST_GAP_S = 10.0
"""As such a gap counts an absence, of whatever length."""
LONGEST_INTERVAL_S = 600.0
"""Some devices push one picture in so long."""

_FOR_GOOD = "not_multipart"
_REFUSALS = frozenset({*(fault.value for fault in Fault), _FOR_GOOD})


class Silence:
    """One camera's silence, and what is normal of it.

    Attributes:
        interval_s: From one picture to the next, about.
    """

    def __init__(self) -> None:
        self.interval_s = 0.0
        self._heard_at = -inf
        self._gap_s = 0.0
        self._refused: tuple[float, str] = (-inf, "")

    def begin(self, now: float) -> None:
        """Count from here on, as if something had come."""
        self._heard_at = now
        self._refused = (-inf, "")

    def refused(self, now: float, cause: str) -> None:
        """Something came that could not be shown; causes that say nothing about pictures are passed over."""
        if cause in _REFUSALS:
            self._refused = (now, cause)

    def heard(self, now: float) -> None:
        """A picture came. Two long gaps in a row are the camera's pace; a single one may have been an absence."""
        before_s, self._gap_s = self._gap_s, self.at(now) if self._heard_at > -inf else 0.0
        mean_s = self.interval_s + (min(self._gap_s, LONGEST_GAP_S) - self.interval_s) / 8
        self.interval_s = max(mean_s, min(before_s, self._gap_s, LONGEST_INTERVAL_S))
        self.begin(now)

    def at(self, now: float) -> float:
        """How long nothing has come that could be shown; infinite before anything did."""
        return now - self._heard_at

    def why(self, now: float) -> str:
        """Why nothing has come, in words, where something does come and is refused; else empty."""
        refused_at, cause = self._refused
        if not cause or (cause != _FOR_GOOD and now - refused_at > self.normal_s):
            return ""
        title = TABLE[cause].title
        return title[0].lower() + title[1:]

    @property
    def normal_s(self) -> float:
        """How long is normal."""
        return max(SHORTEST_S, 3 * self.interval_s)
