"""Things by ONNX models: whatever export is put in, told apart by what it says of itself."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from framecast.vision.boxes import letterbox, suppress
from framecast.vision.detections import Detection, Image
from framecast.vision.heads import UnknownHead, head_of
from framecast.vision.labels import COCO

FAINT = 0.1
"""What the tracker can still use; below it is noise."""
OVERLAP = 0.5
PROVIDERS = (
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "ROCMExecutionProvider",
    "OpenVINOExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
    "CPUExecutionProvider",
)
"""The fastest first; those that are installed and can be opened are used."""
DEFAULT_SIDE_PX = 640
"""Of an input whose size is left open."""


class UnusableModel(ValueError):
    """A file that is no object model that can be used; the message names the file and the reason."""


class OnnxObjects:
    """Finds things with a YOLOX, YOLOv5, YOLOv8 to v11 or end-to-end export. Called from one thread at a time.

    Args:
        path: The ``.onnx`` file.
        threads: CPU threads of one inference.
        labels: Names of the classes; taken from the model's metadata, or COCO's 80, when left out.

    Attributes:
        input_px: Width and height of its input.
        provider: What it runs on.
        form: Which kind of export it is.

    Raises:
        UnusableModel: See there.
    """

    def __init__(self, path: Path, threads: int = 1, labels: Sequence[str] = ()) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads of its own that wait by turning in circles would take the cores from the pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        there = set(onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=[each for each in PROVIDERS if each in there]
            )
        except Exception as error:
            raise UnusableModel(f"{path}: not a model that can be opened: {_first_line(error)}") from error
        self.provider = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in _TYPES or shape[1] not in (3, "3"):
            raise UnusableModel(
                f"{path}: it takes {', '.join(f'{each.name} {each.shape} {each.type}' for each in inputs)}; an object"
                " model takes one picture, [1, 3, height, width] of floats"
            )
        self._input = inputs[0].name
        self._dtype = _TYPES[inputs[0].type]
        height, width = (side if isinstance(side, int) and side > 0 else DEFAULT_SIDE_PX for side in shape[2:])
        self.input_px = (width, height)
        try:
            raw = self._run(np.zeros((height, width, 3), np.uint8), unit=True, rgb=False)
            self._head = head_of(raw.shape, width, height)
        except UnknownHead as error:
            raise UnusableModel(f"{path}: {error}") from error
        except Exception as error:
            raise UnusableModel(f"{path}: it can't be run on a picture: {_first_line(error)}") from error
        self.form = self._head.name
        self.labels = tuple(labels) or self._own_labels() or COCO
        self._classes: Any = None

    def detect(self, image: Image, wanted: frozenset[str] = frozenset(), least: float = FAINT) -> list[Detection]:
        """What is in ``image``, ``(H, W, 3) uint8`` BGR, of the wanted labels (all when empty), the surest first."""
        width, height = self.input_px
        fitted, fit = letterbox(image, width, height, centred=self._head.centred)
        boxes, scores = self._head.read(self._run(fitted, unit=self._head.unit, rgb=self._head.rgb)[0])
        if wanted:
            kept = [index for index, label in enumerate(self.labels[: scores.shape[1]]) if label in wanted]
            scores, numbers = scores[:, kept], np.array(kept, np.int64)
        else:
            numbers = np.arange(scores.shape[1])
        if not scores.shape[1]:
            return []
        best = scores.argmax(axis=1)
        sure = scores[np.arange(len(scores)), best]
        chosen = np.flatnonzero((sure >= least) & np.isfinite(boxes).all(axis=1))
        boxes, sure, classes = fit.back(boxes[chosen]), sure[chosen], numbers[best[chosen]]
        order = suppress(boxes, sure, classes, OVERLAP)
        found = []
        for index in order:
            left, top, right, bottom = boxes[index].tolist()
            found.append(Detection(self._label(int(classes[index])), float(sure[index]), left, top, right, bottom))
        return found

    def _run(self, image: Image, *, unit: bool, rgb: bool) -> Any:
        blob = cv2.dnn.blobFromImage(image, 1 / 255 if unit else 1.0, swapRB=rgb)
        return self._session.run(None, {self._input: blob.astype(self._dtype, copy=False)})[0].astype(np.float32)

    def _label(self, index: int) -> str:
        return self.labels[index] if index < len(self.labels) else f"class {index}"

    def _own_labels(self) -> tuple[str, ...]:
        # Ultralytics writes a Python dictionary: {0: 'person', 1: 'bicycle'}.
        text = self._session.get_modelmeta().custom_metadata_map.get("names", "")
        try:
            names = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return ()
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[index] for index in range(len(names))]
        return tuple(map(str, names)) if isinstance(names, list) else ()


_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
