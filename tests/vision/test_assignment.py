"""Pairs that cost least in sum, against trying all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from framecast.vision.assignment import assign

costs = st.tuples(st.integers(0, 5), st.integers(0, 5)).flatmap(
    lambda shape: st.lists(st.integers(0, 20), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values, np.float32).reshape(shape) / 10
    )
)


def least_sum(table: NDArray[np.float32], most: float) -> float:
    """The least that all can cost, where staying alone costs a little more than any pair that is allowed."""
    rows, columns = table.shape
    if rows > columns:
        return least_sum(table.T, most)
    capped = np.minimum(table, most + 1)
    return min(
        (
            sum(float(capped[row, column]) for row, column in enumerate(chosen))
            for chosen in itertools.permutations(range(columns), rows)
        ),
        default=0.0,
    )


@settings(max_examples=150, deadline=None)
@given(costs, st.sampled_from([0.5, 1.0, 2.0]))
def test_no_other_pairs_cost_less(table: NDArray[np.float32], most: float) -> None:
    pairs = assign(table, most)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(table[pair] <= most for pair in pairs)
    alone = min(table.shape) - len(pairs)
    total = sum(float(table[pair]) for pair in pairs) + alone * (most + 1)
    # Who costs more than is allowed stays alone, at the price of a little more than anything allowed.
    assert total >= least_sum(table, most) - 1e-4
    capped = np.minimum(table, most + 1)
    refused = [value for value in capped.ravel().tolist() if most < value < most + 1]
    if not refused:
        assert total == pytest.approx(least_sum(table, most), abs=1e-4)


def test_a_good_pair_is_not_pushed_aside_by_one_that_is_none() -> None:
    table = np.array([[0.1, 5.0], [0.0, 9.0]], np.float32)
    assert assign(table, 0.8) == [(1, 0)]


def test_thirty_things_are_told_apart_by_where_they_are() -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(30)
    table = rng.uniform(0.5, 1, (30, 40)).astype(np.float32)
    table[np.arange(30), order] = 0.01
    assert sorted(assign(table, 1.0)) == sorted(enumerate(order.tolist()))
