"""PCM as devices send it: what is taken, and the tag that marks it in a WebSocket whose messages are pictures.

Samples are s16le, channels interleaved. The tag is 12 bytes, little-endian, and the samples follow:

    offset  type  field
    0       4s    "PCM1"
    4       u16   sample rate in Hz, 8000-48000
    6       u8    channels, 1 or 2
    7       u8    flags: bit 0 the sequence number counts
    8       u32   sequence number, rising by 1 per message and starting again at 0 after 2**32 - 1
    12            samples

A JPEG begins with FF D8, so no picture is ever taken for sound. The same tag goes down to a device that plays what
somebody says to it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAGIC = b"PCM1"
TAG_BYTES = 12
SEQUENCED = 1
"""Bit 0 of the flags."""
SAMPLE_RATES_HZ = (8_000, 48_000)
"""Lowest and highest."""
SAMPLE_BYTES = 2
MAX_CHUNK_S = 2.0
"""A chunk is as late as it is long; one that is longer is a recording."""
MAX_CHUNK_BYTES = round(MAX_CHUNK_S * SAMPLE_RATES_HZ[1]) * 2 * SAMPLE_BYTES
DEFAULT_RATE_HZ = 16_000
MAX_SEQUENCE = (1 << 64) - 1
L16 = "audio/l16"
"""The media type of samples with their high byte first (RFC 3551, 4.5.11; RFC 2586), in lower case."""

_TAG = struct.Struct("<4sHBBI")


class PcmError(ValueError):
    """This is no sound that can be passed on; ``cause`` is the name it is counted by."""

    def __init__(self, cause: str, message: str) -> None:
        self.cause = cause
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Block:
    """Samples and what is said about them.

    Attributes:
        payload: s16le, channels interleaved.
        sequence: The device's own number, None where it gives none.
    """

    payload: bytes
    sample_rate_hz: int = DEFAULT_RATE_HZ
    channels: int = 1
    sequence: int | None = None


def check_form(sample_rate_hz: int, channels: int) -> None:
    """See whether such sound is taken.

    Raises:
        PcmError: The rate or the number of channels is out of range.
    """
    lowest, highest = SAMPLE_RATES_HZ
    if not lowest <= sample_rate_hz <= highest:
        raise PcmError("bad_sample_rate", f"A sample rate has to be {lowest} to {highest} Hz, not {sample_rate_hz}")
    if channels not in (1, 2):
        raise PcmError("bad_channels", f"Sound has 1 or 2 channels, not {channels}")


def check(payload: bytes, sample_rate_hz: int, channels: int) -> int:
    """How many samples of each channel ``payload`` holds.

    Raises:
        PcmError: It can't be s16le sound of this form, is empty, or is longer than `MAX_CHUNK_S`.
    """
    check_form(sample_rate_hz, channels)
    size = len(payload)
    if not size:
        raise PcmError("no_sound", "There are no samples")
    samples, rest = divmod(size, SAMPLE_BYTES * channels)
    if rest:
        words = "s16le has 2 bytes a sample" if channels == 1 else "s16le stereo has 4 bytes a pair of samples"
        raise PcmError("odd_bytes", f"{size} bytes end within a sample: {words}")
    if samples > MAX_CHUNK_S * sample_rate_hz:
        raise PcmError(
            "chunk_too_long",
            f"A chunk holds at most {MAX_CHUNK_S:g} s, and this one {samples / sample_rate_hz:.1f} s: "
            "send it in pieces, as it is recorded",
        )
    return samples


def pack_tag(sample_rate_hz: int, channels: int, sequence: int | None = None) -> bytes:
    """The 12 bytes that stand before samples.

    Raises:
        PcmError: The rate or the number of channels is out of range.
    """
    check_form(sample_rate_hz, channels)
    flags = 0 if sequence is None else SEQUENCED
    return _TAG.pack(MAGIC, sample_rate_hz, channels, flags, (sequence or 0) & 0xFFFFFFFF)


def is_tagged(message: bytes) -> bool:
    """Whether a binary message is sound."""
    return message[:4] == MAGIC


def unpack(message: bytes) -> Block:
    """The sound in a message.

    Raises:
        PcmError: The tag is cut short, or the samples can't be what it says.
    """
    if not is_tagged(message) or len(message) < TAG_BYTES:
        raise PcmError("bad_tag", f"The tag of sound has {TAG_BYTES} bytes and begins with PCM1")
    _, rate, channels, flags, sequence = _TAG.unpack_from(message)
    payload = bytes(message[TAG_BYTES:])
    check(payload, rate, channels)
    return Block(payload, rate, channels, sequence if flags & SEQUENCED else None)


def form_of(values: Mapping[str, str], rate: str = "X-Sample-Rate", channels: str = "X-Channels") -> tuple[int, int]:
    """Sample rate in Hz and channels from headers or query parameters; 16 kHz mono where they say nothing.

    Raises:
        PcmError: They are no whole numbers, or out of range.
    """
    rate_hz = _whole(values.get(rate), rate, DEFAULT_RATE_HZ, "bad_sample_rate")
    count = _whole(values.get(channels), channels, 1, "bad_channels")
    check_form(rate_hz, count)
    return rate_hz, count


def parameters(content_type: str) -> dict[str, str]:
    """The parameters of a Content-Type: ``rate`` and ``channels`` of ``audio/L16; rate=8000; channels=2``."""
    found: dict[str, str] = {}
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        found[name.strip().lower()] = value.strip().strip('"')
    return found


def turned(samples: bytes) -> bytes:
    """Whole samples with the two bytes of each changing places."""
    out = bytearray(samples)
    out[0::2], out[1::2] = samples[1::2], samples[0::2]
    return bytes(out)


def sequence_of(text: str | None) -> int | None:
    """The number in an X-Sequence header, None where there is none.

    Raises:
        PcmError: It is no whole number from 0 to 2**64 - 1.
    """
    if text is None or not text.strip():
        return None
    value = _whole(text, "X-Sequence", 0, "bad_sequence")
    if value > MAX_SEQUENCE:
        raise PcmError("bad_sequence", "X-Sequence is larger than 64 bits hold")
    return value


def stamp_of(text: str | None) -> float | None:
    """Seconds from an X-Timestamp header: with a point they are seconds, a whole number is milliseconds.

    None where it is no stamp, since a wrong stamp is no reason to lose sound.
    """
    text = (text or "").strip()
    whole, point, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 16):
        return None
    if not point:
        return int(whole) / 1000
    if fraction and not (fraction.isascii() and fraction.isdigit() and len(fraction) <= 16):
        return None
    return float(text)


def _whole(text: str | None, name: str, default: int, cause: str) -> int:
    if text is None:
        return default
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise PcmError(cause, f"{name} has to be a whole number, not {text[:40]!r}")
    return int(text)
