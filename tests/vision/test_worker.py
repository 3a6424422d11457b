"""Looks over a track: of the newest picture, no more often than asked, and never in the loop's way."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from framecast.core.packet import Format, Packet
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.core.worker import WorkedTrack, Worker
from framecast.vision.factories import Eyes
from framecast.vision.looker import Seen
from framecast.vision.objects import OnnxObjects
from framecast.vision.options import Options
from framecast.vision.pool import InferencePool
from framecast.vision.sight import Sight
from framecast.vision.worker import DetectionWorker
from framecast.wire.detections import Look, unpack
from tests.vision import tinymodel

pytestmark = pytest.mark.anyio
START_NS = 1_700_000_000_000_000_000


def picture(number: int, payload: bytes = b"?", fps: float = 30.0, epoch: int = 1) -> Packet:
    stamp_ns = START_NS + round(number * 1e9 / fps)
    return Packet(payload, Format("mjpeg", 64, 48), number, number, epoch, stamp_ns, stamp_ns)


class Stare:
    """Looks for as long as it is told to."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.threads: set[int] = set()
        self.go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.fails: Exception | None = None

    def look(self, packet: Packet) -> Seen:
        """See `Looks`."""
        self.seen.append(packet.frame_id)
        self.threads.add(threading.get_ident())
        self.begun.release()
        assert self.go.acquire(timeout=20)
        if self.fails is not None:
            raise self.fails
        return Seen(Look(packet.frame_id, packet.epoch, packet.pts_ns), None, {"objects": 1})


class Reader:
    """Hears of looks."""

    bulk = False

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.came = asyncio.Event()

    def push(self, packet: Packet) -> None:
        self.looks.append(unpack(packet.payload))
        self.came.set()

    def clear(self) -> None:
        self.looks.clear()

    async def until(self, count: int) -> list[int]:
        async with asyncio.timeout(20):
            while len(self.looks) < count:
                self.came.clear()
                await self.came.wait()
        return [look.frame_id for look in self.looks]


class Line:
    """A camera's pictures, what looks at them, and who hears of it."""

    def __init__(self, supervisor: Supervisor, pool: InferencePool, fps: float = 0.0) -> None:
        self.stare = Stare()
        self.sight = Sight()
        self.video = Track("video")
        self.out = Track("detections")
        self.worked = WorkedTrack(self.video, self.out, self._make, supervisor, grace_s=0.01)
        self._pool = pool
        self._fps = fps

    def _make(self) -> Worker:
        return DetectionWorker(lambda: self.stare, self._pool, self.sight, self._fps)

    def join(self) -> Reader:
        reader = Reader()
        self.out.attach(reader)
        return reader

    async def looking(self) -> None:
        """Wait until it looks."""
        assert await asyncio.to_thread(self.stare.begun.acquire, timeout=20)


@asynccontextmanager
async def line(fps: float = 0.0) -> AsyncIterator[Line]:
    with closing(InferencePool(1)) as pool:
        async with Supervisor() as supervisor:
            made = Line(supervisor, pool, fps)
            try:
                yield made
            finally:
                made.stare.go.release(1000)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nobody_asks_nothing_is_looked_at() -> None:
    async with line() as here:
        here.video.publish(picture(1))
        await settle()
        assert (here.stare.seen, here.sight.working, here.video.wanted) == ([], False, False)


async def test_while_it_looks_only_the_newest_waits() -> None:
    async with line() as here:
        reader = here.join()
        here.video.publish(picture(1))
        await here.looking()
        for number in range(2, 30):
            here.video.publish(picture(number))
        here.stare.go.release(2)
        assert await reader.until(2) == [1, 29]
        assert here.stare.threads.isdisjoint({threading.get_ident()})
        assert (here.sight.looks, here.sight.inferences["objects"], here.sight.working) == (2, 2, True)
        look = reader.looks[-1]
        assert (look.frame_id, look.epoch, look.pts_ns) == (29, 1, picture(29).pts_ns)


