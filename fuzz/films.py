"""What FFmpeg reads for us: streams and files of any container, with pictures and sound of any kind, and damage."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import simplejpeg

from framecast.core.clock import Clock
from framecast.core.errors import DeviceError
from framecast.ingest.avoutlet import Block, Order, Outlet, Unit
from framecast.ingest.avtarget import target_of
from fuzz.target import Target, require, silent

MOST_PIXELS = 160 * 120
MOST_DECODED_PIXELS = 2 * MOST_PIXELS + 100_000
SOUND_BYTES_PER_BYTE = 200
"""What a byte of a file may become at most: a bit of some codec at the lowest rate, as samples at the highest."""


class Taken(Outlet):
    """Keeps counts of what a session gives, in place of a loop and a feed."""

    def __init__(self) -> None:
        self.drops = 0
        self.clock = Clock()
        self.given: Counter[str] = Counter()
        self.sound_bytes = 0
        self.closed = _Open()

    @property
    def wants_pictures(self) -> bool:
        """Always."""
        return True

    def connected(self, dialect: str, address: str) -> None:
        """See `Outlet`; this and all that follow."""
        require(dialect.isprintable(), "words that can't be shown")

    def picture(self, jpeg: bytes, stamp_s: float) -> None:
        self.given["picture"] += 1
        require(stamp_s == stamp_s, "a time that is none")
        if jpeg.startswith(b"\xff\xd8"):
            self._see(jpeg)

    def picture_of(self, token: int, jpeg: bytes) -> None:
        self.given["picture"] += 1
        self._see(jpeg)

    def codes_itself(self, yes: bool) -> None:
        self.given["codes" if yes else "codes no more"] += 1

    def unit(self, unit: Unit, stamp_s: float) -> int:
        self.given["unit"] += 1
        require(stamp_s == stamp_s and unit.width_px > 0, "a unit of no size, or at no time")
        return self.given["unit"]

    def sound(self, block: Block, stamp_s: float) -> None:
        self.given["sound"] += 1
        self.sound_bytes += len(block.payload)
        require(8_000 <= block.sample_rate_hz <= 48_000 and block.channels in (1, 2), "sound that nobody asked for")

    def fault(self, cause: str) -> None:
        self.given[cause] += 1

    def _see(self, jpeg: bytes) -> None:
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        except ValueError:
            return  # handed on as it came: the gate looks at it
        require(jpeg[6:10] != b"JFIF" or width * height <= MOST_DECODED_PIXELS, "a larger picture than may be")


class _Open(threading.Event):
    """An event that is never set, and for which nobody waits."""

    def is_set(self) -> bool:
        """No."""
        return False

    def wait(self, timeout: float | None = None) -> bool:
        """At once."""
        return False


def film(data: bytes) -> Hashable:
    """Whatever is in a file, reading it ends, with what may be or with a reason that people are told."""
    from framecast.ingest.avsession import Session

    taken = Taken()
    with tempfile.NamedTemporaryFile(prefix="framecast-", suffix=".bin") as file:
        Path(file.name).write_bytes(data)
        target = replace(target_of(f"file:{file.name}", 5.0), live=True)  # once, and as fast as it goes
        order = Order(target, 0.0, 80, 5.0, max_pixels=MOST_PIXELS)
        reason = ""
        try:
            with silent():
                Session(order, cast(Outlet, taken)).run()
        except DeviceError as error:
            reason = str(error).replace(file.name, "")
            require(reason.isprintable(), "words that can't be shown")
    require(taken.sound_bytes <= 1_000_000 + SOUND_BYTES_PER_BYTE * len(data), "sound out of nothing")
    return (reason[:30], frozenset(taken.given), min(taken.given["picture"], 3))


def seeds() -> list[bytes]:
    """Small ones, of several containers and codecs."""
    return [
        _made("avi", "mpeg4", "pcm_s16le"),
        _made("avi", "mjpeg", "pcm_mulaw"),
        _made("matroska", "libx264", "aac"),
        _made("mp4", "libx264", "aac"),
        _made("mpegts", "libx264", "mp2"),
        _made("h264", "libx264", ""),
    ]


def _made(container: str, codec: str, sound: str) -> bytes:
    import av

    with tempfile.NamedTemporaryFile(prefix="framecast-") as file:
        with av.open(file.name, "w", format=container, options={"fflags": "+bitexact"}) as film:
            stream = film.add_stream(
                codec, rate=25, options={"bf": "0", "tune": "zerolatency"} if "264" in codec else {}
            )
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            heard = film.add_stream(sound, rate=16_000 if sound == "mp2" else 8_000) if sound else None
            for number in range(4):
                pixels = np.full((48, 64, 3), 40 * number, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts = number
                for packet in stream.encode(frame):
                    film.mux(packet)
            for packet in stream.encode(None):
                film.mux(packet)
            if heard is not None:
                noise = av.AudioFrame.from_ndarray(np.zeros((1, 1280), np.int16), layout="mono")
                noise.sample_rate = heard.rate
                for packet in [*heard.encode(noise), *heard.encode(None)]:
                    film.mux(packet)
        return Path(file.name).read_bytes()


_WORDS = (
    *(b"RIFF", b"AVI LIST", b"strh", b"strf", b"vids", b"auds", b"movi", b"00dc", b"01wb", b"idx1"),
    *(b"moov", b"trak", b"stsd", b"mp4a", b"avc1", b"avcC", b"mdat", b"elst"),
    *(b"\x1a\x45\xdf\xa3", b"V_MPEG4/ISO/AVC", b"A_AAC", b"A_PCM/INT/LIT", b"V_VP9", b"A_OPUS"),
    *(
        b"\0\0\0\1\x67",
        b"\0\0\0\1\x68",
        b"\0\0\0\1\x65",
        b"\0\0\0\1\x41",
        b"\0\0\1\xb0",
        b"\0\0\1\xb6",
        b"\x47\x40\0\x10",
    ),
    *(b"\xff\xd8", b"\xff\xd9", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\1\0\0\0", b"\x01\x00\x08\x00"),
)

TARGETS = (Target("film", film, _WORDS, base_s=2.0, per_byte_s=100e-6),)
