"""Which events are asked for, and where they are found: each question has an index that ends where its answer does.

The table has 100,000 rows, and the state's thread keeps everybody waiting meanwhile. So no question goes over rows that
it does not want, but for those of one rule, or one name, that are looked through for a kind: in an index that has it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are asked for.

    Attributes:
        cameras: Only of these; None for all.
        kind, name, rule: Only with this; empty for any.
        since: Only from this id on (`ulid.first` makes one of a time).
        before: Only older than this id.
    """

    cameras: Collection[str] | None = None
    kind: str = ""
    name: str = ""
    rule: str = ""
    since: str = ""
    before: str = ""


def search(connection: sqlite3.Connection, wanted: Filter, limit: int) -> list[str]:
    """Ids of the latest of these events, the newest first."""
    if wanted.cameras is None:
        return _search(connection, wanted, "", wanted.since, limit)
    found: list[str] = []
    for camera in sorted(wanted.cameras):
        since = wanted.since if len(found) < limit else found[-1]  # what is older is not among the latest
        found = sorted({*found, *_search(connection, wanted, camera, since, limit)}, reverse=True)[:limit]
    return found


def _search(connection: sqlite3.Connection, wanted: Filter, camera: str, since: str, limit: int) -> list[str]:
    question, values = question_of(wanted, camera, since)
    return [event_id for (event_id,) in connection.execute(question, (*values, limit))]


def question_of(wanted: Filter, camera: str, since: str) -> tuple[str, list[str]]:
    """The question for the events of one camera, or of all, and its values but for the limit."""
    event_id = "event" if wanted.name else "id"
    parts, values = [f"{event_id} >= ?"], [since]
    for condition, value in (
        (f"{event_id} < ?", wanted.before),
        ("name = ?", wanted.name),
        ("camera = ?", camera),
        ("rule = ?", wanted.rule),
        ("kind = ?", wanted.kind),
    ):
        if value:
            parts.append(condition)
            values.append(value)
    table = _table(wanted, camera)
    return f"SELECT {event_id} FROM {table} WHERE {' AND '.join(parts)} ORDER BY {event_id} DESC LIMIT ?", values


def _table(wanted: Filter, camera: str) -> str:
    """The table, by the index that leads to the answer: what else it could take is no better, and may be much worse."""
    if wanted.name:
        return f"event_names {'INDEXED BY event_names_by_camera' if camera else 'NOT INDEXED'}"
    if wanted.rule:
        return f"events INDEXED BY events_by_{'camera_and_rule' if camera else 'rule'}"
    if wanted.kind:
        return f"events INDEXED BY events_by_{'camera_and_kind' if camera else 'kind'}"
    return f"events {'INDEXED BY events_by_camera' if camera else 'NOT INDEXED'}"
