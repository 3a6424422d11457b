"""A frame number and a time in a JPEG's comment segment.

Pictures that were encoded beforehand are told apart by it without decoding or drawing: right after SOI stands
``FF FE 00 12``, then the frame number (8 bytes) and CLOCK_MONOTONIC nanoseconds (8 bytes), both little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_SEGMENT = struct.Struct("<QQ")
_HEAD = b"\xff\xd8\xff\xfe\x00\x12"
_LENGTH_BYTES = len(_HEAD) + _SEGMENT.size


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the comment says."""

    frame_id: int
    monotonic_ns: int


def add(jpeg: bytes, frame_id: int, monotonic_ns: int) -> bytes:
    """``jpeg`` with the comment right after SOI; one that is there already is replaced."""
    rest = jpeg[_LENGTH_BYTES:] if jpeg.startswith(_HEAD) else jpeg[2:]
    return b"".join((_HEAD, _SEGMENT.pack(frame_id, monotonic_ns), rest))


def read(jpeg: bytes) -> Stamp | None:
    """The comment right after SOI, or None where there is none."""
    if not jpeg.startswith(_HEAD) or len(jpeg) < _LENGTH_BYTES:
        return None
    return Stamp(*_SEGMENT.unpack_from(jpeg, len(_HEAD)))


def end(jpeg: bytes) -> int:
    """Where the next segment begins: after the comment, or after SOI where there is none."""
    return _LENGTH_BYTES if jpeg.startswith(_HEAD) else 2
