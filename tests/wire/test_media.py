from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire.media import HEADER_BYTES, Codec, Kind, MediaError, Message, pack_header, unpack


def test_the_layout_is_the_documented_one() -> None:
    header = pack_header(
        camera=3, frame_id=1234, pts_ns=1_790_000_000_123_456_789, epoch=2, width_px=640, height_px=480
    )
    assert header == bytes((1, 1, 1, 1)) + struct.pack("<HHHHIQq", 3, 640, 480, 0, 2, 1234, 1_790_000_000_123_456_789)
    assert len(header) == HEADER_BYTES == 32


def test_the_layout_of_sound_and_of_an_initialisation_segment() -> None:
    sound = pack_header(
        camera=3, frame_id=7, pts_ns=5, kind=Kind.AUDIO, codec=Codec.PCM_S16LE, sample_rate_hz=16_000, channels=1
    )
    assert sound == bytes((1, 2, 3, 1)) + struct.pack("<HHHHIQq", 3, 16_000, 1, 0, 0, 7, 5)
    init = pack_header(camera=3, frame_id=0, pts_ns=5, kind=Kind.FRAGMENT, codec=Codec.FMP4, key=False, init=True)
    assert init == bytes((1, 4, 4, 2)) + struct.pack("<HHHHIQq", 3, 0, 0, 0, 0, 0, 5)


@given(
    st.builds(
        Message,
        kind=st.sampled_from(Kind),
        codec=st.sampled_from(Codec),
        key=st.booleans(),
        camera=st.integers(0, 0xFFFF),
        width_px=st.integers(0, 0xFFFF),
        height_px=st.integers(0, 0xFFFF),
        epoch=st.integers(0, 0xFFFFFFFF),
        frame_id=st.integers(0, 2**64 - 1),
        pts_ns=st.integers(-(2**63), 2**63 - 1),
        payload=st.binary(max_size=50),
        init=st.booleans(),
        sample_rate_hz=st.integers(0, 0xFFFF),
        channels=st.integers(0, 0xFFFF),
    )
)
def test_there_and_back(message: Message) -> None:
    sound = message.kind is Kind.AUDIO
    message = replace(message, **({"width_px": 0, "height_px": 0} if sound else {"sample_rate_hz": 0, "channels": 0}))
    header = pack_header(
        kind=message.kind,
        codec=message.codec,
        key=message.key,
        camera=message.camera,
        width_px=message.width_px,
        height_px=message.height_px,
        epoch=message.epoch,
        frame_id=message.frame_id,
        pts_ns=message.pts_ns,
        init=message.init,
        sample_rate_hz=message.sample_rate_hz,
        channels=message.channels,
    )
    assert unpack(header + message.payload) == message


def test_sizes_are_capped_and_the_epoch_wraps() -> None:
    message = unpack(pack_header(camera=0, frame_id=0, pts_ns=0, width_px=70_000, height_px=70_000, epoch=2**32 + 5))
    assert (message.width_px, message.height_px, message.epoch) == (65_535, 65_535, 5)


@pytest.mark.parametrize("field", [{"camera": 65_536}, {"camera": -1}, {"frame_id": -1}, {"pts_ns": 2**63}])
def test_what_does_not_fit_is_refused(field: dict[str, int]) -> None:
    with pytest.raises(MediaError):
        pack_header(**{"camera": 0, "frame_id": 0, "pts_ns": 0, **field})


@given(st.binary(max_size=64))
def test_garbage_raises_nothing_else(data: bytes) -> None:
    for candidate in (data, b"\x01" + data, b"\x01\x01\x01\x01" + data):
        try:
            message = unpack(candidate)
        except MediaError:
            continue
        assert len(candidate) == HEADER_BYTES + len(message.payload)
