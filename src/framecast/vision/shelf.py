"""The detectors that are open: each once for all cameras that want it, in each of the threads that look."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from framecast.vision.catalog import MissingModel, find, labels_file, mark_of
from framecast.vision.detectors import Opened, open_detector

RECHECK_S = 5.0
"""So often it is looked whether a model has come, or is another one now."""


@dataclass(slots=True)
class _Kept:
    opened: Opened
    mark: object
    checked_s: float


class Shelf:
    """Opens detectors when they are first asked for, and again when their file is another one. For any thread.

    Args:
        folders: Where models are, the first first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._kept: dict[tuple[str, int, int], _Kept] = {}

    def get(self, name: str, threads: int, now_s: float) -> Opened:
        """The detector called ``name``. Slow when it has to be opened.

        Args:
            name: Of the model; empty for the first that is there.
            threads: CPU threads of one inference.
            now_s: Time by any clock that only rises.
        """
        # Not every provider of onnxruntime can be asked by two threads at once, so each has its own, and waits for no
        # other one that opens a model.
        key = (name, threads, threading.get_ident())
        kept = self._kept.get(key)
        if kept is not None and now_s - kept.checked_s < RECHECK_S:
            return kept.opened
        mark = self._mark(name)
        if kept is None or kept.mark != mark:
            kept = self._kept[key] = _Kept(open_detector(name, self._folders, threads), mark, now_s)
        kept.checked_s = now_s
        return kept.opened

    def _mark(self, name: str) -> object:
        """Another one when the file is, or what names its classes."""
        path = find(name, "objects", self._folders)
        if isinstance(path, MissingModel):
            return path.reason
        return path, mark_of(path), mark_of(labels_file(path))
