"""The product's eyes, by themselves: `python -m bench.seeing WHAT MODEL FILM`, one line of JSON.

`tracks`: what is seen of a film by looking as the product does, beside the same model on every whole picture of it,
with the CPU of both. `wide`: the same where the film is a part of a larger picture. `still`: what a look costs where
nothing moves. `pace`: CPU of a picture, beside a bare loop over onnxruntime.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import simplejpeg
from numpy.typing import NDArray

from bench.parts import PICTURES
from framecast.core.mailbox import Mailbox
from framecast.core.packet import Format, Packet
from framecast.core.rendition import DETECTIONS
from framecast.core.track import Track
from framecast.vision.boxes import shares
from framecast.vision.detections import FAINT, Boxes, Detection, Image
from framecast.vision.detectors import Opened, open_detector
from framecast.vision.heads import STRIDES
from framecast.vision.looker import Looker
from framecast.vision.options import Options
from framecast.vision.pool import InferencePool
from framecast.vision.sight import Sight
from framecast.vision.tracker import Tracker
from framecast.vision.worker import DetectionWorker
from framecast.wire.detections import Look

FILM_HZ = 10
QUALITY = 85
PERSON = frozenset({"person"})
LONG = 20
"""Pictures that somebody is followed for by the reference, to be counted."""
SAME = 0.5
"""Overlap of two boxes that mean the same."""
MOSTLY = 0.5
"""Of the pictures in which the reference follows somebody, to be found."""
ROUNDS = 9
WIDE_PICTURES = 400
WIDE_PX = (1280, 720)
CORNER_PX = (720, 300)
NOISE = 2.0
BEGAN_NS = 1_700_000_000_000_000_000

Ways = dict[int, dict[int, tuple[float, float, float, float]]]
"""Number of a track -> number of a picture -> box."""


def film_jpegs(path: Path) -> list[bytes]:
    """The film's pictures as a camera would send them; made once and kept."""
    kept = PICTURES / f"{path.stem}.mjpeg"
    if not kept.exists():
        import av

        with av.open(str(path)) as container:
            pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(b"".join(_jpeg(picture) for picture in pictures))
    return [b"\xff\xd8\xff" + each for each in kept.read_bytes().split(b"\xff\xd8\xff")[1:]]


def _jpeg(picture: Image) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), QUALITY, "BGR"))


def _picture(jpeg: bytes) -> Image:
    picture: Image = simplejpeg.decode_jpeg(jpeg, "BGR")
    return picture


def _packet(jpeg: bytes, number: int, at_s: float) -> Packet:
    at_ns = BEGAN_NS + round(at_s * 1e9)
    return Packet(jpeg, Format("mjpeg"), number, number, 1, at_ns, at_ns)


def _opened(model: Path) -> Opened:
    opened = open_detector(model.stem, [model.parent])
    if opened.state:
        raise SystemExit(opened.reason)
    return opened


def _every_picture(opened: Opened, jpegs: Sequence[bytes]) -> tuple[Ways, float]:
    """The reference: the model on every whole picture, and the same tracker. Its tracks, and CPU seconds."""
    assert opened.detector is not None
    tracker, ways = Tracker(), Ways()
    began_s = time.process_time()
    for number, jpeg in enumerate(jpegs):
        found = opened.detector.detect(_picture(jpeg), PERSON)
        for each in tracker.update(found, number / FILM_HZ):
            if each.track:
                ways.setdefault(each.track, {})[number] = each.box
    return ways, time.process_time() - began_s


class _Run:
    """The product's looks at pictures, one after another."""

    def __init__(self, opened: Opened, jpegs: Sequence[bytes], fps: float, step: int = 1) -> None:
        looker = Looker(Options(labels=PERSON, fps=fps), lambda: opened)
        self.stages_ms: Counter[str] = Counter()
        self.inferences = 0
        self.regions: list[float] = []
        self.looks: dict[int, Look] = {}
        began_s = time.process_time()
        for number in range(0, len(jpegs), step):
            seen = looker.look(_packet(jpegs[number], number, number / FILM_HZ))
            self.looks[number] = seen.look
            self.inferences += sum(seen.inferences.values())
        self.cpu_s = time.process_time() - began_s
        for look in self.looks.values():
            self.stages_ms.update(look.ms)
            if look.region is not None:
                self.regions.append(look.region[2] * look.region[3])

    def boxes(self, number: int, width_px: int, height_px: int) -> Boxes:
        """What was seen in a picture, in px."""
        rows = [
            (x * width_px, y * height_px, (x + wide) * width_px, (y + high) * height_px)
            for x, y, wide, high in (each.box for each in self.looks[number].things)
        ]
        return np.array(rows, np.float32).reshape(-1, 4)

    def figures(self) -> dict[str, Any]:
        """Costs of a look."""
        count = len(self.looks)
        return {
            "looks": count,
            "inferences": self.inferences,
            "cpu_ms": 1e3 * self.cpu_s / count,
            "stages_ms": {name: round(value / count, 3) for name, value in self.stages_ms.items()},
            "region": float(np.mean(self.regions)) if self.regions else 0.0,
        }


