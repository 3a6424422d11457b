"""Pictures as broken firmwares send them: pure functions from one JPEG to another byte string.

What they are given begins with the comment of ``stamp`` and holds one baseline scan.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import simplejpeg

from framecast.mock import stamp

_SOS = b"\xff\xda"
_EOI = b"\xff\xd9"
_FILLER_BYTES = 65_000


def truncate(jpeg: bytes, chance: random.Random) -> bytes:
    """Without its end, FFD9 included."""
    start = _scan_start(jpeg)
    return jpeg[: start + int((len(jpeg) - start) * chance.uniform(0.2, 0.9))].rstrip(b"\xff")


def corrupt_scan(jpeg: bytes, chance: random.Random) -> bytes:
    """With a piece missing from the scan, so that a strict decoder complains; every marker is sound."""
    start, end = _scan_start(jpeg), len(jpeg) - len(_EOI)
    damaged = jpeg
    for _ in range(50):
        length = chance.randint(16, max(17, (end - start) // 3))
        at = chance.randint(start, max(start, end - length))
        # An FF at the seam would make a marker of what follows.
        damaged = jpeg[:at].rstrip(b"\xff") + jpeg[at + length : end].lstrip(b"\x00") + _EOI
        try:
            simplejpeg.decode_jpeg(damaged, "GRAY", strict=True)
        except ValueError:
            return damaged
    # Nothing of the scan left is an error to every decoder.
    return jpeg[:start] + _EOI


def not_jpeg(_jpeg: bytes, chance: random.Random) -> bytes:
    """What a firmware sends in a picture's place: words, raw pixels, or nothing but padding."""
    return chance.choice((b"Camera capture failed", chance.randbytes(9_600), bytes(2_048)))


def huge(jpeg: bytes, _chance: random.Random) -> bytes:
    """With 65,500 x 65,500 pixels in its frame header."""
    at = jpeg.rindex(b"\xff\xc0")  # the last one: a thumbnail has its own
    return jpeg[: at + 5] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 9 :]


def padding(jpeg: bytes, chance: random.Random) -> bytes:
    """With zeros after its end, as from a buffer that is filled in words or in DMA blocks."""
    return jpeg + bytes(chance.choice((1, 3, 16, 200, 1_024)))


def exif_thumbnail(jpeg: bytes, _chance: random.Random) -> bytes:
    """With EXIF that holds a small JPEG, whose FFD9 stands before the picture's own."""
    small = simplejpeg.decode_jpeg(jpeg, "RGB")[::8, ::8].copy()
    thumbnail = simplejpeg.encode_jpeg(small, 50)
    # TIFF, little-endian: IFD0 with one entry (orientation 1), IFD1 with where the thumbnail is and how long.
    ifd1_at = 8 + 2 + 12 + 4
    data_at = ifd1_at + 2 + 3 * 12 + 4
    tiff = b"II*\0" + struct.pack("<I", 8)
    tiff += struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 1, 0, ifd1_at)
    tiff += struct.pack("<H", 3) + struct.pack("<HHIHH", 0x0103, 3, 1, 6, 0)
    tiff += struct.pack("<HHII", 0x0201, 4, 1, data_at) + struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail))
    return _with_app1(jpeg, tiff + bytes(4) + thumbnail)


def bogus_exif(jpeg: bytes, _chance: random.Random) -> bytes:
    """With EXIF whose IFD0 claims 12 entries and has one, as PrusaConnect's camera firmware writes it."""
    tiff = b"II*\0" + struct.pack("<IH", 8, 12) + struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0) + bytes(4)
    return _with_app1(jpeg, tiff)


def enlarge(jpeg: bytes, size_bytes: int) -> bytes:
    """At least ``size_bytes`` long, by comment segments that every decoder skips."""
    at = stamp.end(jpeg)
    pieces = [jpeg[:at]]
    missing = size_bytes - len(jpeg)
    while missing > 0:
        length = min(max(missing, 4), _FILLER_BYTES)
        pieces.append(b"\xff\xfe" + struct.pack(">H", length - 2) + bytes(length - 4))
        missing -= length
    return b"".join((*pieces, jpeg[at:]))


PICTURE_FAULTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "exif-thumbnail": exif_thumbnail,
    "bogus-exif": bogus_exif,
    "huge": huge,
    "corrupt-scan": corrupt_scan,
    "truncate": truncate,
    "padding": padding,
    "not-jpeg": not_jpeg,
}
"""In the order in which they are done, so that one on top of another still is what its name says."""


def _with_app1(jpeg: bytes, tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    at = stamp.end(jpeg)
    return jpeg[:at] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[at:]


def _scan_start(jpeg: bytes) -> int:
    """Where the entropy-coded bytes begin."""
    at = jpeg.rindex(_SOS)  # the last one: a thumbnail has its own
    return at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
