"""Capture times against a simulated device: its crystal, its network, its accidents."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.ingest.captureclock import Capture, CaptureClock

S = 1_000_000_000
START = 1_700_000_000 * S


@dataclass
class Device:
    """A camera: yields (true capture ns, arrival ns, stamp s) for one frame after the other."""

    seed: int = 1
    fps: float = 15.0
    drift_ppm: float = 0.0
    boot_s: float = 100.0
    floor_s: float = 0.004
    jitter_s: float = 0.02
    now_ns: int = START
    epoch_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.epoch_ns = self.now_ns - int(self.boot_s * S)
        self.arrived_ns = 0

    def reboot(self, away_s: float) -> None:
        self.now_ns += int(away_s * S)
        self.epoch_ns = self.now_ns - S // 2

    def stamp_s(self) -> float:
        return round((self.now_ns - self.epoch_ns) / S * (1 + self.drift_ppm * 1e-6), 6)

    def frames(self, count: int) -> Iterator[tuple[int, int, float]]:
        for _ in range(count):
            latency_s = self.floor_s + self.random.expovariate(1 / self.jitter_s)
            if self.random.random() < 0.01:
                latency_s += self.random.random() * 2
            # TCP keeps the order.
            self.arrived_ns = max(self.arrived_ns + 1000, self.now_ns + int(latency_s * S))
            yield self.now_ns, self.arrived_ns, self.stamp_s()
            self.now_ns += int(S / self.fps)


def play(clock: CaptureClock, frames: Iterator[tuple[int, int, float]]) -> tuple[list[int], list[Capture]]:
    """Errors in ns (mapped less true capture time) and the captures themselves."""
    errors, captures = [], []
    for true_ns, received_ns, stamp_s in frames:
        capture = clock.map(received_ns, stamp_s)
        assert capture.pts_ns <= received_ns
        if captures and not capture.new_epoch:
            assert capture.pts_ns >= captures[-1].pts_ns + 1000
        errors.append(capture.pts_ns - true_ns)
        captures.append(capture)
    return errors, captures


def quirks(captures: list[Capture]) -> Counter[str]:
    return Counter(code for capture in captures for code in capture.quirks)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32), drift=st.floats(-200, 200), fps=st.sampled_from([3.0, 12.5, 30.0]))
def test_capture_time_is_found_through_drift_and_jitter(seed: int, drift: float, fps: float) -> None:
    device = Device(seed, fps=fps, drift_ppm=drift)
    errors, captures = play(CaptureClock(), device.frames(int(150 * fps)))
    late = sorted(abs(error - device.floor_s * S) for error in errors[int(20 * fps) :])
    # What is left of the jitter: the least of some frames' exponential delay, mean 20 ms.
    assert late[int(len(late) * 0.95)] < (0.012 if fps > 10 else 0.030) * S
    assert late[-1] < 0.08 * S
    assert quirks(captures) == {"uptime_timestamp": 1}
    assert not any(capture.new_epoch for capture in captures)


@pytest.mark.parametrize("drift", [-200, 0, 200])
def test_drift_is_measured(drift: int) -> None:
    clock = CaptureClock()
    play(clock, Device(drift_ppm=drift, jitter_s=0.002).frames(1800))
    assert clock.drift_ppm == pytest.approx(-drift, abs=30)


def test_capture_times_are_steadier_than_arrivals() -> None:
    device = Device(jitter_s=0.03)
    frames = list(device.frames(900))
    _, captures = play(CaptureClock(), iter(frames))

    def unrest(times: list[int]) -> float:
        steps = [b - a for a, b in pairwise(times)]
        return sum(abs(step - S / device.fps) for step in steps) / len(steps)

    assert unrest([c.pts_ns for c in captures[300:]]) < unrest([f[1] for f in frames[300:]]) / 20


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    before=st.integers(2, 300),
    away_s=st.floats(0.6, 100.0),
    boot_s=st.floats(5.0, 100_000.0),
)
def test_reboot_begins_an_epoch_at_its_first_frame(seed: int, before: int, away_s: float, boot_s: float) -> None:
    device = Device(seed, boot_s=boot_s)
    clock = CaptureClock()
    play(clock, device.frames(before))
    device.reboot(away_s)
    device.now_ns = max(device.now_ns, device.arrived_ns)
    device.epoch_ns = device.now_ns - S // 2
    _, captures = play(clock, device.frames(60))
    first = [capture.new_epoch for capture in captures].index(True)
    if boot_s > away_s:
        assert first == 0
    assert sum(capture.new_epoch for capture in captures) == 1
    assert quirks(captures)["uptime_timestamp"] == 1


def test_reboot_seen_late_when_the_new_uptime_is_longer_than_the_old() -> None:
    device = Device(boot_s=10.0)
    clock = CaptureClock()
    play(clock, device.frames(150))
    device.now_ns += 500 * S
    device.epoch_ns = device.now_ns - 300 * S
    _, captures = play(clock, device.frames(10))
    assert [capture.new_epoch for capture in captures].index(True) == 2


def test_uptime_that_goes_back_by_far_is_a_reboot_once_confirmed() -> None:
    device = Device(boot_s=5000.0)
    clock = CaptureClock()
    play(clock, device.frames(150))
    device.epoch_ns += 1000 * S
    _, captures = play(clock, device.frames(10))
    assert [capture.new_epoch for capture in captures].index(True) == 2


@pytest.mark.parametrize("leap_s", [30.0, 1_600_000_000.0])
def test_leap_forward_is_counted_once_and_mapped_again(leap_s: float) -> None:
    device = Device(jitter_s=0.002)
    clock = CaptureClock()
    play(clock, device.frames(150))
    device.epoch_ns -= int(leap_s * S)
    errors, captures = play(clock, device.frames(150))
    assert quirks(captures) == {"timestamp_jumped": 1}
    assert not any(capture.new_epoch for capture in captures)
    assert max(map(abs, errors[20:])) < 0.02 * S


def test_unix_stamps_that_go_back_are_no_reboot() -> None:
    device = Device(boot_s=1_700_000_000.0, jitter_s=0.002)
    clock = CaptureClock()
    play(clock, device.frames(150))
    device.epoch_ns += 3600 * S
    errors, captures = play(clock, device.frames(150))
    assert quirks(captures) == {"timestamp_jumped": 1}
    assert not any(capture.new_epoch for capture in captures)
    assert max(map(abs, errors[20:])) < 0.02 * S


def test_one_wild_stamp_changes_nothing() -> None:
    clock = CaptureClock()
    device = Device(jitter_s=0.002)
    play(clock, device.frames(150))
    captures = []
    for index, (_, received_ns, stamp_s) in enumerate(device.frames(100)):
        captures.append(clock.map(received_ns, 4_000_000.0 if index == 5 else 2.0 if index == 30 else stamp_s))
    # A stamp that says "just started" is believed: that is what a reboot looks like.
    assert [index for index, capture in enumerate(captures) if capture.new_epoch] in ([30], [])
    assert quirks(captures)["timestamp_jumped"] >= 1


def test_random_stamps_fall_back_to_arrival() -> None:
    clock = CaptureClock()
    noise = random.Random(3)
    for index in range(200):
        received_ns = START + index * S // 10
        capture = clock.map(received_ns, 1000 + noise.random() * 1e6)
        assert capture.pts_ns <= received_ns
    assert received_ns - capture.pts_ns < 1000


def test_missing_stamps_are_arrival_times() -> None:
    clock = CaptureClock()
    captures = [clock.map(START + index * S // 10, None) for index in range(20)]
    assert [capture.pts_ns for capture in captures] == [START + index * S // 10 for index in range(20)]
    assert quirks(captures) == {"no_timestamp": 1}


@pytest.mark.parametrize("stamps", [[5.0] * 40, [0.0] * 40, [float(1000 + index // 10) for index in range(40)]])
def test_stamps_that_stand_still_are_ignored(stamps: list[float]) -> None:
    clock = CaptureClock()
    captures = [clock.map(START + index * S // 10, stamp) for index, stamp in enumerate(stamps)]
    assert [capture.pts_ns for capture in captures[10:]] == [START + index * S // 10 for index in range(10, 40)]
    assert quirks(captures)["no_timestamp"] == 1


def test_a_repeated_stamp_is_the_same_moment() -> None:
    clock = CaptureClock()
    device = Device(jitter_s=0.0001)
    captures = []
    for index, (_, received_ns, stamp_s) in enumerate(device.frames(60)):
        captures.append(clock.map(received_ns, stamp_s))
        if index == 40:
            again = clock.map(received_ns + 10_000_000, stamp_s)
            assert again.pts_ns == captures[-1].pts_ns + 1000
    assert quirks(captures) == {"uptime_timestamp": 1}


@pytest.mark.parametrize("base", [50_000.0, 1.7e12])
def test_milliseconds_are_recognised(base: float) -> None:
    clock = CaptureClock()
    device = Device(jitter_s=0.005)
    errors, seen = [], []
    for true_ns, received_ns, _ in device.frames(300):
        capture = clock.map(received_ns, base + (true_ns - START) // 1_000_000)
        errors.append(capture.pts_ns - true_ns)
        seen.append(capture)
    assert max(errors[30:]) < 0.01 * S
    assert quirks(seen)["timestamp_jumped"] == 0


def test_wrapped_millisecond_counter_is_no_reboot() -> None:
    device = Device(boot_s=(1 << 32) / 1000 - 5, jitter_s=0.002)
    clock = CaptureClock()
    seen, errors = [], []
    for true_ns, received_ns, stamp_s in device.frames(300):
        capture = clock.map(received_ns, stamp_s % ((1 << 32) / 1000))
        seen.append(capture)
        errors.append(capture.pts_ns - true_ns)
    assert not any(capture.new_epoch for capture in seen)
    assert quirks(seen) == {"uptime_timestamp": 1, "timestamp_jumped": 1}
    assert max(map(abs, errors[30:])) < 0.02 * S


def test_a_picture_from_an_old_buffer_keeps_its_age() -> None:
    clock = CaptureClock()
    device = Device(jitter_s=0.002)
    play(clock, device.frames(150))
    old_s = device.stamp_s()
    old_ns = device.now_ns
    device.now_ns += 40 * S
    stale = clock.map(device.now_ns, old_s)
    assert abs(stale.pts_ns - old_ns) < 0.02 * S
    errors, captures = play(clock, device.frames(60))
    assert max(map(abs, errors)) < 0.03 * S
    assert quirks([stale, *captures]) == {}


@pytest.mark.parametrize("pause_s", [16, 30, 61, 3600])
def test_a_device_that_sleeps_between_its_pictures_sends_none_from_before(pause_s: int) -> None:
    """Each time it wakes its uptime begins anew, and by the time of the picture it is nearly the same."""
    clock = CaptureClock()
    now_ns = START
    for number, stamp_s in enumerate((3.1, 3.25, 3.25, 3.05, 3.3, 9.0, 9.2, 2.0)):
        found = clock.map(now_ns, stamp_s)
        assert found.pts_ns == now_ns
        assert found.new_epoch is (number > 0)
        now_ns += pause_s * S


def test_a_pause_of_a_day_is_no_leap() -> None:
    clock = CaptureClock()
    device = Device(jitter_s=0.002, drift_ppm=150)
    play(clock, device.frames(100))
    device.now_ns += 86_400 * S
    errors, captures = play(clock, device.frames(60))
    assert quirks(captures) == {}
    assert not any(capture.new_epoch for capture in captures)
    assert max(map(abs, errors[20:])) < 0.02 * S


def test_frames_of_one_read_rise_by_a_microsecond() -> None:
    clock = CaptureClock()
    assert [clock.map(START, None).pts_ns - START for _ in range(3)] == [0, 1000, 2000]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20 * S),
            st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1e5) | st.integers(0, 1 << 70),
        ),
        max_size=60,
    )
)
@settings(deadline=None)
def test_whatever_comes_times_rise_and_stay_in_the_past(frames: list[tuple[int, float | None]]) -> None:
    clock = CaptureClock()
    received_ns, last_ns = START, 0
    for index, (step_ns, stamp_s) in enumerate(frames):
        received_ns += step_ns
        capture = clock.map(received_ns, stamp_s)
        assert capture.pts_ns >= last_ns + 1000
        assert capture.pts_ns <= received_ns + index * 1000
        last_ns = capture.pts_ns


def test_costs_microseconds() -> None:
    clock = CaptureClock()
    frames = list(Device().frames(20_000))
    best = float("inf")
    for _ in range(3):
        clock = CaptureClock()
        begin = time.process_time_ns()
        for _, received_ns, stamp_s in frames:
            clock.map(received_ns, stamp_s)
        best = min(best, (time.process_time_ns() - begin) / len(frames))
    assert best < 10_000, f"{best:.0f} ns a frame"
