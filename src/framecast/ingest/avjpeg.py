"""Decoded pictures to JPEGs, without the way through RGB.

JPEG keeps luma and colour over the full range and by BT.601; video mostly keeps a limited range, and large pictures
BT.709. Both are converted, or greys would come out pale and reds orange.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import simplejpeg
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

_UNSPECIFIED = 2
_HD_FROM_PX = 720


class JpegEncoder:
    """Encodes the frames of one stream.

    Args:
        quality: 1-100.
    """

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._reformatter = VideoReformatter()

    def encode(self, frame: VideoFrame) -> bytes:
        """``frame`` as a baseline JPEG with 4:2:0 colour."""
        if not _is_jpeg_colour(frame):
            frame = self._reformatter.reformat(
                frame,
                format="yuvj420p",
                src_colorspace=_colorspace(frame),
                dst_colorspace=Colorspace.ITU601,
                src_color_range=_range(frame),
                dst_color_range=ColorRange.JPEG,
            )
        planes: list[Any] = []
        for plane in frame.planes:
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            planes.append(rows[: plane.height, : plane.width])
        jpeg: bytes = simplejpeg.encode_jpeg_yuv_planes(*planes, self._quality)
        return jpeg


def _range(frame: VideoFrame) -> ColorRange:
    if frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG:
        return ColorRange.JPEG
    return ColorRange.MPEG


def _colorspace(frame: VideoFrame) -> int:
    if frame.colorspace != _UNSPECIFIED:
        return frame.colorspace
    # What decoders and televisions assume where nothing is said.
    return Colorspace.ITU709 if frame.height >= _HD_FROM_PX else Colorspace.ITU601


def _is_jpeg_colour(frame: VideoFrame) -> bool:
    return (
        frame.format.name in ("yuvj420p", "yuv420p")
        and _range(frame) is ColorRange.JPEG
        and _colorspace(frame) in (Colorspace.ITU601, Colorspace.SMPTE170M)
    )
