"""What a face is, and what finds and tells faces apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from framecast.vision.detections import Image

Vector = NDArray[np.float32]
"""``(128,) float32``: what a face looks like. Two of one person are near each other."""
VECTOR_BYTES = 512
Points = NDArray[np.float32]
"""``(5, 2) float32``: right eye, left eye, nose, right and left corner of the mouth, in px; right is the person's."""


class FacesUnavailable(Exception):
    """Faces can't be found or known here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture.

    Attributes:
        box: Left, top, right, bottom in px.
        score: How sure the finder is; its own scale.
        points: See there; None where the finder knows none.
    """

    box: tuple[float, float, float, float]
    score: float
    points: Points | None = None

    @property
    def width_px(self) -> float:
        """Of the box."""
        return self.box[2] - self.box[0]

    @property
    def area_px(self) -> float:
        """Of the box."""
        return self.width_px * (self.box[3] - self.box[1])

    def placed(self, scale: float, x_px: float, y_px: float) -> Face:
        """The same in a picture of which this was a part that begins at ``x_px, y_px``, enlarged by ``scale``."""
        left, top, right, bottom = (value / scale for value in self.box)
        points = None if self.points is None else self.points / np.float32(scale) + np.array([x_px, y_px], np.float32)
        return Face((left + x_px, top + y_px, right + x_px, bottom + y_px), self.score, points)


class Finder(Protocol):
    """Finds faces.

    Attributes:
        name: What it is called.
        crop_px: The longer side that suits it, of the part of a picture where a head is.
        photo_px: Longer sides at which to search a whole photograph, one after the other.
        is_quick: Whether it costs so little that it can be asked in every picture.
    """

    name: str
    crop_px: int
    photo_px: tuple[int, ...]
    is_quick: bool

    def find(self, image: Image) -> list[Face]:
        """The faces in ``(H, W, 3) uint8`` BGR."""


class Embedder(Protocol):
    """Tells faces apart.

    Attributes:
        name: What it is called: vectors of another one can't be compared.
        most: Two faces that are no farther from each other than this are one person's.
    """

    name: str
    most: float

    def embed(self, image: Image, face: Face) -> Vector | None:
        """What ``face`` looks like; None where it can't be told. ``image`` as for `Finder.find`."""

    def distances(self, one: Vector, others: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far each of ``(N, 128) float32`` is: ``(N,) float32``, 0 for the same."""
