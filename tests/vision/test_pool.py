"""Places for inferences: few, in turn, and given back whatever happens."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from framecast.core.threads import NICENESS
from framecast.vision.pool import InferencePool

pytestmark = pytest.mark.anyio


@pytest.fixture
def pool() -> Iterator[InferencePool]:
    with closing(InferencePool(1)) as made:
        yield made


async def a_few_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_runs_in_a_thread_and_hands_back_what_is_returned_and_raised(pool: InferencePool) -> None:
    assert await pool.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    assert await pool.run(lambda: 7) == 7
    assert pool.done == 2


async def test_whoever_waits_longest_is_next_however_much_one_asks_for(pool: InferencePool) -> None:
    order: list[str] = []
    gate = threading.Event()

    async def ask(name: str, times: int) -> None:
        for _ in range(times):
            await pool.run(lambda: order.append(name))

    first = asyncio.create_task(pool.run(gate.wait))
    await a_few_turns()
    greedy = asyncio.create_task(ask("greedy", 6))
    await a_few_turns()
    others = [asyncio.create_task(ask(name, 2)) for name in ("one", "two")]
    await a_few_turns()
    gate.set()
    await asyncio.gather(first, greedy, *others)
    assert order[:6] == ["greedy", "one", "two"] * 2
    assert order[6:] == ["greedy"] * 4


@pytest.mark.parametrize("places", [1, 3])
async def test_no_more_run_at_once_than_there_are_places(places: int) -> None:
    running, most = 0, 0
    lock = threading.Lock()
    together = threading.Barrier(places)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)
        with lock:
            running -= 1

    with closing(InferencePool(places)) as pool:
        await asyncio.gather(*(pool.run(work) for _ in range(places * 3)))
    assert most == places


async def test_who_gives_up_leaves_no_hole(pool: InferencePool) -> None:
    gate = threading.Event()
    first = asyncio.create_task(pool.run(gate.wait))
    await a_few_turns()
    waiting = [asyncio.create_task(pool.run(lambda: None)) for _ in range(3)]
    await a_few_turns()
    waiting[0].cancel()
    await a_few_turns()
    gate.set()
    await asyncio.gather(first, *waiting, return_exceptions=True)
    # One whose turn has come, but who was cancelled before it heard of it.
    async with pool.turn():
        late = asyncio.create_task(pool.run(lambda: None))
        await a_few_turns()
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    async with asyncio.timeout(20):
        assert await pool.run(lambda: 1) == 1


@pytest.mark.parametrize("gives_up", [False, True])
async def test_what_is_done_with_a_turn_is_chosen_when_it_comes(pool: InferencePool, *, gives_up: bool) -> None:
    newest = 1
    gate = threading.Event()
    first = asyncio.create_task(pool.run(gate.wait))
    await a_few_turns()

    async def look() -> int:
        async with pool.turn() as turn:
            seen = newest
            return await turn(lambda: seen)

    looking = asyncio.create_task(look())
    await a_few_turns()
    if gives_up:
        first.cancel()  # but its thread is busy all the same
        await a_few_turns()
    newest = 2
    gate.set()
    assert await looking == 2
    await asyncio.gather(first, return_exceptions=True)


async def test_its_threads_stand_back(pool: InferencePool) -> None:
    if sys.platform != "linux":
        return  # the priority of a thread is its own on Linux only
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    theirs = await pool.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert theirs == min(ours + NICENESS, 19)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == ours
