from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from framecast.core.packet import Packet
from framecast.output.hls.parts import Container, Mp4Container, TsContainer
from framecast.wire import fmp4, h264, m3u8, mpegts
from tests.output.feeding import FORM, NS, START_NS, Feed, heard
from tests.wire.coded import Unit, decode, pictures, sound

UNEVEN = [number * 3000 + number * number * 7 % 400 for number in range(120)]


def feed_units(feed: Feed, units: list[Unit], frames: tuple[bytes, ...], track: fmp4.VideoTrack | None) -> None:
    """Pictures as MP4 (with a track) or MPEG-TS, and sound of 16 kHz with every second one."""
    muxer = mpegts.Muxer((16_000, 1))
    for number, unit in enumerate(units):
        feed.now_ns = START_NS + unit.pts * NS // 90_000
        block = frames[number // 2] if number % 2 == 0 and number // 2 < len(frames) else None
        if track is not None:
            runs = [fmp4.TrackRun(1, unit.pts, [fmp4.Sample(h264.to_avcc(unit.data), 1234, unit.key)])]
            if block is not None:
                runs.append(fmp4.TrackRun(2, number // 2 * 1024, [fmp4.Sample(block, 1024)]))
            feed.picture(key=unit.key, payload=fmp4.fragment(number, runs))
            continue
        packet = feed.picture(key=unit.key, payload=muxer.video(unit.data, unit.pts + 90_000, key=unit.key))
        if block is not None:
            feed.segmenter.push(heard(packet, muxer.audio([block], number // 2 * 5760 + 90_000)))


@pytest.mark.parametrize("container", [Mp4Container(), TsContainer()], ids=["mp4", "ts"])
def test_ffmpeg_decodes_each_picture_of_what_was_written(tmp_path: Path, container: Container) -> None:
    units, frames = pictures(UNEVEN, key_every=15), sound(16_000, 1, 60)
    feed = Feed(container, answers=False)
    track = None
    if isinstance(container, Mp4Container):
        sets = h264.parameter_sets(units[0].data)
        assert sets is not None
        track = fmp4.VideoTrack(sets)
        feed.segmenter.set_init(fmp4.init_segment(track, fmp4.AudioTrack("aac", 16_000, 1)))
    feed_units(feed, units, frames, track)
    playlist = feed.segmenter.playlist()
    finished = sum(cut.pictures for cut in feed.segmenter.segments)
    assert finished >= 90
    for segment in playlist.segments:
        for uri in (segment.uri, segment.init_uri):
            if uri:
                found = feed.segmenter.find(uri)
                assert found is not None
                (tmp_path / uri).write_bytes(found[0])
    path = tmp_path / "stream.m3u8"
    # Without an end ffmpeg would wait for more, and it reads an ended list from its beginning.
    path.write_text(m3u8.media_playlist(playlist) + "#EXT-X-ENDLIST\n")
    assert decode(path, "-allowed_extensions", "ALL") == list(enumerate(UNEVEN))[:finished]
    command = ["ffprobe", "-v", "warning", "-allowed_extensions", "ALL", "-show_packets", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    packets = json.loads(done.stdout)["packets"]
    times = [packet["pts"] for packet in packets if packet["codec_type"] == "video"]
    assert [at - times[0] for at in times] == UNEVEN[:finished]
    if track is not None:
        durations = [
            sample.duration
            for cut in feed.segmenter.segments
            for part in cut.parts
            for run in fmp4.read_fragment(bytes(part.payload))[1]
            if run.track_id == 1
            for sample in run.samples
        ]
        assert durations == [after - at for at, after in pairwise(UNEVEN[: finished + 1])]


def test_sound_with_a_gap_lasts_until_its_end() -> None:
    def piece(video_at: int, blocks: list[int]) -> Packet:
        runs = [fmp4.TrackRun(1, video_at, [fmp4.Sample(b"v", 1)])]
        runs += [fmp4.TrackRun(2, at, [fmp4.Sample(b"a", 1024)]) for at in blocks]
        return Packet(fmp4.fragment(1, runs), FORM, 1, 0, 1, START_NS + video_at * NS // 90_000, 0)

    part = Mp4Container().pack(7, [piece(0, [0]), piece(3000, [1024]), piece(6000, [9000])], START_NS + NS // 10)
    assert fmp4.read_fragment(part) == (
        7,
        [
            fmp4.TrackRun(1, 0, [fmp4.Sample(b"v", 3000)] * 3),
            fmp4.TrackRun(2, 0, [fmp4.Sample(b"a", 1024), fmp4.Sample(b"a", 7976), fmp4.Sample(b"a", 1024)]),
        ],
    )
