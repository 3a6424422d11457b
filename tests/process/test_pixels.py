from __future__ import annotations

import numpy as np
import pytest
import simplejpeg

from framecast.process.errors import Undecodable
from framecast.process.pixels import Decoder, block_px, encode

from .pictures import jpeg_of, scene

VGA = jpeg_of(scene(640, 480))


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        (0, (640, 480)),
        (640, (640, 480)),
        (800, (640, 480)),
        (480, (480, 360)),
        (320, (320, 240)),
        (300, (300, 225)),
        (160, (160, 120)),
        (33, (33, 25)),
        (1, (1, 1)),
    ],
)
def test_decodes_at_exactly_the_width_asked_and_never_enlarges(asked: int, size: tuple[int, int]) -> None:
    pixels = Decoder().decode(VGA, asked)
    assert pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("asked", [640, 400, 320, 300, 160, 100])
def test_a_smaller_picture_shows_the_same_scene(asked: int) -> None:
    full = Decoder().decode(VGA).astype(float)
    small = Decoder().decode(VGA, asked).astype(float)
    for row, column in ((0.25, 0.25), (0.5, 0.5), (0.75, 0.25)):
        ours = small[int(row * small.shape[0]) :, int(column * small.shape[1]) :][
            : small.shape[0] // 8, : small.shape[1] // 8
        ]
        theirs = full[int(row * 480) :, int(column * 640) :][:60, :80]
        assert np.abs(ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))).max() < 12


def test_odd_sizes_survive() -> None:
    pixels = Decoder().decode(jpeg_of(scene(641, 479)), 333)
    assert pixels.shape == (249, 333, 3)
    assert Decoder().decode(encode(pixels, 80)).shape == (249, 333, 3)


def test_sizes_may_change_between_pictures() -> None:
    decoder = Decoder()
    for width, height in ((320, 240), (1280, 720), (160, 120)):
        assert decoder.decode(jpeg_of(scene(width, height))).shape == (height, width, 3)


def test_grey_pictures_decode() -> None:
    grey = encode(scene(64, 48), 80)
    payload = simplejpeg.encode_jpeg(np.ascontiguousarray(scene(64, 48)[:, :, :1]), 80, "GRAY", "Gray")
    pixels = Decoder().decode(payload)
    assert pixels.shape == Decoder().decode(grey).shape
    assert (pixels[..., 0] == pixels[..., 1]).all()


@pytest.mark.parametrize("payload", [b"", b"\xff\xd8", b"hello" * 100, VGA[: len(VGA) // 2], VGA[:300]])
def test_what_is_not_a_whole_picture_is_refused(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        Decoder().decode(payload, 320)


def test_a_damaged_scan_is_refused() -> None:
    middle = len(VGA) // 2
    with pytest.raises(Undecodable):
        Decoder().decode(VGA[:middle] + b"\xff\xd9" + VGA[middle + 2 :])


def test_encodes_baseline_with_halved_colour() -> None:
    payload = encode(scene(64, 48), 80)
    assert block_px(payload) == (16, 16)
    assert b"\xff\xc0" in payload
    assert b"\xff\xc2" not in payload[: payload.index(b"\xff\xda")]
