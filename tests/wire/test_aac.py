from __future__ import annotations

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import aac
from framecast.wire.aac import AacError, Config
from tests.wire.coded import sound

CHANNELS = (1, 2, 3, 4, 5, 6, 8)


@given(st.sampled_from(aac.RATES_HZ) | st.integers(1, (1 << 24) - 1), st.sampled_from(CHANNELS))
def test_a_configuration_there_and_back(rate: int, channels: int) -> None:
    data = aac.specific_config(rate, channels)
    assert len(data) == (2 if rate in aac.RATES_HZ else 5)
    assert aac.parse_specific_config(data) == Config(2, rate, channels)


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.sampled_from(aac.RATES_HZ), st.sampled_from(CHANNELS)
)
def test_adts_there_and_back(frames: list[bytes], rate: int, channels: int) -> None:
    data = b"".join(aac.adts(frame, rate, channels) for frame in frames)
    assert aac.split_adts(data) == (frames, Config(2, rate, channels))


@pytest.mark.parametrize(("rate", "layout"), [(8000, "mono"), (16_000, "mono"), (44_100, "stereo"), (48_000, "stereo")])
def test_the_configuration_is_what_the_encoder_says(rate: int, layout: str) -> None:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, layout, "fltp"
    encoder.open()
    assert encoder.extradata is not None
    assert encoder.extradata.startswith(aac.specific_config(rate, encoder.layout.nb_channels))


def test_ffmpeg_decodes_what_is_behind_our_headers() -> None:
    frames = sound(16_000, 2)
    decoder = av.CodecContext.create("aac", "r")
    packets = decoder.parse(b"".join(aac.adts(frame, 16_000, 2) for frame in frames))
    packets += decoder.parse(b"")
    assert len(packets) == len(frames)
    decoded = [frame for packet in packets for frame in decoder.decode(packet)]
    assert {(frame.samples, frame.sample_rate, frame.layout.nb_channels) for frame in decoded} == {(1024, 16_000, 2)}


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (1 << 24, 1), (16_000, 0), (16_000, 7)])
def test_no_such_configuration(rate: int, channels: int) -> None:
    with pytest.raises(AacError):
        aac.specific_config(rate, channels)


@pytest.mark.parametrize(
    ("frame", "rate", "channels"), [(bytes(8185), 16_000, 1), (b"", 16_001, 1), (b"", 16_000, 7), (b"", 16_000, 9)]
)
def test_what_adts_can_not_say(frame: bytes, rate: int, channels: int) -> None:
    with pytest.raises(AacError):
        aac.adts(frame, rate, channels)


@pytest.mark.parametrize("data", [b"", b"\x14", b"\x00\x08", b"\x16\x88", b"\x14\x00", b"\x17\x80\x00"])
def test_what_is_no_configuration(data: bytes) -> None:
    with pytest.raises(AacError):
        aac.parse_specific_config(data)


GOOD = aac.adts(b"hello", 16_000, 1)


@pytest.mark.parametrize(
    "data", [b"", GOOD[:6], GOOD[:-1], GOOD + b"\xff", b"\xff\xf9" + GOOD[2:7], GOOD[:2] + b"\x7c" + GOOD[3:]]
)
def test_what_is_no_adts(data: bytes) -> None:
    with pytest.raises(AacError):
        aac.split_adts(data)


def test_a_checksum_is_left_out() -> None:
    data = bytearray(aac.adts(b"\x12\x34hello", 16_000, 1))
    data[1] &= 0xFE
    assert aac.split_adts(bytes(data)) == ([b"hello"], Config(2, 16_000, 1))
