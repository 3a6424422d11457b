"""What moves is drawn where it will be, and what does not stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from framecast.process.drift import Drift
from framecast.wire.detections import Box, Look, Thing

S = 1_000_000_000


def look(at_s: float, *things: Thing, epoch: int = 1) -> Look:
    return Look(1, epoch, round(at_s * S), things)


def walker(x: float, track: int = 1, *, seen: bool = True, label: str = "person") -> Thing:
    return Thing(label, 0.9, (x, 0.2, 0.1, 0.3), track, seen=seen)


def boxes(drift: Drift, at_s: float) -> list[Box]:
    now = drift.at(round(at_s * S))
    assert now is not None
    return [thing.box for thing in now.things]


def test_what_moves_goes_on_for_half_a_second_and_what_is_new_stays() -> None:
    drift = Drift()
    assert drift.at(0) is None
    drift.take(look(1.0, walker(0.1)))
    assert boxes(drift, 1.5) == [(0.1, 0.2, 0.1, 0.3)]
    drift.take(look(1.2, walker(0.14), walker(0.7, 2)))
    for at_s, x in ((1.2, 0.14), (1.3, 0.16), (1.7, 0.24), (3.0, 0.24), (1.1, 0.12)):
        moved, stays = boxes(drift, at_s)
        assert moved == pytest.approx((x, 0.2, 0.1, 0.3))
        assert stays == (0.7, 0.2, 0.1, 0.3)


def test_a_box_that_trembles_does_not_throw_its_thing_far() -> None:
    drift = Drift()
    for step, x in enumerate((0.10, 0.12, 0.14, 0.20)):
        drift.take(look(1 + step / 5, walker(x)))
    # 0.1 a second before, 0.3 by the last two looks.
    ((x, *_),) = boxes(drift, 1.6 + 0.1)
    assert x == pytest.approx(0.20 + 0.1 * 0.2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (look(1.0, walker(0.1, 0)), look(1.2, walker(0.2, 0))),  # no number: it may be another one
        (look(1.0, walker(0.1)), look(1.2, walker(0.2, label="face"))),
        (look(1.0, walker(0.1)), look(1.2, walker(0.2, seen=False))),
        (look(1.0, walker(0.1)), look(2.5, walker(0.2))),
        (look(1.0, walker(0.1)), look(1.0, walker(0.2))),
        (look(1.0, walker(0.1), epoch=1), look(1.2, walker(0.2), epoch=2)),
    ],
)
def test_what_is_not_known_to_move_stays(before: Look, after: Look) -> None:
    drift = Drift()
    drift.take(before)
    drift.take(after)
    assert boxes(drift, after.pts_ns / S + 0.2) == [(0.2, 0.2, 0.1, 0.3)]
    assert drift.at(after.pts_ns) == replace(after)
