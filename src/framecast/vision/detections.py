"""What was seen in a picture.

Boxes are in pixels of the picture that was looked at, as the camera sent it: ``(x, y, width, height)``, x to the right,
y down, from the top left corner. On the wire they are fractions of the picture, so that they fit any rendition of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""``(H, W, 3) uint8, BGR``: what OpenCV and the models of this field are made for."""
Boxes = NDArray[np.float32]
"""``(N, 4) float32``: left, top, right, bottom in px."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing in one picture.

    Attributes:
        label: What it is: ``person``, ``car``, ``face``, ``motion``.
        score: How sure the model is, 0 to 1.
        left_px: The box's left edge, in px of the picture as the camera sent it.
        top_px: Its top edge.
        right_px: Its right edge; never left of ``left_px``.
        bottom_px: Its bottom edge.
        track: Number of the same thing over pictures, from 1; 0 while it has none.
        name: Who it is, where that is known.
    """

    label: str
    score: float
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    track: int = 0
    name: str = ""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in px."""
        return self.left_px, self.top_px, self.right_px, self.bottom_px

    @property
    def foot(self) -> tuple[float, float]:
        """Where it stands: the middle of the lower edge, in px."""
        return (self.left_px + self.right_px) / 2, self.bottom_px

    def moved(self, x_px: float, y_px: float) -> Detection:
        """The same in a larger picture, of which this was a part that begins at ``x_px, y_px``."""
        return replace(
            self,
            left_px=self.left_px + x_px,
            top_px=self.top_px + y_px,
            right_px=self.right_px + x_px,
            bottom_px=self.bottom_px + y_px,
        )
