from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.core import rendition as module
from framecast.core.rendition import SOURCE, Rendition, snap_max_bytes, snap_quality, snap_width


@given(st.integers(1, 100_000), st.integers(1, 100), st.integers(1, 10_000_000))
def test_a_thousand_wishes_share_a_handful_of_rungs(width: int, quality: int, size: int) -> None:
    assert snap_width(width) in module.WIDTHS_PX
    assert snap_width(width) >= min(width, 1920)
    assert snap_quality(quality) in module.QUALITIES
    assert snap_quality(quality) >= min(quality, 95)
    assert snap_max_bytes(size) <= size, "a display that takes so much takes no more"
    assert snap_max_bytes(size) in (*module.SIZES_BYTES, size)


def test_a_rung_is_itself() -> None:
    assert [snap_width(each) for each in module.WIDTHS_PX] == list(module.WIDTHS_PX)
    assert [snap_quality(each) for each in module.QUALITIES] == list(module.QUALITIES)
    assert [snap_max_bytes(each) for each in module.SIZES_BYTES] == list(module.SIZES_BYTES)


@pytest.mark.parametrize(
    ("rendition", "name"),
    [
        (SOURCE, "video"),
        (Rendition(width_px=320, quality=70), "video/320/q70"),
        (Rendition(overlay=frozenset({"frame-id", "detections"})), "video/detections/frame-id"),
        (Rendition(max_bytes=16_000), "video/16000B"),
        (Rendition(codec="h264", width_px=640), "h264/640"),
    ],
)
def test_names(rendition: Rendition, name: str) -> None:
    assert rendition.name == name
    assert rendition.is_source == (rendition == SOURCE)
