"""Files of a few kilobytes in the form of YuNet and SFace: every white square of 32 px, on a grid of that, is a face,
and faces look like their brightness in each of 64 places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CELL_PX = 32
POINTS = (0.3, 0.35, 0.7, 0.35, 0.5, 0.5, 0.35, 0.7, 0.65, 0.7)
"""x and y of `framecast.vision.faces.face.Points`, as shares of the face."""


def write_yunet(path: Path) -> Path:
    """A file of YuNet's form; returns ``path``."""
    nodes, constants, outputs = [], [], []

    def constant(name: str, values: object, dtype: type = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def head(name: str, source: str, weight: float, bias: list[float]) -> None:
        """Of each cell ``weight`` times its brightness, and ``bias``: ``(1, cells, len(bias))``."""
        wide = len(bias)
        weights = constant(f"{name}_w", np.full((wide, 3, 1, 1), weight / 3 / 255))
        inputs = [source, weights, constant(f"{name}_b", bias)]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}_conv"]))
        nodes.append(helper.make_node("Relu", [f"{name}_conv"], [f"{name}_up"]))
        nodes.append(helper.make_node("Transpose", [f"{name}_up"], [f"{name}_last"], perm=[0, 2, 3, 1]))
        shape = constant(f"{name}_shape", [1, -1, wide], np.int64)
        nodes.append(helper.make_node("Reshape", [f"{name}_last", shape], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, wide]))

    for stride in (8, 16, 32):
        nodes.append(
            helper.make_node("AveragePool", ["input"], [f"p{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2)
        )
        for kind in ("cls", "obj"):
            # From four fifths of white on; the finer grids see nothing.
            head(f"{kind}_{stride}", f"p{stride}", *((5.0, [-4.0]) if stride == CELL_PX else (0.0, [-1.0])))
        head(f"bbox_{stride}", f"p{stride}", 0.0, [0.5, 0.5, 0.0, 0.0])
        head(f"kps_{stride}", f"p{stride}", 0.0, [*POINTS])
    return _write(path, "input", ["height", "width"], nodes, constants, outputs)


def write_sface(path: Path) -> Path:
    """A file of SFace's form; returns ``path``."""
    spread = np.random.default_rng(1).normal(size=(192, 128)).astype(np.float32)
    constants = [
        numpy_helper.from_array(spread, "spread"),
        numpy_helper.from_array(np.array([1, 192], np.int64), "flat"),
    ]
    nodes = [
        helper.make_node("AveragePool", ["data"], ["places"], kernel_shape=[14, 14], strides=[14, 14]),
        helper.make_node("Reshape", ["places", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "spread"], ["fc1"]),
    ]
    output = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 128])
    return _write(path, "data", [112, 112], nodes, constants, [output])


def _write(
    path: Path,
    name: str,
    sides: list[int] | list[str],
    nodes: list[onnx.NodeProto],
    constants: list[TensorProto],
    outputs: list[onnx.ValueInfoProto],
) -> Path:
    picture = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *sides])
    graph = helper.make_graph(nodes, "tiny", [picture], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path
