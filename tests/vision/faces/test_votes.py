"""One name per track: what votes over pictures decide."""

from __future__ import annotations

import pytest

from framecast.vision.faces.votes import NOBODY, STRANGER_BY, Votes

ANNA, BERT = 1, 2


def after(*cast: int) -> Votes:
    votes = Votes()
    for who in cast:
        votes.cast(who)
    return votes


@pytest.mark.parametrize(
    ("cast", "decided"),
    [
        ([], None),
        ([ANNA], None),
        ([ANNA, ANNA], ANNA),
        ([ANNA, BERT], None),
        ([ANNA, BERT, ANNA], ANNA),
        ([NOBODY, NOBODY], None),
        ([NOBODY, NOBODY, NOBODY], NOBODY),
        ([NOBODY, NOBODY, ANNA, ANNA], ANNA),
        ([NOBODY, ANNA, NOBODY, NOBODY], NOBODY),
    ],
)
def test_what_is_decided(cast: list[int], decided: int | None) -> None:
    assert after(*cast).decided == decided


def test_one_bad_look_changes_no_name() -> None:
    for bad in (BERT, NOBODY):
        votes = after(ANNA, ANNA)
        votes.cast(bad)
        assert votes.decided == ANNA
        assert votes.doubtful, "it is looked at again at once"
        votes.cast(ANNA)
        assert not votes.doubtful


def test_another_name_has_to_lead_by_two() -> None:
    votes = after(ANNA, ANNA, BERT, BERT, BERT)
    assert votes.decided == ANNA
    votes.cast(BERT)
    assert votes.decided == BERT


def test_a_name_is_taken_back_when_nothing_speaks_for_it_any_more() -> None:
    votes = after(ANNA, ANNA, *[NOBODY] * (STRANGER_BY - 1))
    assert votes.decided == ANNA
    votes.cast(NOBODY)
    assert votes.decided == NOBODY


def test_a_stranger_keeps_the_number_it_got_until_three_votes_know_better() -> None:
    votes = after(NOBODY, NOBODY, NOBODY)
    votes.adopt(7)
    assert votes.decided == 7
    assert votes.voted_for == {7}
    for _ in range(2):
        votes.cast(ANNA)
        assert votes.decided == 7
        votes.cast(7, named=False)
    votes.cast(ANNA)
    assert votes.decided == ANNA
    assert votes.strength == 3


def test_who_is_forgotten_has_no_votes() -> None:
    votes = after(BERT, ANNA, ANNA)
    votes.forget(ANNA)
    assert votes.decided is None
    assert votes.voted_for == {BERT}
