"""The detectors that are open: each once for all cameras that want it, and where that is allowed for all threads."""

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
    asked_s: float


_Way = tuple[str, int]
"""Name of a model, and CPU threads of one inference."""
_ALL = 0
"""In place of a thread's number, which is never 0."""


class Shelf:
    """Opens detectors when they are first asked for, and again when their file is another one. For any thread.

    Args:
        folders: Where models are, the first first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._lock = threading.Lock()
        self._opening: dict[_Way, threading.Lock] = {}
        self._kept: dict[tuple[_Way, int], _Kept] = {}

    def get(self, name: str, threads: int, now_s: float) -> Opened:
        """The detector called ``name``. Slow when it has to be opened.

        Args:
            name: Of the model; empty for the first that is there.
            threads: CPU threads of one inference.
            now_s: Time by any clock that only rises.
        """
        way = name, threads
        kept = self._fresh(way, now_s)
        if kept is not None:
            return kept.opened
        with self._lock:
            opening = self._opening.setdefault(way, threading.Lock())
        with opening:  # who comes second most likely gets what the first one opens
            return (self._fresh(way, now_s) or self._checked(way, now_s)).opened

    def let_go(self, before_s: float) -> None:
        """Close what nobody has asked for since ``before_s``."""
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if kept.asked_s >= before_s}

    def _find(self, way: _Way) -> _Kept | None:
        return self._kept.get((way, threading.get_ident())) or self._kept.get((way, _ALL))

    def _fresh(self, way: _Way, now_s: float) -> _Kept | None:
        with self._lock:
            kept = self._find(way)
            if kept is None or now_s - kept.checked_s >= RECHECK_S:
                return None
            kept.asked_s = now_s
            return kept

    def _checked(self, way: _Way, now_s: float) -> _Kept:
        name, threads = way
        mark = self._mark(name)
        with self._lock:
            kept = self._find(way)
            if kept is not None and kept.mark == mark:
                kept.checked_s = kept.asked_s = now_s
                return kept
        kept = _Kept(open_detector(name, self._folders, threads), mark, now_s, now_s)
        with self._lock:
            here = threading.get_ident()
            self._kept.pop((way, here), None)
            self._kept.pop((way, _ALL), None)
            self._kept[way, _ALL if _for_all(kept.opened, threads) else here] = kept
        return kept

    def _mark(self, name: str) -> object:
        """Another one when the file is, or what names its classes."""
        path = find(name, "objects", self._folders)
        if isinstance(path, MissingModel):
            return path.reason
        return path, mark_of(path), mark_of(labels_file(path))


def _for_all(opened: Opened, threads: int) -> bool:
    """Whether several threads may look by it at once, and none has to wait for another.

    On the CPU onnxruntime runs a session for whoever asks; not each of its other providers does. The threads that a
    session has of its own, where one inference is to have several, would be shared by all who ask.
    """
    return opened.detector is None or (opened.detector.provider == "CPU" and threads == 1)
