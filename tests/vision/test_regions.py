"""Where to look: round what is of interest, nowhere, and now and then everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from framecast.vision.regions import KNOWN_EVERY_S, Gaze, Region, around

SIZE = (1280, 720)
INPUT = (416, 416)
NOTHING = np.zeros((0, 4), np.float32)


def boxes(*edges: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(edges, np.float32)


def test_at_first_everything_then_nothing_where_nothing_moves() -> None:
    gaze = Gaze(INPUT, whole_every_s=10)
    assert gaze.where(SIZE, NOTHING, NOTHING, 100.0) == Region(0, 0, *SIZE)
    looks = [gaze.where(SIZE, NOTHING, NOTHING, 100 + index / 5) for index in range(1, 51)]
    assert looks[:-1] == [None] * 49
    assert looks[-1] == Region(0, 0, *SIZE), "for what stands still and was not seen to come"


def test_known_things_that_rest_are_looked_at_once_a_second() -> None:
    gaze = Gaze(INPUT, whole_every_s=100)
    gaze.where(SIZE, NOTHING, NOTHING, 0.0)
    known = boxes((100, 100, 140, 200))
    looked = [index / 5 for index in range(1, 26) if gaze.where(SIZE, NOTHING, known, index / 5) is not None]
    assert looked == pytest.approx([KNOWN_EVERY_S * times for times in range(1, 6)])


def test_what_moves_is_looked_at_with_all_that_is_known() -> None:
    gaze = Gaze(INPUT, whole_every_s=100)
    gaze.where(SIZE, NOTHING, NOTHING, 0.0)
    region = gaze.where(SIZE, boxes((300, 300, 340, 380)), boxes((500, 310, 540, 390)), 0.2)
    assert region is not None
    assert region.left_px <= 300
    assert region.left_px + region.width_px >= 540
    assert (region.width_px, region.height_px) == INPUT, "no part is smaller than what the model takes"


def test_what_is_nearly_everything_is_everything_and_counts_as_that() -> None:
    gaze = Gaze(INPUT, whole_every_s=10)
    gaze.where(SIZE, NOTHING, NOTHING, 0.0)
    assert gaze.where(SIZE, boxes((10, 10, 1270, 710)), NOTHING, 8.0) == Region(0, 0, *SIZE)
    assert gaze.where(SIZE, NOTHING, NOTHING, 11.0) is None
    assert gaze.where(SIZE, NOTHING, NOTHING, 18.0) is not None


def test_a_clock_that_begins_anew_does_not_blind_it() -> None:
    gaze = Gaze(INPUT)
    gaze.where(SIZE, NOTHING, NOTHING, 1000.0)
    assert gaze.where(SIZE, NOTHING, NOTHING, 1.0) == Region(0, 0, *SIZE)


def test_a_part_lies_in_the_picture_and_holds_what_it_is_for() -> None:
    random = np.random.default_rng(5)
    for _ in range(300):
        size = tuple(int(side) for side in random.integers(32, 2000, 2))
        takes = tuple(int(side) for side in 32 * random.integers(1, 21, 2))
        low = random.uniform(-50, size, (3, 2))
        found = np.concatenate([low, low + random.uniform(0, 300, (3, 2))], axis=1).astype(np.float32)
        part = around(found, (size[0], size[1]), (takes[0], takes[1]))
        right, bottom = part.left_px + part.width_px, part.top_px + part.height_px
        assert 0 <= part.left_px < right <= size[0]
        assert 0 <= part.top_px < bottom <= size[1]
        inside = np.clip(found, 0, [*size, *size])
        assert part.left_px <= inside[:, 0].min() + 1
        assert part.top_px <= inside[:, 1].min() + 1
        assert right >= inside[:, 2].max() - 1
        assert bottom >= inside[:, 3].max() - 1
