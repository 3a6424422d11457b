"""How far looks are apart, as they come: rarer than asked for where pictures are rare, or a machine has much to do."""

from __future__ import annotations

import math

RARE_S = 30.0
"""Looks that are further apart say nothing of the time between them."""


class Pace:
    """The pause between the looks at one camera.

    Attributes:
        pause_s: As it is now; 0 before the third look, and where looks are rarer than `RARE_S`.
    """

    def __init__(self) -> None:
        self.pause_s = 0.0
        self._looked_s = -math.inf
        self._last_s = 0.0

    def look(self, now_s: float) -> None:
        """Count a look, at ``now_s`` by any clock."""
        pause_s = now_s - self._looked_s
        least_s = min(pause_s, self._last_s)  # one long pause is no pace
        self._looked_s, self._last_s = now_s, pause_s
        self.pause_s = least_s if 0.0 < least_s <= RARE_S else 0.0
