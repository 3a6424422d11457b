"""Which H.264 encoder this machine has, and how each is told to work picture by picture.

A hardware encoder that is listed is seldom there: a library is listed wherever FFmpeg was built with it. So each is
probed by opening it and encoding a few pictures: once, and anew where one that worked gave reason to doubt it. One that
gives a picture back only after the next has come is not used either, since every viewer would see it late. Drivers
crash and hang, so hardware is first tried in a process of its own (`python -m framecast.process.encoders NAME`).
"""

from __future__ import annotations

import glob
import logging
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.codec import Codec, CodecContext, codecs_available
from av.error import FFmpegError
from av.video.frame import VideoFrame

from framecast.core.errors import Misuse
from framecast.process.options import PRESET

log = logging.getLogger("framecast.process.encoders")

SOFTWARE = "libx264"
TIME_BASE = Fraction(1, 90_000)

_BT709_PRIMARIES, _SRGB_TRANSFER, _BT601_MATRIX, _LIMITED_RANGE = 1, 13, 6, 1
_NEVER = 1 << 20
"""Pictures between keyframes as far as the encoder knows: we say when one is due."""
PROBE_COMMAND = (sys.executable, "-m", "framecast.process.encoders")
PROBE_TIMEOUT_S = 4.0
RETRY_S = 300.0
"""An encoder that worked once, and does no longer, is tried again after so long: drivers come back, and other programs
let go of a card."""
_PROBE_PX = (640, 480)
_PROBE_PICTURES = 3


@dataclass(frozen=True, slots=True)
class Job:
    """What an encoder is opened for.

    Attributes:
        width_px: Even.
        height_px: Even.
        fps: What the rate control reckons with.
        crf: Constant quality on x264's scale, 0-51.
        max_kbps: Upper bound of the bit rate with constant quality.
        kbps: Bit rate to hold instead; 0 for constant quality.
        preset: x264's.
    """

    width_px: int
    height_px: int
    fps: Fraction = Fraction(30)
    crf: int = 23
    max_kbps: int = 2500
    kbps: int = 0
    preset: str = PRESET

    @property
    def peak_kbps(self) -> int:
        """What is never exceeded for long."""
        return self.kbps or self.max_kbps


