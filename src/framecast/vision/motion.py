"""Where something moves: cheap, and without a model.

Theory of operation. A small grey picture (a quarter of the camera's sides, decoded at that size) is compared with what
the scene looked like lately: a running mean that follows slowly, so that leaves and sensor noise sink into it. The
noise is measured in each picture (the median difference of every fourth px each way), and only what differs by more
than that is movement. Neighbouring spots become one box, if there is more to them than specks. When nearly everything
differs at once, or half of the picture by far more than its noise, the light or the exposure changed, or the camera was
turned: no place is reported, and the scene is learned anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from framecast.vision.detections import Boxes

Grey = NDArray[np.uint8]
"""``(H, W) uint8``."""

SCENE_S = 4.0
"""A thing that stands still is part of the scene after about so long."""
LEAST_DIFFERENCE = 10.0
NOISES = 6.0
"""A difference counts from so many times the picture's own noise on."""
SMALLEST_SHARE = 0.0006
"""Of the picture; smaller spots are no thing that anybody asks for."""
FEWEST = 12
"""In px of the small picture: of so many at least a thing consists."""
WHOLE_SHARE = 0.6
"""When more of the picture differs, it was not a thing that moved."""
SAMPLED_PX = 4
"""Every so many px each way are looked at for the noise, in all but the smallest pictures."""
NEIGHBOURS = np.ones((9, 9), np.uint8)
"""Spots whose surroundings of so many px touch are of one thing."""
SUDDEN = 3.0
"""Half of the picture differs by so many times the noise that is usual: that is no noise."""
USUAL = 0.1
SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Movement:
    """What moved between the scene and a picture.

    Attributes:
        boxes: ``(N, 4) float32``: left, top, right, bottom, in px of the small picture; the largest first.
        share: Of the picture that differs, 0 to 1.
        turned: Nearly everything differs: the light or the view changed.
    """

    boxes: Boxes
    share: float
    turned: bool = False


NOTHING = Movement(np.zeros((0, 4), np.float32), 0.0)


class MotionFinder:
    """Compares each small grey picture of one camera with the scene before it.

    Args:
        least_difference: In grey levels, on top of the noise. Lower finds more.
        smallest_share: Smaller spots are left out.
    """

    def __init__(self, least_difference: float = LEAST_DIFFERENCE, smallest_share: float = SMALLEST_SHARE) -> None:
        self._least = least_difference
        self._smallest_share = smallest_share
        self._scene: NDArray[np.float32] | None = None
        self._at_s = 0.0
        self._settled_s = -math.inf
        self._noise: float | None = None

    def find(self, grey: Grey, now_s: float) -> Movement:
        """What moved. The first picture, and one of another size, only says what the scene is.

        Args:
            grey: ``(H, W) uint8``; kept by nobody afterwards.
            now_s: Its time, by the pictures' own clock.
        """
        calm = cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32)
        passed_s = now_s - self._at_s
        self._at_s = now_s
        if self._scene is None or self._scene.shape != calm.shape or passed_s < 0:
            self._scene = calm
            self._noise = None
            self._settled_s = now_s + SETTLE_S
            return NOTHING
        difference = cv2.absdiff(calm, self._scene)
        step = SAMPLED_PX if min(difference.shape) >= 8 * SAMPLED_PX else 1
        noise = _middle(difference[::step, ::step])
        moved = (difference > np.float32(max(self._least, NOISES * noise))).view(np.uint8)
        share = cv2.countNonZero(moved) / moved.size
        usual = noise if self._noise is None else self._noise
        if share > WHOLE_SHARE or noise > max(self._least, SUDDEN * usual):
            self._scene = calm
            self._settled_s = now_s + SETTLE_S
            return Movement(NOTHING.boxes, max(share, 0.5), turned=True)
        self._noise = usual + USUAL * (noise - usual)
        # While it settles the scene follows at once; afterwards as slowly as things that stop may take.
        pace = 0.5 if now_s < self._settled_s else 1 - math.exp(-passed_s / SCENE_S)
        cv2.accumulateWeighted(calm, self._scene, pace)
        return Movement(self._boxes(moved), share)

    def _boxes(self, moved: Grey) -> Boxes:
        joined = cv2.dilate(moved, NEIGHBOURS)
        # Short numbers: after the dilation there are far fewer spots than 65,536, in pictures of any size.
        count, numbers, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8, ltype=cv2.CV_16U)
        if count <= 1:
            return NOTHING.boxes
        # Joining makes a spot of each speck: what counts is how much there was before.
        sizes = np.bincount(numbers[moved.view(np.bool_)], minlength=count)
        found = stats[1:][sizes[1:] >= max(FEWEST, self._smallest_share * moved.size)]
        found = found[np.argsort(-found[:, cv2.CC_STAT_AREA], kind="stable")]
        left, top = found[:, cv2.CC_STAT_LEFT], found[:, cv2.CC_STAT_TOP]
        right, bottom = left + found[:, cv2.CC_STAT_WIDTH], top + found[:, cv2.CC_STAT_HEIGHT]
        boxes: Boxes = np.stack([left, top, right, bottom], axis=1).astype(np.float32)
        return boxes


def _middle(values: NDArray[Any]) -> float:
    """The median, to the next value above it."""
    flat = values.ravel()
    return float(np.partition(flat, flat.size // 2)[flat.size // 2])
