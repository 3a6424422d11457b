"""Photographs of people that lie inside packages, and pictures of a camera before which they stand."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from matplotlib import cbook
from skimage import data

from framecast.vision.detections import Detection, Image

SIZE_PX = (480, 360)
FRAME_PX = 8


@functools.cache
def astronaut() -> Image:
    """Eileen Collins, whole: ``(512, 512, 3)``."""
    return np.ascontiguousarray(data.astronaut()[..., ::-1])


@functools.cache
def hopper() -> Image:
    """Grace Hopper, whole: ``(600, 512, 3)``."""
    image = cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    assert image is not None
    return np.asarray(image, np.uint8)


def astronaut_close() -> Image:
    """Another crop of her: the head alone, ``(240, 200, 3)``."""
    return astronaut()[20:260, 120:320]


def hopper_close() -> Image:
    """Another crop of her: the head alone, made as small as the other, ``(225, 200, 3)``."""
    return shrunk(hopper()[40:400, 90:410], 200 / 320)


def shrunk(image: Image, scale: float) -> Image:
    """The same at another size."""
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def lit(image: Image, gain: float) -> Image:
    """The same in other light."""
    return np.clip(image.astype(np.float32) * gain, 0, 255).astype(np.uint8)


def jpeg(image: Image) -> bytes:
    """As a camera sends it."""
    done, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return coded.tobytes()


def before_camera(who: Image, x_px: int, y_px: int) -> Image:
    """Somebody in a white frame, by which the tiny model sees a person, before a grey wall."""
    width, height = SIZE_PX
    picture = np.full((height, width, 3), 90, np.uint8)
    rows, columns = who.shape[:2]
    picture[y_px : y_px + rows + 2 * FRAME_PX, x_px : x_px + columns + 2 * FRAME_PX] = 255
    picture[y_px + FRAME_PX :, x_px + FRAME_PX :][:rows, :columns] = who
    return picture


def framed(who: Image, x_px: int, y_px: int, track: int = 1) -> Detection:
    """What the model sees of that."""
    rows, columns = who.shape[:2]
    return Detection("person", 0.9, x_px, y_px, x_px + columns + 2 * FRAME_PX, y_px + rows + 2 * FRAME_PX, track)
