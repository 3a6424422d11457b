"""H.264 sources: handed on as they are, pictures only when wanted, and their sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.wire import h264

av = pytest.importorskip("av")

from framecast.ingest.avcoded import LONGEST_GROUP_S, Passage, Pictures, slice_type  # noqa: E402
from framecast.ingest.avoutlet import UNITS, Outlet, Unit  # noqa: E402
from framecast.ingest.pyav import AvSource  # noqa: E402

from .rtsp_peer import RtspCamera, h264_media  # noqa: E402
from .test_pyav import FakeFeed, frames, number_of, pictures_of, video_file  # noqa: E402

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unhurried")]

PLAIN = {"bf": "0", "g": "10", "tune": "zerolatency"}


async def until(source: AvSource, feed: FakeFeed, done: Callable[[FakeFeed], bool]) -> FakeFeed:
    """What the feed has when ``done`` says so; the source is cancelled then."""
    task = asyncio.create_task(source.run(feed))
    async with asyncio.timeout(20):
        while not done(feed) and not task.done():
            news = asyncio.create_task(feed.news())
            await asyncio.wait({task, news}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
    task.cancel()
    for result in await asyncio.gather(task, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    return feed


def units_in(path: Path) -> list[bytes]:
    """Slices of each access unit, as the file has them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        extradata = stream.codec_context.extradata or b""
        length = h264.parse_avcc(extradata)[1] if extradata[:1] == b"\x01" else 0
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    return [slices(h264.from_avcc(packet, length) if length else packet) for packet in packets]


def slices(unit: bytes) -> bytes:
    return h264.join(each for each in h264.split(unit) if h264.kind(each) in (h264.SLICE, h264.IDR))


def shown(units: list[Unit]) -> list[int]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    made = [frame for unit in units for frame in decoder.decode(av.Packet(unit.payload))]
    return [round((frame.to_ndarray(format="gray").mean() - 20) / 8) for frame in made]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi", "clip.flv"])
async def test_a_file_of_h264_passes_untouched(tmp_path: Path, name: str) -> None:
    path = video_file(tmp_path / name, count=20, fps=50, codec="libx264", options=PLAIN)
    feed = FakeFeed()
    feed.wants_pictures = False
    await until(AvSource(f"file:{path}"), feed, lambda feed: len(feed.units) >= 25)
    assert feed.codes == [True]
    assert not feed.pictures
    original = units_in(path)
    assert [slices(unit.payload) for unit in feed.units[:20]] == original
    assert [unit.key for unit in feed.units[:21]] == [number % 10 == 0 for number in range(20)] + [True]
    assert {(unit.width_px, unit.height_px) for unit in feed.units} == {(160, 120)}
    for unit in feed.units:
        assert unit.payload == h264.join(h264.split(unit.payload)), "start codes of four bytes"
        assert (h264.parameter_sets(unit.payload) is not None) is unit.key
    assert shown(feed.units[:20]) == list(range(20))
    steps = [after - before for before, after in pairwise(feed.unit_stamps_s)]
    assert steps == pytest.approx([0.02] * len(steps), abs=0.0015)


async def test_pictures_carry_the_ids_of_their_units(tmp_path: Path) -> None:
    path = video_file(tmp_path / "clip.mp4", count=20, fps=50, codec="libx264", options=PLAIN)
    feed = await until(AvSource(f"file:{path}"), FakeFeed(), lambda feed: len(feed.pictures) >= 12)
    assert feed.pictures_of[:12] == list(range(1001, 1013))
    assert [number_of(jpeg) for jpeg in feed.pictures[:12]] == list(range(12))


async def test_who_joins_late_sees_a_picture_before_the_next_keyframe(tmp_path: Path) -> None:
    # The next keyframe is two seconds away, should the machine stand still for a moment.
    path = video_file(tmp_path / "clip.mp4", count=25, fps=10, codec="libx264", options={**PLAIN, "g": "25"})
    feed = FakeFeed()
    feed.wants_pictures = False

    def joined(feed: FakeFeed) -> bool:
        feed.wants_pictures = len(feed.units) >= 4
        return bool(feed.pictures)

    await until(AvSource(f"file:{path}"), feed, joined)
    number = feed.pictures_of[0] - 1001
    assert 4 <= number < 25
    assert number_of(feed.pictures[0]) == number


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
async def test_b_frames_are_coded_anew(tmp_path: Path, name: str) -> None:
    path = video_file(tmp_path / name, count=20, fps=50, codec="libx264", options={"bf": "2", "g": "20"})
    feed = await pictures_of(AvSource(f"file:{path}"), 12)
    assert feed.codes[-1] is False
    assert not feed.units
    assert [number_of(jpeg) for jpeg in feed.pictures[:12]] == list(range(12))


