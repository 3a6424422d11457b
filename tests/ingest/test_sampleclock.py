"""Counted samples on the server's clock where the device says which chunks are missing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from framecast.ingest.sampleclock import SampleClock

RATE = 16_000
CHUNK = 320
CHUNK_S = CHUNK / RATE
START_NS = 1_700_000_000_000_000_000
S_NS = 1_000_000_000
Fates = Callable[[float], Iterator[bool]]


def regular(share: float) -> Iterator[bool]:
    """Whether each chunk is lost: always the same one of so many."""
    every, number = round(1 / share), 0
    while True:
        number += 1
        yield number % every == 0


def at_random(share: float) -> Iterator[bool]:
    """Whether each chunk is lost: any of them."""
    rng = random.Random(3)
    while True:
        yield rng.random() < share


def run(clock: SampleClock, fates: Iterator[bool], jitter_s: float, ppm: float, seconds: float = 120) -> list[float]:
    """Send numbered chunks by a crystal that is off through a network that loses some; their errors, ms."""
    rng, lost, arrived_s = random.Random(1), 0, 0.0
    off: list[float] = []
    for number in range(round(seconds / CHUNK_S)):
        first_s = number * CHUNK_S * (1 + ppm * 1e-6)
        arrived_s = max(arrived_s, first_s + CHUNK_S + jitter_s * rng.random())
        if next(fates):
            lost += 1
            continue
        if lost:
            clock.skip(lost * CHUNK)
            lost = 0
        mapped_ns = clock.map(START_NS + round(arrived_s * S_NS), CHUNK)
        off.append((mapped_ns - START_NS - round(first_s * S_NS)) / 1e6)
    return off


@pytest.mark.parametrize("ppm", [-300, 0, 300])
@pytest.mark.parametrize("jitter_s", [0.001, 0.005, 0.02])
@pytest.mark.parametrize("fates", [regular, at_random])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_chunks_known_to_be_lost_are_no_slow_crystal(share: float, fates: Fates, jitter_s: float, ppm: float) -> None:
    clock = SampleClock(RATE)
    off = run(clock, fates(share), jitter_s, ppm)
    assert clock.drift_ppm == pytest.approx(ppm, abs=25)
    assert max(abs(each) for each in off[len(off) // 2 :]) < 3
    assert clock.pauses == 0


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_a_converter_at_another_rate_is_seen_through_losses(share: float) -> None:
    clock = SampleClock(RATE)
    slow_ppm = (RATE / 15_625 - 1) * 1e6
    off = run(clock, regular(share), 0.005, slow_ppm)
    assert clock.drift_ppm == pytest.approx(slow_ppm, abs=60)
    assert max(abs(each) for each in off[len(off) // 2 :]) < 10
