"""People without any model file: OpenCV's own (histograms of oriented gradients: Dalal and Triggs, 2005).

The last resort. It sees people who stand or walk, are whole in the picture and at least 60 px high in it, and takes a
lamp post for one now and then. Nothing else is known to it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from framecast.vision.boxes import suppress, surest
from framecast.vision.detections import FAINT, Boxes, Detection, Image

LABEL = "person"
SIDE_PX = 640
"""Pictures are made so large, from below as from above: the work grows with their area."""
ENLARGED = 2.0
"""At most: people who are smaller than the window are seen in an enlarged picture."""
SMALLEST_PX = (64, 128)
"""The detector's window: nothing that is smaller in the picture can be seen."""
STRIDE_PX = (8, 8)
SCALE = 1.08
"""Between the sizes that are looked for."""
OVERLAP = 0.4
CANDIDATES = 300
"""Windows that are compared with each other; a picture that is made for it has someone in each of thousands."""
SHARE = (0.60, 0.84)
"""How much of a window's width and height the person in it takes: the window has a wide margin."""
STEEPNESS = 2.5
EVEN = 0.45
"""The margin (distance to the SVM's plane) that is given a score of a half: from there on it is right more often."""


class HogPeople:
    """Finds people who stand upright. May be called from several threads.

    Attributes:
        name: What it is called where models are named.
        input_px: Smaller parts of a picture are enlarged no further.
        labels: ``person``.
        provider: It runs on the CPU.
        form: What it is, for people.
    """

    name = "hog"
    input_px = (int(SIDE_PX / ENLARGED), int(SIDE_PX / ENLARGED))
    labels = (LABEL,)
    provider = "CPU"
    form = "HOG"

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def detect(self, image: Image, wanted: frozenset[str] = frozenset(), least: float = FAINT) -> list[Detection]:
        """The people in ``image``, ``(H, W, 3) uint8`` BGR, the surest first; none where people are not wanted."""
        if wanted and LABEL not in wanted:
            return []
        high, wide = image.shape[:2]
        scale = min(ENLARGED, SIDE_PX / max(high, wide))
        if scale != 1:
            size = (max(1, round(wide * scale)), max(1, round(high * scale)))
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            image = cv2.resize(image, size, interpolation=how).astype(np.uint8, copy=False)
        if image.shape[1] < SMALLEST_PX[0] or image.shape[0] < SMALLEST_PX[1]:
            return []
        rectangles, sure = self._hog.detectMultiScale(image, winStride=STRIDE_PX, scale=SCALE, groupThreshold=0)
        if not len(rectangles):
            return []
        margins = np.ravel(np.asarray(sure, np.float32))
        chosen = surest(margins, CANDIDATES)
        windows = np.asarray(rectangles, np.float32)[chosen]
        middle = windows[:, :2] + windows[:, 2:] / 2
        half = windows[:, 2:] * np.array(SHARE, np.float32) / 2
        spans = np.concatenate([middle - half, middle + half], axis=1) / np.float32(scale)
        edges = np.array([wide, high, wide, high], np.float32)
        boxes: Boxes = np.clip(spans, 0, edges).astype(np.float32)
        scores = np.array([_score(float(margin)) for margin in margins[chosen]], np.float32)
        order = suppress(boxes, scores, np.zeros(len(boxes), np.int64), OVERLAP)
        return [
            Detection(LABEL, float(scores[index]), *boxes[index].tolist()) for index in order if scores[index] >= least
        ]


def _score(margin: float) -> float:
    return 1 / (1 + math.exp(-STEEPNESS * (margin - EVEN)))
