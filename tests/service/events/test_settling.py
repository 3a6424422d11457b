"""What became of deliveries is written for many sinks at once, and for each once it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from framecast.core.errors import StateError
from framecast.service.events.settling import Settling
from framecast.service.store.database import Database
from framecast.service.store.outbox import Outbox, Outcome
from framecast.service.store.state import State

pytestmark = pytest.mark.anyio

SINKS = 500


class Desk:
    """A state file with a delivery for each sink, and a count of what is written to it."""

    def __init__(self, database: Database, executor: ThreadPoolExecutor) -> None:
        self.database = database
        self.commits = 0
        self.settling = Settling(Outbox(database), partial(asyncio.get_running_loop().run_in_executor, executor))
        with database.write() as connection:
            connection.executemany(
                "INSERT INTO deliveries (sink, seq, due_s) VALUES (?, 1, 0)", [(f"s{each}",) for each in range(SINKS)]
            )
        connection.set_trace_callback(self._count)

    def _count(self, statement: str) -> None:
        self.commits += statement == "COMMIT"

    def left(self) -> list[tuple[str, int, str, float]]:
        with self.database.read() as connection:
            return connection.execute("SELECT sink, attempts, error, due_s FROM deliveries ORDER BY sink").fetchall()


@pytest.fixture
async def desk(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Desk]:
    with ThreadPoolExecutor(1) as executor, State.open(tmp_path) as state:
        yield Desk(state.database, executor)


async def test_five_hundred_browsers_are_two_writes(desk: Desk) -> None:
    taken = [Outcome(f"s{each}", 1) for each in range(2, SINKS)]
    tried = [Outcome("s0", 1, 5.0, "no answer"), Outcome("s1", 1, 6.0, "x" * 600)]
    await asyncio.gather(*(desk.settling.note(each) for each in (*tried, *taken)))
    assert desk.commits == 2, "the first at once, and all that came while it was written"
    assert desk.left() == [("s0", 1, "no answer", 5.0), ("s1", 1, "x" * 500, 6.0)]


async def test_each_has_it_written_when_that_is_said(desk: Desk) -> None:
    async def take(sink: str) -> None:
        await desk.settling.note(Outcome(sink, 1))
        assert sink not in {name for name, *_ in desk.left()}

    await asyncio.gather(*(take(f"s{each}") for each in range(20)))


async def test_what_can_not_be_written_for_one_is_tried_by_the_next(desk: Desk) -> None:
    with desk.database.write() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE DELETE ON deliveries WHEN OLD.sink = 's1' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    said = await asyncio.gather(
        *(desk.settling.note(Outcome(f"s{each}", 1)) for each in range(5)), return_exceptions=True
    )
    assert said[0] is None and isinstance(said[1], StateError)
    assert said[2:] == [None] * 3, "what is the matter with one is the matter with that one"
    assert {"s1"} == {name for name, *_ in desk.left()} & {f"s{each}" for each in range(5)}


async def test_who_is_cancelled_while_it_writes_keeps_nobody_waiting(desk: Desk) -> None:
    first, *rest = (asyncio.create_task(desk.settling.note(Outcome(f"s{each}", 1))) for each in range(5))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(*rest)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not {name for name, *_ in desk.left()} & {f"s{each}" for each in range(1, 5)}
