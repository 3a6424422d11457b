"""Things by ONNX models: whatever export is put in, told apart by what it says of itself."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from framecast.vision.boxes import Letterbox, suppress, surest
from framecast.vision.catalog import known, labels_of, why_not
from framecast.vision.detections import FAINT, Detection, Image
from framecast.vision.heads import UnknownHead, head_of
from framecast.vision.labels import COCO

OVERLAP = 0.5
PROVIDERS = (
    "CUDAExecutionProvider",
    "ROCMExecutionProvider",
    "MIGraphXExecutionProvider",
    "OpenVINOExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
)
"""Tried before the CPU where the installed onnxruntime has them. TensorRT is left out: it builds its engine anew at
each start, for minutes."""
CPU = "CPUExecutionProvider"
DEFAULT_SIDE_PX = 640
"""Of an input whose size is left open, and not told in the model's metadata."""
LARGEST_SIDE_PX = 2_048
"""Of an input: a larger one takes seconds on any machine this is for."""
CANDIDATES = 1_000
"""Boxes that are compared with each other; more come of a model that sees something everywhere."""
MOST = 200
"""Things told of one picture."""

Scores = NDArray[np.float32]

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# onnxruntime's errors have no parent of their own.
_REFUSALS: tuple[type[Exception], ...] = (
    *(
        getattr(runtime, name)
        for name in (
            "EPFail",
            "EngineError",
            "Fail",
            "InvalidArgument",
            "InvalidGraph",
            "InvalidProtobuf",
            "NoModel",
            "NoSuchFile",
            "NotImplemented",
            "RuntimeException",
        )
    ),
    RuntimeError,
    ValueError,
    TypeError,
    MemoryError,
)


class UnusableModel(ValueError):
    """A file that is no object model that can be used; the message names the file and the reason."""