async def test_while_others_have_their_turn_the_newest_is_waited_for() -> None:
    """A picture that was chosen before the turn came would be old by then."""
    with closing(InferencePool(1)) as pool:
        async with Supervisor() as supervisor:
            here = Line(supervisor, pool)
            reader = here.join()
            here.stare.go.release(10)
            here.video.publish(picture(1))
            await reader.until(1)
            async with pool.turn():
                here.video.publish(picture(2))
                await settle()
                here.video.publish(picture(3))
                here.video.publish(picture(4))
                await settle()
                assert here.stare.seen == [1]
            assert await reader.until(2) == [1, 4]


async def test_no_more_pictures_a_second_than_asked_for_and_evenly() -> None:
    async with line(fps=5) as here:
        reader = here.join()
        here.stare.go.release(1000)
        for number in range(60):
            here.video.publish(picture(number))
            if number % 6 == 0:
                await reader.until(number // 6 + 1)
            await settle()
        assert [look.frame_id for look in reader.looks] == list(range(0, 60, 6))


async def test_one_look_for_all_who_ask() -> None:
    async with line() as here:
        readers = [here.join() for _ in range(50)]
        here.stare.go.release(1000)
        for number in range(5):
            here.video.publish(picture(number))
            await readers[-1].until(number + 1)
        assert here.stare.seen == [0, 1, 2, 3, 4]
        assert all([look.frame_id for look in reader.looks] == here.stare.seen for reader in readers)


async def test_begun_anew_it_does_not_look_at_the_same_picture_twice() -> None:
    async with line() as here:
        reader = here.join()
        here.stare.go.release(1000)
        here.video.publish(picture(1))
        await reader.until(1)
        here.worked.restart()
        await settle()
        here.video.publish(picture(2))
        assert await reader.until(2) == [1, 2]


async def test_what_fails_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async with line() as here:
        reader = here.join()
        here.stare.fails = RuntimeError("out of memory\nand more")
        here.stare.go.release(1000)
        here.video.publish(picture(1))
        async with asyncio.timeout(20):
            while here.worked.working:  # noqa: ASYNC110 (its end has no event)
                await asyncio.sleep(0)
        assert (here.sight.state, here.sight.reason) == ("failed", "looking failed: out of memory")
        here.stare.fails = None
        here.worked.restart()
        here.video.publish(picture(2))
        await reader.until(1)
        assert (here.sight.state, here.sight.working) == ("", True)
    assert "out of memory" in caplog.text


@pytest.fixture
def eyes(tmp_path: Path) -> Iterator[Eyes]:
    with closing(Eyes([tmp_path])) as made:
        yield made


async def test_a_model_is_let_go_when_nobody_has_looked_for_a_while(tmp_path: Path) -> None:
    tinymodel.write(tmp_path / "passing.onnx")
    jpeg = simplejpeg.encode_jpeg(np.full((96, 96, 3), 128, np.uint8), 85)
    with closing(Eyes([tmp_path], keep_s=0.5)) as eyes:
        async with Supervisor() as supervisor:
            sight, reader = Sight(), Reader()
            video, out = Track("video"), Track("detections")
            WorkedTrack(video, out, lambda: eyes.make_worker(Options(), sight), supervisor, grace_s=0.01)
            out.attach(reader)
            await settle()
            video.publish(picture(1, jpeg))
            await reader.until(1)
            assert sight.model == "passing"
            (open_one,) = [
                weakref.ref(each)
                for each in gc.get_objects()
                if isinstance(each, OnnxObjects) and each.name == "passing"
            ]
            out.detach(reader)
            async with asyncio.timeout(20):
                while open_one() is not None:  # noqa: ASYNC110 (its end has no event)
                    await asyncio.sleep(0.01)


async def test_what_is_switched_off_says_so_once_a_second(eyes: Eyes) -> None:
    sight, reader = Sight(), Reader()
    video, out = Track("video"), Track("detections")
    async with Supervisor() as supervisor:
        WorkedTrack(video, out, lambda: eyes.make_worker(Options(enabled=False), sight), supervisor)
        out.attach(reader)
        await settle()
        for number in range(60):
            video.publish(picture(number))
            await settle()
        assert (sight.state, sight.working) == ("off", True)
    assert [look.state for look in reader.looks] == ["off"] * 2
    assert "vision.enabled" in reader.looks[0].reason
    assert not sight.working
