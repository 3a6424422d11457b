from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import fmp4, h264
from framecast.wire.fmp4 import AudioTrack, Mp4Error, Sample, TrackRun, VideoTrack
from tests.wire.coded import Unit, decode, pictures, probe, sound, times

UNEVEN = [number * 3000 + number * number * 7 % 400 for number in range(30)]
BASE_S = 1_790_000_000
"""Of a stream whose times are the clock's own."""

samples = st.builds(
    Sample,
    st.binary(max_size=20),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.just(0) | st.integers(-(2**31), 2**31 - 1),
)
runs = st.lists(
    st.builds(
        TrackRun,
        st.integers(1, 2**32 - 1),
        st.integers(0, 2**64 - 1),
        st.lists(samples, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=3,
)


def video_of(units: list[Unit]) -> VideoTrack:
    sets = h264.parameter_sets(units[0].data)
    assert sets is not None
    return VideoTrack(sets)


def video_runs(units: list[Unit], base: int = 0) -> list[TrackRun]:
    """One picture each; each lasts until the next one, the last as long as the one before it."""
    ends = [unit.pts for unit in units[1:]] + [2 * units[-1].pts - units[-2].pts]
    return [
        TrackRun(fmp4.VIDEO_ID, base + unit.pts, [Sample(h264.to_avcc(unit.data), end - unit.pts, unit.key)])
        for unit, end in zip(units, ends, strict=True)
    ]


@given(st.integers(0, 2**32 - 1), runs)
def test_fragments_there_and_back(sequence: int, wanted: list[TrackRun]) -> None:
    data = fmp4.fragment(sequence, wanted)
    assert fmp4.read_fragment(data) == (sequence, wanted)
    assert [box.kind for box in fmp4.boxes(data)] == [b"moof", b"mdat"]


@given(runs, st.data())
def test_no_piece_of_a_fragment_is_one(wanted: list[TrackRun], draw: st.DataObject) -> None:
    data = fmp4.fragment(1, wanted)
    with pytest.raises(Mp4Error):
        fmp4.read_fragment(data[: draw.draw(st.integers(0, len(data) - 1))])


@pytest.mark.parametrize("base_s", [0, BASE_S])
def test_ffmpeg_decodes_pictures_and_sound_at_their_times(tmp_path: Path, base_s: int) -> None:
    units, frames = pictures(UNEVEN), sound(16_000, 1)
    path = tmp_path / "both.mp4"
    track, audio = video_of(units), AudioTrack("aac", 16_000, 1)
    data = [fmp4.init_segment(track, audio)]
    for number, run in enumerate(video_runs(units, base_s * 90_000)):
        both = [run]
        if number < len(frames):
            start = base_s * 16_000 + number * 1024
            both.append(TrackRun(fmp4.AUDIO_ID, start, [Sample(frames[number], 1024)]))
        data.append(fmp4.fragment(number, both))
    path.write_bytes(b"".join(data))
    found = probe(path)
    assert times(found, "video") == [base_s * 90_000 + pts for pts in UNEVEN]
    assert times(found, "audio") == [base_s * 16_000 + number * 1024 for number in range(len(frames))]
    keys = ["K" in packet["flags"] for packet in found["packets"] if packet["codec_type"] == "video"]
    assert keys == [unit.key for unit in units]
    video, heard = found["streams"]
    assert (video["codec_tag_string"], video["width"], video["height"], video["time_base"]) == (
        *("avc1", 160, 96),
        "1/90000",
    )
    assert (heard["codec_name"], heard["profile"], heard["sample_rate"], heard["channels"]) == ("aac", "LC", "16000", 1)
    assert decode(path) == list(enumerate(UNEVEN))


def test_a_player_can_begin_at_any_key_frame(tmp_path: Path) -> None:
    units = pictures(UNEVEN)
    path = tmp_path / "late.mp4"
    pieces = [fmp4.fragment(number, [run]) for number, run in enumerate(video_runs(units))]
    path.write_bytes(fmp4.init_segment(video_of(units), None) + b"".join(pieces[10:]))
    assert decode(path) == list(enumerate(UNEVEN))[10:]


def test_many_samples_in_one_fragment(tmp_path: Path) -> None:
    units = pictures(UNEVEN)
    path = tmp_path / "parts.mp4"
    runs = video_runs(units)
    parts = [
        fmp4.fragment(at, [TrackRun(1, runs[at].decode_time, [run.samples[0] for run in runs[at : at + 10]])])
        for at in (0, 10, 20)
    ]
    path.write_bytes(fmp4.init_segment(video_of(units), None) + b"".join(parts))
    assert times(probe(path), "video") == UNEVEN
    assert decode(path) == list(enumerate(UNEVEN))


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 2), (96_000, 1)])
def test_sound_alone(tmp_path: Path, rate: int, channels: int) -> None:
    frames = sound(rate, channels)
    path = tmp_path / "sound.mp4"
    run = TrackRun(fmp4.AUDIO_ID, 5, [Sample(frame, 1024) for frame in frames])
    path.write_bytes(fmp4.init_segment(None, AudioTrack("aac", rate, channels)) + fmp4.fragment(1, [run]))
    found = probe(path)
    assert times(found, "audio") == [5 + number * 1024 for number in range(len(frames))]
    assert (found["streams"][0]["sample_rate"], found["streams"][0]["channels"]) == (str(rate), channels)
    with av.open(path) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) == len(frames) * 1024


