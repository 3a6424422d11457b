"""The same thing has the same number, and nothing else has it."""

from __future__ import annotations

import numpy as np

from framecast.vision.detections import Detection
from framecast.vision.tracker import FAINT_S, LOST_S, Tracker


def thing(x_px: float, y_px: float = 100.0, *, score: float = 0.9, label: str = "person") -> Detection:
    return Detection(label, score, x_px, y_px, x_px + 40.0, y_px + 90.0)


def test_what_is_seen_once_alone_has_no_number_and_comes_to_nothing() -> None:
    tracker = Tracker()
    assert [each.track for each in tracker.update([thing(10)], 0.0)] == [0]
    assert tracker.update([], 0.2) == []
    assert tracker.live == 0
    tracker.update([thing(10)], 0.4)
    assert [each.track for each in tracker.update([thing(11)], 0.6)] == [2]


def test_what_is_faint_begins_nothing_but_goes_on() -> None:
    tracker = Tracker()
    assert tracker.update([thing(10, score=0.3)], 0.0) == []
    tracker.update([thing(10)], 0.2)
    tracker.update([thing(12)], 0.4)
    (seen,) = tracker.update([thing(14, score=0.2)], 0.6)
    assert (seen.track, seen.box) == (1, thing(14).box)
    assert (seen.score, seen.sure) == (0.9, False), "as sure as it was; nobody is told of 20 %"
    (standing,) = tracker.standing()
    assert standing.score == 0.9
    (seen,) = tracker.update([thing(16, score=0.6)], 0.8)
    assert (seen.score, seen.sure) == (0.6, True)


def test_what_stays_faint_is_told_no_more_and_is_the_same_when_it_is_sure_again() -> None:
    tracker = Tracker()
    for index in range(3):
        tracker.update([thing(10)], index / 2)
    told = [bool(tracker.update([thing(10, score=0.2)], 1 + index / 2)) for index in range(1, 40)]
    assert told == [index / 2 <= FAINT_S for index in range(1, 40)]
    assert tracker.standing() == []
    (seen,) = tracker.update([thing(10)], 21.0)
    assert (seen.track, seen.sure) == (1, True)


def test_hidden_for_a_moment_it_is_the_same_and_after_longer_another() -> None:
    tracker = Tracker()
    for index in range(6):
        tracker.update([thing(10 + 6 * index)], index / 5)
    (seen,) = tracker.update([thing(10 + 6 * 10)], 2.0)
    assert seen.track == 1
    tracker.update([], 2.0 + LOST_S + 0.1)
    assert tracker.live == 0
    tracker.update([thing(70)], 4.4)
    assert tracker.update([thing(70)], 4.6)[0].track == 2


def test_a_dog_is_never_the_person_beside_it() -> None:
    tracker = Tracker()
    for index in range(5):
        found = tracker.update([thing(10), thing(10, label="dog")], index / 5)
    assert {each.track for each in found} == {1, 2}
    before = {each.label: each.track for each in found}
    (dog,) = tracker.update([thing(10, label="dog")], 1.0)
    assert dog.track == before["dog"]


def test_what_rests_stays_where_it_was_seen_while_nobody_looks() -> None:
    tracker = Tracker()
    tracker.update([thing(10)], 0.0)
    assert tracker.standing() == []
    for index in range(1, 30):
        tracker.update([thing(10)], index / 5)
    (standing,) = tracker.standing()
    assert (standing.track, standing.label) == (1, "person")
    assert np.allclose(standing.box, thing(10).box, atol=1)


def test_nobody_is_foretold_out_of_the_world() -> None:
    """Speeds follow the time that passed, however unevenly pictures come, and a pause moves nothing far."""
    tracker = Tracker(lost_s=1e6)
    for at_s in (0.0, 0.2, 0.2001, 0.2002, 0.6, 0.6000001, 5.0, 1e5, 1e5):
        tracker.update([thing(100)], at_s)
    expected = tracker.expected(1e5 + 100)
    assert np.isfinite(expected).all()
    assert abs(expected[0, 0] - 100) < 60


def test_it_forgets_all_when_told() -> None:
    tracker = Tracker()
    tracker.update([thing(10)], 0.0)
    tracker.update([thing(10)], 0.2)
    tracker.clear()
    assert (tracker.live, len(tracker.expected(0.4)), tracker.numbers) == (0, 0, set())
