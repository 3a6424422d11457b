"""Text in a picture's luma plane, from glyphs drawn once: a line costs one small copy a character."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Plane = NDArray[np.uint8]
_TABULAR = "0123456789"


class Glyphs:
    """A font at one size, drawn over one even background. Digits are all equally wide, so that numbers don't shiver.

    Args:
        height_px: Height of the line, background included.
        text_luma: Luma of the letters.
        ground_luma: Luma of what they stand on.
    """

    def __init__(self, height_px: int, text_luma: int, ground_luma: int) -> None:
        self.height_px = height_px
        self._font = ImageFont.load_default(max(8.0, height_px * 0.5))
        self._text_luma = text_luma
        self._ground_luma = ground_luma
        self._digit_px = max(self._advance(digit) for digit in _TABULAR)
        self._tiles: dict[str, Plane] = {}

    def line(self, text: str) -> Plane:
        """``text`` as a tile (``height_px``, its width) uint8."""
        if not text:
            return np.empty((self.height_px, 0), np.uint8)
        return np.concatenate([self._tile(character) for character in text], axis=1)

    def _tile(self, character: str) -> Plane:
        tile = self._tiles.get(character)
        if tile is None:
            width_px = self._digit_px if character in _TABULAR else self._advance(character)
            picture = Image.new("L", (width_px, self.height_px), self._ground_luma)
            left_px = (width_px - self._advance(character)) // 2
            ImageDraw.Draw(picture).text(
                (left_px, self.height_px // 2), character, fill=self._text_luma, font=self._font, anchor="lm"
            )
            tile = self._tiles[character] = np.asarray(picture, dtype=np.uint8)
        return tile

    def _advance(self, character: str) -> int:
        return max(1, round(self._font.getlength(character)))