@dataclass(frozen=True, slots=True)
class Encoder:
    """One encoder and how to tell it what to do.

    Attributes:
        name: As in the configuration.
        pixel_format: What it takes.
        options: What it is told for a job.
        codec: FFmpeg's name, where it is another.
        devices: Patterns of files, of which Linux has one where the hardware is there; none to try anyway.
    """

    name: str
    pixel_format: str
    options: Callable[[Job], dict[str, str]]
    codec: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of trying an encoder: ``note`` says in words why not."""

    name: str
    works: bool
    note: str


def _x264(job: Job) -> dict[str, str]:
    return {
        "preset": job.preset,
        "tune": "zerolatency",
        "profile": "baseline",
        "sc_threshold": "0",
        "forced-idr": "1",
        "level": _level(job),
        # Sliced threads, which zerolatency turns on, cost more than they give at these sizes.
        "x264-params": "sliced-threads=0:chromaloc=1",
        **({"b": f"{job.kbps}k"} if job.kbps else {"crf": str(job.crf)}),
        **_buffer(job),
    }


def _nvenc(job: Job) -> dict[str, str]:
    rate = {"rc": "cbr", "b": f"{job.kbps}k"} if job.kbps else {"rc": "vbr", "cq": str(job.crf), "b": "0"}
    fixed = {"preset": "p3", "tune": "ull", "profile": "baseline", "zerolatency": "1", "delay": "0", "forced-idr": "1"}
    return {**fixed, **rate, **_buffer(job)}


def _qsv(job: Job) -> dict[str, str]:
    rate = {"b": f"{job.kbps}k"} if job.kbps else {"global_quality": str(job.crf)}
    return {"preset": "veryfast", "profile": "baseline", "async_depth": "1", "forced_idr": "1", **rate, **_buffer(job)}


def _v4l2m2m(job: Job) -> dict[str, str]:
    return {"b": f"{job.peak_kbps}k", "num_capture_buffers": "4", "num_output_buffers": "4"}


def _videotoolbox(job: Job) -> dict[str, str]:
    return {"b": f"{job.peak_kbps}k", "profile": "constrained_baseline", "realtime": "1", "allow_sw": "0"}


def _buffer(job: Job) -> dict[str, str]:
    # 0.6 s: what a keyframe may take of a link that just carries the stream.
    return {"maxrate": f"{job.peak_kbps}k", "bufsize": f"{max(1, round(0.6 * job.peak_kbps))}k"}


ENCODERS: dict[str, Encoder] = {
    each.name: each
    for each in (
        Encoder("h264_nvenc", "yuv420p", _nvenc, devices=("/dev/nvidia[0-9]*", "/dev/dxg")),
        Encoder("h264_qsv", "nv12", _qsv, devices=("/dev/dri/renderD*",)),
        Encoder("h264_videotoolbox", "nv12", _videotoolbox),
        Encoder("h264_v4l2m2m", "yuv420p", _v4l2m2m, devices=("/dev/video*",)),
        Encoder(SOFTWARE, "yuv420p", _x264),
    )
}
"""In the order in which ``auto`` tries them."""

# Table A-1: level, macroblocks a second, macroblocks a picture. Nothing below 3.1, which all players take.
_LEVELS = (
    ("3.1", 108_000, 3_600),
    ("3.2", 216_000, 5_120),
    ("4.0", 245_760, 8_192),
    ("4.2", 522_240, 8_704),
    ("5.0", 589_824, 22_080),
    ("5.1", 983_040, 36_864),
    ("5.2", 2_073_600, 36_864),
)


def _level(job: Job) -> str:
    """The same at every usual rate, so that a stream's parameters don't change with its rate."""
    blocks = -(-job.width_px // 16) * -(-job.height_px // 16)
    a_second = blocks * max(30, math.ceil(job.fps))
    return next((name for name, most, size in _LEVELS if a_second <= most and blocks <= size), "6.2")


def open_encoder(encoder: Encoder, job: Job) -> Any:
    """An open ``av`` codec context; free it by forgetting it.

    Raises:
        FFmpegError: It can't be had for this.
    """
    context = CodecContext.create(encoder.codec or encoder.name, "w")
    context.width, context.height = job.width_px, job.height_px
    context.pix_fmt = encoder.pixel_format
    context.time_base = TIME_BASE
    context.framerate = job.fps
    context.gop_size = _NEVER
    context.max_b_frames = 0
    context.thread_count = 1
    context.color_range = _LIMITED_RANGE
    context.colorspace = _BT601_MATRIX
    context.color_primaries = _BT709_PRIMARIES
    context.color_trc = _SRGB_TRANSFER
    context.options = encoder.options(job)
    context.open(strict=False)
    return context


class Encoders:
    """What works here; tried when first asked for, and again only where it worked once. May be called from any thread.

    Args:
        encoders: In the order in which ``auto`` tries them; software among them.
        probe: Tries one.
        monotonic_s: Tells the time.
    """

    def __init__(
        self,
        encoders: dict[str, Encoder] = ENCODERS,
        probe: Callable[[Encoder], Probed] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._encoders = encoders
        self._try = probe or probe_here
        self._monotonic_s = monotonic_s
        self._probed: dict[str, Probed] = {}
        self._again_s: dict[str, float] = {}
        self._lock = threading.Lock()
        self._doubted: set[str] = set()
        self._told: dict[str, str] = {}

    @property
    def software(self) -> Encoder:
        """What is always there."""
        return self._encoders[SOFTWARE]

    def choose(self, wanted: str = "auto") -> Encoder:
        """The encoder to use.

        Args:
            wanted: ``auto`` for the first that works, ``software``, or a name; one that doesn't work is replaced by
                software, and the log says so.

        Raises:
            Misuse: A name nobody has.
        """
        names = {"auto": tuple(self._encoders), "software": (SOFTWARE,)}.get(wanted, (wanted, SOFTWARE))
        unknown = [name for name in names if name not in self._encoders]
        if unknown:
            known = ", ".join(("auto", "software", *self._encoders))
            raise Misuse(f"there is no H.264 encoder {unknown[0]!r}; {known} are possible")
        with self._lock:
            found = next((name for name in names if self._probe(name).works), SOFTWARE)
            if self._told.get(wanted) != found:
                self._told[wanted] = found
                self._tell(wanted, found, names)
        return self._encoders[found]

    def failed(self, name: str, why: str) -> None:
        """An encoder that worked does no longer: it is not chosen until it has been tried again, after `RETRY_S`."""
        log.warning("%s encodes no longer: %s", name, why)
        with self._lock:
            self._probed[name] = Probed(name, False, why)
            self._again_s[name] = self._monotonic_s() + RETRY_S

    def refused(self, name: str) -> None:
        """An encoder that worked would not open. Why is not known: before it is chosen again, it is tried."""
        self._doubted.add(name)  # without the lock: whoever holds it may wait for a driver, and pictures can't

    def report(self) -> list[Probed]:
        """All encoders, each tried; takes about a second where drivers are slow."""
        with self._lock:
            return [self._probe(name) for name in self._encoders]

    def _probe(self, name: str) -> Probed:
        found = self._probed.get(name)
        if found is None or self._is_stale(found):
            self._doubted.discard(name)
            found = self._probed[name] = self._try(self._encoders[name])
            if found.works or name in self._again_s:
                self._again_s[name] = self._monotonic_s() + RETRY_S
        return found

    def _is_stale(self, found: Probed) -> bool:
        if found.works:
            return found.name in self._doubted
        return self._monotonic_s() >= self._again_s.get(found.name, math.inf)

    def _tell(self, wanted: str, found: str, names: tuple[str, ...]) -> None:
        passed_over = [self._probed[name] for name in names if name in self._probed and not self._probed[name].works]
        level = logging.WARNING if wanted not in ("auto", "software", found) else logging.INFO
        reasons = "; ".join(f"{each.name}: {each.note}" for each in passed_over)
        log.log(level, "H.264 is encoded by %s%s", found, f" ({reasons})" if reasons else "")


def probe_here(encoder: Encoder) -> Probed:
    """Open ``encoder`` and let it encode a few pictures."""
    name, codec = encoder.name, encoder.codec or encoder.name
    width, height = _PROBE_PX
    try:
        if codec not in codecs_available or not Codec(codec, "w").is_encoder:
            return Probed(name, False, "not in this FFmpeg")
        context = open_encoder(encoder, Job(width, height))
        for number in range(_PROBE_PICTURES):
            frame = VideoFrame(width, height, encoder.pixel_format)
            for plane in frame.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.pts, frame.time_base = number * 3000, TIME_BASE
            if len(context.encode(frame)) != 1:
                return Probed(name, False, "gives pictures back late")
    except (FFmpegError, ValueError) as error:
        return Probed(name, False, getattr(error, "strerror", None) or str(error))
    return Probed(name, True, "works")


def probe_apart(encoder: Encoder) -> Probed:
    """The same, hardware in a process of its own: what crashes or hangs there does no harm."""
    name = encoder.name
    if name == SOFTWARE:
        return probe_here(encoder)
    if (encoder.codec or name) not in codecs_available:
        return Probed(name, False, "not in this FFmpeg")
    if sys.platform == "linux" and encoder.devices and not any(map(glob.glob, encoder.devices)):
        return Probed(name, False, "no such hardware")
    try:
        done = subprocess.run([*PROBE_COMMAND, name], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return Probed(name, False, "hangs")
    if done.returncode < 0:
        return Probed(name, False, "crashes")
    note = done.stdout.strip()
    return Probed(name, done.returncode == 0, note or "fails")


SHARED = Encoders(probe=probe_apart)
"""What this machine has, for all cameras."""


if __name__ == "__main__":
    result = probe_here(ENCODERS[sys.argv[1]])
    print(result.note)
    sys.exit(not result.works)
