"""Turning, mirroring and blacking out, before anybody sees the picture.

What a mask covers leaves no trace. JPEG spreads a picture's content over blocks of up to 16 x 16 pixels (32 in 4:1:1)
and interpolates colour between samples, so a mask is widened to whole blocks of the *source* and two pixels more and
filled before anything else is done; the source's metadata (thumbnails too) never goes along. When a picture can't be
decoded nothing goes out.
"""

from __future__ import annotations

import math

import numpy as np

from framecast.core.packet import Packet
from framecast.process.pixels import Decoder, Pixels, block_px, encode
from framecast.process.transform import Mask, Transform
from framecast.process.worker import Made

_INTERPOLATION_PX = 2
_ROUNDING = 1e-6


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
