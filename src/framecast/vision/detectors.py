"""Which detector there is for what a server was asked for: a model of its name, or what does without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from framecast.vision.catalog import PEOPLE, MissingModel, find
from framecast.vision.detections import Detector

State = Literal["", "no_model", "not_a_model", "not_installed"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What looks at the pictures, and why it is not what was asked for.

    Attributes:
        detector: What looks; None where nothing can.
        name: What it is called; empty where there is none.
        kind: How its inferences are counted.
        state: As a code; empty when it is what was asked for.
        reason: The same in words.
    """

    detector: Detector | None
    name: str
    kind: Literal["objects", "people"] = "objects"
    state: State = ""
    reason: str = ""


def open_detector(name: str, where: Sequence[Path], threads: int = 1) -> Opened:
    """The detector called ``name`` (the first that is there when empty), or people by OpenCV as the last resort.

    Slow, and imports what is heavy: to be called in a thread. Never raises for what is wrong with a file.

    Args:
        name: Of the model, or ``hog``.
        where: Folders with models, see `framecast.vision.catalog.folders`.
        threads: CPU threads of one inference.
    """
    if name == PEOPLE:
        return _people("", "")
    path = find(name, "objects", where)
    if isinstance(path, MissingModel):
        return _people("no_model", path.reason)
    try:
        from framecast.vision.objects import OnnxObjects, UnusableModel
    except ModuleNotFoundError as error:
        return _people("not_installed", _missing(error))
    try:
        detector = OnnxObjects(path, threads)
    except UnusableModel as error:
        # Whoever may watch a camera reads this, and need not know where files lie.
        return _people("not_a_model", str(error).replace(str(path), path.name))
    return Opened(detector, detector.name)


def _people(state: State, reason: str) -> Opened:
    try:
        from framecast.vision.people import HogPeople
    except ModuleNotFoundError as error:
        return Opened(None, "", state="not_installed", reason=_missing(error))
    if reason:
        reason += "; until then only people are looked for, by OpenCV's own detector"
    return Opened(HogPeople(), PEOPLE, "people", state, reason)


def _missing(error: ModuleNotFoundError) -> str:
    return f"looking at pictures needs {error.name}: pip install 'framecast[vision]'"