def recall(ways: Ways, seen: Callable[[int], Boxes], looked: set[int]) -> dict[str, int]:
    """How many of the reference's long tracks were found: in most of its pictures that were looked at, at its place."""
    found = total = 0
    for way in ways.values():
        if len(way) < LONG:
            continue
        total += 1
        numbers = [number for number in way if number in looked]
        hits = 0
        for number in numbers:
            boxes = seen(number)
            if len(boxes) and shares(np.array(way[number], np.float32), boxes).max() >= SAME:
                hits += 1
        found += bool(numbers) and hits >= MOSTLY * len(numbers)
    return {"found": int(found), "of": total}


def tracks(model: Path, film: Path) -> dict[str, Any]:
    """See the module: at the film's rate, and at the one that is set where nothing is said."""
    opened, jpegs = _opened(model), film_jpegs(film)
    height, width = _picture(jpegs[0]).shape[:2]
    _every_picture(opened, jpegs[:20])
    ways, reference_s = _every_picture(opened, jpegs)
    result: dict[str, Any] = {"pictures": len(jpegs), "reference_ms": 1e3 * reference_s / len(jpegs), "runs": []}
    for fps in (FILM_HZ, Options().fps):
        run = _Run(opened, jpegs, fps, round(FILM_HZ / fps))
        figures = run.figures()
        figures |= recall(ways, lambda number, run=run: run.boxes(number, width, height), set(run.looks))  # type: ignore[misc]
        result["runs"].append({"fps": fps, **figures, "saved": 1 - run.cpu_s / reference_s})
    return result


def wide(model: Path, film: Path) -> dict[str, Any]:
    """See the module."""
    opened, jpegs = _opened(model), film_jpegs(film)[:WIDE_PICTURES]
    ways, _ = _every_picture(opened, jpegs)
    rng = np.random.default_rng(1)
    first = _picture(jpegs[0])
    ground = cv2.GaussianBlur(cv2.resize(first, WIDE_PX), (0, 0), 12).astype(np.float32)
    left, top = CORNER_PX
    height, width = first.shape[:2]
    large = []
    for jpeg in jpegs:
        noise = rng.normal(0, NOISE, (WIDE_PX[1], WIDE_PX[0], 1)).astype(np.float32)
        picture = np.clip(ground + noise, 0, 255).astype(np.uint8)
        picture[top : top + height, left : left + width] = _picture(jpeg)
        large.append(_jpeg(picture))
    moved: Ways = {
        number: {at: (box[0] + left, box[1] + top, box[2] + left, box[3] + top) for at, box in way.items()}
        for number, way in ways.items()
    }
    assert opened.detector is not None
    plain: dict[int, list[Detection]] = {}
    plain_tracker = Tracker()
    began_s = time.process_time()
    for number, jpeg in enumerate(large):
        plain[number] = plain_tracker.update(opened.detector.detect(_picture(jpeg), PERSON), number / FILM_HZ)
    plain_s = time.process_time() - began_s
    run = _Run(opened, large, FILM_HZ)
    whole = recall(moved, lambda number: _boxes(plain[number]), set(plain))
    parts = recall(moved, lambda number: run.boxes(number, *WIDE_PX), set(run.looks))
    return {"whole": whole, "parts": parts, "reference_ms": 1e3 * plain_s / len(large), **run.figures()}


def _boxes(found: list[Detection]) -> Boxes:
    return np.array([each.box for each in found], np.float32).reshape(-1, 4)


def still(model: Path, film: Path) -> dict[str, Any]:
    """See the module: a minute of one picture with a sensor's noise."""
    opened, rng = _opened(model), np.random.default_rng(2)
    scene = _picture(film_jpegs(film)[0]).astype(np.float32)
    noisy = [np.clip(scene + rng.normal(0, NOISE, scene.shape), 0, 255).astype(np.uint8) for _ in range(60)]
    jpegs = [_jpeg(picture) for picture in noisy]
    return _Run(opened, [jpegs[number % 60] for number in range(600)], Options().fps, 2).figures()


