"""Faces by dlib: its models lie inside a wheel, so nothing has to be fetched."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import cv2
import numpy as np
from numpy.typing import NDArray

from framecast.core.supervise import Backoff
from framecast.vision.detections import Image
from framecast.vision.faces.dlibchild import ANSWER, EMBED, FIND, REQUEST
from framecast.vision.faces.face import Face, FacesUnavailable, Vector

MOST = 0.55
"""dlib states 0.6; seen here: same person 0.1 to 0.45, others 0.67 and more."""
START_S = 30.0
ANSWER_S = 20.0
REST_S = (1.0, 300.0)
"""The first and the longest pause before it is started again, once it has failed twice without an answer in between."""
MARGIN = 0.6
LARGEST_FACE_PX = 300
"""What is larger is made smaller: the network looks at 150 px."""
_MOST_VALUES = 4096
_NEEDED = ("dlib", "face_recognition_models")
_END_S = 3.0


def see_that_it_is_there() -> None:
    """Raises FacesUnavailable where dlib or its models are not installed."""
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise FacesUnavailable("faces by dlib need the faces extra: pip install 'framecast[faces]'")


class DlibChild:
    """The process in which dlib works; started when it is first asked, and again when it has ended.

    Called from one thread at a time.

    Args:
        clock: In s.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        see_that_it_is_there()
        self._clock = clock
        self._backoff = Backoff(*REST_S)
        self._has_failed = False
        self._rests_until_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[NDArray[np.float64] | None] = SimpleQueue()
        self._ear: threading.Thread | None = None
        self._retired = False
        self._until_s = 0.0  # by when one that was started has to say that it is ready; 0 once it has

    def start(self) -> bool:
        """Start it, unless it runs; whether it is ready, without waiting for that.

        Raises:
            FacesUnavailable: It ended, or takes too long.
        """
        self._running()
        if self._until_s and self._answers.empty() and self._clock() < self._until_s:
            return False
        self._wait()
        return True

    def ask(self, wanted: bytes, image: Image, box: Sequence[float] = (0, 0, 0, 0)) -> NDArray[np.float64]:
        """What it answers about ``(H, W, 3) uint8`` BGR.

        Raises:
            FacesUnavailable: It ended, or does not answer.
        """
        process = self._running()
        self._wait()
        rows, columns = image.shape[:2]
        assert process.stdin is not None
        try:
            process.stdin.write(REQUEST.pack(wanted, rows, columns, *box) + np.ascontiguousarray(image).tobytes())
            process.stdin.flush()
            answer = self._hear(ANSWER_S)
        except (OSError, FacesUnavailable) as error:
            self._fail()
            raise FacesUnavailable(f"dlib's process ended or hangs ({error}); it is started again") from None
        self._has_failed = False
        self._backoff.reset()
        return answer

    def retire(self) -> None:
        """End it for good."""
        self._retired = True
        self.close()

    def close(self) -> None:
        """End it; who asks starts another one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):  # it has gone already, and can't be told
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._ear is not None:
            self._ear.join()  # it has heard the end
        if process.stdout is not None:
            process.stdout.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._retired:
            raise FacesUnavailable("the server is about to stop")
        if self._process is None:
            rests_s = self._rests_until_s - self._clock()
            if rests_s > 0:
                raise FacesUnavailable(f"dlib's process fails again and again; it is started in {rests_s:.0f} s")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "framecast.vision.faces.dlibchild"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
            self._until_s = self._clock() + START_S
            self._answers = SimpleQueue()
            self._ear = threading.Thread(target=_listen, args=(self._process, self._answers), name="dlib", daemon=True)
            self._ear.start()
        return self._process

    def _wait(self) -> None:
        """Until it is ready."""
        if not self._until_s:
            return
        try:
            self._hear(max(0.0, self._until_s - self._clock()))
        except FacesUnavailable as error:
            self._fail()
            raise FacesUnavailable(f"dlib's process can't be started ({error})") from None
        self._until_s = 0.0

    def _fail(self) -> None:
        """End it, and start it no more often than is worth it: each start takes as long as a dozen faces."""
        self.close()
        if self._has_failed:
            self._rests_until_s = self._clock() + self._backoff.next_s()
        self._has_failed = True

    def _hear(self, timeout_s: float) -> NDArray[np.float64]:
        try:
            answer = self._answers.get(timeout=timeout_s)
        except Empty:
            raise FacesUnavailable("it does not answer") from None
        if answer is None:
            raise FacesUnavailable("it ended")
        return answer


class DlibFinder:
    """Finds faces that look this way, from 80 px on."""

    name = "dlib"
    crop_px = 400
    photo_px: tuple[int, ...] = (800, 1600)
    is_quick = False

    def __init__(self, child: DlibChild) -> None:
        self._child = child

    def find(self, image: Image) -> list[Face]:
        """See `Finder`."""
        rows, columns = image.shape[:2]
        found = []
        for left, top, right, bottom, score in self._child.ask(FIND, image).reshape(-1, 5).tolist():
            box = (max(0.0, left), max(0.0, top), min(float(columns), right), min(float(rows), bottom))
            if box[2] > box[0] and box[3] > box[1]:
                found.append(Face(box, score))
        return found


class DlibEmbedder:
    """Tells faces apart."""

    name = "dlib"
    most = MOST

    def __init__(self, child: DlibChild) -> None:
        self._child = child

    def embed(self, image: Image, face: Face) -> Vector | None:
        """See `Embedder`."""
        # The face and what is round it, not the whole picture: that would have to go to another process.
        part, x, y, scale = around(image, face, MARGIN, LARGEST_FACE_PX)
        left, top, right, bottom = face.box
        box = ((left - x) * scale, (top - y) * scale, (right - x) * scale, (bottom - y) * scale)
        vector = self._child.ask(EMBED, part, box).astype(np.float32)
        return vector if vector.shape == (128,) and np.isfinite(vector).all() else None

    def distances(self, one: Vector, others: NDArray[np.float32]) -> NDArray[np.float32]:
        """As points in space are apart."""
        result: NDArray[np.float32] = np.linalg.norm(others - one, axis=1).astype(np.float32)
        return result


def around(image: Image, face: Face, margin: float, largest_px: int) -> tuple[Image, int, int, float]:
    """A face with a margin, a copy: the part, where it begins (x, y), and what it was scaled by.

    Args:
        image: ``(H, W, 3) uint8``.
        face: A face in it.
        margin: On each side, as a share of the face's.
        largest_px: The face is made no wider.
    """
    rows, columns = image.shape[:2]
    left, top, right, bottom = face.box
    x_px, y_px = margin * (right - left), margin * (bottom - top)
    x, y = max(0, int(left - x_px)), max(0, int(top - y_px))
    part = image[y : min(rows, int(bottom + y_px) + 1), x : min(columns, int(right + x_px) + 1)]
    scale = min(1.0, largest_px / max(1.0, face.width_px))
    if scale < 1:
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8), x, y, scale
    return part.copy(), x, y, scale


def _listen(process: subprocess.Popen[bytes], answers: SimpleQueue[NDArray[np.float64] | None]) -> None:
    """Hand on what it answers, and None at its end. A thread's: on Windows nobody can wait for a pipe and a clock."""
    while head := _exactly(process, ANSWER.size):
        (count,) = ANSWER.unpack(head)
        if count > _MOST_VALUES:
            break
        answers.put(np.frombuffer(_exactly(process, count * 8), np.float64))
    answers.put(None)


def _exactly(process: subprocess.Popen[bytes], size: int) -> bytes:
    """So many bytes of what it writes; none at its end."""
    assert process.stdout is not None
    data = b""
    while len(data) < size:
        piece = process.stdout.read(size - len(data))
        if not piece:
            return b""
        data += piece
    return data
