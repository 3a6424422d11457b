"""Pictures with bright squares in known places, for `tests.vision.tinymodel`."""

from __future__ import annotations

import numpy as np
import simplejpeg

from tests.vision.tinymodel import BLUE, RED, WHITE

COLOURS = {"person": WHITE, "bicycle": RED, "car": BLUE}
GREY = 60


def scene(
    left_px: int = 0,
    top_px: int = 0,
    side_px: int = 24,
    *,
    size: tuple[int, int] = (192, 144),
    label: str = "person",
    grey: int = GREY,
) -> bytes:
    """A JPEG of an even grey with one square on it; none where its side is 0."""
    image = np.full((size[1], size[0], 3), grey, np.uint8)
    image[top_px : top_px + side_px, left_px : left_px + side_px] = COLOURS[label]
    jpeg: bytes = simplejpeg.encode_jpeg(image, 92, "RGB", "444")
    return jpeg
