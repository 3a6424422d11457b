"""People found by OpenCV's own detector, which needs no model."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from framecast.vision.detections import Image
from framecast.vision.people import HogPeople

PARTS = (
    (0, -0.82, 0.11, 0.14),
    (0, -0.35, 0.22, 0.36),
    (-0.1, 0.35, 0.1, 0.55),
    (0.1, 0.35, 0.1, 0.55),
    (-0.22, -0.3, 0.07, 0.33),
    (0.22, -0.3, 0.07, 0.33),
)
"""Head, body, legs and arms of somebody who stands: middle and half axes, in halves of the height."""


def standing(wide: int, high: int, x: int, y: int, half_px: int) -> Image:
    """A dark figure on a bright wall."""
    image = np.full((high, wide, 3), 200, np.uint8)
    for across, down, half_wide, half_high in PARTS:
        middle = (int(x + across * half_px), int(y + down * half_px))
        cv2.ellipse(image, middle, (int(half_wide * half_px), int(half_high * half_px)), 0, 0, 360, (40, 40, 40), -1)
    return image


@pytest.mark.parametrize(("wide", "high", "half_px"), [(480, 360, 40), (480, 360, 100), (1600, 1200, 300)])
def test_somebody_who_stands_is_found_where_they_are(wide: int, high: int, half_px: int) -> None:
    x, y = wide // 3, high // 2
    best = HogPeople().detect(standing(wide, high, x, y, half_px))[0]
    assert best.label == "person"
    assert best.score > 0.5
    left, top, right, bottom = best.box
    assert (left + right) / 2 == pytest.approx(x, abs=half_px / 4)
    assert top == pytest.approx(y - 0.96 * half_px, abs=half_px / 2)
    assert bottom == pytest.approx(y + 0.9 * half_px, abs=half_px / 2)


def test_nobody_is_found_where_nobody_is() -> None:
    people = HogPeople()
    assert people.detect(np.full((360, 480, 3), 200, np.uint8)) == []
    assert people.detect(np.zeros((1, 1, 3), np.uint8)) == []
    assert people.detect(standing(480, 360, 160, 180, 80), frozenset({"car"})) == []


def test_a_picture_with_somebody_everywhere_costs_no_more_than_its_search() -> None:
    people = HogPeople()
    everywhere = np.append(np.zeros(people._hog.getDescriptorSize(), np.float32), np.float32(1))
    people._hog.setSVMDetector(everywhere)  # what a picture that is made for it does to the real one
    tracemalloc.start()
    try:
        found = people.detect(np.random.default_rng(0).integers(0, 255, (240, 240, 3), np.uint8))
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found
    assert most_bytes < 50e6, "the thousands of windows were compared with each other"
