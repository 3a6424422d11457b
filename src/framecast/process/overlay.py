"""Text in the picture: the frame id, small, at the bottom left, on a dark plate.

Top left stays free: synthetic cameras carry a block code there.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from framecast.process.pixels import Pixels

_ALPHABET = "#0123456789"
_MIN_TEXT_PX = 11
_MAX_TEXT_PX = 36
_TEXT_PER_HEIGHT = 1 / 20
_PLATE_SHARE = 0.35
"""How much of the picture shines through the plate."""


def draw_frame_id(pixels: Pixels, frame_id: int) -> None:
    """Write ``#frame_id`` into ``pixels``, in place; a picture too small for legible text stays as it is."""
    height, width = pixels.shape[:2]
    size = min(_MAX_TEXT_PX, max(_MIN_TEXT_PX, round(height * _TEXT_PER_HEIGHT)))
    glyphs = _glyphs(size)
    text = np.concatenate([glyphs[character] for character in f"#{frame_id}"], axis=1)
    pad = max(2, size // 4)
    plate_h, plate_w = text.shape[0] + 2 * pad, text.shape[1] + 2 * pad
    if plate_h > height // 3 or plate_w > width:
        return
    plate = pixels[height - plate_h :, :plate_w]
    cover = np.zeros((plate_h, plate_w, 1), np.float32)
    cover[pad:-pad, pad:-pad, 0] = text
    dark = plate * _PLATE_SHARE
    plate[:] = (dark + (255.0 - dark) * cover).astype(np.uint8)


@lru_cache(maxsize=8)
def _glyphs(size_px: int) -> dict[str, NDArray[np.float32]]:
    """Coverage of each character, 0..1, all of the same height and digits of the same width."""
    font = ImageFont.load_default(size_px)
    boxes = [font.getbbox(character) for character in _ALPHABET]
    top, bottom = int(min(box[1] for box in boxes)), int(max(box[3] for box in boxes))
    advance = max(round(font.getlength(character)) for character in _ALPHABET)
    glyphs = {}
    for character in _ALPHABET:
        image = Image.new("L", (advance, bottom - top))
        ImageDraw.Draw(image).text((0, -top), character, fill=255, font=font)
        glyphs[character] = np.asarray(image, np.float32) / np.float32(255)
    return glyphs
