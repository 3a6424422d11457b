"""PCM from devices: what is taken, what is refused and why, and the tag in WebSocket messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import pcm
from framecast.wire.pcm import PcmError


def cause(payload: bytes, rate: int = 16_000, channels: int = 1) -> str:
    """Why this is refused."""
    with pytest.raises(PcmError) as caught:
        pcm.check(payload, rate, channels)
    assert str(caught.value)
    return caught.value.cause


def test_a_doorbells_chunk_is_64_ms() -> None:
    assert pcm.check(bytes(2048), 16_000, 1) == 1024
    assert pcm.check(bytes(2048), 48_000, 2) == 512


@pytest.mark.parametrize("rate", [0, -1, 1, 7_999, 48_001, 44_100_000])
def test_absurd_rates(rate: int) -> None:
    assert cause(bytes(2), rate) == "bad_sample_rate"


@pytest.mark.parametrize("channels", [0, 3, -1, 255])
def test_absurd_channels(channels: int) -> None:
    assert cause(bytes(4), 16_000, channels) == "bad_channels"


def test_sizes() -> None:
    assert cause(b"") == "no_sound"
    assert cause(b"\0") == "odd_bytes"
    assert cause(bytes(6), channels=2) == "odd_bytes"
    assert pcm.check(bytes(2 * 32_000), 16_000, 1) == 32_000
    assert cause(bytes(2 * 32_000 + 2)) == "chunk_too_long"
    assert pcm.check(bytes(pcm.MAX_CHUNK_BYTES), 48_000, 2) == 96_000


@given(
    st.binary(min_size=2, max_size=40).filter(lambda data: len(data) % 4 == 0),
    st.integers(8_000, 48_000),
    st.sampled_from([1, 2]),
    st.none() | st.integers(0, 2**32 - 1),
)
def test_the_tag_keeps_everything(payload: bytes, rate: int, channels: int, sequence: int | None) -> None:
    tag = pcm.pack_tag(rate, channels, sequence)
    assert len(tag) == pcm.TAG_BYTES
    assert pcm.unpack(tag + payload) == pcm.Block(payload, rate, channels, sequence)


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda data: pcm.MAGIC + data))
def test_whatever_comes_is_sound_or_refused(message: bytes) -> None:
    try:
        block = pcm.unpack(message)
    except PcmError as error:
        assert error.cause in {"bad_tag", "bad_sample_rate", "bad_channels", "odd_bytes", "no_sound", "chunk_too_long"}
    else:
        assert message.endswith(block.payload)


def test_a_picture_is_no_sound() -> None:
    assert not pcm.is_tagged(b"\xff\xd8\xff\xe0")
    assert not pcm.is_tagged(b"PCM")


def test_headers() -> None:
    assert pcm.form_of({}) == (16_000, 1)
    assert pcm.form_of({"X-Sample-Rate": " 44100 ", "X-Channels": "2"}) == (44_100, 2)
    for bad in ("", "-1", "16k", "1e4", "９", "1" * 400):
        with pytest.raises(PcmError):
            pcm.form_of({"X-Sample-Rate": bad})
        with pytest.raises(PcmError):
            pcm.form_of({"X-Channels": bad})


def test_sequence_numbers() -> None:
    assert pcm.sequence_of(None) is None
    assert pcm.sequence_of(" ") is None
    assert pcm.sequence_of("42") == 42
    assert pcm.sequence_of(str(2**64 - 1)) == 2**64 - 1
    for bad in ("-1", "x", "1.5", str(2**64), "1" * 400):
        with pytest.raises(PcmError) as caught:
            pcm.sequence_of(bad)
        assert caught.value.cause == "bad_sequence"


def test_stamps() -> None:
    assert pcm.stamp_of("12.345678") == 12.345678
    assert pcm.stamp_of("12345") == 12.345
    assert pcm.stamp_of("1700000000123") == 1_700_000_000.123
    for none in (None, "", "x", "-1", "1.2.3", "1e9", "nan", "1" * 40, "."):
        assert pcm.stamp_of(none) is None