def test_opus(tmp_path: Path) -> None:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    packets = []
    for number in range(10):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, number * 960
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    path = tmp_path / "opus.mp4"
    track = AudioTrack("opus", 16_000, 2)
    run = TrackRun(fmp4.AUDIO_ID, 0, [Sample(packet, 960) for packet in packets])
    path.write_bytes(fmp4.init_segment(None, track) + fmp4.fragment(1, [run]))
    found = probe(path)
    assert times(found, "audio") == [number * 960 for number in range(len(packets))]
    assert found["streams"][0]["codec_name"] == "opus"
    assert fmp4.mime(None, track) == 'audio/mp4; codecs="opus"'


def test_what_mse_is_asked() -> None:
    units = pictures([0], profile="baseline")
    track = video_of(units)
    assert fmp4.mime(track, None) == f'video/mp4; codecs="avc1.{track.sets.sps[1:4].hex().upper()}"'
    assert fmp4.mime(track, AudioTrack("aac", 16_000, 1)).endswith(', mp4a.40.2"')


def test_times_are_rounded_to_the_nearest_tick() -> None:
    assert fmp4.ticks(1_000_000_000, 90_000) == 90_000
    assert fmp4.ticks(5_555, 90_000) == 0
    assert fmp4.ticks(5_556, 90_000) == 1
    assert fmp4.ticks(BASE_S * 1_000_000_000 + 33_333_333, 90_000) == BASE_S * 90_000 + 3000
    for one, two in pairwise(fmp4.ticks(number * 33_333_333, 90_000) for number in range(100)):
        assert two - one in (2999, 3000)


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        [TrackRun(1, 0, [])],
        [TrackRun(1, -1, [Sample(b"", 0)])],
        [TrackRun(1, 2**64, [Sample(b"", 0)])],
        [TrackRun(1, 0, [Sample(b"", 2**32)])],
        [TrackRun(1, 0, [Sample(b"", 0, True, 2**31)])],
    ],
)
def test_what_fits_no_fragment(wanted: list[TrackRun]) -> None:
    with pytest.raises(Mp4Error):
        fmp4.fragment(1, wanted)


def test_what_fits_no_init_segment() -> None:
    for audio in (None, AudioTrack("mp3", 44_100, 2), AudioTrack("opus", 48_000, 6)):
        with pytest.raises(Mp4Error):
            fmp4.init_segment(None, audio)


def test_fragments_of_others_are_refused_in_words() -> None:
    good = fmp4.fragment(1, [TrackRun(1, 0, [Sample(b"abc", 5)])])
    broken = {
        good.replace(b"tfdt", b"xxxx"): "no b'tfdt'",
        good.replace(b"tfhd\x00\x02", b"tfhd\x00\x00"): "defaults",
        good.replace(b"trun\x00\x00\x07", b"trun\x00\x00\x03"): "flags",
        good.replace(b"trun\x00\x00\x07\x01\x00\x00\x00\x01", b"trun\x00\x00\x07\x01\x00\x00\x00\x02"): "2 samples",
        good.replace(b"moof", b"free"): "no fragment",
        good.replace(b"\x00\x00\x00\x10mfhd", b"\x00\x00\x00\x03mfhd"): "does not fit",
    }
    for data, words in broken.items():
        with pytest.raises(Mp4Error, match=words):
            fmp4.read_fragment(data)
