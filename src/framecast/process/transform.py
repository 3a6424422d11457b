"""Turning, mirroring and blacking out, before anybody sees the picture.

What a mask covers leaves no trace. JPEG spreads a picture's content over blocks of up to 16 x 16 pixels (32 in 4:1:1)
and interpolates colour between samples, so a mask is widened to whole blocks of the *source* and two pixels more and
filled before anything else is done; the source's metadata (thumbnails too) never goes along. When a picture can't be
decoded nothing goes out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from framecast.core.errors import Misuse
from framecast.core.packet import Packet
from framecast.process.pixels import Decoder, Pixels, block_px, encode
from framecast.process.worker import Made

Mirror = Literal["none", "horizontal", "vertical"]
_MIRRORS = ("none", "horizontal", "vertical")
_INTERPOLATION_PX = 2
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Mask:
    """A rectangle of the picture as viewers see it, in fractions of its width and height.

    Attributes:
        x: Left edge, 0 to 1.
        y: Upper edge, 0 to 1.
        width: Above 0; ``x + width`` at most 1.
        height: Above 0; ``y + height`` at most 1.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.width, self.height)
        if not all(math.isfinite(number) for number in numbers):
            raise Misuse(f"mask {list(numbers)}: numbers from 0 to 1 are wanted")
        if min(self.x, self.y) < 0 or min(self.width, self.height) <= 0:
            raise Misuse(f"mask {list(numbers)}: x and y must be at least 0, width and height above 0")
        if max(self.x + self.width, self.y + self.height) > 1 + _ROUNDING:
            raise Misuse(f"mask {list(numbers)}: x + width and y + height must be at most 1 (fractions, not pixels)")


@dataclass(frozen=True, slots=True)
class Transform:
    """What is done to each picture of a camera: first turned, then mirrored, then masked.

    Attributes:
        rotate: Degrees clockwise: 0, 90, 180 or 270.
        mirror: ``horizontal`` swaps left and right, ``vertical`` top and bottom.
        masks: What nobody may see, in the picture as turned and mirrored.
        quality: JPEG quality of the result.
    """

    rotate: int = 0
    mirror: Mirror = "none"
    masks: tuple[Mask, ...] = ()
    quality: int = 88

    def __post_init__(self) -> None:
        if self.rotate not in (0, 90, 180, 270):
            raise Misuse(f"rotate = {self.rotate!r}: 0, 90, 180 or 270 degrees clockwise are possible")
        if self.mirror not in _MIRRORS:
            raise Misuse(f"mirror = {self.mirror!r}: none, horizontal or vertical are possible")
        if not 1 <= self.quality <= 100:
            raise Misuse(f"quality = {self.quality!r}: 1 to 100 are possible")

    @classmethod
    def of(
        cls, rotate: int = 0, mirror: str = "none", masks: Iterable[Sequence[float]] = (), quality: int = 88
    ) -> Transform:
        """As configuration and API give it: masks as ``[x, y, width, height]``.

        Raises:
            Misuse: Something that can't be done, with what can.
        """
        made = []
        for numbers in masks:
            if len(numbers) != 4:
                raise Misuse(f"mask {list(numbers)}: four numbers are wanted: x, y, width, height")
            made.append(Mask(*(float(number) for number in numbers)))
        return cls(rotate, cast(Mirror, mirror), tuple(made), quality)

    @property
    def is_identity(self) -> bool:
        """Whether nothing is to be done, so that the device's own bytes may pass."""
        return not self.rotate and self.mirror == "none" and not self.masks


class JpegTransform:
    """Makes the pictures of one transform.

    Args:
        spec: What to do.
    """

    def __init__(self, spec: Transform) -> None:
        self._spec = spec
        self._decoder = Decoder(channels=4)

    def make(self, packet: Packet) -> Made:
        """The picture of ``packet``, transformed; raises as `framecast.process.worker.Maker` says."""
        return self.apply(packet.payload)

    def apply(self, jpeg: bytes) -> Made:
        """``jpeg``, transformed.

        Raises:
            Undecodable: Not a whole JPEG.
        """
        spec = self._spec
        pixels = self._decoder.decode(jpeg)
        if spec.masks:
            block = block_px(jpeg)
            for mask in spec.masks:
                _black_out(pixels, block, mask, spec)
        whole = pixels.view(np.uint32)[..., 0]
        if spec.rotate:
            whole = np.rot90(whole, -spec.rotate // 90)
        if spec.mirror == "horizontal":
            whole = whole[:, ::-1]
        elif spec.mirror == "vertical":
            whole = whole[::-1]
        pixels = np.ascontiguousarray(whole)[..., None].view(np.uint8)
        return Made(encode(pixels, spec.quality), pixels.shape[1], pixels.shape[0], 1)


def transform(jpeg: bytes, spec: Transform) -> bytes:
    """``jpeg`` turned, mirrored and masked, as a new JPEG; the same object when ``spec`` asks for nothing.

    Raises:
        Undecodable: Not a whole JPEG.
    """
    return jpeg if spec.is_identity else JpegTransform(spec).apply(jpeg).payload


def _black_out(pixels: Pixels, block: tuple[int, int], mask: Mask, spec: Transform) -> None:
    """Fill, in the source picture, what ``mask`` covers in the shown one, in whole blocks and a little more."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = _in_source(mask, spec)
    x0, x1 = _widened(left * width, right * width, block[0])
    y0, y1 = _widened(top * height, bottom * height, block[1])
    pixels[y0:y1, x0:x1] = 0


def _widened(start: float, end: float, block_px: int) -> tuple[int, int]:
    first = math.floor(start / block_px + _ROUNDING) * block_px - _INTERPOLATION_PX
    last = math.ceil(end / block_px - _ROUNDING) * block_px + _INTERPOLATION_PX
    return max(0, first), last


def _in_source(mask: Mask, spec: Transform) -> tuple[float, float, float, float]:
    """Edges (left, top, right, bottom) of ``mask`` in the picture as the device sends it, in fractions."""
    left, top, right, bottom = mask.x, mask.y, mask.x + mask.width, mask.y + mask.height
    if spec.mirror == "horizontal":
        left, right = 1 - right, 1 - left
    elif spec.mirror == "vertical":
        top, bottom = 1 - bottom, 1 - top
    for _ in range(spec.rotate // 90):
        # One quarter turn back: what is shown at (x, y) came from (y, 1 - x).
        left, top, right, bottom = top, 1 - right, bottom, 1 - left
    return left, top, right, bottom
