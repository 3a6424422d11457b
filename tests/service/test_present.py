"""By what time something kept is old, and that a clock that is wrong for a while costs nothing that is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from framecast.service.access.accounts import Role
from framecast.service.access.keyring import Keyring
from framecast.service.access.sessions import SESSION_LIFE_S
from framecast.service.events.log import EventLog
from framecast.service.store import database
from framecast.service.store import present as module
from framecast.service.store.events import Change, Event, EventStore, Phase
from framecast.service.store.eventsearch import Filter
from framecast.service.store.history import HistoryStore, Row
from framecast.service.store.migrations import MIGRATIONS
from framecast.service.store.people import PeopleStore, Sample, Stranger
from framecast.service.store.present import BELIEVED_S, OFF_S, Present
from framecast.service.store.state import State
from framecast.service.store.ulid import new
from tests.service.serving import serving

NOW_S = 1_700_000_000.0
YEARS_S = 5 * 365 * 86_400.0
MINUTE = Row("cam", 0, seconds=60, frames=900)


class Ticks:
    """What only runs on, by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def looked(present: Present, ticks: Ticks, offset_s: float, *, for_s: float) -> float:
    """The present after a time of looks once a minute, by a clock that is so far off."""
    seen_s = 0.0
    for _ in range(int(for_s // 60)):
        ticks.s += 60
        seen_s = present.of(NOW_S + ticks.s + offset_s)
    return seen_s - NOW_S - ticks.s


def test_the_present_is_that_of_a_clock_that_goes_on() -> None:
    ticks = Ticks()
    assert Present(ticks_s=ticks).of(NOW_S) == NOW_S, "nothing is known yet"
    present = Present(NOW_S, 0.0, ticks)
    for offset_s in (0.0, OFF_S / 2, -OFF_S / 4, 3600.0):
        assert looked(present, ticks, offset_s, for_s=600) == offset_s


def test_a_clock_that_is_far_ahead_is_believed_after_hours_of_running(caplog: pytest.LogCaptureFixture) -> None:
    ticks = Ticks()
    present = Present(NOW_S, 0.0, ticks)
    assert looked(present, ticks, YEARS_S, for_s=BELIEVED_S - 60) == 0
    assert looked(present, ticks, 0.0, for_s=60) == 0, "it was wrong"
    assert looked(present, ticks, YEARS_S, for_s=BELIEVED_S - 60) == 0, "and is doubted anew"
    assert looked(present, ticks, YEARS_S, for_s=60) == YEARS_S
    assert [record.getMessage()[:31] for record in caplog.records] == ["the clock is 1825 days ahead of"] * 2


def test_a_clock_that_is_far_behind_makes_nothing_old_and_is_believed_in_time() -> None:
    ticks = Ticks()
    present = Present(NOW_S, 0.0, ticks)
    assert looked(present, ticks, -YEARS_S, for_s=BELIEVED_S - 60) == -YEARS_S
    assert looked(present, ticks, YEARS_S, for_s=60) == 0, "what was known is known still"
    assert looked(present, ticks, -YEARS_S, for_s=BELIEVED_S) == -YEARS_S
    assert looked(present, ticks, 0.0, for_s=60) == -YEARS_S, "what was known before was wrong"


def test_doubt_goes_on_over_restarts(tmp_path: Path) -> None:
    for run, is_believed in enumerate((False, False, True)):
        ticks = Ticks()
        with State.open(tmp_path) as state, state.database.write() as connection:
            present = Present.read(connection)
            present._ticks_s, present._looked_s = ticks, 0.0
            if not run:
                present.of(NOW_S)
            ahead_s = looked(present, ticks, YEARS_S, for_s=BELIEVED_S / 2 - 600)
            assert (ahead_s == YEARS_S) is is_believed
            present.keep(connection)


async def blocking(call: Callable[..., Any], *args: Any) -> Any:
    """What the service has a thread for."""
    return await asyncio.to_thread(call, *args)


class Kept:
    """One of each that is deleted by its age, in a state file that the clock is far ahead of."""

    def __init__(self, state: State, folder: Path) -> None:
        self.state, self.folder = state, folder
        self.events = EventStore(state.database, most_events=2)
        self.faces = PeopleStore(state.database)

    def make(self, at_s: float) -> None:
        """All of it, at this Unix time, when the server ran last."""
        self.state.database.present.of(at_s)
        HistoryStore(self.state.database, self.folder).keep([replace(MINUTE, minute=int(at_s // 60))], oldest_minute=0)
        owner = self.state.credentials.create_account("anna", Role.OWNER, password="x", now_s=at_s)
        self.state.credentials.create_session(owner, now_s=at_s)
        PeopleStore(self.state.database, lambda: at_s).keep_news(
            [Stranger(1, "cam", (Sample(b"a face", "sface", b"1234", 1.0),))], [], {}
        )
        self.put(at_s)

    def put(self, at_s: float) -> None:
        """An event that is over."""
        event = Event(new(at_s), "cam", "rule", "motion", at_s, at_s, at_s)
        self.events.write([Change(event, Phase.START)], at_s)

    async def sweep(self) -> set[str]:
        """Forget what is old; what is left."""
        log = EventLog(self.events, self.folder, blocking=blocking, most_picture_bytes=0)
        await log.sweep()
        self.faces.keep_news([], [], {})
        credentials = self.state.credentials
        keyring = Keyring(credentials.tokens(), credentials.accounts(), credentials.sessions())
        left = {"event": self.events.page(Filter(), 10), "face": self.faces.people(), "session": keyring.sessions()}
        rows = HistoryStore(self.state.database, self.folder).read(["cam"], first_minute=0, step=1)
        left["history"] = [row for row in rows if row.frames]
        return {name for name, found in left.items() if found}


@pytest.mark.anyio
async def test_nothing_that_is_kept_is_lost_to_a_clock_that_is_wrong_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ran two months ago, by its clock of now."""
    everything = {"event", "face", "session", "history"}
    with State.open(tmp_path / "data") as state:
        Kept(state, tmp_path / "data").make(time.time() - 2 * SESSION_LIFE_S)
    async with serving(tmp_path) as server:
        kept = Kept(server.service._state, tmp_path / "data")
        await server.service.desk.tidy(time.time())
        assert server.service.keyring.has_owner
        await server.service.history.keep()
        assert await kept.sweep() == everything
        for _ in range(4):
            kept.put(time.time())
        await kept.sweep()
        assert len(kept.events.page(Filter(), 10)) == 2, "there are not more than there may be, whatever the time"
        monkeypatch.setattr(module, "BELIEVED_S", 0.0)
        server.service.history._swept_minute = 0  # an hour ago
        await server.service.history.keep()
        assert await kept.sweep() == {"event"}


def test_what_an_older_version_kept_tells_when_it_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (before,) = (number for number, each in enumerate(MIGRATIONS) if "TABLE clock" in each)
    with monkeypatch.context() as then:
        then.setattr(database, "MIGRATIONS", MIGRATIONS[:before])
        with State.open(tmp_path) as state, state.database.write() as connection:
            connection.execute("INSERT INTO history VALUES ('cam', 100, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
    with State.open(tmp_path) as state:
        assert state.database.present.of(NOW_S) == pytest.approx(6000, abs=60)