class OnnxObjects:
    """Finds things with a YOLOX, YOLOv5, YOLOv8 to v11 or end-to-end export. May be called from several threads.

    Args:
        path: The ``.onnx`` file.
        threads: CPU threads of one inference.
        labels: Names of the classes. When left out: those in the text file beside it, in its metadata, or COCO's 80.

    Attributes:
        name: What it is called where models are named.
        input_px: Width and height of its input.
        provider: What it runs on.
        form: Which kind of export it is.
        labels: Names of the classes.

    Raises:
        UnusableModel: See there.
    """

    def __init__(self, path: Path, threads: int = 1, labels: Sequence[str] = ()) -> None:
        model = known(path.name)
        self.name = path.stem if model is None else model.name
        reason = why_not(path)
        if reason:
            raise UnusableModel(f"{path}: {reason}")
        there = set(onnxruntime.get_available_providers())
        ways = [[each] for each in PROVIDERS if each in there]
        for providers in ways:
            # A provider may be installed without its device, or fail on this model: the CPU does for all.
            try:
                self._open(path, threads, [*providers, CPU])
                break
            except UnusableModel:
                continue
        else:
            self._open(path, threads, [CPU])
        self.form = self._head.name
        own = tuple(labels) or labels_of(path) or self._own_labels()
        # Behind the classes may be more: outlines and joints of models that were made for those, too.
        self._classes = len(own) if own else None
        self.labels = own or COCO

    def detect(self, image: Image, wanted: frozenset[str] = frozenset(), least: float = FAINT) -> list[Detection]:
        """What is in ``image``, ``(H, W, 3) uint8`` BGR, of the wanted labels (all when empty), the surest first."""
        if not hasattr(self._scratch, "letterbox"):
            self._scratch.letterbox = Letterbox(*self.input_px, centred=self._head.centred)
        fitted, fit = self._scratch.letterbox(image)
        # What a model puts out is not ours: numbers without a value are left out below.
        with np.errstate(all="ignore"):
            boxes, scores = self._head.read(self._run(fitted, unit=self._head.unit, rgb=self._head.rgb), least)
            scores = scores[:, : self._classes]
            numbers = self._numbers(wanted, scores.shape[1])
            if wanted:
                scores = scores[:, numbers]
            if not scores.size:
                return []
            boxes, sure, classes = _best(boxes, scores, numbers, least)
            boxes = fit.back(boxes)
        real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        if not real.all():
            boxes, sure, classes = boxes[real], sure[real], classes[real]
        kept = suppress(boxes, sure, classes, OVERLAP)[:MOST]
        rows = zip(classes[kept].tolist(), sure[kept].tolist(), boxes[kept].tolist(), strict=True)
        return [Detection(self._label(index), min(score, 1.0), *box) for index, score, box in rows]

    def _open(self, path: Path, threads: int, providers: list[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads of its own that wait by turning in circles would take the cores from the pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
        except _REFUSALS as error:
            raise UnusableModel(f"{path}: it can't be opened as an ONNX model: {_words(error, path)}") from error
        self.provider: str = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        width, height = self.input_px = self._sides(path)
        self._scratch = threading.local()
        self._seen_shape: tuple[int, ...] = ()
        try:
            raw = self._run(np.zeros((height, width, 3), np.uint8), unit=True, rgb=False, whole=True)
            self._head = head_of(raw.shape, width, height)
            self._seen_shape = raw.shape
            self._scratch = threading.local()  # from here on it is known what comes
        except UnknownHead as error:
            raise UnusableModel(f"{path}: {error}") from error
        except _REFUSALS as error:
            raise UnusableModel(f"{path}: it can't be run on a picture: {_words(error, path)}") from error

    def _sides(self, path: Path) -> tuple[int, int]:
        """Width and height of the input, which is looked at."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in _TYPES or _side(shape[1], 3) != 3:
            taken = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)[:300] or "nothing"
            raise UnusableModel(
                f"{path}: it takes {taken}; an object model takes one picture, [1, 3, height, width] of floats"
            )
        self._input = inputs[0].name
        self._dtype = _TYPES[inputs[0].type]
        told = self._literal("imgsz")
        sides = told if isinstance(told, list) and len(told) == 2 else [DEFAULT_SIDE_PX] * 2
        height, width = (
            _side(side, _side(other, DEFAULT_SIDE_PX)) for side, other in zip(shape[2:], sides, strict=True)
        )
        if not (32 <= width <= LARGEST_SIDE_PX and 32 <= height <= LARGEST_SIDE_PX) or _side(shape[0], 1) != 1:
            raise UnusableModel(
                f"{path}: it takes [{', '.join(map(str, shape))}]; one picture of 32 to {LARGEST_SIDE_PX} px a side is"
                " accepted"
            )
        return width, height

    def _run(self, image: Image, *, unit: bool, rgb: bool, whole: bool = False) -> Any:
        """The first output for a picture of the input's size; without its first axis, unless ``whole``."""
        # Each thread's own memory, used again: new pages for each picture cost more than what is done with them.
        scratch = self._scratch
        if not hasattr(scratch, "blob"):
            width, height = self.input_px
            scratch.planes = [np.zeros((height, width), np.uint8) for _ in range(3)]
            scratch.blob = np.zeros((1, 3, height, width), self._dtype)
            scratch.ask = self._asking(scratch.blob)
        cv2.split(image, scratch.planes)
        for plane, into in zip(scratch.planes[::-1] if rgb else scratch.planes, scratch.blob[0], strict=True):
            if unit:
                np.multiply(plane, np.float32(1 / 255), out=into, casting="same_kind")
            else:
                np.copyto(into, plane, casting="unsafe")
        output = scratch.ask()
        if not isinstance(output, np.ndarray):
            raise TypeError(f"its output is a {type(output).__name__}")
        raw = output.astype(np.float32, copy=False)
        return raw if whole else raw[0]

    def _asking(self, blob: NDArray[Any]) -> Callable[[], Any]:
        """What runs the model on what is in ``blob`` by then, and returns its first output."""
        session, taken, given = self._session, self._input, self._session.get_outputs()[0]
        dtype = _TYPES.get(given.type)
        if session.get_providers()[0] != CPU or dtype is None or self._seen_shape != tuple(given.shape):
            return lambda: session.run([given.name], {taken: blob})[0]
        # Into the same memory each time, where its size is known before: models may say one and give another.
        output = np.zeros(given.shape, dtype)
        binding = session.io_binding()
        binding.bind_input(taken, "cpu", 0, self._dtype, blob.shape, blob.ctypes.data)
        binding.bind_output(given.name, "cpu", 0, dtype, output.shape, output.ctypes.data)

        def ask() -> NDArray[Any]:
            session.run_with_iobinding(binding)
            return output

        return ask

    def _numbers(self, wanted: frozenset[str], classes: int) -> NDArray[np.int64]:
        """Of the wanted labels among so many classes; of all when empty."""
        asked, scratch = (wanted, classes), self._scratch
        if getattr(scratch, "asked", None) != asked:
            names = enumerate(self.labels[:classes])
            chosen = [index for index, label in names if label in wanted] if wanted else range(classes)
            scratch.asked, scratch.numbers = asked, np.array(chosen, np.int64)
        numbers: NDArray[np.int64] = scratch.numbers
        return numbers

    def _label(self, index: int) -> str:
        return self.labels[index] if index < len(self.labels) else f"class {index}"

    def _own_labels(self) -> tuple[str, ...]:
        # Ultralytics writes a Python dictionary: {0: 'person', 1: 'bicycle'}.
        names = self._literal("names")
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[index] for index in range(len(names))]
        return tuple(str(name)[:64] for name in names) if isinstance(names, list) else ()

    def _literal(self, key: str) -> Any:
        """What the metadata says under ``key``, as a Python literal; None where it says nothing that can be read."""
        text = self._session.get_modelmeta().custom_metadata_map.get(key, "")
        try:
            return ast.literal_eval(text[:100_000])
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None


def _best(
    boxes: NDArray[np.float32], scores: Scores, numbers: NDArray[np.int64], least: float
) -> tuple[NDArray[np.float32], Scores, NDArray[np.int64]]:
    """Of each box its best class, where that has at least ``least``; the surest `CANDIDATES`."""
    best = scores.argmax(axis=1)
    sure = scores[np.arange(len(scores)), best]
    chosen = np.flatnonzero((sure >= least) & np.isfinite(sure) & np.isfinite(boxes).all(axis=1))
    chosen = chosen[surest(sure[chosen], CANDIDATES)]
    return boxes[chosen], sure[chosen], numbers[best[chosen]]


def _side(value: Any, otherwise: int) -> int:
    """A side that a model states; ``otherwise`` where it is left open."""
    return value if isinstance(value, int) and value > 0 else otherwise


def _words(error: Exception, path: Path) -> str:
    """What onnxruntime says, without its own numbering, its own places, and the path it repeats."""
    line = (str(error).splitlines() or [""])[0].replace(f"Load model from {path} failed:", "").strip()
    return re.sub(r"/onnxruntime_src/.*\) ", "", line.rpartition(" : ")[2])[:300] or type(error).__name__
