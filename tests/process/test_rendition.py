from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from framecast.core.errors import Misuse
from framecast.core.rendition import Rendition
from framecast.process import jpeginfo
from framecast.process.errors import TooLarge, Undecodable
from framecast.process.rendition import JpegRendition
from framecast.process.worker import Made

from .pictures import decoded, jpeg_of, packet_of, scene

VGA = jpeg_of(scene(640, 480), 85)


def make(rendition: Rendition, payload: bytes = VGA, frame_id: int = 7) -> Made:
    return JpegRendition(rendition).make(packet_of(payload, frame_id))


def progressive(width: int = 640, height: int = 480) -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene(width, height)).save(file, "JPEG", quality=85, progressive=True)
    return file.getvalue()


@pytest.mark.parametrize(("width", "size"), [(320, (320, 240)), (160, (160, 120)), (300, (300, 225))])
def test_scales_down_at_the_default_quality(width: int, size: tuple[int, int]) -> None:
    made = make(Rendition(width_px=width))
    assert (made.width_px, made.height_px, made.encodes) == (*size, 1)
    assert jpeginfo.read(made.payload) == jpeginfo.JpegInfo(*size, True, 80)
    assert decoded(made.payload).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    "rendition",
    [
        Rendition(width_px=640),
        Rendition(width_px=1280),
        Rendition(quality=85),
        Rendition(quality=95),
        Rendition(width_px=800, quality=90),
        Rendition(max_bytes=len(VGA)),
    ],
)
def test_the_sources_bytes_pass_when_nothing_would_change(rendition: Rendition) -> None:
    made = make(rendition)
    assert made.payload is VGA
    assert (made.width_px, made.height_px, made.encodes) == (640, 480, 0)


def test_quality_alone_keeps_the_size() -> None:
    made = make(Rendition(quality=50))
    assert jpeginfo.read(made.payload) == jpeginfo.JpegInfo(640, 480, True, 50)
    assert len(made.payload) < len(VGA)


def test_overlay_alone_keeps_size_and_quality_and_shows_the_id() -> None:
    rendition = Rendition(overlay=frozenset({"frame-id"}))
    made = make(rendition)
    assert jpeginfo.read(made.payload) == jpeginfo.JpegInfo(640, 480, True, 85)
    other = make(rendition, frame_id=8)
    difference = np.abs(decoded(made.payload).astype(int) - decoded(other.payload)).max(axis=2)
    assert difference[:400].max() < 10
    assert difference[440:, :200].max() > 100


def test_overlay_goes_on_a_resized_picture_too() -> None:
    made = make(Rendition(width_px=300, overlay=frozenset({"frame-id"})))
    assert decoded(made.payload)[-30:, :90].max() > 235


@pytest.mark.parametrize("rendition", [Rendition(width_px=640), Rendition(quality=95), Rendition(max_bytes=500_000)])
def test_a_progressive_source_becomes_baseline(rendition: Rendition) -> None:
    made = make(rendition, progressive())
    info = jpeginfo.read(made.payload)
    assert info is not None
    assert info.baseline
    assert made.encodes == 1


@pytest.mark.parametrize("max_bytes", [60_000, 38_000, 12_000, 8_000, 4_000, 2_000])
def test_max_bytes_is_never_exceeded(max_bytes: int) -> None:
    maker = JpegRendition(Rendition(max_bytes=max_bytes))
    for seed in range(6):
        made = maker.make(packet_of(jpeg_of(scene(640, 480, seed, grain=8 + 30 * (seed % 2)), 92)))
        assert len(made.payload) <= max_bytes
        assert decoded(made.payload).shape == (made.height_px, made.width_px, 3)


def test_max_bytes_settles_on_one_encode_a_picture() -> None:
    maker = JpegRendition(Rendition(max_bytes=20_000))
    first, *others = (maker.make(packet_of(jpeg_of(scene(640, 480, 1), 92), frame)) for frame in range(12))
    assert 1 < first.encodes <= 6
    assert [made.encodes for made in others] == [1] * 11
    assert all(len(made.payload) > 8_000 for made in others)


def test_what_can_not_be_made_small_enough_is_refused_with_the_number_of_tries() -> None:
    maker = JpegRendition(Rendition(max_bytes=500))
    with pytest.raises(TooLarge) as caught:
        maker.make(packet_of(VGA))
    assert caught.value.encodes >= 1


@pytest.mark.parametrize("payload", [VGA[:2_000], VGA[:-2_000] + b"\xff\xd9", VGA[:2]])
def test_a_broken_source_is_refused(payload: bytes) -> None:
    packet = packet_of(VGA)
    broken = type(packet)(payload, packet.format, 1, 1, 0, 1, 1)
    for rendition in (Rendition(width_px=320), Rendition(max_bytes=1_000), Rendition(quality=20)):
        with pytest.raises(Undecodable):
            JpegRendition(rendition).make(broken)


@pytest.mark.parametrize(
    ("rendition", "names"),
    [
        (Rendition(codec="h264"), "mjpeg"),
        (Rendition(overlay=frozenset({"depth", "frame-id"})), "depth"),
        (Rendition(overlay=frozenset({"detections"})), "what is seen"),
    ],
)
def test_what_can_not_be_made_is_said_at_once(rendition: Rendition, names: str) -> None:
    with pytest.raises(Misuse, match=names):
        JpegRendition(rendition)
