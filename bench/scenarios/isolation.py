"""What it would cost to decode in a process of its own, with limits, instead of in a thread of the server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.isolated import WANTED, packet, read, write
from bench.parts import PICTURES, Pace
from bench.pictures import pictures
from bench.results import Measure, Result, middle, paired_ratio
from framecast.process.rendition import JpegRendition

FRAME_BYTES = 19_000
MIB = 1 << 20


def run(pace: Pace) -> Result:
    """A figure, no target: docs/security.md draws the conclusion."""
    result = Result("isolation", pace.quick)
    frames = [Path(path).read_bytes() for path in pictures(PICTURES, FRAME_BYTES, 4)]
    count = 100 if pace.quick else 400
    threads, processes, walls = [], [], []
    with _Child() as child:
        for _ in range(pace.rounds):
            threads.append(_in_thread(frames, count))
            cpu_ms, wall_ms = child.make(frames, count)
            processes.append(cpu_ms)
            walls.append(wall_ms)
        plain_bytes = child.resident_bytes()
        child.load("av")
        media_bytes = child.resident_bytes()
    result.raw["cpu_ms"] = {"thread": threads, "process": processes}
    result.measures += [
        Measure(
            "CPU to make a picture of 320 px of a 19 KB JPEG in a process of its own, beside in a thread",
            f"{middle(processes):.2f} ms",
            f"{middle(threads):.2f} ms in a thread",
            f"{paired_ratio(processes, threads):.2f}",
        ),
        Measure("the same, from request to answer", f"{middle(walls):.2f} ms"),
        Measure("memory of such a process, for JPEG", f"{plain_bytes / MIB:.0f} MiB"),
        Measure("memory of such a process, for H.264 and RTSP as well", f"{media_bytes / MIB:.0f} MiB"),
    ]
    return result


def _in_thread(frames: list[bytes], count: int) -> float:
    maker = JpegRendition(WANTED)
    maker.make(packet(frames[0]))
    began = time.process_time()
    for number in range(count):
        maker.make(packet(frames[number % len(frames)]))
    return (time.process_time() - began) / count * 1000


class _Child:
    """A process that makes pictures, within limits; see `bench/isolated.py`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.isolated"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    def make(self, frames: list[bytes], count: int) -> tuple[float, float]:
        """CPU of both processes and time from request to answer, in ms a picture."""
        self._ask(frames[0])
        cpu_s = time.process_time() + self._cpu_s()
        began = time.perf_counter()
        for number in range(count):
            self._ask(frames[number % len(frames)])
        wall_s = time.perf_counter() - began
        cpu_s = time.process_time() + self._cpu_s() - cpu_s
        return cpu_s / count * 1000, wall_s / count * 1000

    def load(self, module: str) -> None:
        """Import a library there."""
        self._ask(b"load " + module.encode())

    def resident_bytes(self) -> int:
        """Memory that is there for it."""
        statm = Path(f"/proc/{self._process.pid}/statm").read_bytes()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _cpu_s(self) -> float:
        return float(self._ask(b"cpu"))

    def _ask(self, message: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        write(self._process.stdin, message)
        return read(self._process.stdout)
