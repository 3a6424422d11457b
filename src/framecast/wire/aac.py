"""AAC-LC as it travels: the AudioSpecificConfig that MP4 carries once, the ADTS header that MPEG-TS carries each time.

A frame is 1,024 samples per channel. Sources: ISO/IEC 14496-3, 1.6.2.1 and 1.A.2; RFC 6381 for the codec's name.
"""

from __future__ import annotations

from typing import NamedTuple

FRAME_SAMPLES = 1024
CODEC = "mp4a.40.2"
RATES_HZ = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
ADTS_HEADER_BYTES = 7
MAX_FRAME_BYTES = (1 << 13) - 1 - ADTS_HEADER_BYTES

_LOW_COMPLEXITY = 2
_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8}
_EXPLICIT_RATE = 15


class AacError(ValueError):
    """These bytes are no AAC that is known here."""


class Config(NamedTuple):
    """What an AudioSpecificConfig says; ``object_type`` 2 is AAC-LC."""

    object_type: int
    sample_rate_hz: int
    channels: int


def specific_config(sample_rate_hz: int, channels: int) -> bytes:
    """The AudioSpecificConfig of AAC-LC: two bytes, five where the rate is none of the usual ones.

    Raises:
        AacError: No such number of channels, or a rate that fits no 24 bits.
    """
    layout = _layout(channels)
    if sample_rate_hz in RATES_HZ:
        return (_LOW_COMPLEXITY << 11 | RATES_HZ.index(sample_rate_hz) << 7 | layout << 3).to_bytes(2, "big")
    if not 0 < sample_rate_hz < 1 << 24:
        raise AacError(f"a sample rate of {sample_rate_hz} Hz")
    return (_LOW_COMPLEXITY << 35 | _EXPLICIT_RATE << 31 | sample_rate_hz << 7 | layout << 3).to_bytes(5, "big")


def parse_specific_config(data: bytes) -> Config:
    """What an AudioSpecificConfig says; extensions behind it (SBR) are not looked at.

    Raises:
        AacError: Too short, or a layout that is none.
    """
    bits = int.from_bytes(data[:8].ljust(8, b"\x00"), "big")
    used = 0

    def take(count: int) -> int:
        nonlocal used
        used += count
        return bits >> (64 - used) & ((1 << count) - 1)

    object_type = take(5)
    if object_type == 31:
        object_type = 32 + take(6)
    index = take(4)
    rate = take(24) if index == _EXPLICIT_RATE else RATES_HZ[index] if index < len(RATES_HZ) else 0
    channels = _CHANNELS.get(take(4), 0)
    if used > len(data) * 8 or not object_type or not rate or not channels:
        raise AacError("no AudioSpecificConfig")
    return Config(object_type, rate, channels)


def adts(frame: bytes, sample_rate_hz: int, channels: int) -> bytes:
    """A raw frame behind its ADTS header.

    Raises:
        AacError: The frame is too long, or the rate or number of channels has no number in ADTS.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise AacError(f"a frame of {len(frame)} bytes where {MAX_FRAME_BYTES} fit")
    if sample_rate_hz not in RATES_HZ:
        raise AacError(f"ADTS has no sample rate of {sample_rate_hz} Hz")
    head = 0xFFF1 << 40  # sync word, MPEG-4, no CRC
    head |= (_LOW_COMPLEXITY - 1) << 38 | RATES_HZ.index(sample_rate_hz) << 34 | _layout(channels) << 30
    head |= (len(frame) + ADTS_HEADER_BYTES) << 13 | 0x7FF << 2  # buffer fullness: variable rate
    return head.to_bytes(7, "big") + frame


def split_adts(data: bytes) -> tuple[list[bytes], Config]:
    """The raw frames of whole ADTS frames that follow one another, and the configuration of the first.

    Raises:
        AacError: No sync word where a frame should begin, or the last frame is cut off.
    """
    frames: list[bytes] = []
    first: Config | None = None
    at = 0
    while at < len(data):
        head = data[at : at + ADTS_HEADER_BYTES]
        if len(head) < ADTS_HEADER_BYTES or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            raise AacError(f"no ADTS header at byte {at}")
        bits = int.from_bytes(head, "big")
        index, layout, size = bits >> 34 & 15, bits >> 30 & 7, bits >> 13 & 0x1FFF
        header = ADTS_HEADER_BYTES if head[1] & 1 else ADTS_HEADER_BYTES + 2
        if size < header or at + size > len(data) or bits & 3:
            raise AacError(f"the ADTS frame at byte {at} does not fit")
        if index >= len(RATES_HZ) or layout not in _CHANNELS:
            raise AacError(f"the ADTS frame at byte {at} has no rate or layout")
        first = first or Config((bits >> 38 & 3) + 1, RATES_HZ[index], _CHANNELS[layout])
        frames.append(data[at + header : at + size])
        at += size
    if first is None:
        raise AacError("no ADTS frame")
    return frames, first


def _layout(channels: int) -> int:
    for layout, count in _CHANNELS.items():
        if count == channels:
            return layout
    raise AacError(f"AAC has no layout of {channels} channels")
