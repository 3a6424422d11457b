from __future__ import annotations

import numpy as np
import pytest

from framecast.process.overlay import draw_frame_id
from framecast.process.pixels import Decoder, encode
from framecast.wire import blockcode


def drawn(width: int, height: int, frame_id: int, level: int = 128) -> np.ndarray:
    pixels = np.full((height, width, 3), level, np.uint8)
    draw_frame_id(pixels, frame_id)
    return pixels


@pytest.mark.parametrize(("width", "height"), [(160, 120), (320, 240), (640, 480), (1600, 1200), (1920, 1080)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_the_text_stands_out_at_the_bottom_left(width: int, height: int, level: int) -> None:
    pixels = drawn(width, height, 123456, level)
    corner = pixels[-height // 6 :, : width // 2]
    assert corner.max() > 240
    assert pixels[-10:, 0].max() < 100
    changed = np.argwhere((pixels != level).any(axis=2))
    assert changed[:, 0].min() > height * 0.8
    assert changed[:, 1].max() < width * 0.5


def test_different_ids_look_different_and_survive_jpeg() -> None:
    shown = {frame_id: Decoder().decode(encode(drawn(160, 120, frame_id), 60)).astype(int) for frame_id in (1234, 1235)}
    assert np.abs(shown[1234] - shown[1235]).max() > 100
    again = Decoder().decode(encode(drawn(160, 120, 1234), 90)).astype(int)
    assert np.abs(shown[1234] - again).mean() < np.abs(shown[1235] - again).mean()


def test_a_picture_too_small_for_text_stays_as_it_is() -> None:
    assert (drawn(40, 20, 123456) == 128).all()


def test_the_block_code_stays_readable() -> None:
    pixels = np.full((120, 160, 3), 128, np.uint8)
    blockcode.draw(pixels, 4711, 1_790_000_000_000_000)
    draw_frame_id(pixels, 4711)
    code = blockcode.Code(4711, 1_790_000_000_000_000)
    assert blockcode.read(Decoder().decode(encode(pixels, 80))) == code
