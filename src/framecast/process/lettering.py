"""Words as pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

LEAST_PX, MOST_PX = 11, 36
LONGEST = 120
"""Most characters of a text; the rest is left out."""
WIDE_FONT = "DejaVuSans.ttf"
"""Where the system has it, it writes what Pillow's own font has no letters for."""
_LAST_OF_OWN = 0x17F


def size_px(height_px: int, share: float) -> int:
    """Size of letters for a picture of this height."""
    return min(MOST_PX, max(LEAST_PX, round(height_px * share)))


@lru_cache(maxsize=256)
def coverage(text: str, size: int) -> NDArray[np.float32]:
    """How much of each pixel ``text`` covers, 0 to 1: ``(H, W) float32``, of the same height for every text.

    Args:
        size: Of the letters, in px.
    """
    # Pillow fails on some control characters, and one that turns the direction would hide what follows.
    plain = "".join(character if character.isprintable() else " " for character in text[: LONGEST + 1])
    shown = plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"
    font = _font(size, all(ord(character) <= _LAST_OF_OWN for character in shown.removesuffix("…")))
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, round(font.getlength(shown))), ascent + descent))
    ImageDraw.Draw(image).text((0, 0), shown, fill=255, font=font)
    return np.asarray(image, np.float32) / np.float32(255)


@lru_cache(maxsize=16)
def _font(size: int, own: bool) -> Any:
    if not own:
        try:
            return ImageFont.truetype(WIDE_FONT, size)
        except OSError:  # not there: better boxes for letters than no name at all
            pass
    return ImageFont.load_default(size)
