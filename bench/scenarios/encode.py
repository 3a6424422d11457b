"""H.264: CPU per picture beside the ffmpeg command on the same pictures, and what it does to the JPEG fan-out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path

import numpy as np
import simplejpeg

from bench.parts import PICTURES, Camera, Pace, Product, Window, watch
from bench.pictures import STAMP_BYTES, pictures
from bench.processes import cores
from bench.results import Measure, Result, middle, paired_ratio, raw_windows

CPU_TARGET = 1.05
P99_TARGET = 1.2
P99_TARGET_MS = 5.0
WIDTH, HEIGHT, FPS = 640, 480, 30
MOVING = 60
TRANSCODED = 3
VIEWERS = 200
FRAME_BYTES = 25_000

# As `framecast.process.encoders` tells x264, and one thread for each step.
_FFMPEG_IN = "-nostdin -v fatal -threads 1 -f mjpeg -framerate 30"
_FFMPEG_OUT = (
    "-an -threads 1 -filter_threads 1 -sws_flags fast_bilinear -pix_fmt yuv420p -c:v libx264 -preset superfast "
    "-tune zerolatency -profile:v baseline -level 3.1 -crf 23 -maxrate 2500k -bufsize 1500k -g 60 -sc_threshold 0 "
    "-forced-idr 1 -x264-params sliced-threads=0 -f null -"
)


def run(pace: Pace) -> Result:
    """Targets: at most 1.05 x ffmpeg's CPU; three transcoded cameras move the JPEGs' p99 by at most 20 % or 5 ms."""
    result = Result("encode", pace.quick)
    _beside_ffmpeg(pace, result)
    _beside_fanout(pace, result)
    return result


def _beside_ffmpeg(pace: Pace, result: Result) -> None:
    if shutil.which("ffmpeg") is None:
        result.notes.append("There is no ffmpeg command here to compare the encoder with.")
        return
    frames = _moving(PICTURES / f"moving-{WIDTH}x{HEIGHT}.mjpeg")
    count = 240 if pace.quick else 900
    ours, theirs = [], []
    for number in range(pace.rounds):
        for side in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
            if side == "ours":
                ours.append(_product_ms(frames, count))
            else:
                theirs.append(_ffmpeg_ms(frames, count))
    ratio = paired_ratio(ours, theirs)
    result.raw["ms_per_picture"] = {"product": ours, "ffmpeg": theirs}
    result.measures.append(
        Measure(
            f"CPU to make H.264 of a {WIDTH}x{HEIGHT} JPEG, beside ffmpeg",
            f"{middle(ours):.2f} ms",
            f"{middle(theirs):.2f} ms",
            f"{ratio:.2f}",
            f"≤ {CPU_TARGET}",
            ratio <= CPU_TARGET,
        )
    )


def _product_ms(frames: Path, count: int) -> float:
    command = [sys.executable, "-m", "bench.encoding", str(frames), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=_pin)
    figures = json.loads(done.stdout)
    return 1000 * float(figures["cpu_s"]) / int(figures["frames"])


def _ffmpeg_ms(frames: Path, count: int) -> float:
    """Of `count` pictures, starting left out: a run of more less a run of fewer."""
    few = MOVING
    return 1000 * (_ffmpeg_s(frames, few + count) - _ffmpeg_s(frames, few)) / count


def _ffmpeg_s(frames: Path, count: int) -> float:
    words = ["ffmpeg", *_FFMPEG_IN.split(), "-stream_loop", "-1", "-i", str(frames), "-frames:v", str(count)]
    before = os.times()
    subprocess.run([*words, *_FFMPEG_OUT.split()], check=True, preexec_fn=_pin)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _pin() -> None:
    os.sched_setaffinity(0, {cores()[1]})


def _beside_fanout(pace: Pace, result: Result) -> None:
    files = pictures(PICTURES, FRAME_BYTES - STAMP_BYTES, 4)
    idle: list[Window] = []
    busy: list[Window] = []
    with (
        Camera(files, cameras=1 + TRANSCODED, fps=FPS) as camera,
        Product(
            {f"cam{number}": url for number, url in enumerate(camera.urls())}, config='[stream]\npolicy = "always"\n'
        ) as product,
    ):
        encodes = 0
        for number in range(pace.rounds):
            for coding in (False, True) if number % 2 == 0 else (True, False):
                if not coding:
                    idle.append(watch(product, [product.viewer_url()], VIEWERS, pace, exact=50))
                    continue
                before = int(product.stats()["encodes"])
                with _Players(product):
                    busy.append(watch(product, [product.viewer_url()], VIEWERS, pace, exact=50))
                encodes += int(product.stats()["encodes"]) - before
    result.raw["fanout"] = {"idle": raw_windows(idle), "busy": raw_windows(busy), "encodes": encodes}
    for at in ("p50", "p99"):
        alone = [window.latency_ms[at] for window in idle]
        beside = [window.latency_ms[at] for window in busy]
        ratio = paired_ratio(beside, alone)
        moved_ms = middle([mine - other for mine, other in zip(beside, alone, strict=True)])
        held = ratio <= P99_TARGET or moved_ms <= P99_TARGET_MS
        result.measures.append(
            Measure(
                f"latency {at}, {VIEWERS} JPEG viewers while {TRANSCODED} cameras are transcoded, beside none",
                f"{middle(beside):.1f} ms",
                f"{middle(alone):.1f} ms",
                f"{ratio:.2f}",
                f"≤ {P99_TARGET} or + {P99_TARGET_MS:.0f} ms" if at == "p99" else "",
                held if at == "p99" else None,
            )
        )
    cpu = middle([window.cpu_cores for window in busy]) - middle([window.cpu_cores for window in idle])
    result.measures.append(
        Measure(f"CPU of {TRANSCODED} transcodes of {WIDTH}x{HEIGHT} at {FPS} fps", f"{cpu:.2f} core")
    )
    result.notes.append(f"{encodes:,} pictures were encoded in {len(busy)} windows.")


class _Players:
    """One viewer of each transcoded camera's `stream.mp4`, read to nowhere."""

    def __init__(self, product: Product) -> None:
        self._urls = [f"{product.base}/api/v1/cameras/{camera}/stream.mp4" for camera in product.cameras[1:]]
        self._ended = threading.Event()
        self._playing = threading.Barrier(1 + len(self._urls))

    def __enter__(self) -> None:
        for url in self._urls:
            threading.Thread(target=self._play, args=(url,), daemon=True).start()
        self._playing.wait(20)

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _play(self, url: str) -> None:
        with urllib.request.urlopen(url, timeout=20) as answer:
            answer.read1(1 << 16)
            self._playing.wait(20)
            with contextlib.suppress(HTTPException, OSError):  # the server has stopped
                while not self._ended.is_set() and answer.read1(1 << 16):
                    pass


def _moving(path: Path) -> Path:
    """A scene in which things move, as a camera with a little noise sees it; made once and kept."""
    if path.exists():
        return path
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    jpegs = []
    for number in range(MOVING):
        turn = 2 * np.pi * number / MOVING
        scene = np.stack(
            [
                128 + 100 * np.sin(columns / 37),
                128 + 90 * np.cos(rows / 23),
                60 + 140 * (rows + columns) / (WIDTH + HEIGHT),
            ],
            -1,
        )
        for index, colour in enumerate(((200, 50, 30), (40, 180, 90), (230, 220, 60))):
            x = round(WIDTH / 2 + 220 * np.cos(turn + index * 2))
            y = round(HEIGHT / 2 + 140 * np.sin(2 * turn + index * 2))
            scene[max(y - 40, 0) : y + 40, max(x - 50, 0) : x + 50] = colour
        scene += np.random.default_rng(number).normal(0, 3, scene.shape)
        pixels = np.ascontiguousarray(np.clip(scene, 0, 255).astype(np.uint8))
        jpegs.append(simplejpeg.encode_jpeg(pixels, 80, "RGB", "422"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(jpegs))
    return path
