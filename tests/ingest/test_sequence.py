"""Chunks that are lost, doubled, reordered, wrapped and counted anew."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.ingest.sequence import HOLD_NS, MOST_LOST, Placed, Sequencer

STEP_NS = 64_000_000


def run(numbers: list[int], window: int = 2, salt: int = 0) -> tuple[list[Placed[int]], Sequencer[int]]:
    """What becomes of chunks with these numbers, 64 ms apart."""
    sequencer: Sequencer[int] = Sequencer(window)
    placed: list[Placed[int]] = []
    for index, number in enumerate(numbers):
        payload = f"{number}/{salt}".encode()
        placed += sequencer.take(number, payload, number, index * STEP_NS // 8)
    return placed + sequencer.rest(), sequencer


def items(placed: list[Placed[int]]) -> list[int]:
    return [each.item for each in placed]


def test_in_order() -> None:
    placed, sequencer = run(list(range(7, 100)))
    assert items(placed) == list(range(7, 100))
    assert not sequencer.counts


def test_lost() -> None:
    placed, sequencer = run([0, 1, 4, 5, 6, 7])
    assert items(placed) == [0, 1, 4, 5, 6, 7]
    assert [each.lost for each in placed] == [0, 0, 2, 0, 0, 0]
    assert dict(sequencer.counts) == {"lost": 2}


def test_where_order_is_kept_nothing_waits() -> None:
    sequencer: Sequencer[int] = Sequencer(0)
    sequencer.take(0, b"a", 0, 0)
    assert sequencer.take(5, b"b", 5, 1) == [Placed(5, 4)]


def test_a_missing_one_is_not_waited_for_long() -> None:
    sequencer: Sequencer[int] = Sequencer(8)
    sequencer.take(0, b"a", 0, 0)
    assert sequencer.take(2, b"c", 2, 1) == []
    assert items(sequencer.take(3, b"d", 3, HOLD_NS + 2)) == [2, 3]


def test_doubled_and_late() -> None:
    placed, sequencer = run([0, 1, 1, 2, 5, 6, 7, 4, 8, 7])
    assert items(placed) == [0, 1, 2, 5, 6, 7, 8]
    assert dict(sequencer.counts) == {"doubled": 2, "lost": 2, "late": 1}


def test_a_held_one_doubled() -> None:
    placed, sequencer = run([0, 2, 2, 1, 3])
    assert items(placed) == [0, 1, 2, 3]
    assert dict(sequencer.counts) == {"doubled": 1}


@pytest.mark.parametrize("bits", [8, 16, 31, 32, 64])
def test_wrapped(bits: int) -> None:
    end = 1 << bits
    numbers = [(end - 3 + step) % end for step in range(6)]
    placed, sequencer = run(numbers)
    assert items(placed) == numbers
    assert not any(each.lost or each.restarted for each in placed)
    assert not sequencer.counts


def test_wrapped_with_one_overtaking_and_one_lost() -> None:
    end = 1 << 16
    placed, sequencer = run([end - 3, 0, end - 2, end - 1, 1, 3, 4, 5])
    assert items(placed) == [end - 3, end - 2, end - 1, 0, 1, 3, 4, 5]
    assert dict(sequencer.counts) == {"lost": 1}


@pytest.mark.parametrize("ran", [3, 12, 50, 500, 70_000])
def test_a_device_that_starts_again(ran: int) -> None:
    sequencer: Sequencer[int] = Sequencer()
    for number in range(ran):
        sequencer.take(number, b"before %d" % number, number, number * STEP_NS)
    placed = [each for number in range(5) for each in sequencer.take(number, b"after %d" % number, number, 10**15)]
    assert items(placed) == [0, 1, 2, 3, 4]
    assert [each.restarted for each in placed] == [True, False, False, False, False]
    assert dict(sequencer.counts) == {"restarts": 1}


@pytest.mark.parametrize("ran", [1, 2, 3])
@pytest.mark.parametrize("begins", [0, 1])
def test_a_device_that_starts_again_at_once(ran: int, begins: int) -> None:
    sequencer: Sequencer[int] = Sequencer()
    for number in range(begins, begins + ran):
        sequencer.take(number, b"before %d" % number, number, number * STEP_NS)
    after = [(begins + number, b"after %d" % number) for number in range(5)]
    placed = [each for number, payload in after for each in sequencer.take(number, payload, number, 10**15)]
    assert items(placed) == [number for number, _ in after]
    assert dict(sequencer.counts) == {"restarts": 1}


@pytest.mark.parametrize("numbers", [[1, 0, 2, 3, 4], [1, 2, 0, 3, 4], [2, 1, 3, 4], [2, 3, 1, 4, 5]])
def test_the_first_ones_overtake_each_other(numbers: list[int]) -> None:
    placed, sequencer = run(numbers)
    assert items(placed) == sorted(number for number in numbers if number >= numbers[0])
    assert not any(each.lost or each.restarted for each in placed)
    assert dict(sequencer.counts) == {"late": 1}


def test_where_order_is_kept_a_first_one_begins_anew() -> None:
    placed, sequencer = run([1, 2, 0, 1, 2, 3], window=0)
    assert [each.restarted for each in placed] == [False, False, True, False, False, False]
    assert dict(sequencer.counts) == {"restarts": 1}


def test_numbers_that_go_back_for_good_are_another_count() -> None:
    placed, sequencer = run([100, 101, 102, 110, 111, 112, 113, 103, 104, 105, 106, 107])
    assert items(placed) == [100, 101, 102, 110, 111, 112, 113, 105, 106, 107]
    assert dict(sequencer.counts) == {"lost": 7, "late": 2, "restarts": 1}


def test_a_leap_is_another_count() -> None:
    placed, sequencer = run([0, 1, 2 + MOST_LOST, 3 + MOST_LOST])
    assert [each.lost for each in placed] == [0, 0, 1000, 0]
    placed, sequencer = run([0, 1, 3 + MOST_LOST, 4 + MOST_LOST])
    assert [(each.lost, each.restarted) for each in placed] == [(0, False), (0, False), (0, True), (0, False)]
    assert dict(sequencer.counts) == {"restarts": 1}


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(["sent", "sent", "sent", "lost", "doubled"]), st.booleans()), max_size=200),
    st.integers(0, 2**32),
)
def test_any_network(first: int, fates: list[tuple[str, bool]], seed: int) -> None:
    """Losses, repetitions and neighbours that change places: each comes once, in order, and the counts add up."""
    end = 1 << 32
    numbers: list[int] = [first % end]
    for step, (fate, swap) in enumerate(fates, 1):
        number = (first + step) % end
        if fate != "lost":
            numbers += [number] * (2 if fate == "doubled" else 1)
            if swap and len(numbers) > 2 and numbers[-2] != numbers[-1] and len(set(numbers[-3:])) == 3:
                numbers[-1], numbers[-2] = numbers[-2], numbers[-1]
    placed, sequencer = run(numbers, salt=seed)
    steps = [(item - first) % end for item in items(placed)]
    assert steps == sorted(set(steps))
    assert not sequencer.counts["restarts"]
    counts = sequencer.counts
    assert len(placed) + counts["doubled"] + counts["late"] == len(numbers)
    assert sum(each.lost for each in placed) == counts["lost"] == steps[-1] + 1 - len(placed)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40) | st.integers(2**16 - 20, 2**16), max_size=60))
def test_any_numbers(numbers: list[int]) -> None:
    """Nothing is passed on twice or invented, whatever comes."""
    placed, sequencer = run(numbers)
    assert len(placed) + sequencer.counts["doubled"] + sequencer.counts["late"] == len(numbers)
    assert all(each.lost >= 0 for each in placed)


def test_shuffled_within_the_window() -> None:
    rng = random.Random(4)
    numbers = list(range(300))
    for at in range(1, len(numbers) - 3, 4):
        if rng.random() < 0.5:
            numbers[at], numbers[at + 1] = numbers[at + 1], numbers[at]
        else:
            numbers[at : at + 3] = numbers[at + 1], numbers[at + 2], numbers[at]
    placed, sequencer = run(numbers)
    assert items(placed) == list(range(300))
    assert not sequencer.counts
