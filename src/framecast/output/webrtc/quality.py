"""Which level of quality a WebRTC viewer's path carries, judged by its reception reports.

Theory of operation. Once a second the peer says what share of the packets it lost, and its report tells the time there
and back. *Trouble* is loss of a tenth, or a round trip that has grown by `LATE_S` over the shortest seen: a queue fills
somewhere. Two reports of trouble, or one of great trouble, step down to the best level that fits into what arrived.
After `HOLD_S` without trouble the next level up is tried; when that was too much, the pause before the next try
doubles, up to `LONGEST_PAUSE_S`, so that a path that recovers is used again soon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from framecast.core.ladder import LADDER, Level

LOSS, GREAT_LOSS, CLEAN = 0.1, 0.3, 0.02
LATE_S, VERY_LATE_S = 0.25, 0.7
FLOOR_REPORTS = 60
HOLD_S, LONGEST_PAUSE_S = 2.0, 8.0
TRIED_S = 5.0
"""A step up that is followed by trouble within this time was too much."""
SETTLE_S = 1.5
"""What was sent before a step down has to drain, or to be reported, first."""
FITS = 0.8

# Bytes a pixel at a quality, relative to the source's.
_WEIGHTS = {0: 1.0, 40: 0.45, 60: 0.65, 70: 0.8}


class Controller:
    """Chooses one viewer's level. Times in seconds of a clock that only goes forward.

    Attributes:
        level: Index of the level it is on.
        reason: Why, in words.
    """

    def __init__(self, now_s: float, *, width_px: int = 0, fps: float = 0.0, ladder: Sequence[Level] = LADDER) -> None:
        self.level = 0
        self.reason = "the connection carries everything so far"
        self._ladder = ladder
        self._costs = [_cost(level, width_px or 640, fps or 30.0) for level in ladder]
        self._changed_s = self._trouble_s = now_s
        self._bad = 0
        self._pause_s = HOLD_S
        self._tried_s: float | None = None
        self._trips: deque[float] = deque(maxlen=FLOOR_REPORTS)

    def report(self, now_s: float, *, lost: float, rtt_s: float | None, sent_bps: float) -> bool:
        """The peer has reported; whether `level` is another one now.

        Args:
            lost: Share of packets lost since its last report.
            rtt_s: Time there and back, None where it is not known.
            sent_bps: What it was sent lately.
        """
        over_s = 0.0
        if rtt_s is not None:
            self._trips.append(rtt_s)
            over_s = rtt_s - min(self._trips)
        if lost < LOSS and over_s < LATE_S:
            self._bad = 0
            return lost <= CLEAN and self._step_up(now_s)
        self._bad += 1
        self._trouble_s = now_s
        great = lost >= GREAT_LOSS or over_s >= VERY_LATE_S
        if (self._bad < 2 and not great) or now_s - self._changed_s < SETTLE_S:
            return False
        what = f"{lost:.0%} of the packets are lost" if lost >= LOSS else f"packets are {over_s:.1f} s late"
        return self._step_down(now_s, sent_bps * (1 - lost), sent_bps, what)

    def forgo(self, level: int, reason: str) -> None:
        """Stand on another level than was chosen: that one can't be had."""
        self.level = level
        self.reason = reason

    def _step_down(self, now_s: float, carried_bps: float, sent_bps: float, what: str) -> bool:
        if self._tried_s is not None and now_s - self._tried_s < TRIED_S:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._tried_s = None
        last = len(self._ladder) - 1
        if self.level == last:
            return False
        level = self.level + 1
        while level < last and sent_bps * self._costs[level] / self._costs[self.level] > FITS * carried_bps:
            level += 1
        self._change(now_s, level, what)
        return True

    def _step_up(self, now_s: float) -> bool:
        if self._tried_s is not None and now_s - self._tried_s >= TRIED_S:
            self._tried_s, self._pause_s = None, HOLD_S  # it went well
        if not self.level or now_s - max(self._changed_s, self._trouble_s) < self._pause_s:
            return False
        self._tried_s = now_s
        self._change(now_s, self.level - 1, "nothing is lost any more")
        return True

    def _change(self, now_s: float, level: int, reason: str) -> None:
        self.level = level
        self.reason = reason
        self._changed_s = now_s
        self._bad = 0


def _cost(level: Level, width_px: int, fps: float) -> float:
    """What a level takes, in any unit."""
    width = min(level.width_px or width_px, width_px)
    return width**2 * _WEIGHTS.get(level.quality, 1.0) * min(level.fps or fps, fps)
