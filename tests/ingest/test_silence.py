from __future__ import annotations

from math import inf

import pytest

from framecast.ingest.silence import LONGEST_INTERVAL_S, SHORTEST_S, Silence


def test_nothing_ever_came() -> None:
    silence = Silence()
    assert silence.at(5.0) == inf
    assert silence.normal_s == SHORTEST_S
    silence.heard(5.0)
    assert silence.at(6.0) == 1.0
    assert silence.interval_s == 0.0


@pytest.mark.parametrize("gap_s", [0.1, 4.0, 61.0, 600.0])
def test_two_gaps_are_a_pace(gap_s: float) -> None:
    silence = Silence()
    for number in range(3):
        silence.heard(number * gap_s)
    assert silence.interval_s == pytest.approx(gap_s)
    assert silence.normal_s == pytest.approx(max(SHORTEST_S, 3 * gap_s))


def test_an_absence_counts_for_little_and_is_forgotten() -> None:
    silence = Silence()
    now = 0.0
    for _ in range(100):
        now += 0.1
        silence.heard(now)
    silence.heard(now + 86_400)
    assert silence.interval_s < 2.0
    for number in range(1, 30):
        silence.heard(now + 86_400 + number / 10)
    assert silence.interval_s < 0.2


def test_no_pace_is_slower_than_the_slowest() -> None:
    silence = Silence()
    for number in range(5):
        silence.heard(number * 86_400.0)
    assert silence.interval_s == LONGEST_INTERVAL_S


def test_why() -> None:
    silence = Silence()
    silence.begin(0.0)
    assert silence.why(1.0) == ""
    silence.refused(1.0, "duplicate")
    assert silence.why(1.0) == ""
    silence.refused(1.0, "too_many_pixels")
    assert silence.why(2.0) == "pictures have more pixels than allowed"
    assert silence.why(4.0) == "", "that was long ago"
    silence.refused(4.0, "not_multipart")
    assert silence.why(14.0) == "what comes is no stream of pictures"
    silence.heard(15.0)
    assert silence.why(15.0) == ""
