"""The minutes in the state file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from framecast.core.errors import StateError
from framecast.service.store.history import HistoryStore, Row, merge
from framecast.service.store.state import State

MINUTE = Row("door", 100, 60, 60, 30, 900, 90_000, 180_000, 3, 2, 1, 120, 3, 100, 1.0, 2.0, 3.0)
WORSE = replace(MINUTE, minute=101, passes=300, p50_ms=5.0, p95_ms=6.0, p99_ms=7.0, most_viewers=9)


def test_minutes_are_kept_and_old_ones_forgotten(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        store = HistoryStore(state.database, tmp_path)
        store.keep([MINUTE, WORSE, replace(MINUTE, camera="yard")], oldest_minute=0)
        assert store.read(["door"], first_minute=0, step=1) == [MINUTE, WORSE]
        assert store.read(["door"], first_minute=101, step=1) == [WORSE]
        store.keep([WORSE], oldest_minute=101)
        assert len(store.read(["door", "yard"], first_minute=0, step=1)) == 2, "only of the cameras that are told of"
        store.keep([], oldest_minute=101, sweep=True)
        (row,) = store.read(["door", "yard"], first_minute=0, step=1)
        assert (row.camera, row.minute, row.frames) == ("door", 101, 1800)


def test_a_minute_with_a_restart_in_it_is_added_up(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        store = HistoryStore(state.database, tmp_path)
        store.keep([replace(MINUTE, seconds=20, frames=300)], oldest_minute=0)
        store.keep([replace(WORSE, minute=100, seconds=30, frames=400)], oldest_minute=0)
        (row,) = store.read(["door"], first_minute=0, step=1)
    assert (row.seconds, row.frames, row.most_viewers, row.p99_ms) == (50, 700, 9, 7.0)


def test_steps_of_the_file_are_those_of_memory(tmp_path: Path) -> None:
    rows = [replace(MINUTE if number % 3 else WORSE, minute=number) for number in range(90, 130)]
    rows[7] = replace(rows[7], passes=0, p50_ms=0.0, p95_ms=0.0, p99_ms=0.0)
    with State.open(tmp_path) as state:
        store = HistoryStore(state.database, tmp_path)
        store.keep(rows, oldest_minute=0)
        for step in (1, 5, 30):
            assert store.read(["door"], first_minute=0, step=step) == merge(rows, step=step)
    (first, second) = merge([MINUTE, WORSE, replace(MINUTE, minute=110)], step=10)
    assert (first.minute, first.frames, first.passes) == (100, 1800, 400)
    assert (first.p50_ms, first.p99_ms) == (4.0, 7.0), "the mean of all pictures, and the worst minute"
    assert second == replace(MINUTE, minute=110)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with State.open(tmp_path) as state, pytest.raises(StateError, match="history can't be read"):
        HistoryStore(state.database, tmp_path / "elsewhere").read(["door"], first_minute=0, step=1)
