"""Claps: a flash in the picture and a click in the sound at one instant, to measure whether a viewer gets both in step.

The definition, which any program can measure by:

- A clap is at the capture time of the first picture taken in a second of the device's clock. The picture is a
  **flash**: the middle half of its width and height is white (`PATCH`), below the block code, which stays readable.
- The sound holds a **click** whose first sample is the one captured at that time, to the nearest sample: it begins at
  `CLICK_PEAK` on every channel and falls off within `CLICK_S`. The rest of the sound is a tone below `TONE_PEAK`.
- A clap follows the one before by 0.75 s at least. While nobody takes pictures, a click comes at each whole second.

So a picture is a flash where the mean luma inside the patch is above `WHITE`, and a click begins at the first sample
above half of the loudest one, after a quarter of a second without any.
"""

from __future__ import annotations

import math
from collections import deque

PATCH = (0.25, 0.25, 0.75, 0.75)
"""Left, top, right and bottom of the patch, as fractions of the picture."""

WHITE = 235
"""Mean luma (full range) that nothing but a flash has inside the patch."""

CLICK_PEAK = 26_000
TONE_PEAK = 1_000
CLICK_S = 0.02

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000
"""Bounds of a device's sample rate."""

_APART_S = 0.75
_ALONE_S = 2.0
_REMEMBERED = 64


class Claps:
    """Settles when a device claps. Times are seconds of the device's clock; pure.

    Attributes:
        instants: The latest 64.
    """

    def __init__(self) -> None:
        self.instants: deque[float] = deque(maxlen=_REMEMBERED)
        self._pictured_s = -math.inf
        self._heard_s = -math.inf

    def picture(self, taken_s: float) -> bool:
        """A picture is taken; whether it is a flash."""
        before_s = self._pictured_s
        self._pictured_s = taken_s
        if taken_s < before_s:  # the device has started again
            self.instants.clear()
            return False
        if before_s == -math.inf or math.floor(taken_s) == math.floor(before_s):
            return False
        return self._clap(taken_s)

    def clicks(self, start_s: float, end_s: float) -> list[float]:
        """The instants of the claps from ``start_s`` to before ``end_s``, which is over."""
        if start_s < self._heard_s - _ALONE_S:  # the device has started again
            self.instants.clear()
            self._pictured_s = -math.inf
        self._heard_s = end_s
        whole_s = math.ceil(start_s)
        # A chunk may be made late, when pictures from after its end have been taken already: they count too.
        if whole_s < end_s and self._pictured_s < whole_s - _ALONE_S:
            self._clap(float(whole_s))
        return [instant for instant in self.instants if start_s <= instant < end_s]

    def _clap(self, instant_s: float) -> bool:
        if self.instants and 0 <= instant_s - self.instants[-1] < _APART_S:
            return False
        self.instants.append(instant_s)
        return True
