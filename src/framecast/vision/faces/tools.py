"""What finds faces and tells them apart here: chosen by what is there, opened when it is first needed.

Standard library only, until something is opened.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from framecast.vision.catalog import MissingModel, find, mark_of
from framecast.vision.faces.turns import Turns

if TYPE_CHECKING:
    from framecast.vision.detections import Image
    from framecast.vision.faces.dlibfaces import DlibChild
    from framecast.vision.faces.face import Embedder, Face, Finder, Vector

DLIB = "dlib"
OFF = "off"
KEEP_S = 300.0
"""So long what nobody uses stays open: who sends another photo, or has faces on again, need not wait for it."""
KINDS = ("auto", OFF, "yunet", DLIB)


@dataclass(frozen=True, slots=True)
class Choice:
    """What there is.

    Attributes:
        finder: File of YuNet, or ``dlib``; None where nothing can find faces.
        embedder: File of SFace, or ``dlib``; None where nothing can tell them apart.
        reason: What is missing and what to do; empty when nothing is.
    """

    finder: Path | str | None
    embedder: Path | str | None
    reason: str = ""


def choose(kind: str, folders: Sequence[Path]) -> Choice:
    """What there is for ``kind``, one of `KINDS`, without opening anything."""
    if kind == OFF:
        return Choice(None, None, "faces are switched off: vision.faces = off")
    # While another thread imports it, it has no specification to be found.
    if "cv2" not in sys.modules and importlib.util.find_spec("cv2") is None:
        return Choice(None, None, "faces need the vision extra: pip install 'framecast[vision]'")
    has_dlib = all(importlib.util.find_spec(name) is not None for name in ("dlib", "face_recognition_models"))
    if kind == DLIB:
        words = "faces by dlib need the faces extra: pip install 'framecast[faces]'"
        return Choice(DLIB, DLIB) if has_dlib else Choice(None, None, words)
    yunet, sface = find("yunet", "faces", folders), find("sface", "embedding", folders)
    if isinstance(yunet, MissingModel):
        if kind == "auto" and has_dlib:
            return Choice(DLIB, DLIB)
        words = "nothing here knows faces: framecast models install yunet, and sface"
        return Choice(None, None, words + ("" if has_dlib else "; or pip install 'framecast[faces]'"))
    if not isinstance(sface, MissingModel):
        return Choice(yunet, sface)
    if has_dlib:
        return Choice(yunet, DLIB)
    words = "faces are found, but not known: framecast models install sface, or pip install 'framecast[faces]'"
    return Choice(yunet, None, words)


class Tools:
    """An open finder and, where there is one, an embedder. For any thread, in its turn (`look` or `photo`).

    Args:
        turns: Of all that may not be used at once with these.
        start: Starts what has to be; whether all is ready.

    Attributes:
        finder: Finds faces.
        embedder: Tells them apart; None where nothing can.
        used_s: When they were asked for last, by `time.monotonic`.
    """

    def __init__(
        self, finder: Finder, embedder: Embedder | None, turns: Turns, start: Callable[[], bool] = lambda: True
    ) -> None:
        self.finder = finder
        self.embedder = embedder
        self.used_s = time.monotonic()
        self._turns = turns
        self._start = start

    @contextmanager
    def look(self) -> Iterator[bool]:
        """A camera's turn. False when its picture has to do without: a photo is being looked at, or they are not ready
        yet; what has to be started for that is. Raises FacesUnavailable."""
        self.used_s = time.monotonic()
        with self._turns.look() as is_given:
            yield is_given and self._start()

    @contextmanager
    def photo(self) -> Iterator[None]:
        """A turn for one step of a photo; raises FacesUnavailable."""
        self.used_s = time.monotonic()
        with self._turns.photo():
            yield

    def start(self) -> None:
        """Have them ready soon; raises FacesUnavailable."""
        with self._turns.photo():
            self._start()

    def find(self, image: Image) -> list[Face]:
        """The faces in ``(H, W, 3) uint8`` BGR; raises FacesUnavailable."""
        return self.finder.find(image)

    def embed(self, image: Image, face: Face) -> Vector | None:
        """What a face looks like; raises FacesUnavailable."""
        return None if self.embedder is None else self.embedder.embed(image, face)


@dataclass(slots=True)
class _Kept:
    mark: object
    tools: Tools | None
    """None when they are only kept for as long as a camera has them."""
    held: weakref.ref[Tools]


class Workshop:
    """Opens tools, each once for all cameras. For any thread.

    Args:
        folders: Where models are, the first first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._lock = threading.Lock()
        self._opened: dict[Choice, _Kept] = {}
        self._refused: dict[Choice, tuple[object, str]] = {}
        self._child: DlibChild | None = None
        self._turns = Turns()
        self._closed = False

    def reason(self, kind: str) -> str:
        """Why faces of this kind are not known; empty when they are, or may well be. Looks at files only."""
        choice = choose(kind, self._folders)
        mark, words = self._refused.get(choice, (None, ""))
        return choice.reason or (words if mark == _mark(choice) else "")

    def get(self, kind: str) -> Tools:
        """The tools for ``kind``. Slow when they have to be opened.

        Raises:
            FacesUnavailable: There are none, or they can't be opened.
        """
        from framecast.vision.faces.face import FacesUnavailable

        choice = choose(kind, self._folders)
        with self._lock:
            if self._closed or choice.finder is None:
                raise FacesUnavailable(choice.reason or "the server is about to stop")
            mark = _mark(choice)
            kept = self._opened.get(choice)
            tools = None if kept is None or kept.mark != mark else kept.held()
            if tools is None:
                try:
                    tools = self._open(choice)
                except FacesUnavailable as error:
                    self._refused[choice] = mark, str(error)
                    raise
                self._refused.pop(choice, None)
            tools.used_s = time.monotonic()
            self._opened[choice] = _Kept(mark, tools, weakref.ref(tools))
            return tools

    def let_go(self, before_s: float) -> None:
        """Close what nobody has, and nobody has used since ``before_s``, by `time.monotonic`. May take seconds."""
        child = None
        with self._lock:
            for choice, kept in list(self._opened.items()):
                if kept.tools is not None and kept.tools.used_s < before_s:
                    kept.tools = None
                if kept.held() is None:
                    del self._opened[choice]
            if not any(DLIB in (choice.finder, choice.embedder) for choice in self._opened):
                child, self._child = self._child, None
        if child is not None:
            child.retire()

    def close(self) -> None:
        """Let go of all of them; waits for what is in the works."""
        self._turns.close()
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.retire()

    def mark(self, kind: str) -> object:
        """Another one when there is something else for ``kind``, or in the same files; looks at files only."""
        choice = choose(kind, self._folders)
        return choice, _mark(choice)

    def _open(self, choice: Choice) -> Tools:
        from framecast.vision.faces.dlibfaces import DlibChild, DlibEmbedder, DlibFinder
        from framecast.vision.faces.yunet import SfaceEmbedder, YunetFinder

        finder = YunetFinder(choice.finder) if isinstance(choice.finder, Path) else None
        embedder = SfaceEmbedder(choice.embedder) if isinstance(choice.embedder, Path) else None
        if DLIB not in (choice.finder, choice.embedder):
            assert finder is not None
            return Tools(finder, embedder, self._turns)
        if self._child is None:
            self._child = DlibChild()
        child = self._child
        return Tools(finder or DlibFinder(child), embedder or DlibEmbedder(child), self._turns, child.start)


def _mark(choice: Choice) -> object:
    """Another one when the files are: they may have been seen while they were still being written."""
    return tuple(mark_of(each) for each in (choice.finder, choice.embedder) if isinstance(each, Path))
