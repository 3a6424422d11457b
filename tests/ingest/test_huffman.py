from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from framecast.ingest.huffman import STANDARD_DHT, with_tables

PICTURE = simplejpeg.encode_jpeg(
    np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8), 80, "RGB", "420"
)


def without_tables(jpeg: bytes) -> bytes:
    """``jpeg`` as AVI files keep it."""
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        if jpeg[at + 1] != 0xC4:
            kept += jpeg[at:end]
        at = end
    return kept + jpeg[at:]


def test_makes_an_avi_picture_whole() -> None:
    bare = without_tables(PICTURE)
    assert b"\xff\xc4" not in bare[: bare.index(b"\xff\xda")]
    made = with_tables(bare)
    assert made.count(STANDARD_DHT) == 1
    assert (simplejpeg.decode_jpeg(made) == simplejpeg.decode_jpeg(PICTURE)).all()


def test_the_tables_are_those_of_the_standard_as_libjpeg_writes_them() -> None:
    written = b""
    at = 2
    while PICTURE[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(PICTURE[at + 2 : at + 4])
        if PICTURE[at + 1] == 0xC4:
            written += PICTURE[at + 4 : end]
        at = end

    def tables(segment: bytes) -> dict[int, bytes]:
        found, start = {}, 0
        while start < len(segment):
            size = 17 + sum(segment[start + 1 : start + 17])
            found[segment[start]] = segment[start + 1 : start + size]
            start += size
        return found

    assert tables(STANDARD_DHT[4:]) == tables(written)


def test_a_whole_picture_stays_the_same_object() -> None:
    assert with_tables(PICTURE) is PICTURE


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\xff\xd8", b"hello" * 20, PICTURE[:30]])
def test_what_is_no_picture_stays_the_same_object(payload: bytes) -> None:
    assert with_tables(payload) is payload


@given(st.binary(max_size=100), st.integers(0, len(PICTURE)))
def test_never_raises(noise: bytes, cut: int) -> None:
    with_tables(noise)
    with_tables(PICTURE[:cut] + noise)
    with_tables(PICTURE[:2] + noise + PICTURE[2:])