def pace(model: Path, film: Path) -> dict[str, Any]:
    """See the module: ms of CPU a picture, each way in turn, a few pictures at a time."""
    jpegs = film_jpegs(film)[100:180]
    opened = _opened(model)
    bare, ready = _Bare(model), _Bare(model)
    ready.prepare(jpegs[0])
    ways: dict[str, Callable[[], object]] = {
        "bare": lambda: [bare(jpeg) for jpeg in jpegs],
        "run": lambda: [ready.run() for _ in jpegs],
        "product": lambda: asyncio.run(_through_worker(opened, jpegs)),
    }
    costs: dict[str, list[float]] = defaultdict(list)
    for number in range(ROUNDS + 1):
        for name in sorted(ways, reverse=bool(number % 2)):
            began_s = time.process_time()
            ways[name]()
            if number:  # the first round is to warm up
                costs[name].append(1e3 * (time.process_time() - began_s) / len(jpegs))
    return dict(costs)


class _Bare:
    """What YOLOX's own demo for onnxruntime does: scale, pad, run, read the boxes and suppress doubles."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        (taken,) = self._session.get_inputs()
        self._name, self._sides = taken.name, taken.shape[2:]
        self._input: NDArray[np.float32] = np.zeros(taken.shape, np.float32)
        high, wide = self._sides
        grids = [np.mgrid[: high // stride, : wide // stride][::-1].reshape(2, -1).T for stride in STRIDES]
        self._cells = np.concatenate(grids)
        self._strides = np.concatenate(
            [np.full((len(grid), 1), stride) for grid, stride in zip(grids, STRIDES, strict=True)]
        )

    def __call__(self, jpeg: bytes) -> None:
        self.prepare(jpeg)
        output = self.run()
        output[:, :2] = (output[:, :2] + self._cells) * self._strides
        output[:, 2:4] = np.exp(output[:, 2:4]) * self._strides
        scores = output[:, 4:5] * output[:, 5:]
        best = scores.max(axis=1)
        kept = best > FAINT
        boxes = output[kept, :4]
        boxes[:, :2] -= boxes[:, 2:] / 2
        cv2.dnn.NMSBoxes(boxes.tolist(), best[kept].tolist(), FAINT, 0.5)

    def prepare(self, jpeg: bytes) -> None:
        """Decode, scale, pad, and turn into floats."""
        picture = _picture(jpeg)
        padded = np.ones((*self._sides, 3), np.uint8) * 114
        ratio = min(self._sides[0] / picture.shape[0], self._sides[1] / picture.shape[1])
        size = (int(picture.shape[1] * ratio), int(picture.shape[0] * ratio))
        padded[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        self._input = np.ascontiguousarray(padded.transpose((2, 0, 1)), dtype=np.float32)[None]

    def run(self) -> NDArray[np.float32]:
        """One inference; its rows."""
        rows: NDArray[np.float32] = self._session.run(None, {self._name: self._input})[0][0]
        return rows


async def _through_worker(opened: Opened, jpegs: Sequence[bytes]) -> None:
    """The whole way: pool, thread, looks, tracks, packets; a picture is there whenever one is done."""
    feeder = _Feeder(jpegs)
    out = Track(DETECTIONS.codec)
    out.attach(feeder)
    pool = InferencePool()
    feeder.feed()
    looker = Looker(Options(labels=PERSON, fps=0), lambda: opened)
    try:
        await DetectionWorker(lambda: looker, pool, Sight(), 0).run(feeder.mailbox, out)
    finally:
        pool.close()


class _Feeder:
    """Gives the worker one picture after another, each when the one before is done: none is skipped."""

    bulk = False

    def __init__(self, jpegs: Sequence[bytes]) -> None:
        self.mailbox = Mailbox()
        self._jpegs = jpegs
        self._number = 0

    def feed(self) -> None:
        """The next picture."""
        self.mailbox.push(_packet(self._jpegs[self._number], self._number + 1, self._number / FILM_HZ))
        self._number += 1

    def push(self, _: Packet) -> None:
        """One came out."""
        if self._number < len(self._jpegs):
            self.feed()
        else:
            self.mailbox.close()

    def clear(self) -> None:
        """Nothing is kept."""


WAYS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "tracks": tracks,
    "wide": wide,
    "still": still,
    "pace": pace,
}

if __name__ == "__main__":
    cv2.setNumThreads(1)
    print(json.dumps(WAYS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
