"""WAV: our endless header, and what devices and programs write."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import wav
from framecast.wire.pcm import PcmError

SAMPLES = bytes(range(256)) * 4


def written(rate: int = 16_000, channels: int = 1, width: int = 2) -> bytes:
    """What Python's own writer makes."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(SAMPLES)
    return out.getvalue()


def fmt(tag: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, tail: bytes = b"") -> bytes:
    """A format chunk."""
    body = struct.pack("<HHIIHH", tag, channels, rate, rate * 2 * channels, 2 * channels, bits) + tail
    return b"fmt " + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def riff(*chunks: bytes, size: int = 0xFFFFFFFF, data: bytes = SAMPLES) -> bytes:
    """A WAV of these chunks."""
    return b"RIFF\xff\xff\xff\xffWAVE" + b"".join(chunks) + b"data" + struct.pack("<I", size) + data


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000 - 44])
def test_sizes_that_mean_no_end(size: int) -> None:
    parser = wav.Parser()
    assert parser.feed(riff(fmt(), size=size)) == SAMPLES
    assert parser.feed(SAMPLES) == SAMPLES
    assert not parser.ended


def test_our_own_header_is_read_by_python_and_by_us() -> None:
    header = wav.endless_header(44_100, 2)
    assert len(header) == wav.HEADER_BYTES
    assert wav.parse(header + SAMPLES) == (SAMPLES, 44_100, 2)
    with wave.open(io.BytesIO(header + SAMPLES)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (44_100, 2, 2)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_cut_anywhere(cuts: list[int]) -> None:
    data = riff(b"LIST\x05\0\0\0abcde\0", fmt(channels=2, rate=48_000), size=len(SAMPLES)) + b"id3 \x02\0\0\0xx"
    parser, out, at = wav.Parser(), b"", 0
    for cut in cuts:
        out += parser.feed(data[at : at + cut])
        at += cut
    out += parser.feed(data[at:])
    assert (out, parser.sample_rate_hz, parser.channels) == (SAMPLES, 48_000, 2)
    assert parser.ended


def test_what_python_writes() -> None:
    assert wav.parse(written(22_050, 2)) == (SAMPLES, 22_050, 2)


def test_the_extensible_format() -> None:
    tail = struct.pack("<HHI", 22, 16, 3) + b"\x01\0" + bytes.fromhex("000000001000800000aa00389b71")
    assert wav.parse(riff(fmt(0xFFFE, 2, 48_000, tail=tail)))[1:] == (48_000, 2)
    with pytest.raises(PcmError):
        wav.parse(riff(fmt(0xFFFE, 2, 48_000, tail=tail[:-4] + b"nope")))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFX\0\0\0\0WAVE",
        b"RIFF\0\0\0\0AVI LIST",
        b"GIF89a",
        riff(),
        riff(fmt(tag=3, bits=32)),
        riff(fmt(bits=8)),
        riff(fmt(bits=24)),
        riff(fmt(rate=0)),
        riff(fmt(channels=6)),
        riff(b"fmt \x04\0\0\0abcd"),
        riff(b"fmt \xff\xff\xff\xff"),
        riff(b"LIST\xff\xff\xff\x7f"),
        riff(*[b"junk\0\x10\0\0" + bytes(0x1000)] * 20),
        riff(fmt())[:40],
        written(width=1),
    ],
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(PcmError) as caught:
        wav.parse(data)
    assert caught.value.cause in ("bad_wav", "bad_sample_rate", "bad_channels")


@pytest.mark.parametrize("chunk", [b"junk\0\0\0\0", b"junk\1\0\0\0ab", fmt()])
def test_chunks_without_end_are_read_no_further_than_the_header_may_be(chunk: bytes) -> None:
    many = wav.MAX_PREAMBLE_BYTES // len(chunk) - 8
    assert wav.parse(riff(fmt(), *[chunk] * many))[0] == SAMPLES
    with pytest.raises(PcmError, match="64 KB"):
        wav.parse(riff(fmt(), *[chunk] * (many + 16)))


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: b"RIFF\0\0\0\0WAVE" + data))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        samples, rate, channels = wav.parse(data)
    except PcmError:
        return
    assert data.find(samples) >= 0
    assert 8_000 <= rate <= 48_000
    assert channels in (1, 2)
