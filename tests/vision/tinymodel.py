"""Object models of a few kilobytes, of each form that is known: they find bright squares.

What is white is a person, what is red a bicycle, what is blue a car: the first three kinds of COCO. Of each colour
there is one box, round all that has it, so tests know what has to be found, and where. A dozen pixels of the model's
input have to have the colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Form = Literal["yolox", "yolox decoded", "yolov5", "yolov8", "end to end"]
FORMS: tuple[Form, ...] = ("yolox", "yolox decoded", "yolov5", "yolov8", "end to end")

LABELS = ("person", "bicycle", "car")
WHITE, RED, BLUE = (255, 255, 255), (230, 10, 10), (10, 10, 230)
"""As RGB; `LABELS` in their order."""
SCORE = 0.9
ENOUGH_PX = 12
STRIDES = (8, 16, 32)


def write(
    path: Path,
    form: Form = "yolox",
    width_px: int = 96,
    height_px: int = 96,
    *,
    metadata: dict[str, str] | None = None,
    open_sides: bool = False,
    half: bool = False,
    columns: int = 0,
    told: list[int] | None = None,
) -> Path:
    """Make such a model, and the folder it is in; returns ``path``.

    Args:
        path: Of the file.
        form: What its output looks like.
        width_px: Of its input, a multiple of 32.
        height_px: Likewise.
        metadata: What it says of itself, as exports do.
        open_sides: The sides of its input are left open, as in exports with dynamic axes.
        half: It takes float16.
        columns: Others behind the classes, such as models of poses and outlines have.
        told: The shape that it says its output has, in place of the real one; empty for none at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    model = _model(form, width_px, height_px, metadata or {}, open_sides, half, columns, told is not None)
    if told is not None:
        of_output = model.graph.output[0].type.tensor_type
        of_output.ClearField("shape")
        for side in told:
            of_output.shape.dim.add().dim_value = side
    path.write_bytes(model.SerializeToString())
    return path


class _Graph:
    """Nodes with results that are named by themselves."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name


def _model(
    form: Form,
    width_px: int,
    height_px: int,
    metadata: dict[str, str],
    open_sides: bool,
    half: bool,
    columns: int,
    hidden: bool,
) -> onnx.ModelProto:
    graph = _Graph()
    boxes, scores = _squares(graph, half=half, unit_rgb=not form.startswith("yolox"))
    middle = graph("Mul", graph("Add", *_corners(graph, boxes)), graph.constant(0.5))
    low, high = _corners(graph, boxes)
    side = graph("Sub", high, low)
    classes = graph("Mul", graph.constant(np.eye(len(LABELS))), scores)  # (3, 3)
    sure = graph.constant(np.ones((len(LABELS), 1)))
    cells = sum((height_px // stride) * (width_px // stride) for stride in STRIDES)
    more = [graph.constant(np.full((len(LABELS), columns), 0.99))] if columns else []
    if form == "end to end":
        numbers = graph.constant(np.arange(len(LABELS))[:, None])
        rows, count = graph("Concat", boxes, scores, numbers, axis=1), 300
    elif form == "yolov8":
        rows, count = graph("Concat", middle, side, classes, *more, axis=1), cells
    elif form == "yolox":
        # The first cells of the finest grid tell of all.
        places = graph.constant([[column, 0] for column in range(len(LABELS))])
        middle = graph("Sub", graph("Div", middle, graph.constant(STRIDES[0])), places)
        side = graph("Log", graph("Div", side, graph.constant(STRIDES[0])))
        rows, count = graph("Concat", middle, side, sure, classes, *more, axis=1), cells
    else:
        rows = graph("Concat", middle, side, sure, classes, *more, axis=1)
        count = cells if form == "yolox decoded" else 3 * cells
    width = 6 if form == "end to end" else (4 if form == "yolov8" else 5) + len(LABELS) + columns
    padding = graph.constant(np.zeros((count - len(LABELS), width)))
    result = graph("Unsqueeze", graph("Concat", rows, padding, axis=0), graph.constant([0], np.int64))
    shape = [1, count, width]
    if form == "yolov8":
        result, shape = graph("Transpose", result, perm=[0, 2, 1]), [1, width, count]
    if hidden:
        # So many columns as it has, which onnxruntime can't know before it has seen a picture.
        nothing = graph("Mul", graph("ReduceMean", "images", keepdims=0), graph.constant(0.0))
        columns_there = graph("Cast", graph("Add", nothing, graph.constant(float(shape[2]))), to=TensorProto.INT64)
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        result = graph("Gather", result, graph("Range", zero, columns_there, one), axis=2)
    graph.nodes.append(helper.make_node("Identity", [result], ["output"]))
    sides = ["height", "width"] if open_sides else [height_px, width_px]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tiny",
            [
                helper.make_tensor_value_info(
                    "images", TensorProto.FLOAT16 if half else TensorProto.FLOAT, [1, 3, *sides]
                )
            ],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    helper.set_model_props(model, metadata)
    return model


def _squares(graph: _Graph, *, half: bool, unit_rgb: bool) -> tuple[str, str]:
    """Boxes ``(3, 4)`` in px of the input and scores ``(3, 1)``, one for each colour."""
    pixels = graph("Squeeze", "images", graph.constant([0], np.int64))
    if half:
        pixels = graph("Cast", pixels, to=TensorProto.FLOAT)
    if unit_rgb:
        pixels = graph("Mul", graph("Gather", pixels, graph.constant([2, 1, 0], np.int64)), graph.constant(255))
    blue, green, red = (graph("Gather", pixels, graph.constant([index], np.int64)) for index in range(3))
    bright, dark = graph.constant(170), graph.constant(110)
    colours = [
        graph("Greater", graph("Min", blue, green, red), bright),
        graph("And", graph("Greater", red, bright), graph("Less", graph("Max", blue, green), dark)),
        graph("And", graph("Greater", blue, bright), graph("Less", graph("Max", red, green), dark)),
    ]
    masks = graph("Cast", graph("Concat", *colours, axis=0), to=TensorProto.FLOAT)  # (3, H, W)
    across = graph("ReduceMax", masks, axes=[1], keepdims=0)
    down = graph("ReduceMax", masks, axes=[2], keepdims=0)
    one = graph.constant(1)
    edges = []
    for line in (across, down):
        edges.append(_number(graph, graph("ArgMax", line, axis=1)))
    for line in (across, down):
        edges.append(graph("Add", _number(graph, graph("ArgMax", line, axis=1, select_last_index=1)), one))
    count = graph("ReduceSum", masks, graph.constant([1, 2], np.int64), keepdims=0)
    share = graph("Min", graph("Div", count, graph.constant(ENOUGH_PX)), one)
    score = graph("Mul", graph("Floor", share), graph.constant(SCORE))
    return (
        graph("Concat", *edges, axis=1),
        graph("Unsqueeze", score, graph.constant([1], np.int64)),
    )


def _number(graph: _Graph, index: str) -> str:
    return graph("Cast", index, to=TensorProto.FLOAT)


def _corners(graph: _Graph, boxes: str) -> tuple[str, str]:
    axis = graph.constant([1], np.int64)
    return (
        graph("Slice", boxes, graph.constant([0], np.int64), graph.constant([2], np.int64), axis),
        graph("Slice", boxes, graph.constant([2], np.int64), graph.constant([4], np.int64), axis),
    )
