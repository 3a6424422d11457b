"""Makes the pictures that the samples are made of; run once, the files are what counts."""

from __future__ import annotations

import io
import struct
from pathlib import Path

from PIL import Image, ImageDraw

FRAMES = Path(__file__).parent / "frames"


def draw(number: int, size: tuple[int, int] = (80, 60), **options: object) -> bytes:
    """A small picture with some structure; no two numbers give the same one."""
    width, height = size
    image = Image.new("RGB", size)
    pixels = image.load()
    assert pixels is not None
    for y in range(height):
        for x in range(width):
            pixels[x, y] = (x * 255 // width, y * 255 // height, (x * y + 40 * number) % 256)
    canvas = ImageDraw.Draw(image)
    left = 10 + 9 * number % (width - 30)
    canvas.ellipse((left, 15, left + 20, 35), fill=(250, 240, 30 * number % 256))
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 25, "subsampling": "4:2:2", **options})
    return out.getvalue()


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """The picture with one more segment behind its SOI."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + jpeg[2:]


def exif(thumbnail: bytes, *, bogus: bool = False) -> bytes:
    """The body of an APP1 segment: TIFF, two directories, a JPEG in the second.

    Args:
        thumbnail: The small JPEG, with an SOI and EOI of its own.
        bogus: The first directory claims 200 entries and has one.
    """
    first = struct.pack("<HHHII", 200 if bogus else 1, 0x0112, 3, 1, 1) + struct.pack("<I", 26)
    offset = 8 + len(first) + 2 + 24 + 4
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, offset, 0x0202, 4, 1, len(thumbnail), 0)
    return b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + first + second + thumbnail


def corrupt(jpeg: bytes) -> bytes:
    """Wrong bits in the scan, all markers sound."""
    middle = len(jpeg) - 300
    return jpeg[:middle] + bytes(0x55 ^ (7 * i & 0x7F) for i in range(120)) + jpeg[middle + 120 :]


def pictures() -> dict[str, bytes]:
    """All of them by name."""
    small = {f"small-{n}": draw(n) for n in range(4)}
    thumbnail = draw(9, (32, 24), quality=10)
    comment = "a comment with an end of image inside: \xff\xd9 and a start \xff\xd8\xff".encode("latin-1")
    return {
        **small,
        "qvga": draw(5, (320, 240), quality=12),
        "grey": _grey(),
        "progressive": draw(6, progressive=True),
        "restarts": draw(7, restart_marker_blocks=3),
        "comment": with_segment(draw(2), 0xFE, comment),
        "thumbnail": with_segment(draw(1), 0xE1, exif(thumbnail)),
        "bogus-exif": with_segment(draw(3), 0xE1, exif(thumbnail, bogus=True)),
        "corrupt": corrupt(draw(3)),
    }


def _grey() -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(draw(8))).convert("L").save(out, "JPEG", quality=25)
    return out.getvalue()


if __name__ == "__main__":
    FRAMES.mkdir(exist_ok=True)
    for name, data in pictures().items():
        (FRAMES / f"{name}.jpg").write_bytes(data)
        print(f"{name}: {len(data)} bytes")
