"""Outputs of models, against reading them number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from framecast.vision.heads import UnknownHead, cells, head_of

WIDTH, HEIGHT = 64, 96
CLASSES = 3
LEAST = 0.25
Raw = NDArray[np.float32]
Told = list[tuple[float, ...]]


def noise(rows: int, columns: int) -> Raw:
    rng = np.random.default_rng(rows)
    raw = rng.uniform(0, 1, (rows, columns)).astype(np.float32)
    raw[:, :2] *= 3
    return raw


def reading(shape: tuple[int, ...], raw: Raw) -> Told:
    """Boxes and scores as the head reads them, those with any score that matters."""
    boxes, scores = head_of(shape, WIDTH, HEIGHT).read(raw, LEAST)
    return [(*box, *row) for box, row in zip(boxes.tolist(), scores.tolist(), strict=True) if max(row) >= LEAST]


def middle_and_sides(x: float, y: float, wide: float, high: float, scores: list[float]) -> tuple[float, ...]:
    return (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2, *scores)


def same(real: Told, wanted: Told) -> None:
    assert len(real) == len(wanted)
    assert len(wanted) > 10
    for one, other in zip(real, wanted, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("strides", [(8, 16, 32), (8, 16, 32, 64)])
def test_yolox_counts_from_its_cells(strides: tuple[int, ...]) -> None:
    high_px = 128 if 64 in strides else HEIGHT
    places = [
        (column, row, stride)
        for stride in strides
        for row in range(high_px // stride)
        for column in range(WIDTH // stride)
    ]
    raw = noise(len(places), 5 + CLASSES)
    wanted = []
    for (column, row, stride), values in zip(places, raw.tolist(), strict=True):
        x, y, wide, high, sure, *scores = values
        scores = [sure * score for score in scores]
        if max(scores) >= LEAST:
            wanted.append(
                middle_and_sides(
                    (x + column) * stride,
                    (y + row) * stride,
                    math.exp(wide) * stride,
                    math.exp(high) * stride,
                    scores,
                )
            )
    head = head_of((1, *raw.shape), WIDTH, high_px)
    assert (head.name, head.classes, head.unit, head.rgb, head.centred) == ("YOLOX", CLASSES, False, False, False)
    boxes, scores = head.read(raw, LEAST)
    real = [(*box, *row) for box, row in zip(boxes.tolist(), scores.tolist(), strict=True) if max(row) >= LEAST]
    same(real, wanted)


@pytest.mark.parametrize("count", [1, 3], ids=["YOLOX decoded", "YOLOv5"])
def test_boxes_in_pixels_with_objectness(count: int) -> None:
    raw = noise(count * cells(WIDTH, HEIGHT), 5 + CLASSES)
    raw[:, :4] *= 40
    wanted = []
    for x, y, wide, high, sure, *scores in raw.tolist():
        scores = [sure * score for score in scores]
        if max(scores) >= LEAST:
            wanted.append(middle_and_sides(x, y, wide, high, scores))
    same(reading((1, *raw.shape), raw), wanted)
    head = head_of((1, *raw.shape), WIDTH, HEIGHT)
    assert (head.name, head.unit, head.rgb) == (("YOLOX", False, False) if count == 1 else ("YOLOv5", True, True))


def test_yolov8_has_a_column_for_each_place() -> None:
    raw = noise(cells(WIDTH, HEIGHT), 4 + CLASSES).T.copy()
    wanted = [middle_and_sides(*row[:4], row[4:]) for row in raw.T.tolist() if max(row[4:]) >= LEAST]
    same(reading((1, *raw.shape), raw), wanted)
    head = head_of((1, *raw.shape), WIDTH, HEIGHT)
    assert (head.name, head.classes, head.unit, head.rgb, head.centred) == ("YOLOv8", CLASSES, True, True, True)


def test_end_to_end_names_a_class_and_fills_up_with_nothing() -> None:
    raw = np.zeros((300, 6), np.float32)
    raw[0] = [1, 2, 30, 40, 0.9, 2]
    raw[1] = [5, 6, 50, 60, 0.4, 0]
    raw[2] = [5, 6, 50, 60, 0.9, -1]
    raw[3] = [5, 6, 50, 60, 0.9, 1e9]  # nobody has so many classes
    raw[4] = [5, 6, 50, 60, np.nan, 0]
    assert reading((1, 300, 6), raw) == [
        pytest.approx((1, 2, 30, 40, 0, 0, 0.9)),
        pytest.approx((5, 6, 50, 60, 0.4, 0, 0)),
    ]


@pytest.mark.parametrize(
    "shape", [(1, 1000), (1, 3, 80, 80, 85), (2, 126, 85), (1, 126, 5), (1, 4, 126), (1, 100, 4), (1, 0, 0), ()]
)
def test_what_is_no_object_model_is_named_as_it_is(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnknownHead) as refused:
        head_of(shape, WIDTH, HEIGHT)
    assert "x".join(map(str, shape)) in str(refused.value)
    assert f"{WIDTH}x{HEIGHT}" in str(refused.value)
