"""Faces by YuNet and whose they are by SFace: OpenCV's own, once their files are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from framecast.vision.catalog import why_not
from framecast.vision.detections import Image
from framecast.vision.faces.face import Face, FacesUnavailable, Vector

SURE = 0.7
OVERLAP = 0.3
SFACE_MOST = 0.637
"""One less the cosine of 0.363 that OpenCV states for SFace."""


class YunetFinder:
    """Finds faces from some 10 px on. Called from one thread at a time.

    Raises:
        FacesUnavailable: The file is not that model.
    """

    name = "yunet"
    crop_px = 256
    photo_px: tuple[int, ...] = (640, 1280)
    is_quick = True

    def __init__(self, path: Path) -> None:
        _check(path)
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (64, 64), SURE, OVERLAP, 200)
            self.find(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            raise FacesUnavailable(f"{path}: not YuNet: {_reason(error)}") from None

    def find(self, image: Image) -> list[Face]:
        """See `Finder`."""
        rows, columns = image.shape[:2]
        self._net.setInputSize((columns, rows))
        found: Any = self._net.detect(image)[1]  # None where there is no face, whatever the stubs say
        return [] if found is None else [_face(row, columns, rows) for row in found if np.isfinite(row).all()]


class SfaceEmbedder:
    """Tells faces apart that YuNet found. Called from one thread at a time.

    Raises:
        FacesUnavailable: The file is not that model.
    """

    name = "sface"
    most = SFACE_MOST

    def __init__(self, path: Path) -> None:
        _check(path)
        try:
            self._net = cv2.FaceRecognizerSF.create(str(path), "")
            size = self._net.feature(np.zeros((112, 112, 3), np.uint8)).size
        except cv2.error as error:
            raise FacesUnavailable(f"{path}: not SFace: {_reason(error)}") from None
        if size != 128:
            raise FacesUnavailable(f"{path}: not SFace: it gives {size} numbers, not 128")

    def embed(self, image: Image, face: Face) -> Vector | None:
        """See `Embedder`."""
        if face.points is None:
            return None
        left, top, right, bottom = face.box
        row = np.array([left, top, right - left, bottom - top, *face.points.ravel(), face.score], np.float32)
        vector: Vector = self._net.feature(self._net.alignCrop(image, row[None])).ravel().astype(np.float32)
        length = float(np.linalg.norm(vector))
        return vector / np.float32(length) if np.isfinite(length) and length > 0 else None

    def distances(self, one: Vector, others: NDArray[np.float32]) -> NDArray[np.float32]:
        """One less the cosine."""
        result: NDArray[np.float32] = 1 - others @ one
        return result


def _face(row: NDArray[np.float32], columns: int, rows: int) -> Face:
    left, top, width, height = row[:4].tolist()
    box = (max(0.0, left), max(0.0, top), min(float(columns), left + width), min(float(rows), top + height))
    return Face(box, float(row[14]), row[4:14].reshape(5, 2).astype(np.float32))


def _check(path: Path) -> None:
    reason = why_not(path)
    if reason:
        raise FacesUnavailable(f"{path}: {reason}")


def _reason(error: cv2.error) -> str:
    return (str(error).splitlines() or ["OpenCV refuses it"])[0][:300]
