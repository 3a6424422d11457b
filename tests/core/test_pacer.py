from __future__ import annotations

import itertools
import random

import pytest

from framecast.core.pacer import Pacer

SECONDS = 20


def passed(source_fps: float, fps: float, jitter_s: float = 0.0, *, seed: int = 1, pacer: Pacer | None = None) -> list:
    """Arrival times, in s, of the frames that pass."""
    rng = random.Random(seed)
    pacer = pacer or Pacer(fps)
    times = [number / source_fps + rng.uniform(-jitter_s, jitter_s) for number in range(round(source_fps * SECONDS))]
    return [time for time in times if pacer.take(10**18 + round(time * 1e9))]


@pytest.mark.parametrize("jitter_s", [0.0, 0.004, 0.008])
@pytest.mark.parametrize(("source_fps", "fps"), [(30, 15), (30, 20), (30, 10), (30, 29), (25, 12.5), (30, 7), (60, 15)])
def test_the_rate_is_exact(source_fps: float, fps: float, jitter_s: float) -> None:
    assert len(passed(source_fps, fps, jitter_s)) == pytest.approx(fps * SECONDS, abs=2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("fps", "step"), [(15, 2), (10, 3)])
def test_spacing_is_even_whatever_the_network_shakes(fps: float, step: int, seed: int) -> None:
    numbers = [round(time * 30) for time in passed(30, fps, 0.007, seed=seed)]
    assert {after - before for before, after in itertools.pairwise(numbers)} == {step}


def test_thirty_to_twenty_takes_two_of_three() -> None:
    numbers = [round(time * 30) for time in passed(30, 20, 0.005)]
    gaps = [after - before for before, after in itertools.pairwise(numbers)]
    assert set(gaps) <= {1, 2}
    # The frame nearest to 50 ms after the last is either of two; never three short or three long ones in a row.
    assert all({1, 2} == set(gaps[index : index + 4]) for index in range(len(gaps) - 4))


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_a_source_that_is_slower_passes_whole(fps: float) -> None:
    assert len(passed(10, fps, 0.004)) == 10 * SECONDS


def test_after_a_pause_nothing_is_made_up_for() -> None:
    pacer = Pacer(10)
    passed(30, 10, pacer=pacer)
    late = [number / 30 + SECONDS + 60 for number in range(90)]
    taken = [time for time in late if pacer.take(10**18 + round(time * 1e9))]
    assert len(taken) == 30
    assert taken[0] == late[0]


def test_a_long_pause_after_the_first_frame_does_not_spoil_the_spacing() -> None:
    pacer = Pacer(15)
    assert pacer.take(10**18 - 3600 * 10**9)
    times = passed(30, 15, 0.007, pacer=pacer)
    numbers = [round(time * 30) for time in times]
    assert {after - before for before, after in itertools.pairwise(numbers[15:])} == {2}


def test_a_burst_passes_as_one() -> None:
    pacer = Pacer(15)
    for number in range(30):
        pacer.take(number * 33_333_333)
    assert [pacer.take(5_000_000_000) for _ in range(5)] == [True, False, False, False, False]


def test_no_rate_is_no_pacer() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Pacer(0)
