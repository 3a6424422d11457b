"""Geometry of boxes, against what plain loops say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.vision.boxes import PADDING, Letterbox, areas, shares, suppress
from framecast.vision.detections import Boxes

numbers = st.integers(-50, 300)
boxes = st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=12).map(
    lambda rows: np.array(rows, np.float32).reshape(-1, 4)
)


def plain_overlap(one: Boxes, other: Boxes) -> float:
    """Intersection over union of two boxes, as one would write it down."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0) * max(high, 0)
    union = sum(max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (one, other)) - shared
    return float(shared / union) if union > 0 else 0.0


def plain_suppress(found: Boxes, scores: list[float], classes: list[int], most: float) -> list[int]:
    """The best first; who overlaps with somebody better of its class is left out."""
    kept: list[int] = []
    for index in sorted(range(len(found)), key=lambda each: -scores[each]):
        if all(classes[other] != classes[index] or plain_overlap(found[index], found[other]) <= most for other in kept):
            kept.append(index)
    return kept


@settings(max_examples=60, deadline=None)
@given(boxes, boxes)
def test_overlaps_are_those_of_each_pair(one: Boxes, other: Boxes) -> None:
    real = shares(one[:, None], other[None])
    assert real.shape == (len(one), len(other))
    for row, first in enumerate(one):
        for column, second in enumerate(other):
            # A box that is turned inside out covers nothing.
            proper = min(first[2] - first[0], first[3] - first[1], second[2] - second[0], second[3] - second[1]) >= 0
            if proper:
                assert real[row, column] == pytest.approx(plain_overlap(first, second), abs=1e-5)
    assert (areas(one) >= 0).all()


def test_a_box_that_begins_outside_suppresses_none_of_another_class() -> None:
    found = np.array([[0, 0, 1, 1], [-2, -2, 1, 1]], np.float32)
    assert suppress(found, np.array([0.5, 0.9], np.float32), np.array([0, 1], np.int64), 0.0).tolist() == [1, 0]


@settings(max_examples=60, deadline=None)
@given(boxes, st.data(), st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_suppression_keeps_the_best_of_each_class(found: Boxes, data: st.DataObject, most: float) -> None:
    found = np.concatenate([np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:]) + 1], axis=1)
    count = len(found)
    classes = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    scores = [float(place + 1) / 100 for place in data.draw(st.permutations(range(count)))]
    real = suppress(found, np.array(scores, np.float32), np.array(classes, np.int64), most)
    assert real.tolist() == plain_suppress(found, scores, classes, most)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("wide", "high"), [(480, 360), (90, 300), (96, 64), (1, 1), (3, 500), (2000, 3)])
def test_a_picture_lies_whole_in_the_input_and_boxes_come_back(wide: int, high: int, centred: bool) -> None:
    image = np.full((high, wide, 3), 7, np.uint8)
    box = Letterbox(96, 64, centred=centred)
    box(np.full((500, 400, 3), 200, np.uint8))  # what was there before must be gone
    result, fit = box(image)
    assert result.shape == (64, 96, 3)
    inside = (result == 7).all(axis=2)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert (result[~inside] == PADDING).all()
    assert (len(rows) == 64) or (len(columns) == 96)
    if centred:
        assert abs((64 - rows[-1] - 1) - rows[0]) <= 1
        assert abs((96 - columns[-1] - 1) - columns[0]) <= 1
    else:
        assert (rows[0], columns[0]) == (0, 0)
    edges = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float32)
    tolerance = 1 / fit.scale + 1
    assert fit.back(edges)[0] == pytest.approx([0, 0, wide, high], abs=tolerance)
    assert fit.back(np.array([[-900, -900, 900, 900]], np.float32))[0].tolist() == [0, 0, wide, high]