async def test_what_few_players_show_is_coded_anew(tmp_path: Path) -> None:
    path = tmp_path / "high422.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=50, options=PLAIN)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv422p"
        for pixels in frames(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    feed = await pictures_of(AvSource(f"file:{path}"), 5)
    assert feed.codes == [True, False]
    assert not feed.units


async def test_an_rtsp_cameras_units_pass(tmp_path: Path) -> None:
    async with RtspCamera(h264_media(frames(20), 25)) as camera:
        feed = await until(AvSource(camera.url), FakeFeed(), lambda feed: len(feed.units) >= 12 and feed.pictures)
    assert feed.codes == [True]
    assert shown(feed.units)[:12] == list(range(12))
    assert [unit.key for unit in feed.units[:12]] == [True] + [False] * 11
    assert len(feed.pictures) <= len(feed.units)
    for frame_id, jpeg in zip(feed.pictures_of, feed.pictures, strict=True):
        assert number_of(jpeg) == frame_id - 1001


async def test_an_rtsp_cameras_sound_comes_with_its_pictures() -> None:
    async with RtspCamera(h264_media(frames(25), 25), tone=bytes([0x00, 0x80])) as camera:
        feed = FakeFeed()
        await until(AvSource(camera.url), feed, lambda feed: len(feed.sounds) >= 35 and len(feed.units) >= 12)
    assert {(rate, channels) for _, rate, channels, _ in feed.sounds} == {(8_000, 1)}
    assert np.abs(np.frombuffer(feed.sounds[5][0], np.int16)).min() > 30_000
    # What comes first was under way for longer, and that is only known later: from there on all lies earlier.
    steps = [after[3] - before[3] for before, after in pairwise(feed.sounds)]
    assert median(steps) == pytest.approx(0.02, abs=0.005)
    assert feed.sounds[0][3] == pytest.approx(feed.unit_stamps_s[0], abs=0.1)
    assert shown(feed.units)[:12] == list(range(12))


def clip_with_sound(path: Path, codec: str, rate_hz: int, layout: str, seconds: float = 2.0) -> Path:
    """Pictures at 25 fps, and silence with a click in the middle of each second."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options=PLAIN)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        sound = container.add_stream(codec, rate=rate_hz, layout=layout)
        samples = np.zeros(round(rate_hz * seconds), np.int16)
        samples[rate_hz // 2 :: rate_hz] = 30_000
        at = 0
        for number in range(round(25 * seconds)):
            frame = av.VideoFrame.from_ndarray(frames(1)[0], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
            end = round((number + 1) / 25 * rate_hz)
            block = np.repeat(samples[at:end], 2 if layout == "stereo" else 1)
            pcm = av.AudioFrame.from_ndarray(block.reshape(1, -1), "s16", layout)
            pcm.sample_rate, pcm.pts, pcm.time_base = rate_hz, at, Fraction(1, rate_hz)
            container.mux(sound.encode(pcm))
            at = end
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "layout"),
    [
        ("clip.mp4", "aac", 44_100, "stereo"),
        ("clip.mkv", "pcm_s16le", 16_000, "mono"),
        ("clip.avi", "pcm_mulaw", 8_000, "mono"),
        ("clip.ts", "aac", 48_000, "mono"),
    ],
)
async def test_sound_comes_at_the_pictures_clock(
    tmp_path: Path, name: str, codec: str, rate_hz: int, layout: str
) -> None:
    path = clip_with_sound(tmp_path / name, codec, rate_hz, layout)
    feed = FakeFeed()
    feed.wants_pictures = False
    await until(
        AvSource(f"file:{path}"),
        feed,
        lambda feed: bool(feed.sounds) and feed.sounds[-1][3] > feed.unit_stamps_s[0] + 1,
    )
    channels = 2 if layout == "stereo" else 1
    assert {(rate, count) for _, rate, count, _ in feed.sounds} == {(rate_hz, channels)}
    level, at_s = max(
        (int(np.abs(samples).max()), stamp_s + int(np.abs(samples).argmax()) // channels / rate_hz)
        for payload, _, _, stamp_s in feed.sounds
        for samples in [np.frombuffer(payload, np.int16).astype(int)]
    )
    assert level > 8_000
    assert at_s - feed.unit_stamps_s[0] == pytest.approx(0.5, abs=0.005)


# The parts.


def coded(count: int, **options: str) -> list[bytes]:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 160, 120, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 25), Fraction(25)
    codec.options = {"preset": "fast", **options}
    made = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(frames(25)[number % 25], format="rgb24")
        frame.pts = number
        made += [bytes(packet) for packet in codec.encode(frame)]
    return made + [bytes(packet) for packet in codec.encode(None)]


UNITS_CODED = coded(30, bf="0", g="10", sc_threshold="0")


def test_slices_say_what_they_are() -> None:
    units = coded(12, bf="2", g="12", sc_threshold="0")
    kinds = [
        slice_type(unit) % 5 for data in units for unit in h264.split(data) if h264.kind(unit) in (h264.SLICE, h264.IDR)
    ]
    assert kinds[0] == 2
    assert set(kinds) == {0, 1, 2}
    assert slice_type(b"\x41") == 0
    assert slice_type(b"\x41\x00\x00") == 0


def test_where_reordering_is_expected_it_passes_after_a_while() -> None:
    passage = Passage(b"", reorders=True)
    made = [passage.unit(data, number / 25) for number, data in enumerate(coded(120, bf="0", g="20"))]
    first = next(number for number, unit in enumerate(made) if unit is not None)
    assert first == 60
    unit = made[first]
    assert unit is not None and unit.key
    assert all(made[first:])


def passed(times: list[float], *, group: int = 10) -> tuple[list[int], Passage]:
    """Which of the pictures with these times pass; each tenth is a keyframe."""
    passage = Passage(b"", reorders=False)
    units = coded(len(times), bf="0", g=str(group), sc_threshold="0")
    made = [passage.unit(data, at_s) for data, at_s in zip(units, times, strict=True)]
    return [number for number, unit in enumerate(made) if unit is not None], passage


@pytest.mark.parametrize("step_s", [-1e6, -0.2, -0.05, LONGEST_GROUP_S + 0.1, 1e6])
def test_after_an_odd_time_it_goes_on_with_a_keyframe(step_s: float) -> None:
    """A clock that was set, or a source that began anew: not a stream whose pictures are out of order."""
    numbers, passage = passed([50 + number / 25 + step_s * (number >= 12) for number in range(40)])
    assert numbers == [*range(12), *range(20, 40)]
    assert passage.open


def test_one_picture_with_an_odd_time() -> None:
    numbers, passage = passed([50 + number / 25 + 1e6 * (number == 12) for number in range(40)])
    assert numbers == [*range(12), *range(20, 40)]
    assert passage.open


@pytest.mark.parametrize("step_s", [-0.2, 25.0])
def test_a_keyframe_may_begin_another_time(step_s: float) -> None:
    numbers, _ = passed([50 + number / 25 + step_s * (number // 10) for number in range(40)])
    assert numbers == list(range(40))


def test_times_that_go_back_again_and_again_end_it_for_good() -> None:
    numbers, passage = passed([50 + number / 25 - 0.2 * (number % 10 == 5) for number in range(60)])
    assert numbers == [*range(5), *range(10, 15), *range(20, 25)]
    assert not passage.open


def test_a_clock_that_is_set_now_and_then_does_not() -> None:
    numbers, passage = passed([50 + number / 25 - 0.2 * ((number + 5) // 30) for number in range(120)])
    assert numbers == [number for number in range(120) if number % 30 < 25]
    assert passage.open


@pytest.mark.parametrize("skipped", [0, 3])
def test_a_stream_without_keyframes_is_coded_anew(skipped: int) -> None:
    """Whether it has begun with one, or was joined behind it."""
    passage = Passage(b"", reorders=False)
    units = coded(5 + skipped, bf="0", g="250")[skipped:]
    made = [passage.unit(data, 9.0 * number) for number, data in enumerate(units)]
    assert [unit is not None for unit in made] == [number < 3 and not skipped for number in range(5)]
    assert not passage.open


def test_one_that_has_no_keyframe_after_an_odd_time_is_coded_anew() -> None:
    numbers, passage = passed([50.0, 50.5, 40.0, 50.0, 59.9], group=250)
    assert (numbers, passage.open) == ([0, 1], True)
    numbers, passage = passed([50.0, 50.5, 40.0, 50.0, 60.1], group=250)
    assert (numbers, passage.open) == ([0, 1], False)


def test_a_b_frame_ends_it_for_good() -> None:
    passage = Passage(b"", reorders=False)
    units = coded(12, bf="2", g="12", sc_threshold="0", **{"b-adapt": "0"})
    assert [passage.unit(data, number / 25) is not None for number, data in enumerate(units[:3])] == [True, True, False]
    assert not passage.open
    assert not any(passage.unit(data, 1 + number / 25) for number, data in enumerate(coded(80, bf="0", g="10")))


def test_delimiters_are_left_to_who_needs_them() -> None:
    sets = h264.parameter_sets(UNITS_CODED[0])
    assert sets is not None
    picture = [unit for unit in h264.split(UNITS_CODED[0]) if h264.kind(unit) == h264.IDR]
    passage = Passage(h264.avcc(sets), reorders=False)
    delimited = [h264.AUD[len(h264.START_CODE) :], *picture]
    made = passage.unit(b"".join(len(unit).to_bytes(4, "big") + unit for unit in delimited), 0.0)
    assert made is not None
    assert h264.split(made.payload) == [sets.sps, *sets.pps, *picture]


def test_after_damage_it_goes_on_with_a_keyframe() -> None:
    units = [h264.to_avcc(data, parameter_sets=True) for data in coded(20, bf="0", g="10", sc_threshold="0")]
    sets = h264.parameter_sets(h264.from_avcc(units[0]))
    assert sets is not None
    passage = Passage(h264.avcc(sets), reorders=False)
    assert passage.unit(units[0], 0.0)
    with pytest.raises(h264.H264Error):
        passage.unit(units[1][:-3], 0.04)
    made = [passage.unit(data, number / 25) for number, data in enumerate(units[2:], 2)]
    assert [unit is not None for unit in made] == [number >= 10 for number in range(2, 20)]


@pytest.mark.parametrize("extradata", [b"\x01", b"\x01\x42\x00\x1f", b"\x00\x00\x00\x01\x67", b"noise"])
def test_parameter_sets_that_make_no_sense_harm_nobody(extradata: bytes) -> None:
    passage = Passage(extradata, reorders=False)
    assert passage.unit(b"\x00\x00\x01\x65\x88", 0.0) is None


def test_parameter_sets_may_come_by_themselves() -> None:
    passage = Passage(b"", reorders=False)
    units = h264.split(UNITS_CODED[0])
    sets = [unit for unit in units if h264.kind(unit) in (h264.SPS, h264.PPS)]
    picture = [unit for unit in units if h264.kind(unit) == h264.IDR]
    assert passage.unit(h264.join(sets), 0.0) is None
    made = passage.unit(h264.join(picture), 0.0)
    assert made is not None and made.payload == h264.join(sets + picture)


def test_no_more_is_kept_than_has_a_use() -> None:
    pictures = Pictures(av.CodecContext.create("h264", "r"))
    units = coded(30, bf="0", g="10", sc_threshold="0")
    for number, data in enumerate(units):
        pictures.keep(av.Packet(data), number, h264.is_key(data))
    assert pictures.kept == 10
    found, damaged = pictures.decode()
    assert [frame.opaque for frame in found] == list(range(20, 30))
    assert (damaged, pictures.kept) == (0, 0)


async def test_when_the_loop_is_busy_units_skip_to_a_keyframe() -> None:
    feed = FakeFeed()
    outlet = Outlet(asyncio.get_running_loop(), feed)
    for number in range(UNITS + 20):
        outlet.unit(Unit(bytes([number]), number in (0, UNITS + 10), 160, 120), 0.0)
    await asyncio.sleep(0)
    assert [unit.payload[0] for unit in feed.units] == list(range(UNITS + 10, UNITS + 20))
    assert outlet.drops == UNITS + 10


@settings(max_examples=150, deadline=None)
@given(
    extradata=st.one_of(st.binary(max_size=60), st.just(b"")),
    data=st.lists(st.one_of(st.binary(max_size=80), st.tuples(st.integers(0, 29), st.integers(0, 60))), max_size=6),
)
def test_no_bytes_make_it_fail_otherwise(extradata: bytes, data: list[bytes | tuple[int, int]]) -> None:
    passage = Passage(extradata, reorders=False)
    for number, each in enumerate(data):
        if isinstance(each, tuple):
            index, at = each
            good = bytearray(UNITS_CODED[index])
            good[at % len(good)] ^= 0x55
            each = bytes(good)
        try:
            unit = passage.unit(each, number / 25)
        except h264.H264Error:
            continue
        if unit is not None:
            assert unit.payload.startswith(h264.START_CODE)
            assert unit.width_px > 0 and unit.height_px > 0
