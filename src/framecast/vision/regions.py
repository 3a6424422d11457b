"""Which part of a picture the model looks at.

A model has an input of one size, so whatever it is given is scaled to that. Looking only where something moved, or
where a known thing should be, shows far people larger at the same cost; looking nowhere costs nothing. One look is
taken a picture, so that what detection costs is known: the rectangle round everything of interest, widened to the
input's shape. Now and then the whole picture is looked at, for what stands still and was never seen to come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from framecast.vision.detections import Boxes

MARGIN = 0.15
"""Of its sides, round what is of interest: a model wants to see some of the surroundings."""
WHOLE_EVERY_S = 10.0
KNOWN_EVERY_S = 1.0
"""Known things that don't move are looked at this often, to know that they are still there."""
NEARLY_WHOLE = 0.8
"""A part that is so much of the picture saves nothing over the whole."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture, in whole px of it."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


class Gaze:
    """Chooses where to look in the pictures of one camera.

    Args:
        input_px: Width and height of the model's input: no part is smaller, since enlarged pixels tell nothing.
        whole_every_s: How often to look at everything.
    """

    def __init__(self, input_px: tuple[int, int], whole_every_s: float = WHOLE_EVERY_S) -> None:
        self._input_px = input_px
        self._whole_every_s = whole_every_s
        self._whole_s = -math.inf
        self._looked_s = -math.inf

    def where(self, size_px: tuple[int, int], moved: Boxes, known: Boxes, now_s: float) -> Region | None:
        """The part to look at, or None where there is nothing to see.

        Args:
            size_px: Width and height of the picture.
            moved: ``(N, 4) float32``, what moved, in px of the picture.
            known: ``(N, 4) float32``, where known things should be.
            now_s: Time by the pictures' own clock.
        """
        whole = Region(0, 0, *size_px)
        if now_s < self._looked_s:  # the clock began anew
            self._whole_s = self._looked_s = -math.inf
        if now_s - self._whole_s >= self._whole_every_s:
            self._whole_s = self._looked_s = now_s
            return whole
        if not len(moved) and (not len(known) or now_s - self._looked_s < KNOWN_EVERY_S):
            return None
        self._looked_s = now_s
        part = around(np.concatenate([moved, known]), size_px, self._input_px)
        if part.width_px * part.height_px >= NEARLY_WHOLE * size_px[0] * size_px[1]:
            self._whole_s = now_s
            return whole
        return part


def around(boxes: Boxes, size_px: tuple[int, int], input_px: tuple[int, int]) -> Region:
    """The smallest part of a picture of ``size_px`` with all ``boxes`` and a margin, as near to the input's shape as
    the picture allows."""
    # Plain numbers: NumPy takes longer to be asked than to reckon with two.
    low = [min(max(edge, 0.0), most) for edge, most in zip(boxes[:, :2].min(axis=0).tolist(), size_px, strict=True)]
    high = [min(max(edge, 0.0), most) for edge, most in zip(boxes[:, 2:].max(axis=0).tolist(), size_px, strict=True)]
    sides = [
        max((end - start) * (1 + 2 * MARGIN), min(least, most))
        for start, end, least, most in zip(low, high, input_px, size_px, strict=True)
    ]
    shape = input_px[0] / input_px[1]
    sides = [max(sides[0], sides[1] * shape), max(sides[1], sides[0] / shape)]
    width, height = (min(math.ceil(side), most) for side, most in zip(sides, size_px, strict=True))
    left, top = (
        int(min(max(0.0, (start + end - side) / 2), most - side))
        for start, end, side, most in zip(low, high, (width, height), size_px, strict=True)
    )
    return Region(left, top, width, height)
