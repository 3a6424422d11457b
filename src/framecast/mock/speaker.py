"""A fake device's speaker: what it plays goes into a WAV file, bit for bit, for a test to compare."""

from __future__ import annotations

import re
from pathlib import Path
from struct import pack
from typing import BinaryIO, Protocol

from framecast.core.errors import Misuse
from framecast.mock.line import Line, status_of
from framecast.mock.target import Target
from framecast.wire import pcm

_HEAD_BYTES = 44
_MOST_BYTES = 1 << 28


class Listening(Protocol):
    """The device, as its speaker sees it."""

    speaker: Speaker | None
    token: str
    answer_s: float

    async def dial(self, target: Target | None = None) -> Line:
        """A new connection."""


class Speaker:
    """Writes what it plays.

    Args:
        path: The file; begun anew with the first sound.

    Attributes:
        size_bytes: How much it has played.
        sample_rate_hz: Of the latest sound.
        channels: Of the latest sound.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.sample_rate_hz = pcm.DEFAULT_RATE_HZ
        self.channels = 1
        self._file: BinaryIO | None = None
        try:
            path.write_bytes(b"")
        except OSError as error:
            raise Misuse(f"What the speaker plays can't be written to {path}: {error.strerror}") from error

    def play(self, payload: bytes, sample_rate_hz: int, channels: int) -> None:
        """Play s16le samples. The file has one form, that of the latest ones."""
        if not payload or self.size_bytes + len(payload) > _MOST_BYTES:
            return
        if self._file is None:
            self._file = self.path.open("wb")
            self._file.write(_wav_head(0, sample_rate_hz, channels))
        self.sample_rate_hz, self.channels = sample_rate_hz, channels
        self._file.write(payload)
        self.size_bytes += len(payload)

    def message(self, message: bytes) -> bool:
        """Play a WebSocket message, if it is tagged sound; whether it was."""
        if not pcm.is_tagged(message):
            return False
        try:
            block = pcm.unpack(message)
        except pcm.PcmError:
            return False
        self.play(block.payload, block.sample_rate_hz, block.channels)
        return True

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.seek(0)
            self._file.write(_wav_head(self.size_bytes, self.sample_rate_hz, self.channels))
            self._file.close()
            self._file = None


async def fetch(device: Listening, target: Target) -> None:
    """Ask for what the speaker is to play, and play it as long as it comes (one connection's life).

    Raises:
        OSError: The answer is none that holds sound.
        ValueError: It says so in a way that can't be read.
    """
    assert device.speaker is not None
    line = await device.dial(target)
    request = f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: ESP32HTTPClient\r\n"
    if device.token:
        request += f"Authorization: Bearer {device.token}\r\n"
    await line.send(f"{request}\r\n".encode())
    head = (await line.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = status_of(head)
    if status != 200:
        raise ConnectionRefusedError(f"the speaker was answered with {status}")
    fields = dict(re.findall(r"(?m)^([\w-]+): *(.*?)\r?$", head.lower()))
    rate_hz, channels = pcm.form_of(fields, "x-sample-rate", "x-channels")
    chunked = "chunked" in fields.get("transfer-encoding", "")
    left = int(fields.get("content-length", _MOST_BYTES))
    while left > 0:
        piece = await _chunk(line) if chunked else await line.reader.read(min(left, 4096))
        if not piece:
            return
        left -= len(piece)
        device.speaker.play(piece, rate_hz, channels)


async def _chunk(line: Line) -> bytes:
    """The next HTTP chunk; empty at the end."""
    size = int((await line.reader.readuntil(b"\r\n")).split(b";")[0], 16)
    data = await line.reader.readexactly(size)
    await line.reader.readexactly(2)
    return data


def _wav_head(size_bytes: int, sample_rate_hz: int, channels: int) -> bytes:
    frame_bytes = 2 * channels
    fmt = pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate_hz, sample_rate_hz * frame_bytes, frame_bytes, 16)
    riff = pack("<4sI4s", b"RIFF", _HEAD_BYTES - 8 + size_bytes, b"WAVE")
    return riff + fmt + pack("<4sI", b"data", size_bytes)
