"""Pictures and sound coded by the real encoders, and what ffprobe makes of our bytes."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from framecast.wire import blockcode

CLOCK_HZ = 90_000


class Unit(NamedTuple):
    """One access unit; `pts` in ticks of 90 kHz."""

    data: bytes
    pts: int
    key: bool


def pictures(
    times: list[int], *, width: int = 160, height: int = 96, key_every: int = 10, name: str = "libx264", **options: str
) -> list[Unit]:
    """So many pictures, each with the block code of its number and time, as access units of Annex B."""
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, CLOCK_HZ), Fraction(30)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(key_every), "crf": "18", **options}
    found = []
    for number, pts in enumerate(times):
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        blockcode.draw(planes[:height], number, pts)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = pts, encoder.time_base
        found += encoder.encode(frame)
    found += encoder.encode(None)
    return [Unit(bytes(packet), packet.pts, packet.is_keyframe) for packet in found]


@cache
def sound(rate: int, channels: int, frames: int = 20) -> tuple[bytes, ...]:
    """So many raw frames of AAC-LC: a tone."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono" if channels == 1 else "stereo", "fltp"
    found = []
    for number in range(frames):
        tone = np.sin(np.arange(number * 1024, (number + 1) * 1024) * 0.05).astype(np.float32) / 3
        frame = av.AudioFrame.from_ndarray(np.tile(tone, (channels, 1)), format="fltp", layout=encoder.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, number * 1024, Fraction(1, rate)
        found += encoder.encode(frame)
    return tuple(bytes(packet) for packet in found)


def probe(path: Path | str, *options: str) -> dict[str, Any]:
    """What ffprobe reads; it must have nothing to say."""
    command = ["ffprobe", "-v", "warning", "-show_packets", "-show_streams", "-of", "json", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def times(probed: dict[str, Any], kind: str) -> list[int]:
    """The pts of the packets of one kind, `video` or `audio`, in their own ticks."""
    return [packet["pts"] for packet in probed["packets"] if packet["codec_type"] == kind]


def decode(path: Path | str, *options: str, width: int = 160, height: int = 96) -> list[tuple[int, int] | None]:
    """What the block codes of all pictures say (id, time), decoded by ffmpeg, which must have nothing to say."""
    command = ["ffmpeg", "-v", "warning", "-xerror", "-nostdin", *options, "-i", str(path), "-map", "0"]
    command += ["-f", "null", "-", "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    planes = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width)
    codes = [blockcode.read(plane) for plane in planes]
    return [None if code is None else (code.frame_id, code.time_us) for code in codes]
