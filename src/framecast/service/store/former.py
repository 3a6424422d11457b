"""When cameras of an id ended, in the state file: events before that are another camera's."""

from __future__ import annotations

import sqlite3

from framecast.service.store import ulid
from framecast.service.store.database import Database


def ends(database: Database) -> dict[str, str]:
    """By the id of a camera that was removed what no event before it sorts behind."""
    with database.read() as connection:
        return dict(connection.execute("SELECT camera, before FROM former_cameras").fetchall())


def end(connection: sqlite3.Connection, camera_id: str, time_s: float) -> str:
    """Keep that a camera ended at this Unix time, within a transaction; returns what is kept (`end_id`)."""
    kept = end_id(time_s)
    connection.execute(
        "INSERT INTO former_cameras (camera, before) VALUES (?, ?)"
        " ON CONFLICT (camera) DO UPDATE SET before = excluded.before",
        (camera_id, kept),
    )
    return kept


def end_id(time_s: float) -> str:
    """What no event of a camera that ended at this Unix time sorts behind."""
    return ulid.first(time_s + 0.001)
