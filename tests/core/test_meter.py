from __future__ import annotations

import pytest

from framecast.core.meter import Meter, Percentiles

START_NS = 1_700_000_000_000_000_000


def metered(fps: float, seconds: float, size_bytes: int = 1000) -> tuple[Meter, int]:
    """A meter after a steady stream, and the time of its last frame."""
    meter, now_ns = Meter(), START_NS
    for number in range(round(fps * seconds)):
        now_ns = START_NS + round(number / fps * 1e9)
        meter.add(size_bytes, now_ns)
    return meter, now_ns


@pytest.mark.parametrize("fps", [2, 5, 14.9, 30, 240])
def test_rates_of_a_steady_stream(fps: float) -> None:
    meter, now_ns = metered(fps, 20)
    frames, size = meter.rates(now_ns + round(0.5e9 / fps))
    assert frames == pytest.approx(fps, rel=0.1)
    assert size == pytest.approx(fps * 1000, rel=0.1)
    assert (meter.count, meter.bytes) == (round(fps * 20), round(fps * 20) * 1000)


def test_a_rate_falls_when_nothing_comes_and_ends_after_four_seconds() -> None:
    meter, now_ns = metered(30, 10)
    rates = [meter.rates(now_ns + round(later * 1e9))[0] for later in (0.0, 1.0, 2.0, 4.5)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0


def test_one_frame_is_no_rate() -> None:
    meter = Meter()
    assert meter.rates(START_NS) == (0.0, 0.0)
    meter.add(5, START_NS)
    assert meter.rates(START_NS + 10) == (0.0, 0.0)


def test_percentiles_are_those_of_the_last_samples() -> None:
    percentiles = Percentiles()
    assert percentiles.at(0.5, 0.99) == (0.0, 0.0)
    for sample in range(1000):
        percentiles.add(float(sample))
    low, median, high = percentiles.at(0.0, 0.5, 1.0)
    assert (low, high) == (744.0, 999.0)
    assert median == pytest.approx(872, abs=1)
