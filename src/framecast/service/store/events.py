"""Events and what was said of them, in the state file.

An *event* is one row from its start to its end. Whenever something of it is to be told, an *announcement* is written in
the same transaction, with the words that go out, and by number: so nobody hears of what is not kept, every repeat has
the same bytes, and a reader that comes back goes on behind the number it had.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from framecast.service.store import ulid
from framecast.service.store.database import Database
from framecast.service.store.eventsearch import Filter, search

MOST_AT_A_TIME = 200
"""Events of one page."""
MOST_EVENTS = 100_000
"""Kept at all; the oldest go."""
MOST_ANNOUNCEMENTS = 20_000
"""Kept for those who come back; the oldest go."""
MOST_SWEPT = 1_000
"""Events that are forgotten at a time: others want the state file, too."""
DAY_S = 86_400


class Phase(StrEnum):
    """What is told of an event: that it began, that more is known of it, that it is over."""

    START = "start"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened before a camera.

    Attributes:
        event_id: A ULID of its start; the same in everything that is said of it.
        camera: Id of the camera.
        rule: Id of the rule that made it.
        kind: The rule's: ``object``, ``face``, ``line``, ``motion``, ``no_motion``, ``offline``.
        start_s: When it began, Unix s.
        end_s: When it was over, Unix s; None while it lasts.
        seen_s: When what it is about was seen last, as far as that was kept.
        camera_name: What people called the camera then.
        rule_name: What they called the rule.
        label: What was seen best: ``person``; empty where nothing is to be seen.
        names: Who was recognised, in the order of coming; ``unknown`` for strangers.
        groups: Numbers of the unknown faces.
        score: Of the best view, 0 to 1.
        zone: The zone, or line, of the rule; empty for the whole picture.
        direction: Which way a line was crossed.
        box: Where it is in the picture, as fractions of it: left, top, width, height.
        notify: Kinds of receivers that the rule names; empty for all, ``none`` for nobody.
        quiet: Whether it began in the rule's quiet hours: kept and shown, and sent to nobody.
        picture_bytes: Size of its picture; 0 while it has none.
    """

    event_id: str
    camera: str
    rule: str
    kind: str
    start_s: float
    end_s: float | None = None
    seen_s: float = 0.0
    camera_name: str = ""
    rule_name: str = ""
    label: str = ""
    names: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    score: float = 0.0
    zone: str = ""
    direction: str = ""
    box: tuple[float, ...] | None = None
    notify: tuple[str, ...] = ()
    quiet: bool = False
    picture_bytes: int = 0

    def described(self) -> dict[str, Any]:
        """As it is told."""
        return {
            "event_id": self.event_id,
            "camera": self.camera,
            "camera_name": self.camera_name or self.camera,
            "rule": self.rule,
            "rule_name": self.rule_name,
            "kind": self.kind,
            "label": self.label,
            "names": list(self.names),
            "groups": list(self.groups),
            "score": round(self.score, 3),
            "zone": self.zone,
            "direction": self.direction,
            "box": None if self.box is None else list(self.box),
            "start": round(self.start_s, 3),
            "end": None if self.end_s is None else round(self.end_s, 3),
            "quiet": self.quiet,
            "picture": f"/api/v1/events/{self.event_id}/picture.jpg" if self.picture_bytes else None,
        }


@dataclass(frozen=True, slots=True)
class Announcement:
    """What was said of an event, once and for all.

    Attributes:
        seq: Rises by each announcement, over restarts.
        event_id: Whose.
        camera: That event's camera.
        phase: Start, update or end.
        body: ``{"event": …, "phase": …}`` as JSON: the same bytes for everybody, every time.
        at_s: When, Unix s.
    """

    seq: int
    event_id: str
    camera: str
    phase: Phase
    body: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be kept and told of an event."""

    event: Event
    phase: Phase


Hook = Callable[[sqlite3.Connection, Event, Announcement], None]
"""Called within the transaction of an announcement, on the state's thread: what it writes is kept with it, or not."""

