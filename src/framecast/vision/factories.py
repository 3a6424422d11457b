"""What the composition root registers. What works with pixels is imported where it is made, in a thread."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from framecast.core.clock import SYSTEM, Clock
from framecast.core.worker import Worker
from framecast.vision.options import Options
from framecast.vision.pool import InferencePool
from framecast.vision.sight import Sight
from framecast.vision.worker import BlindWorker, DetectionWorker, Looks

if TYPE_CHECKING:
    from framecast.vision.shelf import Shelf
    from framecast.vision.stage import FaceStage

KEEP_S = 300.0
"""So long a detector that nobody asks for stays open: who shows boxes again need not wait for it."""

MakeFaces = Callable[[], "FaceStage | None"]
"""Makes what knows faces; called in a thread, None where there is nothing that could."""


def no_faces() -> None:
    """For those who want none."""


class Eyes:
    """What all cameras share to see: the threads and the open models. Belongs to one event loop.

    Args:
        folders: Where models are, the first first.
        places: Inferences at a time.
        keep_s: So long a model that nobody asks for stays open.
    """

    def __init__(self, folders: Sequence[Path], places: int = 1, keep_s: float = KEEP_S) -> None:
        self.pool = InferencePool(places)
        self._folders = tuple(folders)
        self._keep_s = keep_s
        self._making = threading.Lock()
        self._shelf: Shelf | None = None
        self._tidying: asyncio.TimerHandle | None = None

    def make_worker(
        self, options: Options, sight: Sight, make_faces: MakeFaces = no_faces, clock: Clock = SYSTEM
    ) -> Worker:
        """A worker that looks at one camera's pictures."""
        if not options.enabled:
            return BlindWorker(sight, "off", "detection is switched off: vision.enabled = false")
        # While another thread imports it, it has no specification to be found.
        if "cv2" not in sys.modules and importlib.util.find_spec("cv2") is None:
            reason = "looking at pictures needs the vision extra: pip install 'framecast[vision]'"
            return BlindWorker(sight, "not_installed", reason)
        make_looker = partial(self._make_looker, options, make_faces, sight.numbers)
        if self._tidying is None:
            self._tidy()
        return DetectionWorker(make_looker, self.pool, sight, options.fps, clock)

    def close(self) -> None:
        """Let go of the threads."""
        if self._tidying is not None:
            self._tidying.cancel()
        self.pool.close()

    def _tidy(self) -> None:
        """Let go of what nobody asks for, now and ever again."""
        shelf = self._shelf
        if shelf is not None:
            self.pool.tidy(lambda: shelf.let_go(time.monotonic() - self._keep_s))
        self._tidying = asyncio.get_running_loop().call_later(self._keep_s / 2, self._tidy)

    def _make_looker(self, options: Options, make_faces: MakeFaces, numbers: Iterator[int]) -> Looks:
        import cv2

        from framecast.vision.looker import Looker
        from framecast.vision.shelf import Shelf

        with self._making:
            if self._shelf is None:
                self._shelf = Shelf(self._folders)
            shelf = self._shelf
        cv2.setNumThreads(options.threads)  # or each picture would have all cores
        faces = make_faces() if options.faces != "off" and "person" in options.labels else None
        return Looker(options, lambda: shelf.get(options.model, options.threads, time.monotonic()), faces, numbers)
