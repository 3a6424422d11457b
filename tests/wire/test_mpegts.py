from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import aac, h264, mpegts
from framecast.wire.mpegts import AUDIO_PID, PMT_PID, VIDEO_PID, Muxer, TsError
from tests.wire.coded import decode, pictures, probe, sound, times

UNEVEN = [90_000 + number * 3000 + number * number * 7 % 400 for number in range(30)]
STEP = 1024 * 90_000 // 16_000


class Packet:
    """One packet taken apart (13818-1, 2.4.3.2)."""

    def __init__(self, data: bytes) -> None:
        assert len(data) == 188
        assert data[0] == 0x47
        self.start = bool(data[1] & 0x40)
        self.pid = (data[1] & 0x1F) << 8 | data[2]
        self.counter = data[3] & 15
        self.flags, self.clock, at = 0, -1, 4
        if data[3] & 0x20:
            length = data[4]
            at = 5 + length
            assert at <= 188
            field = data[5:at]
            self.flags = field[0] if field else 0
            used = 1
            if self.flags & 0x10:
                self.clock = int.from_bytes(field[1:7], "big") >> 15
                used = 7
            assert not field[used:].strip(b"\xff")
        self.payload = data[at:]
        assert bool(self.payload) == bool(data[3] & 0x10)

    @property
    def broken(self) -> bool:
        return bool(self.flags & 0x80)


def packets(data: bytes) -> list[Packet]:
    return [Packet(data[at : at + 188]) for at in range(0, len(data), 188)]


def payload(found: list[Packet], pid: int) -> bytes:
    return b"".join(packet.payload for packet in found if packet.pid == pid)


def pes(data: bytes) -> tuple[int, int, bytes]:
    """The length field, the pts and the payload of a PES packet."""
    assert data[:3] == b"\x00\x00\x01"
    assert data[6:9] == b"\x84\x80\x05"
    time = int.from_bytes(data[9:14], "big")
    assert time & 0xF100010001 == 0x2100010001
    return (
        int.from_bytes(data[4:6], "big"),
        (time >> 3 & 7 << 30) | (time >> 2 & 0x7FFF << 15) | (time >> 1 & 0x7FFF),
        data[14:],
    )


@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=1000), st.integers(0, 2**40)), max_size=12))
def test_counters_rise_and_payloads_come_out_whole(units: list[tuple[bool, bytes, int]]) -> None:
    muxer = Muxer((16_000, 1))
    counters: dict[int, int] = {}
    for heard, body, pts in units:
        data = muxer.audio([body], pts) if heard else muxer.video(h264.START_CODE + b"\x41" + body, pts, key=False)
        found = packets(data)
        for packet in found:
            if packet.pid in counters:
                assert packet.counter == (counters[packet.pid] + bool(packet.payload)) & 15
            counters[packet.pid] = packet.counter
        pid, wanted = (AUDIO_PID, aac.adts(body, 16_000, 1)) if heard else (VIDEO_PID, b"\x00\x00\x00\x01\x41" + body)
        length, at, whole = pes(payload(found, pid))
        assert at == pts & (2**33 - 1)
        assert whole == (wanted if heard else h264.AUD + wanted)
        assert length == len(whole) + 8
        (first,) = (packet for packet in found if packet.pid == pid and packet.start)
        if not heard:
            assert first.clock == (pts - mpegts.CLOCK_LEAD) & (2**33 - 1)


@pytest.mark.parametrize("size", [*range(140, 190), *range(330, 372)])
def test_the_last_packet_is_stuffed_whatever_it_lacks(size: int) -> None:
    body = bytes(range(1, 11)) * 40
    for access_unit in (h264.START_CODE + b"\x41" + body[:size], h264.START_CODE + b"\x65" + body[:size]):
        data = Muxer().video(access_unit, 0, key=access_unit[4] == 0x65)
        assert pes(payload(packets(data), VIDEO_PID))[2] == h264.AUD + access_unit
    muxer = Muxer((16_000, 1))
    assert pes(payload(packets(muxer.audio([body[:size]], 0)), AUDIO_PID))[2] == aac.adts(body[:size], 16_000, 1)


def test_a_delimiter_that_is_there_is_kept() -> None:
    access_unit = h264.AUD + h264.START_CODE + b"\x41abc"
    assert pes(payload(packets(Muxer().video(access_unit, 0, key=False)), VIDEO_PID))[2] == access_unit


def test_a_large_picture_leaves_its_length_open() -> None:
    access_unit = h264.START_CODE + b"\x65" + b"\x55" * 70_000
    length, _, whole = pes(payload(packets(Muxer().video(access_unit, 0, key=True)), VIDEO_PID))
    assert (length, whole) == (0, h264.AUD + access_unit)


