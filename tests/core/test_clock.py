"""The clock never steps."""

from __future__ import annotations

from framecast.core.clock import SYSTEM, Clock, ManualClock


def test_a_step_of_the_wall_clock_changes_nothing() -> None:
    ticks, wall = [5_000], [1_700_000_000_000_000_000]
    clock = Clock(lambda: ticks[0], lambda: wall[0])
    before = clock.now_ns()
    wall[0] -= 3_600_000_000_000
    assert clock.now_ns() == before == 1_700_000_000_000_000_000
    ticks[0] += 7
    assert clock.now_ns() == before + 7


def test_the_systems_clock_is_unix_time_and_never_goes_back() -> None:
    readings = [SYSTEM.now_ns() for _ in range(1000)]
    assert readings == sorted(readings)
    assert readings[0] > 1_600_000_000 * 10**9


def test_a_manual_clock_stands_still_until_moved() -> None:
    clock = ManualClock(1_000)
    assert clock.now_ns() == clock.now_ns() == 1_000
    clock.advance(0.25)
    assert clock.now_ns() == 250_001_000
