"""Events that are asked for: the right ones, and by an index whatever is asked."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from framecast.service.store import database, ulid
from framecast.service.store.events import Change, Event, EventStore, Phase
from framecast.service.store.eventsearch import Filter, question_of
from framecast.service.store.migrations import MIGRATIONS
from framecast.service.store.state import State

NOW_S = 1_700_000_000.0
CAMERAS: tuple[list[str] | None, ...] = (None, [], ["door"], ["none"], ["door", "none", "yard"])
KINDS = ("", "object", "face", "line")
NAMES = ("", "Ada", "Nobody")
RULES = ("", "r1", "r2", "r9")


def happenings() -> list[Event]:
    chance = random.Random(7)
    return [
        Event(
            ulid.new(NOW_S + number),
            chance.choice(("door", "yard", "bird")),
            chance.choice(("r1", "r2")),
            chance.choice(("object", "face")),
            NOW_S + number,
            names=tuple(chance.sample(("Ada", "Bert"), chance.randint(0, 2))),
        )
        for number in range(300)
    ]


def filters(events: list[Event]) -> Iterator[Filter]:
    times = ("", events[100].event_id), ("", events[200].event_id)
    return itertools.starmap(Filter, itertools.product(CAMERAS, KINDS, NAMES, RULES, *times))


def is_wanted(event: Event, wanted: Filter) -> bool:
    return (
        (wanted.cameras is None or event.camera in wanted.cameras)
        and wanted.kind in ("", event.kind)
        and wanted.name in ("", *event.names)
        and wanted.rule in ("", event.rule)
        and event.event_id >= wanted.since
        and (not wanted.before or event.event_id < wanted.before)
    )


def test_whatever_is_asked_the_latest_that_match_are_found(tmp_path: Path) -> None:
    events = happenings()
    with State.open(tmp_path) as state:
        store = EventStore(state.database)
        store.write([Change(each, Phase.START) for each in events], NOW_S)
        for wanted in filters(events):
            found = [each.event_id for each in reversed(events) if is_wanted(each, wanted)]
            for limit in (1, 7, 200):
                assert [each.event_id for each in store.page(wanted, limit)] == found[:limit], wanted


def test_whatever_is_asked_an_index_leads_there_in_order(tmp_path: Path) -> None:
    with State.open(tmp_path) as state, state.database.read() as connection:
        for wanted in filters(happenings()):
            for camera in wanted.cameras or [""]:
                question, values = question_of(wanted, camera, wanted.since)
                plan = connection.execute(f"EXPLAIN QUERY PLAN {question}", (*values, 51)).fetchall()
                assert len(plan) == 1, f"something is sorted: {plan}"
                step = plan[0][-1]
                assert step.startswith("SEARCH") and ("COVERING INDEX" in step or "PRIMARY KEY" in step), step
                # A kind may have to be looked for among those of one rule or name, within the index.
                for column, value in (("camera", camera), ("name", wanted.name), ("rule", wanted.rule)):
                    assert not value or f"{column}=?" in step or (column == "rule" and wanted.name), step
                assert not wanted.kind or "kind=?" in step or wanted.rule or wanted.name, step


def test_names_are_found_that_were_kept_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (before,) = (number for number, each in enumerate(MIGRATIONS) if "bare_event_names" in each)
    event = happenings()[0]
    with monkeypatch.context() as then:
        then.setattr(database, "MIGRATIONS", MIGRATIONS[:before])
        with State.open(tmp_path) as state, state.database.write() as connection:
            row = (event.event_id, event.camera, event.rule, event.kind)
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, 1, 2, 2, 0, '{}')", row)
            connection.execute("INSERT INTO event_names VALUES ('Ada', ?)", (event.event_id,))
    with State.open(tmp_path) as state:
        store = EventStore(state.database)
        wanted = Filter([event.camera], event.kind, "Ada", event.rule)
        assert [each.event_id for each in store.page(wanted, 5)] == [event.event_id]
        assert store.delete(event.event_id)
        assert store.page(Filter(name="Ada"), 5) == []
        with state.database.read() as connection:
            assert connection.execute("SELECT * FROM event_names").fetchall() == []
