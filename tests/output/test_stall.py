"""A viewer that takes nothing is cut; one that takes little is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from framecast.output.stall import LOOKS, StallWatch
from tests.core.fakes import ManualLoop, until

from .live import certificate, serving

pytestmark = pytest.mark.anyio


class Slow:
    """A viewer that takes what it is told to."""

    def __init__(self, timeout_s: float = 60.0) -> None:
        self.loop = ManualLoop()
        self.unsent = 25_000
        self.cuts = 0
        self.watch = StallWatch(lambda: self.unsent, self._cut, timeout_s, self.loop.real)

    def _cut(self) -> None:
        self.cuts += 1


def test_one_that_takes_nothing_is_cut_once() -> None:
    slow = Slow()
    slow.watch.pause()
    slow.loop.advance(59)
    assert slow.cuts == 0
    slow.loop.advance(2 * 60 / LOOKS)
    assert slow.cuts == 1
    slow.loop.advance(3600)
    assert (slow.cuts, slow.loop.timers) == (1, 0)


def test_one_that_takes_a_byte_now_and_then_stays() -> None:
    slow = Slow()
    slow.watch.pause()
    for _ in range(100):
        slow.loop.advance(55)
        slow.unsent -= 1
    assert slow.cuts == 0


def test_one_that_is_behind_now_and_then_stays_and_costs_one_timer() -> None:
    slow = Slow()
    for _ in range(1000):
        slow.watch.pause()
        slow.loop.advance(0.5)
        slow.watch.resume()
        assert slow.loop.timers <= 1
        slow.loop.advance(0.5)
    assert slow.cuts == 0
    slow.loop.advance(60)
    assert slow.loop.timers == 0


def test_one_that_left_leaves_nothing() -> None:
    slow = Slow()
    slow.watch.pause()
    slow.watch.close()
    assert slow.loop.timers == 0


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_viewer_that_never_reads_loses_its_seat(tmp_path: Path, tls: bool) -> None:
    async with serving(certificate(tmp_path) if tls else None) as house:
        house.stream.viewer_stall_timeout_s = 0.2
        quick = await (await house.connect()).opened()
        stuck = await house.connect(read_ahead_bytes=1024)
        await until(lambda: house.serving == 2)
        last = 0
        while house.serving == 2:
            last = house.publish(25_000)
            assert await quick.part() == last
            await asyncio.sleep(0)
        assert house.stream.viewers_cut == 1
        assert stuck.writer.transport is not None
        last = house.publish()
        assert await quick.part() == last, "nobody else notices"
