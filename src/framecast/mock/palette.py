"""Colours of the synthetic pictures: calm, and different for each name.

Colours are chosen in OKLCH (lightness, chroma, hue), where equal steps look equal, and turned into the full-range
YCbCr of JFIF, in which pictures are drawn.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HUES = (330.0, 262.0, 155.0, 215.0, 350.0, 52.0, 240.0, 295.0, 25.0, 185.0)
"""Hues (degrees) to choose from: cool ones more than warm ones, and nothing between 60 and 150, which turns to mud."""


@dataclass(frozen=True, slots=True)
class Palette:
    """YCbCr colours, each (3,) float32, 0 to 255."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    light: NDArray[np.float32]
    near: NDArray[np.float32]
    far: NDArray[np.float32]
    accent: NDArray[np.float32]
    bar: NDArray[np.float32]
    text: NDArray[np.float32]


def for_name(name: str) -> float:
    """The hue (degrees) that belongs to a camera's name."""
    return HUES[zlib.crc32(name.encode()) % len(HUES)]


def palette(hue_deg: float) -> Palette:
    """The colours of one picture."""
    return Palette(
        low=ycbcr(0.27, 0.055, hue_deg),
        high=ycbcr(0.60, 0.085, hue_deg + 38),
        light=ycbcr(0.82, 0.070, hue_deg + 70),
        near=ycbcr(0.74, 0.085, hue_deg - 25),
        far=ycbcr(0.42, 0.075, hue_deg + 12),
        accent=ycbcr(0.84, 0.120, hue_deg + 165),
        bar=ycbcr(0.17, 0.020, hue_deg),
        text=ycbcr(0.95, 0.008, hue_deg),
    )


def ycbcr(lightness: float, chroma: float, hue_deg: float) -> NDArray[np.float32]:
    """An OKLCH colour (Ottosson, "A perceptual color space for image processing") as full-range BT.601 YCbCr."""
    hue = math.radians(hue_deg)
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red, green, blue = (
        _companded(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _companded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _companded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.array([luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402], np.float32)


def _companded(linear: float) -> float:
    """Linear light (0 to 1, clipped) as an sRGB value, 0 to 255."""
    linear = min(max(linear, 0.0), 1.0)
    return 255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)
