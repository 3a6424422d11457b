"""The log of events: kept before it is told, told in order, bounded, and closed after a crash."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from framecast.core.errors import StateError
from framecast.service.events import log
from framecast.service.events.log import DAY_S, MOST_WAITING, EventLog
from framecast.service.store import events as store
from framecast.service.store import ulid
from framecast.service.store.events import Announcement, Change, Event, EventStore, Phase
from framecast.service.store.eventsearch import Filter
from framecast.service.store.state import State
from tests.service.serving import until

pytestmark = pytest.mark.anyio

NOW_S = 1_700_000_000.0
JPEG = b"\xff\xd8 a picture \xff\xd9"


def event(at_s: float = NOW_S, **more: Any) -> Event:
    """An event that begins at ``at_s``."""
    fields = {"camera": "door", "rule": "r", "kind": "object", "label": "person", "seen_s": at_s, **more}
    return Event(ulid.new(at_s), start_s=at_s, **fields)


async def blocking(call: Callable[..., Any], *args: Any) -> Any:
    """What the service has a thread for."""
    return await asyncio.to_thread(call, *args)


class Told:
    """A log and what it told."""

    def __init__(self, state: State, folder: Path, **more: Any) -> None:
        self.store = EventStore(state.database, **more)
        self.log = EventLog(
            self.store, folder, blocking=blocking, keep_days=30, most_picture_bytes=100, now_s=lambda: NOW_S
        )
        self.heard: list[Announcement] = []
        self.log.on_announced.append(self.heard.append)


@asynccontextmanager
async def logging_in(folder: Path, **more: Any) -> AsyncIterator[Told]:
    with State.open(folder) as state:
        yield Told(state, folder, **more)


def test_ids_sort_by_time() -> None:
    ids = [ulid.new(NOW_S + ms / 1000) for ms in range(0, 5000, 7)]
    assert ids == sorted(ids)
    assert all(ulid.is_one(each) for each in ids)
    assert ulid.first(NOW_S) <= ulid.new(NOW_S) < ulid.first(NOW_S + 0.001)
    assert not any(map(ulid.is_one, ("", "../../etc/passwd", ids[0].lower(), ids[0] + "0", "8" + ids[0][1:])))


async def test_what_is_told_is_on_the_disk_and_stays_the_same(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        first = event(names=("Ada",), box=(0.1, 0.2, 0.3, 0.4))
        kept: list[bool] = []
        told.log.on_announced.append(lambda said: kept.append(told.store.get(said.event_id) is not None))
        assert told.log.put(first, Phase.START, JPEG)
        await told.log.flush()
        told.log.put(replace(first, names=("Ada", "unknown"), score=0.9), Phase.UPDATE)
        await told.log.flush()
        told.log.put(replace(first, names=("Ada", "unknown"), score=0.9, end_s=NOW_S + 3), Phase.END)
        await told.log.flush()
        assert kept == [True, True, True]
        assert [(each.seq, each.phase) for each in told.heard] == [(1, "start"), (2, "update"), (3, "end")]
        bodies = [json.loads(each.body) for each in told.heard]
        assert {each["event"]["event_id"] for each in bodies} == {first.event_id}
        assert bodies[0]["phase"] == "start"
        assert bodies[2]["event"]["end"] == NOW_S + 3
        assert all(each["event"]["picture"] == f"/api/v1/events/{first.event_id}/picture.jpg" for each in bodies)
        assert told.log.picture_path(first.event_id).read_bytes() == JPEG
        assert told.log.picture_path(first.event_id).stat().st_mode & 0o777 == 0o600
        assert told.store.announced(0, 10) == told.heard
        assert told.store.announced(2, 10) == told.heard[2:]
        assert told.store.newest == 3
        assert told.log.counts == {("door", "object"): 1}
        kept_event = told.store.get(first.event_id)
        assert kept_event is not None
        assert kept_event.names == ("Ada", "unknown")
        assert kept_event.box == (0.1, 0.2, 0.3, 0.4)


async def test_updates_that_nobody_heard_of_become_one(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        first = event()
        told.log.put(first, Phase.START)
        for score in (0.5, 0.6, 0.7):
            told.log.put(replace(first, score=score), Phase.UPDATE, JPEG)
        told.log.put(replace(first, score=0.8, end_s=NOW_S), Phase.END)
        await told.log.flush()
        assert [each.phase for each in told.heard] == ["start", "end"]
        assert json.loads(told.heard[-1].body)["event"]["picture"]


async def test_what_can_not_be_kept_is_told_later_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logging_in(tmp_path) as told:
        with sqlite3.connect(tmp_path / "framecast.db", isolation_level=None) as other:
            told.store._database.hurry()
            other.execute("BEGIN IMMEDIATE")  # somebody else has the file
            told.log.put(event(), Phase.START, JPEG)
            assert not await told.log.flush()
            assert told.heard == []
            other.execute("ROLLBACK")
        other.close()
        assert await told.log.flush()
        assert [each.phase for each in told.heard] == ["start"]


async def test_a_hook_writes_with_the_announcement_or_nothing_is_written(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        seen: list[tuple[int, str]] = []
        failing = True

        def hook(connection: sqlite3.Connection, about: Event, said: Announcement) -> None:
            connection.execute("INSERT INTO settings (key, value) VALUES (?, '1')", (f"hook {said.seq}",))
            if failing:
                connection.execute("INSERT INTO no_such_table VALUES (1)")
            seen.append((said.seq, about.event_id))

        told.store.hooks.append(hook)
        first = event()
        told.log.put(first, Phase.START)
        assert not await told.log.flush()
        assert told.store.get(first.event_id) is None
        failing = False
        assert await told.log.flush()
        assert seen == [(told.heard[0].seq, first.event_id)]
        told.log.put(event(quiet=True), Phase.START)
        await told.log.flush()
        assert len(seen) == 1  # nobody is sent what happens in quiet hours
        assert len(told.heard) == 2


async def test_no_event_begins_while_too_much_waits(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        first = event()
        for _ in range(MOST_WAITING):
            assert told.log.put(first, Phase.START)
        assert not told.log.put(event(), Phase.START)
        assert told.log.refused == 1
        assert told.log.put(replace(first, end_s=NOW_S), Phase.END)


async def test_pictures_that_wait_for_the_disk_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST_WAITING_BYTES", 2 * len(JPEG))
    async with logging_in(tmp_path) as told:
        events = [event(NOW_S + number) for number in range(4)]
        for each in events:
            assert told.log.put(each, Phase.START, JPEG)
        await told.log.flush()
        assert told.store.with_picture() == {each.event_id for each in events[:2]}
        assert told.log.put(event(NOW_S + 9), Phase.START, JPEG), "what is written waits no more"
        await told.log.flush()
        assert len(told.store.with_picture()) == 3


async def test_a_picture_that_waits_is_not_kept_once_a_mask_is_set(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        door, yard = event(), event(camera="yard")
        for each in (door, yard):
            told.log.put(each, Phase.START, JPEG)
        told.log.forget_pictures("door")
        await told.log.flush()
        assert (told.log.picture(door.event_id), told.log.picture(yard.event_id)) == (None, JPEG)
        said = [json.loads(each.body)["event"]["picture"] is None for each in told.heard]
        assert said == [True, False]
        assert not told.log.may_send(door.event_id, "door") and told.log.may_send(yard.event_id, "yard")
        told.log.put(door, Phase.UPDATE, JPEG)  # of a later picture
        await told.log.flush()
        assert told.log.picture(door.event_id) == JPEG and told.log.may_send(door.event_id, "door")


async def test_a_picture_just_being_written_when_a_mask_is_set_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with logging_in(tmp_path) as told:
        begun, go = threading.Event(), threading.Event()
        keep = told.log._keep_picture

        def slowly(event_id: str, picture: bytes) -> None:
            begun.set()
            assert go.wait(20)
            keep(event_id, picture)

        monkeypatch.setattr(told.log, "_keep_picture", slowly)
        door = event()
        told.log.put(door, Phase.START)
        told.log.put(door, Phase.UPDATE, JPEG)
        flushing = asyncio.create_task(told.log.flush())
        assert await asyncio.to_thread(begun.wait, 20)
        told.log.put(door, Phase.UPDATE)  # nobody has heard of the one before
        told.log.forget_pictures("door")
        go.set()
        assert await flushing
        assert told.log.picture(door.event_id) is None
        assert [json.loads(each.body)["event"]["picture"] for each in told.heard] == [None] * 3


async def test_what_a_crash_left_open_is_closed(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        left = event(NOW_S - 100, seen_s=NOW_S - 90)
        told.log.put(left, Phase.START, JPEG)
        await told.log.flush()
        await told.log.touch({left.event_id: NOW_S - 80})
        orphan = told.log.picture_path(ulid.new(NOW_S))
        orphan.write_bytes(JPEG)  # its event was not written any more
        half = told.log.picture_path(left.event_id).with_suffix(".part")
        half.write_bytes(JPEG[:4])
        (tmp_path / "events" / "notes.txt").write_text("somebody's own")
    async with logging_in(tmp_path) as told:
        await told.log.begin()
        await told.log.clear_out()
        (said,) = told.heard
        assert (said.seq, said.event_id, said.phase) == (2, left.event_id, "end")
        assert json.loads(said.body)["event"]["end"] == NOW_S - 80
        assert json.loads(said.body)["event"]["picture"]
        assert told.store.open() == []
        assert not orphan.exists()
        assert not half.exists()
        assert (tmp_path / "events" / "notes.txt").exists()
        assert told.log.picture_path(left.event_id).exists()


async def test_old_events_and_pictures_beyond_the_bound_go(tmp_path: Path) -> None:
    async with logging_in(tmp_path, most_events=3, most_announcements=4) as told:
        old = event(NOW_S - 31 * DAY_S, end_s=NOW_S)
        still = event(NOW_S - 32 * DAY_S)
        recent = [event(NOW_S - 10 + number, end_s=NOW_S) for number in range(4)]
        for each in (still, old, *recent):
            told.log.put(each, Phase.START, JPEG * 3)
        await told.log.flush()
        await told.log.sweep()
        assert [each.event_id for each in told.store.page(Filter(), 10)] == [
            *(each.event_id for each in recent[:0:-1]),
            still.event_id,  # it lasts
        ]
        pictures = {path.stem for path in (tmp_path / "events").iterdir()}
        assert pictures == {each.event_id for each in recent[2:]}
        assert told.store.with_picture() == pictures
        assert len(told.store.announced(0, 100)) <= 4


async def test_much_that_is_old_goes_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (log, store):
        monkeypatch.setattr(module, "MOST_SWEPT", 3)
    async with logging_in(tmp_path) as told:
        old = [event(NOW_S - (40 - number) * DAY_S, end_s=NOW_S) for number in range(7)]
        told.store.write([Change(each, Phase.START) for each in old], NOW_S)
        gone, _ = told.store.sweep(older_than_s=NOW_S - 30 * DAY_S, most_picture_bytes=100)
        assert gone == [each.event_id for each in old[:3]]
        told.log.put(event(), Phase.START)
        await told.log.sweep()
        (said,) = told.heard
        assert [each.event_id for each in told.store.page(Filter(), 10)] == [said.event_id]


async def test_no_picture_is_kept_where_none_may_be(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        log = EventLog(EventStore(state.database), tmp_path, blocking=blocking, most_picture_bytes=0)
        log.put(event(), Phase.START, JPEG)
        await log.flush()
        assert not (tmp_path / "events").exists()
        assert log.store.with_picture() == frozenset()


async def test_many_pictures_at_once_wait_for_no_sweep(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        running = asyncio.create_task(told.log.run())
        for number in range(9):
            told.log.put(event(NOW_S + number), Phase.START, JPEG * 3)  # of 100 bytes that may be
        await until(lambda: len(told.heard) == 9 and len(told.store.with_picture()) == 2)
        running.cancel()


async def test_who_was_mistaken_is_not_found_by_the_wrong_name(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        first = event(names=("unknown",))
        told.log.put(first, Phase.START)
        await told.log.flush()
        told.log.put(replace(first, names=("Ada",)), Phase.UPDATE)
        await told.log.flush()
        assert told.store.page(Filter(name="unknown"), 10) == []
        assert len(told.store.page(Filter(name="Ada"), 10)) == 1


async def test_events_are_found_by_what_they_are(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        one = event(NOW_S, camera="door", names=("Ada",), kind="face")
        two = event(NOW_S + 10, camera="yard", rule="other")
        three = event(NOW_S + 20, camera="door", names=("unknown",))
        for each in (one, two, three):
            told.log.put(each, Phase.START)
        await told.log.flush()

        def found(limit: int = 10, **wanted: Any) -> list[str]:
            return [each.event_id for each in told.store.page(Filter(**wanted), limit)]

        assert found() == [three.event_id, two.event_id, one.event_id]
        assert found(limit=1) == [three.event_id]
        assert found(cameras=["door"]) == [three.event_id, one.event_id]
        assert found(cameras=[]) == []
        assert found(kind="face") == [one.event_id]
        assert found(name="Ada") == [one.event_id]
        assert found(rule="other") == [two.event_id]
        assert found(before=three.event_id) == [two.event_id, one.event_id]
        assert found(since=ulid.first(NOW_S + 5)) == [three.event_id, two.event_id]


async def test_a_deleted_event_is_gone_with_all_that_was_said(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        first = event()
        told.log.put(first, Phase.START, JPEG)
        await told.log.flush()
        assert await told.log.delete(first.event_id)
        assert not await told.log.delete(first.event_id)
        assert told.store.announced(0, 10) == []
        told.log.put(replace(first, end_s=NOW_S), Phase.END, JPEG)  # the engine knows nothing of it
        assert await told.log.flush()
        assert told.store.get(first.event_id) is None
        assert [each.phase for each in told.heard] == ["start"]
        assert list((tmp_path / "events").iterdir()) == []
        told.log.put(event(), Phase.START)
        await told.log.flush()
        assert told.heard[-1].seq == 2  # a number is used once


async def test_a_picture_that_can_not_be_kept_keeps_no_event_away(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as told:
        (tmp_path / "events").write_text("a file where a folder should be")
        first = event()
        told.log.put(first, Phase.START, JPEG)
        assert await told.log.flush()
        assert json.loads(told.heard[0].body)["event"]["picture"] is None
        with pytest.raises(StateError, match="UNIQUE"):
            told.store.write([Change(first, Phase.START)], NOW_S)
