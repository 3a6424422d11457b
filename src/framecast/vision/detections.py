"""What was seen in a picture.

Boxes are in pixels of the picture that was looked at, as the camera sent it: ``(x, y, width, height)``, x to the right,
y down, from the top left corner. On the wire they are fractions of the picture, so that they fit any rendition of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""``(H, W, 3) uint8, BGR``: what OpenCV and the models of this field are made for."""
Boxes = NDArray[np.float32]
"""``(N, 4) float32``: left, top, right, bottom in px."""
FAINT = 0.1
"""What the tracker can still use; below it is noise."""


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
        group: Number of the same unknown face over time; 0 for none.
        sure: Whether it was surely seen in this picture; else it is too faint to begin with, and ``score`` is the last
            one that was sure.
    """

    label: str
    score: float
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    track: int = 0
    name: str = ""
    group: int = 0
    sure: bool = True

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
        left, top, right, bottom = self.box
        return Detection(
            self.label,
            self.score,
            left + x_px,
            top + y_px,
            right + x_px,
            bottom + y_px,
            self.track,
            self.name,
            self.group,
            self.sure,
        )


class Detector(Protocol):
    """Whatever finds things in pictures, for several cameras. Called from one thread at a time.

    Attributes:
        name: What it is called where models are named.
        form: Which kind of detector it is, for people.
        provider: What it runs on: ``CPU``, ``CUDA``, …
        labels: What it can find.
        input_px: Width and height at which it looks: it sees no more in a larger picture.
    """

    @property
    def name(self) -> str: ...
    @property
    def form(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def input_px(self) -> tuple[int, int]: ...

    def detect(self, image: Image, wanted: frozenset[str] = ..., least: float = ...) -> list[Detection]:
        """What is in ``image``, ``(H, W, 3) uint8`` BGR, the surest first.

        Args:
            image: Neither side 0.
            wanted: Only these labels; all when empty.
            least: Only what has this score or more, 0 to 1.
        """
        ...
