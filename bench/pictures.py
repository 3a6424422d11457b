"""Test pictures: JPEGs of one exact size each set, so that viewers can count frames by arithmetic."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import simplejpeg

STAMP_BYTES = 24
"""What `camera` adds to each picture (see `bench/c/common.h`)."""

_QUALITY = 60


def pictures(folder: Path, size_bytes: int, count: int, width: int = 640, height: int = 480) -> list[Path]:
    """`count` different pictures of one size, within 2 % of `size_bytes`; made once and kept in `folder`.

    They are equal in size and in every header byte, and differ in what they show, as a camera's pictures do.
    Padding would do it too, but a server may rightly trim it, and a header that changes may cost it more.
    """
    kept = sorted(folder.glob(f"{width}x{height}-{size_bytes}-*.jpg"))
    if len(kept) >= count:
        return kept[:count]
    noise = _noise_for(size_bytes, width, height)
    by_size: dict[int, list[bytes]] = defaultdict(list)
    seed = 0
    while True:
        jpeg = _render(seed, noise, width, height)
        by_size[len(jpeg)].append(jpeg)
        if len(by_size[len(jpeg)]) == count:
            break
        seed += 1
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{width}x{height}-{size_bytes}-{i}.jpg" for i in range(count)]
    for path, data in zip(paths, by_size[len(jpeg)], strict=True):
        path.write_bytes(data)
    return paths


def _noise_for(size_bytes: int, width: int, height: int) -> float:
    low, high = 0.0, 60.0
    for _ in range(24):
        middle = (low + high) / 2
        if len(_render(0, middle, width, height)) < size_bytes:
            low = middle
        else:
            high = middle
    if abs(len(_render(0, low, width, height)) - size_bytes) > size_bytes * 0.02:
        raise ValueError(f"{width}x{height} pictures of {size_bytes} bytes cannot be made")
    return low


def _render(seed: int, noise: float, width: int, height: int) -> bytes:
    """A scene of gradients with sensor noise, 4:2:2 as an ESP32's OV2640 gives it."""
    rows, columns = np.mgrid[0:height, 0:width]
    scene = np.stack([columns * 255 / width, rows * 255 / height, (rows + columns) * 255 / (width + height)], -1)
    grain = np.random.default_rng(seed).normal(0.0, noise, (height, width, 1))
    pixels = np.ascontiguousarray(np.clip(scene + grain, 0, 255).astype(np.uint8))
    return bytes(simplejpeg.encode_jpeg(pixels, _QUALITY, "RGB", "422"))
