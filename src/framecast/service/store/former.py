"""When cameras of an id ended, in the state file: what is kept of before that is another camera's."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from framecast.service.access.links import LONGEST_S
from framecast.service.store import ulid
from framecast.service.store.database import Database


class End(NamedTuple):
    """The end of the last camera of an id.

    Attributes:
        before: What none of its events sorts behind; and what tells the next camera of its id from it.
        minute: The first minute of history, in Unix minutes, in which nothing is of it.
        forgotten: Ids of cameras of whose ends nothing is to be known any more.
    """

    before: str
    minute: int
    forgotten: tuple[str, ...] = ()


def ends(database: Database) -> dict[str, End]:
    """By the id of a camera that was removed."""
    with database.read() as connection:
        rows = connection.execute("SELECT camera, before, minute FROM former_cameras").fetchall()
    return {camera: End(before, minute) for camera, before, minute in rows}


def end(connection: sqlite3.Connection, camera_id: str, event_s: float, now_s: float) -> End:
    """Keep that a camera ends, within a transaction; returns what is kept.

    What it left is its own, too, where a clock that was ahead dated it later than now, and no two ends are alike.

    Args:
        event_s: Unix time by the clock that dates events.
        now_s: Unix time by the one that names minutes; it goes on for a moment yet.
    """
    (event,) = connection.execute("SELECT MAX(id) FROM events WHERE camera = ?", (camera_id,)).fetchone()
    (minute,) = connection.execute("SELECT MAX(minute) FROM history WHERE camera = ?", (camera_id,)).fetchone()
    known = connection.execute("SELECT before FROM former_cameras WHERE camera = ?", (camera_id,)).fetchone()
    newest_s = [event_s, *(ulid.time_s(each) + 0.001 for each in (event, known and known[0]) if each)]
    kept = End(end_id(max(newest_s)), max(end_minute(now_s), minute or 0) + 1)
    connection.execute(
        "INSERT INTO former_cameras (camera, before, minute) VALUES (?, ?, ?)"
        " ON CONFLICT (camera) DO UPDATE SET before = excluded.before, minute = excluded.minute",
        (camera_id, kept.before, kept.minute),
    )
    return kept


def forget(connection: sqlite3.Connection, now_s: float) -> tuple[str, ...]:
    """Forget ends that keep nothing from anybody, within a transaction; returns whose.

    Nothing is left of before them, no link of before them is good any more, and there is no camera of their id, whose
    links would be another's.

    Args:
        now_s: Unix time by which things are old (`Database.present`).
    """
    needless = connection.execute(
        "SELECT camera FROM former_cameras WHERE minute < ? AND camera NOT IN (SELECT id FROM cameras)"
        " AND NOT EXISTS (SELECT 1 FROM events e WHERE e.camera = former_cameras.camera AND e.id < before)"
        " AND NOT EXISTS"
        " (SELECT 1 FROM history h WHERE h.camera = former_cameras.camera AND h.minute < former_cameras.minute)",
        ((now_s - LONGEST_S) // 60 - 1,),
    ).fetchall()
    connection.executemany("DELETE FROM former_cameras WHERE camera = ?", needless)
    return tuple(camera for (camera,) in needless)


def end_id(time_s: float) -> str:
    """What no event of a camera that ended at this Unix time sorts behind."""
    return ulid.first(time_s + 0.001)


def end_minute(time_s: float) -> int:
    """The first minute in which nothing is of a camera that ended at this Unix time."""
    return int(time_s // 60) + 1
