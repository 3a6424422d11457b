"""Geometry of boxes, as arrays: overlap, suppression, and fitting a picture into a model's input."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from framecast.vision.detections import Boxes, Image

PADDING = 114
"""The grey that YOLO models were trained with round a picture that is not square."""


def areas(boxes: Boxes) -> NDArray[np.float32]:
    """``(…,) float32``, in px²; of a box that is turned inside out 0."""
    result: NDArray[np.float32] = np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(
        boxes[..., 3] - boxes[..., 1], 0
    )
    return result


def shares(one: Boxes, other: Boxes) -> NDArray[np.float32]:
    """Intersection over union of boxes side by side, ``(…, 4)`` that stretch to each other: ``(…,) float32``."""
    # Edge by edge: NumPy is quickest with whole planes.
    wide = np.minimum(one[..., 2], other[..., 2]) - np.maximum(one[..., 0], other[..., 0])
    high = np.minimum(one[..., 3], other[..., 3]) - np.maximum(one[..., 1], other[..., 1])
    common = np.maximum(wide, 0) * np.maximum(high, 0)
    union = areas(one) + areas(other) - common
    # Where there is no union there is nothing in common.
    result: NDArray[np.float32] = common / np.maximum(union, 1e-9)
    return result


def surest(scores: NDArray[np.floating], most: int) -> NDArray[np.int64]:
    """Places of the ``most`` highest scores, in no order: what is compared in pairs has to be bounded before."""
    if len(scores) <= most:
        return np.arange(len(scores))
    return np.argpartition(-scores, most)[:most].astype(np.int64)


def suppress(boxes: Boxes, scores: NDArray[np.float32], classes: NDArray[np.int64], most: float) -> NDArray[np.int64]:
    """Which to keep, the best first: of boxes of one class that overlap by more than ``most`` only the best.

    Args:
        boxes: ``(N, 4) float32``; each has an area.
        scores: ``(N,)``; who has none is left out.
        classes: ``(N,)``.
        most: Intersection over union.
    """
    # OpenCV sets the classes side by side, by the largest coordinate, so that none may be less than 0.
    corners = boxes[:, :2] - boxes.min(initial=0.0)
    corners_and_sides = np.concatenate([corners, boxes[:, 2:] - boxes[:, :2]], axis=1)
    # As lists: OpenCV reads arrays a number at a time, at four times the cost.
    kept = cv2.dnn.NMSBoxesBatched(corners_and_sides.tolist(), scores.tolist(), classes.tolist(), 0.0, most)
    return np.array(kept, np.int64)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture was put into a model's input: scaled, and moved by the padding.

    Attributes:
        scale: Input px per picture px.
        x_px: Padding to the left, in px of the input.
        y_px: Padding above.
        width_px: The picture's.
        height_px: The picture's.
    """

    scale: float
    x_px: int
    y_px: int
    width_px: int
    height_px: int

    def back(self, boxes: Boxes) -> Boxes:
        """Boxes of the input as boxes of the picture, cut at its edges."""
        boxes = boxes - np.array([self.x_px, self.y_px] * 2, np.float32)
        boxes /= np.float32(self.scale)
        np.maximum(boxes, 0, out=boxes)
        return np.minimum(boxes, np.array([self.width_px, self.height_px] * 2, np.float32), out=boxes)


class Letterbox:
    """Puts pictures into a model's input, whole and undistorted, with grey beside them. For one thread at a time.

    Args:
        width_px: The input's.
        height_px: The input's.

    Attributes:
        centred: Whether the grey is on both sides (YOLOv5 and later) or right and below (YOLOX).
    """

    def __init__(self, width_px: int, height_px: int, *, centred: bool = False) -> None:
        self.centred = centred
        # Always the same memory: asking the system for new pages took longer than filling them.
        self._input = np.empty((height_px, width_px, 3), np.uint8)
        self._covered: tuple[int, int, int, int] | None = None

    def __call__(self, image: Image) -> tuple[Image, Fit]:
        """The input, ``(height_px, width_px, 3)``, which holds until the next call, and how the picture lies in it.

        Args:
            image: ``(H, W, 3) uint8``, neither side 0.
        """
        rows, columns = image.shape[:2]
        height, width = self._input.shape[:2]
        scale = min(width / columns, height / rows)
        wide, high = min(width, max(1, round(columns * scale))), min(height, max(1, round(rows * scale)))
        x, y = ((width - wide) // 2, (height - high) // 2) if self.centred else (0, 0)
        if self._covered != (x, y, wide, high):
            self._covered = (x, y, wide, high)
            self._input.fill(PADDING)
        # Into the input's own rows: no copy afterwards.
        into = self._input[y : y + high, x : x + wide]
        if (high, wide) == (rows, columns):
            into[...] = image
        else:
            cv2.resize(image, (wide, high), dst=into)
        return self._input, Fit(scale, x, y, columns, rows)
