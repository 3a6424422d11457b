from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from framecast.process.h264timing import FIRST_FPS, KeySchedule, RateMeter

S_NS = 1_000_000_000
MS_NS = 1_000_000
START_NS = 1_700_000_000 * S_NS


def keys(schedule: KeySchedule, count: int, fps: float, *, wanted_at: tuple[int, ...] = ()) -> list[int]:
    """Numbers of the pictures that are keyframes, the first among them; a wish is kept until it is granted."""
    found, wanted = [], False
    for number in range(count):
        pts_ns = START_NS + round(number / fps * S_NS)
        wanted = wanted or number in wanted_at
        if number == 0 or schedule.is_due(pts_ns, wanted, 1 / fps):
            schedule.made(pts_ns, wanted, fresh=number == 0)
            found.append(number)
            wanted = False
    return found


@pytest.mark.parametrize("fps", [30, 25, 12, 5])
def test_by_itself_one_comes_each_group(fps: int) -> None:
    assert keys(KeySchedule(2.0), 6 * fps + 1, fps) == [0, 2 * fps, 4 * fps, 6 * fps]


def test_pictures_farther_apart_than_a_group_are_all_keyframes() -> None:
    assert keys(KeySchedule(2.0), 4, 0.4) == [0, 1, 2, 3]


def test_one_that_is_wanted_comes_at_once_and_the_next_half_a_second_later() -> None:
    assert keys(KeySchedule(2.0), 50, 20, wanted_at=(3, 4)) == [0, 3, 13]


def test_neither_the_first_nor_one_that_came_by_itself_keeps_anybody_waiting() -> None:
    assert keys(KeySchedule(2.0), 45, 20, wanted_at=(1,)) == [0, 1, 41]
    assert keys(KeySchedule(2.0), 45, 20, wanted_at=(41,)) == [0, 40, 41]


def test_a_stream_that_begins_anew_keeps_nobody_waiting() -> None:
    schedule = KeySchedule(2.0)
    schedule.made(START_NS, wanted=True, fresh=False)
    assert not schedule.is_due(START_NS + 100 * MS_NS, True, 0.1)
    schedule.made(START_NS + 200 * MS_NS, wanted=True, fresh=True)
    assert schedule.is_due(START_NS + 300 * MS_NS, True, 0.1)


def test_until_the_rate_is_known_it_is_guessed() -> None:
    assert RateMeter().fps == FIRST_FPS
    assert RateMeter(5.0).fps == 5
    assert RateMeter(60.0).fps == FIRST_FPS
    assert not RateMeter().has_left(Fraction(30))


def test_the_rate_is_followed_slowly() -> None:
    meter = RateMeter()
    intervals = []
    for number in range(80):
        meter.add(1 / 30 if number < 20 else 1 / 10)
        intervals.append(meter.interval_s)
        if number == 19:
            assert meter.fps == 30
            assert not meter.has_left(Fraction(30))
            assert meter.has_left(Fraction(15))
    assert meter.fps == 10
    assert meter.has_left(Fraction(30))
    assert all(after >= before for before, after in pairwise(intervals[19:]))
    assert intervals[20] < 1 / 20


def test_one_pause_says_nothing_and_two_are_a_rate() -> None:
    meter = RateMeter()
    for _ in range(20):
        meter.add(0.05)
    meter.add(9.0)
    assert meter.fps == 20
    meter.add(0.05)
    meter.add(9.0)
    assert meter.fps == 20
    meter.add(9.0)
    assert meter.fps < 20
    for _ in range(80):
        meter.add(9.0)
    assert meter.fps == Fraction(1, 2), "nothing slower is reckoned with"


def test_what_is_forgotten_is_guessed_again() -> None:
    meter = RateMeter()
    meter.add(0.2)
    assert meter.fps == 5
    meter.forget()
    assert meter.fps == FIRST_FPS
    meter.add(0.1)
    assert meter.fps == 10