def test_tables_come_with_key_frames_and_each_100_ms() -> None:
    muxer = Muxer((16_000, 1))
    with_tables = []
    for number in range(12):
        found = packets(muxer.video(h264.START_CODE + b"\x41a", number * 3000, key=number == 5))
        if found[0].pid == 0:
            assert found[1].pid == PMT_PID
            with_tables.append(number)
            assert (found[2].pid == AUDIO_PID and not found[2].payload) == (number == 5)
        (first,) = (packet for packet in found if packet.pid == VIDEO_PID)
        assert bool(first.flags & 0x40) == (number == 5)
    assert with_tables == [0, 3, 5, 8, 11]


def test_a_gap_is_marked_once_on_each_pid() -> None:
    muxer = Muxer((16_000, 1))
    unit = h264.START_CODE + b"\x41a"
    muxer.video(unit, 0, key=True)
    muxer.break_off()
    found = packets(muxer.video(unit, 90_000, key=True) + muxer.audio([b"a"], 90_000))
    assert {packet.pid for packet in found if packet.broken} == {0, PMT_PID, VIDEO_PID, AUDIO_PID}
    again = packets(muxer.video(unit, 93_000, key=True) + muxer.audio([b"a"], 93_000))
    assert not any(packet.broken for packet in again)


def test_who_missed_something_is_told_what_goes_on() -> None:
    muxer = Muxer((16_000, 1))
    unit = h264.START_CODE + b"\x41a"
    for number in range(5):
        muxer.video(unit, number * 3000, key=False)
        muxer.audio([b"a"], number * 3000)
    late = muxer.video(unit, 90_000, key=True)
    front = packets(mpegts.discontinuity(late))
    assert [(packet.pid, packet.broken, packet.payload) for packet in front] == [
        (pid, True, b"") for pid in (0, PMT_PID, AUDIO_PID, VIDEO_PID)
    ]
    counters = {packet.pid: packet.counter for packet in front}
    for packet in packets(late + muxer.audio([b"a"], 90_000)):
        counters[packet.pid] = (counters[packet.pid] + bool(packet.payload)) & 15
        assert packet.counter == counters[packet.pid]


@pytest.mark.parametrize("unit", [b"\x47", bytes(188)])
def test_only_whole_packets_can_be_gone_on_with(unit: bytes) -> None:
    with pytest.raises(TsError):
        mpegts.discontinuity(unit)


def test_sound_that_can_not_be_sent() -> None:
    for muxer, frames in (
        (Muxer(), [b"a"]),
        (Muxer((16_000, 1)), []),
        (Muxer((16_000, 1)), [bytes(8000)] * 9),
    ):
        with pytest.raises(TsError):
            muxer.audio(frames, 0)
    with pytest.raises(aac.AacError):
        Muxer((16_001, 1))


@pytest.mark.parametrize("base", [0, 2**33 - 90_000 - 15 * 3000])
def test_ffmpeg_decodes_pictures_and_sound_at_their_times(tmp_path: Path, base: int) -> None:
    units, frames = pictures(UNEVEN), sound(16_000, 1)
    muxer = Muxer((16_000, 1))
    path = tmp_path / "both.ts"
    with path.open("wb") as out:
        for number, unit in enumerate(units):
            out.write(muxer.video(unit.data, base + unit.pts, key=unit.key))
            if number < len(frames):
                out.write(muxer.audio([frames[number]], base + 90_000 + number * STEP))
    found = probe(path)
    start = base if base < 2**32 else base - 2**33  # ffmpeg counts from the wrap it sees coming
    assert times(found, "video") == [start + pts for pts in UNEVEN]
    assert times(found, "audio") == [start + 90_000 + number * STEP for number in range(len(frames))]
    assert [stream["codec_name"] for stream in found["streams"]] == ["h264", "aac"]
    assert decode(path) == list(enumerate(UNEVEN))


def test_ffmpeg_has_nothing_to_say_when_a_viewer_missed_something(tmp_path: Path) -> None:
    units, frames = pictures(UNEVEN), sound(16_000, 1)
    muxer = Muxer((16_000, 1))
    made = []
    for number, unit in enumerate(units):
        made.append(muxer.video(unit.data, unit.pts, key=unit.key))
        made.append(muxer.audio([frames[number]], 90_000 + number * STEP) if number < len(frames) else b"")
    path = tmp_path / "gap.ts"
    path.write_bytes(b"".join(made[:11]) + mpegts.discontinuity(made[20]) + b"".join(made[20:]))
    assert times(probe(path), "video") == UNEVEN[:6] + UNEVEN[10:]
    assert decode(path) == [*list(enumerate(UNEVEN))[:6], *list(enumerate(UNEVEN))[10:]]


def test_another_version_of_the_tables(tmp_path: Path) -> None:
    units, frames = pictures(UNEVEN[:20]), sound(16_000, 1)
    path = tmp_path / "sound-comes.ts"
    with path.open("wb") as out:
        for muxer, some in ((Muxer(), units[:10]), (Muxer((16_000, 1), version=1), units[10:])):
            muxer.break_off()
            for unit in some:
                out.write(muxer.video(unit.data, unit.pts, key=unit.key))
        out.write(muxer.audio(frames[:10], UNEVEN[10]))
    assert decode(path) == list(enumerate(UNEVEN[:20]))