_COLUMNS = ("id", "camera", "rule", "kind", "start_s", "end_s", "seen_s", "picture_bytes")
_SELECT = f"SELECT {', '.join(_COLUMNS)}, fields FROM events"
_OWN = frozenset({"event_id", *_COLUMNS})
_FIELDS = tuple(each.name for each in fields(Event) if each.name not in _OWN)
_TUPLES = frozenset({"names", "groups", "box", "notify"})


class EventStore:
    """The tables. Blocking, like all that is kept in the state file.

    Args:
        database: The state file.
        most_events: Kept at all.
        most_announcements: Kept at all.

    Attributes:
        present: By what time events are old.
        hooks: Told of each announcement, but for those of quiet hours, while it is written.
    """

    def __init__(
        self,
        database: Database,
        *,
        most_events: int = MOST_EVENTS,
        most_announcements: int = MOST_ANNOUNCEMENTS,
    ) -> None:
        self.hooks: list[Hook] = []
        self.present = database.present
        self._database = database
        self._most_events = most_events
        self._most_announcements = most_announcements

    def write(self, changes: Sequence[Change], now_s: float) -> list[Announcement]:
        """Keep all of these, or none, with an announcement each; an event that was deleted meanwhile makes none.

        Raises:
            StateError: They can't be kept.
        """
        with self._database.write() as connection:
            return [self._announce(connection, each, now_s) for each in changes if self._keep(connection, each)]

    def _keep(self, connection: sqlite3.Connection, change: Change) -> bool:
        event = change.event
        values = (event.end_s, event.seen_s, event.picture_bytes, _packed(event))
        if change.phase is Phase.START:
            connection.execute(
                "INSERT INTO events (id, camera, rule, kind, start_s, end_s, seen_s, picture_bytes, fields)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (event.event_id, event.camera, event.rule, event.kind, event.start_s, *values),
            )
        else:
            done = connection.execute(
                "UPDATE events SET end_s = ?, seen_s = ?, picture_bytes = ?, fields = ? WHERE id = ?",
                (*values, event.event_id),
            )
            if not done.rowcount:
                return False
            connection.execute("DELETE FROM event_names WHERE event = ?", (event.event_id,))
        connection.executemany(
            "INSERT OR IGNORE INTO event_names (name, event, camera, kind, rule) VALUES (?, ?, ?, ?, ?)",
            [(name, event.event_id, event.camera, event.kind, event.rule) for name in event.names],
        )
        return True

    def _announce(self, connection: sqlite3.Connection, change: Change, now_s: float) -> Announcement:
        event, phase = change.event, change.phase
        body = json.dumps({"event": event.described(), "phase": phase.value}, separators=(",", ":"))
        cursor = connection.execute(
            "INSERT INTO announcements (event_id, camera, phase, body, at_s) VALUES (?, ?, ?, ?, ?)",
            (event.event_id, event.camera, phase.value, body, now_s),
        )
        seq = cursor.lastrowid
        assert seq is not None
        announcement = Announcement(seq, event.event_id, event.camera, phase, body, now_s)
        if not event.quiet:
            for hook in self.hooks:
                hook(connection, event, announcement)
        return announcement

    def touch(self, seen: Mapping[str, float]) -> None:
        """Keep when events under way were seen last, by their ids; nobody is told.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE events SET seen_s = ? WHERE id = ? AND end_s IS NULL",
                [(seen_s, event_id) for event_id, seen_s in seen.items()],
            )

    def get(self, event_id: str) -> Event | None:
        """The event of this id."""
        with self._database.read() as connection:
            row = connection.execute(f"{_SELECT} WHERE id = ?", (event_id,)).fetchone()
        return None if row is None else _event(row)

    def page(self, wanted: Filter, limit: int) -> list[Event]:
        """The latest of these events, the newest first."""
        with self._database.read() as connection:
            ids = search(connection, wanted, limit)
            rows = connection.execute(
                f"{_SELECT} WHERE id IN ({', '.join('?' for _ in ids)}) ORDER BY id DESC", ids
            ).fetchall()
        return [_event(row) for row in rows]

    def open(self) -> list[Event]:
        """Events without an end, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(f"{_SELECT} WHERE end_s IS NULL ORDER BY id").fetchall()
        return [_event(row) for row in rows]

    def ended(self, since_s: float) -> list[tuple[str, str, float]]:
        """Camera, rule and end of the last event of each rule at each camera that was over after this Unix time.

        Of events that lasted for more than a day it is not known.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT camera, rule, MAX(end_s) FROM events WHERE id >= ? AND end_s > ? GROUP BY camera, rule",
                (ulid.first(since_s - DAY_S), since_s),
            ).fetchall()
        return [(camera, rule, end_s) for camera, rule, end_s in rows]

    def with_picture(self) -> frozenset[str]:
        """Ids of the events that have one."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT id FROM events WHERE picture_bytes > 0").fetchall()
        return frozenset(event_id for (event_id,) in rows)

    def delete(self, event_id: str) -> bool:
        """Forget an event and what was said of it; whether it was there."""
        with self._database.write() as connection:
            return _delete(connection, [event_id]) == 1

    @property
    def newest(self) -> int:
        """Number of the last announcement there ever was; 0 before the first."""
        with self._database.read() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'announcements'").fetchone()
        return 0 if row is None else int(row[0])

    def announced(self, after: int, limit: int) -> list[Announcement]:
        """What was said after the announcement of this number, the oldest first, as far as it is kept."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT seq, event_id, camera, phase, body, at_s FROM announcements WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [
            Announcement(seq, event_id, camera, Phase(phase), body, at_s)
            for seq, event_id, camera, phase, body, at_s in rows
        ]

    def sweep(self, *, older_than_s: float, most_picture_bytes: int) -> tuple[list[str], list[str]]:
        """Forget what is too old or too much.

        Args:
            older_than_s: Events that began before this Unix time and are over go.
            most_picture_bytes: The oldest pictures beyond this sum go; their events stay.

        Returns:
            Ids of the events that are gone, the oldest `MOST_SWEPT`, and of those that have no picture any more: their
            files are to go, too.
        """
        with self._database.write() as connection:
            self.present.keep(connection)
            gone = connection.execute(
                "SELECT id FROM events WHERE end_s IS NOT NULL AND (id < ? OR id <="
                " (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)) ORDER BY id LIMIT ?",
                (ulid.first(older_than_s), self._most_events, MOST_SWEPT),
            ).fetchall()
            _delete(connection, [event_id for (event_id,) in gone])
            connection.execute(
                "DELETE FROM announcements WHERE seq <="
                " (SELECT seq FROM announcements ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (self._most_announcements,),
            )
            bare = self._strip(connection, most_picture_bytes)
        return [event_id for (event_id,) in gone], bare

    def _strip(self, connection: sqlite3.Connection, most_bytes: int) -> list[str]:
        (held,) = connection.execute("SELECT TOTAL(picture_bytes) FROM events WHERE picture_bytes > 0").fetchone()
        bare: list[str] = []
        if held > most_bytes:
            for event_id, size_bytes in connection.execute(
                "SELECT id, picture_bytes FROM events WHERE picture_bytes > 0 ORDER BY id"
            ):
                if held <= most_bytes:
                    break
                held -= size_bytes
                bare.append(event_id)
        connection.executemany("UPDATE events SET picture_bytes = 0 WHERE id = ?", [(each,) for each in bare])
        return bare


def _delete(connection: sqlite3.Connection, event_ids: Iterable[str]) -> int:
    count = 0
    for event_id in event_ids:
        count += connection.execute("DELETE FROM events WHERE id = ?", (event_id,)).rowcount
        connection.execute("DELETE FROM announcements WHERE event_id = ?", (event_id,))
    return count


def _packed(event: Event) -> str:
    return json.dumps({name: getattr(event, name) for name in _FIELDS}, separators=(",", ":"))


def _event(row: Sequence[Any]) -> Event:
    *columns, packed = row
    event_id, camera, rule, kind, start_s, end_s, seen_s, picture_bytes = columns
    more: dict[str, Any] = {
        name: tuple(value) if name in _TUPLES and value is not None else value
        for name, value in json.loads(packed).items()
        if name in _FIELDS
    }
    return Event(event_id, camera, rule, kind, start_s, end_s, seen_s, picture_bytes=picture_bytes, **more)
