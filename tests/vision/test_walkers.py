"""Who walks by keeps a number, at the rates at which small machines look."""

from __future__ import annotations

import pytest

from framecast.vision.detections import Detection
from framecast.vision.tracker import Tracker

WIDTH_PX, HEIGHT_PX = 30.0, 80.0


def person(x_px: float, score: float = 0.9) -> Detection:
    """One whose left edge is there."""
    return Detection("person", score, x_px, 100.0, x_px + WIDTH_PX, 100.0 + HEIGHT_PX)


def numbers(tracker: Tracker, step_px: float, fps: float, pictures: int = 12) -> list[int]:
    """The numbers that somebody is given who moves so far from picture to picture."""
    return [tracker.update([person(step_px * index)], index / fps)[0].track for index in range(pictures)]


@pytest.mark.parametrize("fps", [10.0, 5.0, 4.0])
def test_somebody_who_walks_by_has_one_number(fps: float) -> None:
    """Three widths of a body a second: as fast as people walk."""
    told = numbers(Tracker(), 90.0 / fps, fps)
    assert told[0] == 0
    assert set(told[1:]) == {1}


def test_two_who_walk_past_each_other_keep_their_numbers() -> None:
    tracker = Tracker()
    for index in range(20):
        going, coming = person(15.0 * index), person(300.0 - 15.0 * index, 0.8)
        found = tracker.update([going, coming], index / 5)
    by_place = {each.left_px: each.track for each in found}
    assert by_place[15.0 * 19] == 1
    assert by_place[300.0 - 15.0 * 19] == 2


def test_somebody_elsewhere_is_somebody_else() -> None:
    tracker = Tracker()
    numbers(tracker, 5.0, 5.0)
    tracker.update([person(500.0)], 2.6)
    assert tracker.update([person(505.0)], 2.8)[0].track == 2
