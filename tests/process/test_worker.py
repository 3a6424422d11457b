from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.threads import NICENESS
from framecast.core.track import Track
from framecast.process.factories import make_transform_worker, make_worker
from framecast.process.transform import Transform
from framecast.process.worker import JpegWorker, Made, codec_executor

from .pictures import jpeg_of, packet_of, scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with codec_executor(2) as threads:
        yield threads


def collected(track: Track) -> list[Packet]:
    packets: list[Packet] = []

    class Sink:
        bulk = False

        def push(self, packet: Packet) -> None:
            packets.append(packet)

    track.attach(Sink())
    return packets


async def test_keeps_what_belongs_to_the_source_picture(executor: ThreadPoolExecutor) -> None:
    source, out, encodes = Mailbox(bound=9), Track("video/160"), Counter[str]()
    made = collected(out)
    packets = [packet_of(jpeg_of(scene(320, 240, seed)), 100 + 2 * seed, seed) for seed in range(4)]
    for packet in packets:
        source.push(packet)
    source.close()
    worker = make_worker(Rendition(width_px=160), executor, lambda: encodes.update(["encode"]))
    await worker.run(source, out)
    assert [p.frame_id for p in made] == [100, 102, 104, 106]
    assert [p.seq for p in made] == [0, 1, 2, 3]
    for before, after in zip(packets, made, strict=True):
        assert (after.epoch, after.pts_ns, after.received_ns) == (before.epoch, before.pts_ns, before.received_ns)
        assert (after.format.codec, after.format.width_px, after.format.height_px) == ("mjpeg", 160, 120)
    assert encodes["encode"] == 4


async def test_skips_and_counts_what_is_broken(executor: ThreadPoolExecutor) -> None:
    source, out, faults = Mailbox(bound=9), Track("video/160"), Counter[str]()
    made = collected(out)
    good = packet_of(jpeg_of(scene(320, 240)), 1)
    source.push(good)
    source.push(Packet(good.payload[:3_000], good.format, 2, 1, 2, 5_000, 5_000))
    source.push(packet_of(jpeg_of(scene(320, 240)), 3))
    source.close()
    worker = make_worker(Rendition(width_px=160), executor, lambda: None, lambda cause: faults.update([cause]))
    await worker.run(source, out)
    assert [p.frame_id for p in made] == [1, 3]
    assert faults == {"corrupt_scan": 1}


async def test_counts_every_try_at_a_size(executor: ThreadPoolExecutor) -> None:
    source, out, counts = Mailbox(bound=9), Track("x"), Counter[str]()
    source.push(packet_of(jpeg_of(scene(320, 240)), 1))
    source.close()
    worker = make_worker(
        Rendition(max_bytes=400), executor, lambda: counts.update(["encode"]), lambda cause: counts.update([cause])
    )
    await worker.run(source, out)
    assert out.latest is None
    assert counts["too_many_bytes"] == 1
    assert counts["encode"] >= 1


async def test_goes_on_counting_where_an_earlier_worker_stopped(executor: ThreadPoolExecutor) -> None:
    out = Track("video/160")
    made = collected(out)
    frame = packet_of(jpeg_of(scene(320, 240)), 1)
    for packets in ([frame], [frame, packet_of(jpeg_of(scene(320, 240)), 2)]):
        source = Mailbox(bound=9)
        for packet in packets:
            source.push(packet)
        source.close()
        await make_worker(Rendition(width_px=160), executor, lambda: None).run(source, out)
    assert [(p.frame_id, p.seq) for p in made] == [(1, 0), (2, 1)]


async def test_the_transform_runs_the_same_way(executor: ThreadPoolExecutor) -> None:
    source, out = Mailbox(bound=9), Track("video")
    source.push(packet_of(jpeg_of(scene(320, 240)), 1))
    source.close()
    await make_transform_worker(Transform(rotate=90), executor, lambda: None).run(source, out)
    assert out.latest is not None
    assert (out.latest.format.width_px, out.latest.format.height_px) == (240, 320)


async def test_one_picture_in_flight_and_then_the_newest(executor: ThreadPoolExecutor) -> None:
    started, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Slow:
        def make(self, packet: Packet) -> Made:
            loop.call_soon_threadsafe(started.set)
            assert release.wait(20)
            return Made(packet.payload, 1, 1, 0)

    source, out = Mailbox(), Track("slow")
    made = collected(out)
    payload = jpeg_of(scene(32, 32))
    source.push(packet_of(payload, 1))
    task = asyncio.create_task(JpegWorker(Slow(), executor).run(source, out))
    await started.wait()
    for frame in range(2, 60):
        source.push(packet_of(payload, frame))
    source.close()
    release.set()
    await task
    assert [p.frame_id for p in made] == [1, 59]
    assert source.drops == 57


async def test_cancelling_does_not_wait_for_the_codec(executor: ThreadPoolExecutor) -> None:
    started, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Stuck:
        def make(self, packet: Packet) -> Made:
            loop.call_soon_threadsafe(started.set)
            release.wait(20)
            return Made(packet.payload, 1, 1, 0)

    source, out = Mailbox(), Track("stuck")
    source.push(packet_of(jpeg_of(scene(32, 32)), 1))
    task = asyncio.create_task(JpegWorker(Stuck(), executor).run(source, out))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert out.latest is None


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own here")
def test_codecs_stand_back_from_the_loop(executor: ThreadPoolExecutor) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = niceness()
    assert executor.submit(niceness).result() == min(mine + NICENESS, 19)
    assert niceness() == mine


def test_starting_takes_no_codec_library() -> None:
    code = (
        "import sys, framecast.app; from concurrent.futures import ThreadPoolExecutor as E;"
        "from framecast.core.rendition import H264, AAC; from framecast.process.factories import make_worker;"
        "[make_worker(each, E(1), print) for each in (H264, AAC)]; sys.exit('av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_codec_library_may_be_wanted_by_several_at_once() -> None:
    code = """
import sys, threading
from framecast.core.rendition import H264
from framecast.process.factories import _picture_coder, _sound_coder
from framecast.process.options import DEFAULT
sys.setswitchinterval(1e-5)
failed = []
barrier = threading.Barrier(4)
def run(make, *args):
    barrier.wait()
    try:
        make(*args)
    except BaseException as error:
        failed.append(error)
def session():
    import framecast.ingest.avsession
threads = [threading.Thread(target=run, args=each) for each in (
    (_sound_coder, "aac"), (_picture_coder, H264, DEFAULT), (_sound_coder, "opus"), (session,))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(str(failed) if failed else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
