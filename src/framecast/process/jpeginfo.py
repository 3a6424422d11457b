"""What a JPEG's header says about how it was encoded."""

from __future__ import annotations

from dataclasses import dataclass

SOF0_BASELINE = 0xC0
_NOT_SOF = frozenset({0xC4, 0xC8, 0xCC})
_SOS = 0xDA
_DQT = 0xDB

# Sum of the luminance table of ITU-T T.81, table K.1: the quality scale of libjpeg multiplies this table.
_K1_SUM = 3688


@dataclass(frozen=True, slots=True)
class JpegInfo:
    """How a JPEG was encoded.

    Attributes:
        width_px: Width.
        height_px: Height.
        baseline: Whether every decoder can read it; progressive pictures need memory that displays lack.
        quality: On libjpeg's scale, 1-100, from the luminance table; 0 when there is none.
    """

    width_px: int
    height_px: int
    baseline: bool
    quality: int


def read(jpeg: bytes) -> JpegInfo | None:
    """What the header says; None when it ends or breaks before the picture begins."""
    table_sum = 0
    size: tuple[int, int, bool] | None = None
    at = 2
    end = len(jpeg)
    while at + 4 <= end and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(jpeg[at + 2 : at + 4])
        body = at + 4
        if marker == _SOS:
            break
        if marker == _DQT and not table_sum:
            table_sum = _luminance_sum(jpeg[body : at + 2 + length])
        elif 0xC0 <= marker <= 0xCF and marker not in _NOT_SOF and body + 5 <= end:
            height, width = int.from_bytes(jpeg[body + 1 : body + 3]), int.from_bytes(jpeg[body + 3 : body + 5])
            size = (width, height, marker == SOF0_BASELINE and jpeg[body] == 8)
        at += 2 + length
    if size is None:
        return None
    return JpegInfo(size[0], size[1], size[2], _quality(table_sum))


def _luminance_sum(segment: bytes) -> int:
    """Sum of the entries of table 0 in a DQT segment; 0 when it isn't there."""
    at = 0
    while at < len(segment):
        wide, number = segment[at] >> 4, segment[at] & 15
        size = 128 if wide else 64
        entries = segment[at + 1 : at + 1 + size]
        if number == 0 and len(entries) == size:
            if wide:
                return sum(int.from_bytes(entries[i : i + 2]) for i in range(0, size, 2))
            return sum(entries)
        at += 1 + size
    return 0


def _quality(table_sum: int) -> int:
    if not table_sum:
        return 0
    scale = 100 * table_sum / _K1_SUM
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return min(100, max(1, round(quality)))
