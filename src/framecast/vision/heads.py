"""What object models of this field put out, and how their boxes are read from it.

The forms are told apart by the shapes of the output and the input alone, for ``C`` classes and an input of
``(H, W)`` px:

- **YOLOX**: ``(1, A, 5 + C)`` with ``A = Σ (H/s)(W/s)`` over the strides 8, 16, 32 (and 64, of the P6 models). Centres
  and sides are relative to each cell: ``(xy + cell) · s``, ``exp(wh) · s``. Pixels go in as 0 to 255, BGR.
- **YOLOX, decoded in the graph**: the same shape with boxes in px; told by sides that no logarithm has.
- **YOLOv5** (and v7): ``(1, 3 A, 5 + C)``, three anchors a cell; centres and sides in px, scores times objectness.
  Pixels 0 to 1, RGB.
- **YOLOv8, v9, v11**: ``(1, 4 + C, A)``; centres and sides in px, scores as they are. Pixels 0 to 1, RGB.
- **End to end** (YOLOv10, v26 and exports with suppression inside): ``(1, N, 6)``; corners in px, score, class.

Sources: the export code and documentation of YOLOX 0.3, YOLOv5 7.0 and Ultralytics 8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framecast.vision.detections import Boxes

STRIDES = (8, 16, 32)
P6_STRIDES = (8, 16, 32, 64)
ANCHORS = 3
END_COLUMNS = 6
MOST_CLASSES = 10_000

Raw = NDArray[np.float32]


class UnknownHead(ValueError):
    """No object model of a form that is known; the message says what was found and what would be accepted."""


@dataclass(frozen=True, slots=True)
class Head:
    """How to feed a model, and how to read what it says.

    Attributes:
        name: Of the form, for people.
        classes: How many kinds of things it knows; 0 where its output doesn't tell.
        unit: Pixels go in from 0 to 1, and not to 255.
        rgb: Red goes in first, and not blue.
        centred: Padding goes on both sides of a picture.
        read: Boxes ``(N, 4)`` in px of the input and scores ``(N, C)`` of an output without its first axis, where any
            score is at least as much as is asked for.
    """

    name: str
    classes: int
    unit: bool
    rgb: bool
    centred: bool
    read: Callable[[Raw, float], tuple[Boxes, Raw]]


def cells(width_px: int, height_px: int, strides: tuple[int, ...] = STRIDES) -> int:
    """How many places a model of these strides looks at."""
    return sum((height_px // stride) * (width_px // stride) for stride in strides)


def head_of(shape: tuple[int, ...], width_px: int, height_px: int) -> Head:
    """The form of a model with an output of ``shape`` for an input of this size.

    Raises:
        UnknownHead: None that is known.
    """
    if len(shape) == 3 and shape[0] == 1:
        _, first, second = shape
        plain = cells(width_px, height_px)
        for strides in (STRIDES, P6_STRIDES):
            if first == cells(width_px, height_px, strides) and second > 5:
                return Head("YOLOX", second - 5, False, False, False, _Grid(width_px, height_px, strides))
            if first == ANCHORS * cells(width_px, height_px, strides) and second > 5:
                return Head("YOLOv5", second - 5, True, True, True, _anchored)
        if second == plain and first > 4:
            return Head("YOLOv8", first - 4, True, True, True, _anchor_free)
        if second == END_COLUMNS:
            return Head("end to end", 0, True, True, True, _finished)
    raise UnknownHead(
        f"its output {'x'.join(map(str, shape))} for a picture of {width_px}x{height_px} is not that of an object model"
        " known here: YOLOX, YOLOv5, YOLOv8, v9, v10 and v11 exports are"
    )


class _Grid:
    """YOLOX: places and sides relative to cells."""

    def __init__(self, width_px: int, height_px: int, strides: tuple[int, ...]) -> None:
        corners, steps = [], []
        for stride in strides:
            rows, columns = np.mgrid[: height_px // stride, : width_px // stride]
            corners.append(np.stack([columns, rows], -1).reshape(-1, 2))
            steps.append(np.full((rows.size, 1), stride))
        self._cells = np.concatenate(corners).astype(np.float32)
        self._strides = np.concatenate(steps).astype(np.float32)
        self._decoded: bool | None = None

    def __call__(self, raw: Raw, least: float) -> tuple[Boxes, Raw]:
        if self._decoded is None:
            # A logarithm of a side would be one of more than 10,000 cells.
            self._decoded = bool(raw[:, 2:4].max(initial=0) > np.log(1e4))
        chosen = np.flatnonzero(raw[:, 4] >= least)
        rows = raw[chosen]
        if self._decoded:
            middle, half = rows[:, :2], _half(rows)
        else:
            strides = self._strides[chosen]
            middle = (rows[:, :2] + self._cells[chosen]) * strides
            half = np.exp(rows[:, 2:4]) * strides * np.float32(0.5)
        return _boxes(middle, half), rows[:, 4:5] * rows[:, 5:]


def _anchored(raw: Raw, least: float) -> tuple[Boxes, Raw]:
    rows = raw[raw[:, 4] >= least]
    return _boxes(rows[:, :2], _half(rows)), rows[:, 4:5] * rows[:, 5:]


def _anchor_free(raw: Raw, least: float) -> tuple[Boxes, Raw]:
    rows = raw[:, raw[4:].max(axis=0) >= least].T
    return _boxes(rows[:, :2], _half(rows)), rows[:, 4:]


def _finished(raw: Raw, least: float) -> tuple[Boxes, Raw]:
    # Rows that stand for nothing have a score of 0, and in some exports a class of -1.
    rows = raw[(raw[:, 4] >= least) & (raw[:, 5] >= 0) & (raw[:, 5] < MOST_CLASSES)]
    classes = rows[:, 5].astype(np.int64)
    scores = np.zeros((len(rows), int(classes.max(initial=0)) + 1), np.float32)
    scores[np.arange(len(rows)), classes] = rows[:, 4]
    return rows[:, :4], scores


def _half(rows: Raw) -> Raw:
    return rows[:, 2:4] * np.float32(0.5)


def _boxes(middle: Raw, half: Raw) -> Boxes:
    boxes: Boxes = np.concatenate([middle - half, middle + half], axis=1).astype(np.float32, copy=False)
    return boxes
