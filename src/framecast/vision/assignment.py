"""Who belongs to whom: the pairs that cost least together."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float32], most: float) -> list[tuple[int, int]]:
    """Pairs (row, column), each row and column at most once, whose costs are least in sum.

    The Hungarian method with shortest augmenting paths (Jonker and Volgenant, 1987): exact, O(n²m). The few dozen
    things in a picture take well under a millisecond.

    Args:
        costs: ``(N, M) float32``, each at least 0.
        most: A pair that costs more is no pair: both stay alone.
    """
    rows, columns = costs.shape
    if not rows or not columns:
        return []
    nearest = costs.argmin(axis=1)
    if rows <= columns and len(set(nearest.tolist())) == rows:
        # Each has the one that costs it least: nothing can be less in sum.
        return [(row, column) for row, column in enumerate(nearest.tolist()) if costs[row, column] <= most]
    # What costs too much costs all the same, so that it can't push a good pair aside.
    capped = np.minimum(costs, most + 1)
    if rows > columns:
        return [(row, column) for column, row in _least(capped.T) if costs[row, column] <= most]
    return [(row, column) for row, column in _least(capped) if costs[row, column] <= most]


def _least(costs: NDArray[np.float32]) -> list[tuple[int, int]]:
    """All rows of ``(N, M)``, N at most M, each with a column of its own."""
    rows, columns = costs.shape
    table: list[list[float]] = costs.tolist()
    row_price = [0.0] * (rows + 1)
    column_price = [0.0] * (columns + 1)
    owner = [0] * (columns + 1)  # of each column: its row, from 1; 0: nobody. Column 0 is the row that has none yet.
    for row in range(1, rows + 1):
        owner[0] = row
        at = 0
        nearest = [math.inf] * (columns + 1)
        came_from = [0] * (columns + 1)
        seen = [False] * (columns + 1)
        while owner[at]:
            seen[at] = True
            of, step, following = owner[at], math.inf, 0
            for column in range(1, columns + 1):
                if seen[column]:
                    continue
                reduced = table[of - 1][column - 1] - row_price[of] - column_price[column]
                if reduced < nearest[column]:
                    nearest[column], came_from[column] = reduced, at
                if nearest[column] < step:
                    step, following = nearest[column], column
            for column in range(columns + 1):
                if seen[column]:
                    row_price[owner[column]] += step
                    column_price[column] -= step
                else:
                    nearest[column] -= step
            at = following
        while at:
            owner[at] = owner[came_from[at]]
            at = came_from[at]
    return [(owner[column] - 1, column - 1) for column in range(1, columns + 1) if owner[column]]
