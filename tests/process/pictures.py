"""Pictures to work on: drawn here, so that every value is known."""

from __future__ import annotations

import numpy as np
import simplejpeg

from framecast.core.packet import Format, Packet
from framecast.process.pixels import Pixels


def scene(width: int, height: int, seed: int = 0, grain: int = 12) -> Pixels:
    """A smooth picture with some edges and noise, about as hard to encode as a room."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack(
        [128 + 100 * np.sin(x / 37 + seed), 128 + 90 * np.cos(y / 23), 60 + 140 * (x + y) / (width + height)], axis=-1
    )
    for _ in range(12):
        left, top = rng.integers(0, width), rng.integers(0, height)
        picture[top : top + height // 5, left : left + width // 7] = rng.integers(0, 255, 3)
    picture += rng.normal(0, grain, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def jpeg_of(pixels: Pixels, quality: int = 85, subsampling: str = "420") -> bytes:
    made: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", subsampling)
    return made


def packet_of(payload: bytes, frame_id: int = 7, seq: int = 3) -> Packet:
    height, width = simplejpeg.decode_jpeg_header(payload)[:2]
    return Packet(
        payload, Format("mjpeg", int(width), int(height)), frame_id, seq, 2, 1_000 + frame_id, 2_000 + frame_id
    )


def decoded(payload: bytes) -> Pixels:
    picture: Pixels = simplejpeg.decode_jpeg(payload, "RGB")
    return picture
