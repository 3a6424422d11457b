"""Movement is what differs from the scene by more than its noise; light is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from framecast.vision.motion import MotionFinder

SIZE = (90, 120)  # rows, columns


def grey(
    left: int = -1, top: int = 30, side: int = 16, *, level: int = 80, noise: float = 0.0, seed: int = 0
) -> NDArray[np.uint8]:
    """A scene with a bright square; none where ``left`` is negative."""
    image = np.full(SIZE, level, np.float32)
    image[::7] += 20  # something to see
    if left >= 0:
        image[top : top + side, left : left + side] = 220
    if noise:
        image += np.random.default_rng(seed).normal(0, noise, SIZE)
    return np.clip(image, 0, 255).astype(np.uint8)


def settled(**options: float) -> MotionFinder:
    """One that has seen the empty scene for two seconds."""
    finder = MotionFinder()
    for index in range(11):
        movement = finder.find(grey(seed=index, **options), index / 5)  # type: ignore[arg-type]
        assert (len(movement.boxes), movement.turned) == (0, False)
    return finder


@pytest.mark.parametrize("noise", [0.0, 4.0, 10.0])
def test_what_moves_is_found_where_it_is_in_noise_too(noise: float) -> None:
    finder = settled(noise=noise)
    for index in range(11, 20):
        left = 3 * index
        movement = finder.find(grey(left, noise=noise, seed=index), index / 5)
        box = movement.boxes[0]
        assert box[0] <= left <= left + 16 <= box[2]
        assert box[1] <= 30 <= 46 <= box[3]
        assert box[2] - box[0] < 60
        assert box[3] - box[1] < 40


def test_what_stops_becomes_part_of_the_scene() -> None:
    finder = settled()
    moved = [len(finder.find(grey(40), 2.2 + index / 5).boxes) for index in range(100)]
    assert moved[0] == 1
    assert moved[-1] == 0


def test_a_light_that_goes_on_is_no_thing_that_moves() -> None:
    finder = settled()
    movement = finder.find(grey(level=160), 2.4)
    assert movement.turned
    assert len(movement.boxes) == 0
    movement = finder.find(grey(level=160), 2.6)
    assert (len(movement.boxes), movement.turned) == (0, False)


def test_another_size_and_a_clock_that_begins_anew_only_say_what_the_scene_is() -> None:
    finder = settled()
    assert len(finder.find(grey(40)[::2, ::2].copy(), 2.4).boxes) == 0
    assert len(finder.find(grey(40), 2.6).boxes) == 0
    assert len(finder.find(grey(80), 0.2).boxes) == 0


def test_specks_are_nothing() -> None:
    finder = settled()
    speck = grey()
    speck[20, 20] = speck[70, 90] = 255
    assert len(finder.find(speck, 2.4).boxes) == 0


def test_the_largest_comes_first() -> None:
    finder = settled()
    image = grey(5, 5, 10)
    image[50:80, 60:100] = 220
    boxes = finder.find(image, 2.4).boxes
    assert len(boxes) == 2
    assert boxes[0][0] > 40
