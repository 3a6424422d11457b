from __future__ import annotations

import itertools
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import h264
from framecast.wire.h264 import H264Error, ParameterSets, SpsInfo
from tests.wire.coded import pictures

nal_units = st.tuples(
    st.integers(1, 0x7F), st.binary(max_size=40).map(lambda body: body.replace(b"\x00", b"\x01"))
).map(lambda pair: bytes((pair[0],)) + pair[1])


class Writer:
    """Bits of a parameter set, with emulation prevention put in at the end."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, value: int, count: int) -> None:
        self.bits += f"{value:0{count}b}"

    def ue(self, value: int) -> None:
        text = f"{value + 1:b}"
        self.bits += "0" * (len(text) - 1) + text

    def se(self, value: int) -> None:
        self.ue(2 * value - 1 if value > 0 else -2 * value)

    def unit(self, head: int) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        out, zeros = bytearray((head,)), 0
        for byte in int(bits, 2).to_bytes(len(bits) // 8, "big"):
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return bytes(out)


def sps(
    *,
    profile: int = 66,
    constraints: int = 0xC0,
    level: int = 31,
    blocks: tuple[int, int] = (40, 30),
    crop: tuple[int, int, int, int] | None = None,
    interlaced: bool = False,
    order: int = 2,
    cycle: list[int] | None = None,
    chroma: int = 1,
    separate: int = 0,
    scaling: list[int] | None = None,
) -> bytes:
    out = Writer()
    for value in (profile, constraints, level):
        out.u(value, 8)
    out.ue(0)
    if profile >= 100:
        out.ue(chroma)
        if chroma == 3:
            out.u(separate, 1)
        out.ue(0)
        out.ue(0)
        out.u(0, 1)
        out.u(scaling is not None, 1)
        if scaling is not None:
            for index in range(12 if chroma == 3 else 8):
                out.u(index == 0, 1)
                if index == 0:
                    for before, value in itertools.pairwise((8, *scaling)):
                        out.se((value - before + 128) % 256 - 128)
    out.ue(4)
    out.ue(order)
    if order == 0:
        out.ue(2)
    elif order == 1:
        out.u(0, 1)
        out.se(-3)
        out.se(1)
        out.ue(len(cycle or []))
        for value in cycle or []:
            out.se(value)
    out.ue(1)
    out.u(0, 1)
    out.ue(blocks[0] - 1)
    out.ue(blocks[1] - 1)
    out.u(not interlaced, 1)
    if interlaced:
        out.u(0, 1)
    out.u(1, 1)
    out.u(crop is not None, 1)
    for value in crop or ():
        out.ue(value)
    out.u(0, 1)
    return out.unit(0x67)


@given(st.lists(nal_units), st.booleans())
def test_units_are_split_as_they_were_joined(units: list[bytes], short: bool) -> None:
    # A unit never ends in a zero byte and never holds a start code; emulation prevention sees to it.
    joined = h264.join(units)
    if short:
        joined = joined.replace(h264.START_CODE, b"\x00\x00\x01")
    assert h264.split(joined) == units
    assert h264.split(b"\x00" + joined + b"\x00\x00") == units


@given(st.lists(nal_units))
def test_avcc_there_and_back(units: list[bytes]) -> None:
    units = [unit for unit in units if h264.kind(unit) != h264.DELIMITER]
    sample = h264.to_avcc(h264.join(units), parameter_sets=True)
    assert h264.from_avcc(sample) == h264.join(units)
    without = h264.from_avcc(h264.to_avcc(h264.join([b"\x09\xf0", *units])))
    assert h264.split(without) == [unit for unit in units if h264.kind(unit) not in (h264.SPS, h264.PPS)]


@pytest.mark.parametrize("sample", [b"\x00", b"\x00\x00\x00\x05abcd", b"\x00\x00\x00\x01a\x00\x00"])
def test_lengths_that_do_not_add_up(sample: bytes) -> None:
    with pytest.raises(H264Error):
        h264.from_avcc(sample)


def test_shorter_lengths() -> None:
    assert h264.from_avcc(b"\x00\x02ab\x00\x00\x00\x01c", 2) == h264.join([b"ab", b"c"])


def test_a_key_frame_is_known_by_its_first_slice() -> None:
    units = pictures(list(range(0, 30_000, 3_000)), key_every=4)
    assert [h264.is_key(unit.data) for unit in units] == [unit.key for unit in units]
    assert [unit.key for unit in units] == [number % 4 == 0 for number in range(10)]
    assert not h264.is_key(b"")
    assert not h264.is_key(b"\x00\x00\x01")
    assert h264.is_key(b"\x00\x00\x01\x06\x01\x00\x00\x01\x65")
    assert not h264.is_key(b"\x00\x00\x01\x41\x01\x00\x00\x01\x65")


@pytest.mark.parametrize(
    ("width", "height", "options", "profile"),
    [
        (640, 480, {"profile": "baseline"}, 66),
        (322, 242, {"profile": "main", "preset": "medium"}, 77),
        (1920, 1080, {"profile": "high", "preset": "medium"}, 100),
        (160, 120, {"profile": "high", "preset": "medium", "x264-params": "interlaced=1:cqm=jvt"}, 100),
    ],
)
def test_what_x264_writes_is_read(width: int, height: int, options: dict[str, str], profile: int) -> None:
    (unit,) = pictures([0], width=width, height=height, **options)
    sets = h264.parameter_sets(unit.data)
    assert sets is not None
    info = h264.parse_sps(sets.sps)
    assert (info.width_px, info.height_px, info.profile) == (width, height, profile)
    assert info.codec == f"avc1.{sets.sps[1:4].hex().upper()}"
    assert h264.parse_avcc(h264.avcc(sets)) == (sets, 4)


def test_an_mp4_file_says_the_same_as_the_stream(tmp_path: Any) -> None:
    path = tmp_path / "file.mp4"
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = 202, 102, "yuv420p"
        for packet in stream.encode(av.VideoFrame(202, 102, "yuv420p")):
            out.mux(packet)
        out.mux(stream.encode(None))
    with av.open(path) as file:
        extra = file.streams.video[0].codec_context.extradata
        sample = bytes(next(packet for packet in file.demux(video=0)))
    assert extra is not None
    sets, length_bytes = h264.parse_avcc(extra)
    assert h264.avcc(sets) == extra
    info = h264.parse_sps(sets.sps)
    assert (info.width_px, info.height_px) == (202, 102)
    assert h264.is_key(h264.from_avcc(sample, length_bytes))


@given(
    st.sampled_from((66, 77, 88, 100, 110, 122, 244)),
    st.tuples(st.integers(8, 300), st.integers(8, 200)),
    st.none() | st.tuples(*[st.integers(0, 7)] * 4),
    st.booleans(),
    st.integers(0, 2),
    st.lists(st.integers(-1000, 1000), max_size=20),
    st.integers(0, 3),
    st.integers(0, 1),
    st.none() | st.lists(st.integers(1, 255), min_size=16, max_size=16),
)
def test_any_sps(
    profile: int,
    blocks: tuple[int, int],
    crop: tuple[int, int, int, int] | None,
    interlaced: bool,
    order: int,
    cycle: list[int],
    chroma: int,
    separate: int,
    scaling: list[int] | None,
) -> None:
    data = sps(
        profile=profile,
        blocks=blocks,
        crop=crop,
        interlaced=interlaced,
        order=order,
        cycle=cycle,
        chroma=chroma,
        separate=separate,
        scaling=scaling,
    )
    if profile < 100:
        chroma, separate = 1, 0
    across = 2 if chroma in (1, 2) else 1
    down = 2 if chroma == 1 else 1
    if separate and chroma == 3:
        across = down = 1
    left, right, top, bottom = crop or (0, 0, 0, 0)
    fields = 2 if interlaced else 1
    width = blocks[0] * 16 - (left + right) * across
    height = blocks[1] * 16 * fields - (top + bottom) * down * fields
    assert h264.parse_sps(data) == SpsInfo(profile, 0xC0, 31, width, height)
    assert h264.parse_avcc(h264.avcc(ParameterSets(data, (b"\x68\xce",))))[0].sps == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x67",
        b"\x68" + sps()[1:],
        sps()[:8],
        b"\x67\x42\xc0\x1f" + bytes(60),
        b"\x67" + b"\xff" * 2000,
        sps(blocks=(2000, 30)),
        sps(blocks=(1, 1), crop=(8, 8, 0, 0)),
        sps(profile=100, chroma=4),
        sps(order=1, cycle=[0] * 300),
    ],
)
def test_what_is_no_sps(data: bytes) -> None:
    with pytest.raises(H264Error):
        h264.parse_sps(data)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01\x42\xc0\x1f\xff\xe1",
        b"\x00\x42\xc0\x1f\xff\xe1\x00\x00",
        b"\x01\x42\xc0\x1f\xff\xe1\x00\x02\x67",
        b"\x01\x42\xc0\x1f\xff\xe1\x00\x02\x67\x42",
        b"\x01\x42\xc0\x1f\xff\xe0\x00\x00",
        b"\x01\x42\xc0\x1f\xff\xe1\x00\x02\x67\x42\x00",
    ],
)
def test_what_is_no_avcc(body: bytes) -> None:
    with pytest.raises(H264Error):
        h264.parse_avcc(body)


def test_parameter_sets_that_fit_no_avcc() -> None:
    for sets in (ParameterSets(b"\x67", (b"\x68",)), ParameterSets(sps(), (b"\x68",) * 256)):
        with pytest.raises(H264Error):
            h264.avcc(sets)


def test_parameter_sets_are_found_together_or_not_at_all() -> None:
    one, two = b"\x68\xce\x01", b"\x68\xce\x02"
    assert h264.parameter_sets(h264.join([sps(), one, two, one, b"\x65\x88"])) == (sps(), (one, two))
    assert h264.parameter_sets(h264.join([sps(), b"\x65\x88"])) is None
    assert h264.parameter_sets(b"") is None
