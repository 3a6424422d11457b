"""A derived track is made while somebody looks, once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from framecast.core import worker as module
from framecast.core.supervise import Backoff, Supervisor
from framecast.core.track import Track
from framecast.core.worker import WorkedTrack

from .fakes import Collector, Workshop, a_few_turns, packet, until

pytestmark = pytest.mark.anyio


lines: list[Line] = []
"""Those of the test: one that would be tried again is not to outlive it."""


class Line:
    """A source, a worker's track, and whoever reads it."""

    def __init__(self, supervisor: Supervisor, **options: Any) -> None:
        self.supervisor = supervisor
        self.shop = Workshop()
        self.source = Track("video")
        self.out = Track("video/320")
        self.idle = 0
        options = {"grace_s": 0.02, **options}
        self.worked = WorkedTrack(
            self.source, self.out, self.shop.make, supervisor, on_idle=self._count_idle, **options
        )

        lines.append(self)

    def _count_idle(self) -> None:
        self.idle += 1

    def join(self) -> Collector:
        reader = Collector()
        self.out.attach(reader)
        return reader


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with Supervisor() as owner:
        yield owner
        while lines:
            lines.pop().worked.close()


async def test_nothing_is_made_with_nobody_attached(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    line.source.publish(packet(1))
    await a_few_turns()
    assert (line.shop.made, line.worked.working, line.source.wanted, len(supervisor)) == (0, False, False, 0)


async def test_it_is_made_once_for_all(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    readers = [line.join() for _ in range(5)]
    await a_few_turns()
    for number in range(3):
        line.source.publish(packet(number))
        await a_few_turns()
    assert line.shop.made == 1
    assert line.shop.worked == [0, 1, 2]
    assert all(reader.numbers == [0, 1, 2] for reader in readers)
    assert {id(reader.packets[0].payload) for reader in readers} == {id(readers[0].packets[0].payload)}


async def test_the_first_reader_gets_the_latest_at_once(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    line.source.publish(packet(1))
    reader = line.join()
    await a_few_turns()
    assert reader.numbers == [1]


async def test_a_latest_packet_that_is_worth_nothing_is_not_made(supervisor: Supervisor) -> None:
    line = Line(supervisor, worth_making=lambda packet: packet.frame_id > 5)
    line.source.publish(packet(1))
    reader = line.join()
    await a_few_turns()
    assert reader.numbers == []
    line.source.publish(packet(2))
    await a_few_turns()
    assert reader.numbers == [2], "what comes now is always wanted"


async def test_a_worker_that_is_slow_skips_to_the_newest(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    reader = line.join()
    line.shop.gate.clear()
    await a_few_turns()
    for number in range(5):
        line.source.publish(packet(number))
        await a_few_turns()
    line.shop.gate.set()
    await a_few_turns()
    assert reader.numbers == [0, 4]


async def test_it_ends_after_a_grace(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    reader = line.join()
    await a_few_turns()
    within: list[tuple[bool, bool, int]] = []

    def look() -> None:
        within.append((line.worked.working, line.source.wanted, line.idle))

    # Before the grace is over: timers come in order, however slow the machine is.
    asyncio.get_running_loop().call_later(0.01, look)
    line.out.detach(reader)
    await until(lambda: line.idle)
    assert within == [(True, True, 0)]
    await a_few_turns()
    assert (line.worked.working, line.source.wanted, len(supervisor)) == (False, False, 0)
    line.join()
    await a_few_turns()
    assert line.shop.made == 2


async def test_who_comes_back_within_the_grace_finds_it_running(supervisor: Supervisor) -> None:
    line = Line(supervisor, grace_s=0.03)
    line.out.detach(line.join())
    reader = line.join()
    await a_few_turns()
    line.source.publish(packet(1))
    await until(lambda: reader.numbers == [1])
    assert (line.shop.made, line.idle) == (1, 0)


async def test_it_begins_with_readers_that_were_there_before(supervisor: Supervisor) -> None:
    source, out, shop, reader = Track("inlet"), Track("video"), Workshop(), Collector()
    out.attach(reader)
    WorkedTrack(source, out, shop.make, supervisor)
    await a_few_turns()
    source.publish(packet(1))
    await a_few_turns()
    assert reader.numbers == [1]


async def test_after_a_failure_a_fresh_worker_begins(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    class Remembering(Backoff):
        attempt = 0

        def reset(self) -> None:
            self.attempt = 0

        def next_s(self) -> float:
            attempts.append(self.attempt)
            self.attempt += 1
            return 0.001

    monkeypatch.setattr(module, "Backoff", Remembering)
    line = Line(supervisor)
    reader = line.join()
    await a_few_turns()
    line.source.publish(packet(1))
    await a_few_turns()
    line.shop.fail_at = 2
    line.source.publish(packet(2))
    await until(lambda: len(attempts) >= 3)
    assert supervisor.failures["worker"] >= 3, "it is primed with what it fell over"
    line.source.publish(packet(3))
    await until(lambda: reader.numbers == [1, 3])
    line.shop.fail_at = 4
    line.source.publish(packet(4))
    await until(lambda: 0 in attempts[2:])  # once it has made something, pauses begin anew
    assert attempts[:3] == [0, 1, 2]


async def test_it_is_not_tried_again_for_nobody(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next_s", lambda self: 0.01)
    line = Line(supervisor)
    line.shop.fail_at = 1
    line.source.publish(packet(1))
    reader = line.join()
    await until(lambda: supervisor.failures["worker"])
    line.out.detach(reader)
    await until(lambda: line.idle)
    made = line.shop.made
    await a_few_turns()
    assert (line.shop.made, line.worked.working) == (made, False)


async def test_a_restart_throws_away_what_is_in_the_works(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    reader = line.join()
    line.shop.gate.clear()
    await a_few_turns()
    line.source.publish(packet(1))
    await a_few_turns()
    line.source.clear()
    line.shop.gate.set()
    line.worked.restart()
    await a_few_turns()
    assert reader.numbers == []
    line.source.publish(packet(2))
    await a_few_turns()
    assert reader.numbers == [2]
    assert (line.shop.made, len(supervisor)) == (2, 1)


async def test_restarting_one_that_rests_does_not_wake_it(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    line.worked.restart()
    assert not line.worked.working


async def test_restarting_one_that_failed_begins_anew(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next_s", lambda self: 60.0)
    line = Line(supervisor)
    reader = line.join()
    line.shop.fail_at = 1
    await a_few_turns()
    line.source.publish(packet(1))
    await until(lambda: not line.worked.working)
    line.source.clear()
    line.worked.restart()
    await a_few_turns()
    line.source.publish(packet(2))
    await until(lambda: reader.numbers == [2])


async def test_restarts_may_follow_each_other_at_once(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    reader = line.join()
    for _ in range(3):
        line.worked.restart()
    await a_few_turns()
    line.source.publish(packet(1))
    await a_few_turns()
    assert reader.numbers == [1]
    assert (line.shop.made, len(supervisor)) == (1, 1)


async def test_once_closed_it_stays_so(supervisor: Supervisor) -> None:
    line = Line(supervisor)
    reader = line.join()
    await a_few_turns()
    line.worked.close()
    line.worked.close()
    await a_few_turns()
    line.source.publish(packet(1))
    line.out.detach(reader)
    line.join()
    await a_few_turns()
    assert reader.numbers == []
    assert (len(supervisor), line.out.on_demand, line.source.wanted) == (0, None, False)
