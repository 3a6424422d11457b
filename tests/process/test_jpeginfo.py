from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from framecast.process import jpeginfo

from .pictures import jpeg_of, scene

SMALL = jpeg_of(scene(64, 48))


@pytest.mark.parametrize("quality", [20, 30, 50, 75, 80, 85, 90, 95])
def test_reads_the_quality_back(quality: int) -> None:
    info = jpeginfo.read(jpeg_of(scene(64, 48), quality))
    assert info == jpeginfo.JpegInfo(64, 48, True, quality)


def test_knows_a_progressive_picture() -> None:
    file = io.BytesIO()
    Image.fromarray(scene(64, 48)).save(file, "JPEG", quality=70, progressive=True)
    info = jpeginfo.read(file.getvalue())
    assert info == jpeginfo.JpegInfo(64, 48, False, 70)


def test_passes_over_metadata_that_holds_a_picture() -> None:
    thumbnail = jpeg_of(scene(16, 16), 30)
    exif = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2) + b"Exif\0\0" + thumbnail
    assert jpeginfo.read(SMALL[:2] + exif + SMALL[2:]) == jpeginfo.read(SMALL)


def test_fill_bytes_before_a_marker_are_allowed() -> None:
    assert jpeginfo.read(SMALL[:2] + b"\xff\xff" + SMALL[2:]) == jpeginfo.read(SMALL)


@given(st.binary(max_size=200), st.integers(0, len(SMALL)))
def test_anything_else_is_none_or_sane(noise: bytes, cut: int) -> None:
    info = jpeginfo.read(SMALL[:cut] + noise)
    assert info is None or 0 <= info.quality <= 100
    jpeginfo.read(noise)
