"""WAV: a header that never ends, and a reader of whatever devices call WAV.

Live sound has no length, so both sizes of our header are the largest there are: players take that for "until the end".
Devices write the same, or 0, or some large number. See the RIFF specification (Microsoft, 1991) and RFC 2361.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from framecast.wire.pcm import PcmError, check_form

HEADER_BYTES = 44
ENDLESS = 0xFFFFFFFF
MAX_PREAMBLE_BYTES = 64 * 1024
"""Most bytes of other chunks before the samples."""
ENDLESS_FROM = 0x7FFFFF00
"""Sizes from here on, and 0, mean that nobody knew the length."""

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_PCM = 1
_EXTENSIBLE = 0xFFFE
_PCM_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def endless_header(sample_rate_hz: int, channels: int) -> bytes:
    """The 44 bytes before s16le samples that go on until the connection ends."""
    frame_bytes = 2 * channels
    return _HEADER.pack(
        b"RIFF",
        ENDLESS,
        b"WAVE",
        b"fmt ",
        16,
        _PCM,
        channels,
        sample_rate_hz,
        sample_rate_hz * frame_bytes,
        frame_bytes,
        16,
        b"data",
        ENDLESS,
    )


def is_wav(head: bytes | bytearray) -> bool:
    """Whether bytes begin as a WAV does."""
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


class Parser:
    """Reads a WAV as it comes.

    Attributes:
        sample_rate_hz: 0 until the header is read.
        channels: 0 until the header is read.
        in_samples: The header is over.
        ended: All samples that the header announced have come.
    """

    def __init__(self) -> None:
        self.sample_rate_hz = 0
        self.channels = 0
        self.ended = False
        self._step: Callable[[], bool] = self._riff
        self._held = bytearray()
        self._read_bytes = 0
        self._skip_bytes = 0
        self.in_samples = False
        self._left_bytes: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The samples in ``data``, cut anywhere.

        Raises:
            PcmError: It is no WAV, or its samples are not s16le of a form that is taken.
        """
        if not self._is_in_header():
            return self._samples(data)
        self._held += data
        self._read_bytes += len(data)
        while self._is_in_header():
            done = self._step()
            if self._read_bytes - len(self._held) > MAX_PREAMBLE_BYTES:
                raise _far()
            if not done:
                return b""
        rest = bytes(self._held)
        self._held.clear()
        return self._samples(rest)

    def _is_in_header(self) -> bool:
        return not self.in_samples

    def _riff(self) -> bool:
        held = self._held
        if held[:4] != b"RIFF"[: len(held)] or (len(held) >= 12 and not is_wav(held)):
            raise PcmError("bad_wav", "A WAV begins with RIFF and WAVE")
        if len(held) < 12:
            return False
        del held[:12]
        self._step = self._chunk
        return True

    def _chunk(self) -> bool:
        held = self._held
        if len(held) < _CHUNK.size:
            return False
        name, size = _CHUNK.unpack_from(held)
        if name == b"data":
            if not self.channels:
                raise PcmError("bad_wav", "The WAV says nothing of its format before its samples")
            del held[: _CHUNK.size]
            self._left_bytes = None if size == 0 or size >= ENDLESS_FROM else size
            self.in_samples = True
            return True
        if size > (64 if name == b"fmt " else MAX_PREAMBLE_BYTES):
            raise _far()
        padded = size + size % 2
        if name == b"fmt ":
            if len(held) < _CHUNK.size + padded:
                return False
            self._format(bytes(held[_CHUNK.size : _CHUNK.size + size]))
        self._skip_bytes = _CHUNK.size + padded
        self._step = self._skip
        return True

    def _skip(self) -> bool:
        taken = min(self._skip_bytes, len(self._held))
        del self._held[:taken]
        self._skip_bytes -= taken
        if self._skip_bytes:
            return False
        self._step = self._chunk
        return True

    def _format(self, body: bytes) -> None:
        if len(body) < _FORMAT.size:
            raise PcmError("bad_wav", f"The WAV's format has {len(body)} bytes where 16 to 40 are usual")
        tag, channels, rate_hz, _, _, bits = _FORMAT.unpack_from(body)
        if tag == _EXTENSIBLE and len(body) >= 40 and body[26:40] == _PCM_GUID_TAIL:
            tag = int.from_bytes(body[24:26], "little")
        if tag != _PCM or bits != 16:
            raise PcmError("bad_wav", f"The WAV's samples have to be 16-bit PCM, not {bits} bits of format {tag}")
        check_form(rate_hz, channels)
        self.sample_rate_hz, self.channels = rate_hz, channels

    def _samples(self, data: bytes) -> bytes:
        if self._left_bytes is None:
            return data
        data = data[: self._left_bytes]
        self._left_bytes -= len(data)
        self.ended = self._left_bytes == 0
        return data


def _far() -> PcmError:
    return PcmError("bad_wav", "The WAV has no samples within its first 64 KB")


def parse(body: bytes) -> tuple[bytes, int, int]:
    """Samples, sample rate in Hz and channels of a whole WAV.

    Raises:
        PcmError: It is none that can be taken.
    """
    parser = Parser()
    samples = parser.feed(body)
    if not parser.in_samples:
        raise PcmError("bad_wav", "The WAV ends within its header")
    return samples, parser.sample_rate_hz, parser.channels
