from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import psutil
import pytest

from framecast.core.errors import Misuse
from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.repeat import STEP_NS, Coder
from framecast.core.track import Track
from framecast.process.coding import Coded
from framecast.process.errors import Undecodable
from framecast.process.factories import make_worker
from framecast.process.h264 import H264Maker
from framecast.process.h264units import open_rate
from framecast.process.jpegframe import fitted_size
from framecast.process.options import H264Options
from framecast.process.pixels import Pixels
from framecast.process.worker import codec_executor
from framecast.wire import h264

from .pictures import jpeg_of, packet_of, scene

pytestmark = pytest.mark.anyio

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS
H264 = Rendition("h264")


def picture(number: int, at_s: float = 0.0, *, width: int = 320, height: int = 240, **form: object) -> Packet:
    jpeg = jpeg_of(scene(width, height, number), **form)  # type: ignore[arg-type]
    return replace(packet_of(jpeg, number), pts_ns=START_NS + round(at_s * SECOND_NS))


def steady(count: int, fps: float, **form: object) -> list[Packet]:
    return [picture(number, number / fps, **form) for number in range(count)]


def shown(units: list[Coded]) -> list[av.VideoFrame]:
    """What a decoder that is given one unit at a time shows after each."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoder.flags |= av.codec.context.Flags.low_delay
    frames = []
    for unit in units:
        (frame,) = decoder.decode(av.Packet(unit.payload))
        frames.append(frame)
    return frames


def rgb(frame: av.VideoFrame) -> Pixels:
    made: Pixels = frame.to_ndarray(format="rgb24")
    return made


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with codec_executor(1) as threads:
        yield threads


def test_each_picture_gives_its_unit_at_once_and_only_the_first_is_a_keyframe() -> None:
    maker = H264Maker(H264)
    units = [maker.make(packet) for packet in steady(20, 30)]
    assert [unit.key for unit in units] == [True] + [False] * 19
    assert [h264.is_key(unit.payload) for unit in units] == [unit.key for unit in units]
    assert len(shown(units)) == 20


def test_a_keyframe_carries_its_parameter_sets_in_annex_b() -> None:
    maker = H264Maker(H264)
    key, later = (maker.make(packet) for packet in steady(2, 30))
    assert [h264.kind(unit) for unit in h264.split(key.payload)] == [h264.SPS, h264.PPS, h264.IDR]
    assert [h264.kind(unit) for unit in h264.split(later.payload)] == [h264.SLICE]
    for unit in (key, later):
        assert unit.payload == h264.join(h264.split(unit.payload))
    sets = h264.parameter_sets(key.payload)
    assert sets is not None
    info = h264.parse_sps(sets.sps)
    assert (info.width_px, info.height_px, info.codec) == (320, 240, "avc1.42C01F")


@pytest.mark.parametrize("subsampling", ["420", "422", "444", "440", "411", "Gray"])
def test_colours_stay_what_they_were(subsampling: str) -> None:
    flat = np.empty((96, 128, 3), np.uint8)
    flat[:48, :64], flat[:48, 64:], flat[48:, :64], flat[48:, 64:] = (
        ((16, 16, 16), (128, 128, 128), (200, 200, 200), (250, 250, 250))
        if subsampling == "Gray"
        else ((200, 40, 40), (40, 180, 60), (40, 60, 200), (250, 250, 250))
    )
    source = flat[..., :1].copy() if subsampling == "Gray" else flat
    jpeg = gray_jpeg(source) if subsampling == "Gray" else jpeg_of(source, 95, subsampling)
    unit = H264Maker(H264).make(packet_of(jpeg))
    (frame,) = shown([unit])
    assert (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 6, 1, 13)
    seen = rgb(frame).astype(int)
    for y, x in ((24, 32), (24, 96), (72, 32), (72, 96)):
        assert np.abs(seen[y, x] - flat[y, x]).max() <= 6, (subsampling, y, x)


def gray_jpeg(pixels: Pixels) -> bytes:
    import simplejpeg

    made: bytes = simplejpeg.encode_jpeg(pixels, 95, "GRAY", "Gray")
    return made


@pytest.mark.parametrize(("size", "made"), [((321, 241), (320, 240)), ((17, 33), (16, 32)), ((161, 120), (160, 120))])
def test_odd_sizes_are_made_even(size: tuple[int, int], made: tuple[int, int]) -> None:
    unit = H264Maker(H264).make(picture(1, width=size[0], height=size[1]))
    assert (unit.width_px, unit.height_px) == made
    (frame,) = shown([unit])
    assert (frame.width, frame.height) == made


@pytest.mark.parametrize(
    ("size", "most", "fitted"),
    [
        ((640, 480), 320, (320, 240)),
        ((640, 480), 1280, (640, 480)),
        ((1600, 1200), 240, (240, 180)),
        ((640, 360), 300, (300, 168)),
        ((1, 1), 0, (2, 2)),
        ((1, 700), 0, (2, 700)),
        ((1, 700), 160, (2, 700)),
        ((700, 1), 160, (160, 2)),
        ((9, 3000), 4, (4, 1334)),
    ],
)
def test_scales_down_only(size: tuple[int, int], most: int, fitted: tuple[int, int]) -> None:
    assert fitted_size(*size, most) == fitted


def test_another_size_or_epoch_begins_with_a_keyframe() -> None:
    maker = H264Maker(H264)
    packets = steady(6, 30)
    packets[2:4] = [replace(packet, payload=picture(9, width=160, height=120).payload) for packet in packets[2:4]]
    packets[5] = replace(packets[5], epoch=3)
    units = [maker.make(packet) for packet in packets]
    assert [unit.key for unit in units] == [True, False, True, False, True, True]
    assert [unit.width_px for unit in units] == [320, 320, 160, 160, 320, 320]
    assert len(shown(units[:2])) == 2


def test_a_keyframe_comes_every_two_seconds_whatever_the_rate() -> None:
    for fps in (30.0, 12.0, 5.0, 0.6):
        maker = H264Maker(H264)
        packets = steady(max(4, round(4.2 * fps)), fps, width=64, height=48)
        keys = [packet.pts_ns for packet in packets if maker.make(packet).key]
        gaps = [(after - before) / SECOND_NS for before, after in pairwise(keys)]
        assert gaps, fps
        assert max(gaps) <= max(2.0, 1 / fps) + 1e-6, fps
        assert min(gaps) >= min(1.9, 1 / fps) - 1e-6, fps


def test_a_keyframe_on_demand_at_most_twice_a_second() -> None:
    maker = H264Maker(H264)
    keys = [number for number, packet in enumerate(steady(40, 20)) if maker.make(packet, True).key]
    assert keys == [0, 1, 11, 21, 31], "the first came by itself, and keeps nobody from asking"


def test_a_rate_that_turns_out_another_changes_nothing_that_viewers_are_told() -> None:
    maker = H264Maker(H264, H264Options(gop_s=1.0))
    at, keys = 0.0, []
    for number in range(90):
        at += 1 / 30 if number < 50 else 1 / 6
        unit = maker.make(picture(number, at, width=64, height=48))
        if unit.key:
            keys.append(h264.parameter_sets(unit.payload))
    assert len(keys) >= 6
    assert keys == [keys[0]] * len(keys)


def test_the_rate_is_left_open() -> None:
    unit = H264Maker(H264).make(picture(1))
    sets = h264.parameter_sets(unit.payload)
    assert sets is not None
    open_, ticks = Fraction(90_000), Fraction(15)
    assert open_rate(sets.sps, ticks) == sets.sps, "what is not there is not touched"
    bits = "".join(f"{byte:08b}" for byte in sets.sps.replace(b"\0\0\3", b"\0\0"))
    assert f"1{1:032b}{2 * int(open_):032b}0" in bits


def test_quality_moves_size_and_a_cap_holds() -> None:
    def kbps(rendition: Rendition, options: H264Options) -> float:
        maker = H264Maker(rendition, options)
        return sum(len(maker.make(packet).payload) for packet in steady(60, 15, grain=30)) * 8 / 4 / 1000

    def steady(count: int, fps: float, grain: int) -> list[Packet]:
        return [
            replace(packet_of(jpeg_of(scene(320, 240, number, grain)), number), pts_ns=START_NS + number * 66_666_667)
            for number in range(count)
        ]

    free = kbps(H264, H264Options(max_bitrate_kbps=100_000))
    assert kbps(Rendition("h264", quality=40), H264Options(max_bitrate_kbps=100_000)) < free / 2
    assert kbps(H264, H264Options(max_bitrate_kbps=400)) < 480 < free
    held = kbps(H264, H264Options(bitrate_kbps=300))
    assert 200 < held < 360


def test_the_cap_holds_after_a_pause() -> None:
    maker = H264Maker(H264, H264Options(max_bitrate_kbps=300))
    at, after = 0.0, 0
    for number in range(75):
        at += 30.0 if number == 45 else 1 / 15
        packet = replace(
            packet_of(jpeg_of(scene(320, 240, number, 30)), number), pts_ns=START_NS + round(at * SECOND_NS)
        )
        size = len(maker.make(packet).payload)
        after += size if number > 45 else 0
    assert after * 8 / 1000 / (29 / 15) < 390


def test_what_can_not_be_had_is_said() -> None:
    with pytest.raises(Misuse, match="by width"):
        make_worker(Rendition("h264", overlay=frozenset({"frame-id"})), ThreadPoolExecutor(1), lambda: None)
    with pytest.raises(Misuse, match="sound"):
        make_worker(Rendition("aac", fps=5), ThreadPoolExecutor(1), lambda: None)
    with pytest.raises(Misuse, match="h264"):
        make_worker(Rendition("vp8"), ThreadPoolExecutor(1), lambda: None)
    with pytest.raises(Misuse, match="h264_nowhere"):
        H264Maker(H264, H264Options(encoder="h264_nowhere")).make(picture(1))


@pytest.mark.parametrize("damage", ["empty", "short", "noise"])
def test_a_damaged_picture_is_refused_and_the_next_one_encoded(damage: str) -> None:
    maker = H264Maker(H264)
    first, second, third = steady(3, 30)
    maker.make(first)
    payload = {"empty": b"", "short": second.payload[:3000], "noise": bytes(range(256)) * 20}[damage]
    with pytest.raises(Undecodable):
        maker.make(replace(second, payload=payload))
    assert not maker.make(third).key


async def test_the_worker_keeps_what_belongs_to_the_picture(executor: ThreadPoolExecutor) -> None:
    source, out, encodes, faults = Mailbox(bound=9), Track("h264", since_key=True), [], []
    packets = steady(5, 30)
    packets[2] = replace(packets[2], payload=packets[2].payload[:2000])
    for packet in packets:
        source.push(packet)
    source.close()
    worker = make_worker(H264, executor, lambda: encodes.append(1), faults.append)
    await worker.run(source, out)
    assert [p.frame_id for p in out.ring] == [0, 1, 3, 4]
    assert [p.seq for p in out.ring] == [0, 1, 2, 3]
    assert [p.key for p in out.ring] == [True, False, False, False]
    for before, after in zip((p for p in packets if p.frame_id != 2), out.ring, strict=True):
        assert (after.epoch, after.pts_ns, after.received_ns) == (before.epoch, before.pts_ns, before.received_ns)
    assert (len(encodes), faults) == (4, ["corrupt_scan"])


async def test_a_size_that_can_not_be_encoded_is_counted(executor: ThreadPoolExecutor) -> None:
    source, out, faults = Mailbox(bound=9), Track("h264", since_key=True), []
    for packet in (picture(1, width=16_400, height=64), picture(2, 0.1, width=160, height=120)):
        source.push(packet)
    source.close()
    await make_worker(H264, executor, lambda: None, faults.append).run(source, out)
    assert ([packet.frame_id for packet in out.ring], faults) == ([2], ["unencodable"])


async def test_a_keyframe_is_made_for_whoever_asks(executor: ThreadPoolExecutor) -> None:
    out, keys = Track("h264", since_key=True), []

    class Sink:
        bulk = False

        def push(self, packet: Packet) -> None:
            keys.append(packet.key)
            if len(keys) in (3, 5):
                worker.key_wanted = True

        def clear(self) -> None:
            pass

    source = Mailbox(bound=40)
    for packet in steady(20, 20):
        source.push(packet)
    source.close()
    out.attach(Sink())
    worker = make_worker(H264, executor, lambda: None)
    assert isinstance(worker, Coder)
    await worker.run(source, out)
    at = [number for number, key in enumerate(keys) if key]
    assert at == [0, 3, 13], "the second is kept until half a second has passed"


async def test_a_picture_comes_again_as_a_keyframe_for_who_wants_one_and_else_not(
    executor: ThreadPoolExecutor,
) -> None:
    class Reader:
        bulk = False

        def push(self, packet: Packet) -> None:
            if len(out.ring) == 2:
                worker.key_wanted = True

        def clear(self) -> None:
            pass

    source, out, encodes = Mailbox(bound=9), Track("h264"), []
    first, second, third = steady(3, 10)
    for packet in (first, second, replace(second, received_ns=second.received_ns + 60 * SECOND_NS), second, third):
        source.push(packet)
    source.close()
    out.attach(Reader())
    worker = make_worker(H264, executor, lambda: encodes.append(1))
    assert isinstance(worker, Coder)
    await worker.run(source, out)
    assert [(unit.frame_id, unit.key) for unit in out.ring] == [(0, True), (1, False), (1, True), (2, False)]
    assert [unit.pts_ns for unit in out.ring] == [first.pts_ns, second.pts_ns, second.pts_ns + STEP_NS, third.pts_ns]
    assert out.ring[2].received_ns - out.ring[1].received_ns == 60 * SECOND_NS
    assert len(encodes) == 4


async def test_the_last_picture_is_coded_when_it_comes_again_whatever_the_rate(executor: ThreadPoolExecutor) -> None:
    source, out = Mailbox(bound=9), Track("h264/5fps")
    first, second = steady(2, 25)
    for packet in (first, second, second):
        source.push(packet)
    source.close()
    await make_worker(Rendition("h264", fps=5), executor, lambda: None).run(source, out)
    assert [unit.frame_id for unit in out.ring] == [0, 1]


def test_pictures_that_come_again_say_nothing_about_the_rate() -> None:
    maker = H264Maker(H264)
    packets = steady(40, 25)
    for packet in packets[:30]:
        maker.make(packet)
    for number in range(1, 9):
        assert maker.make(replace(packets[29], pts_ns=packets[29].pts_ns + number * STEP_NS), True).key
    assert maker._rate.fps == 25
    assert not maker.make(packets[30]).key


async def test_the_rate_is_capped_evenly(executor: ThreadPoolExecutor) -> None:
    source, out = Mailbox(bound=90), Track("h264/10fps", ring_packets=99, since_key=True)
    for packet in steady(60, 30, width=64, height=48):
        source.push(packet)
    source.close()
    await make_worker(Rendition("h264", fps=10), executor, lambda: None).run(source, out)
    numbers = [packet.frame_id for packet in out.ring]
    assert {after - before for before, after in pairwise(numbers)} == {3}


async def test_a_hundred_starts_leave_nothing_behind(executor: ThreadPoolExecutor) -> None:
    process = psutil.Process()

    async def once() -> None:
        source, out = Mailbox(bound=3), Track("h264", since_key=True)
        for packet in packets:
            source.push(packet)
        source.close()
        await make_worker(H264, executor, lambda: None).run(source, out)
        assert len(out.ring) == 2

    packets = steady(2, 30)
    for _ in range(10):
        await once()
    gc.collect()
    before, threads = process.memory_info().rss, set(threading.enumerate())
    for _ in range(100):
        await once()
    gc.collect()
    assert process.memory_info().rss - before < 8 << 20, "an encoder takes about 2 MB of this size"
    assert set(threading.enumerate()) <= threads  # those of other tests may end meanwhile
