"""Which events an MQTT server still holds something of, in the state file: what is deleted here is taken back there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping

from framecast.service.store.database import Database

IMAGE = "image"
EVENT = "event"
MASKED = "masked"
SHOWN = "shown"
PLACES = "places"

Place = tuple[str, str]
"""How topics begin: of what holds, and of what Home Assistant reads."""


class Retained:
    """What is held there of each camera: `IMAGE`, a picture, and `EVENT`, an announcement. Blocking.

    Beside these, as `MASKED`, the id that an event has at least whose picture may be sent, and as `SHOWN`, how the
    camera's pictures were turned and masked when that was settled. Whoever finds them turned or masked otherwise when
    the server starts (it was killed between a mask and its mark, or a file was changed meanwhile) settles it anew.
    And of no camera, as `PLACES`, where all that is held may be: configurations change.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, place: Place) -> list[Place]:
        """Something is about to be held here; the other places, where something may be held still.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            places = _places(connection)
            if place not in places:
                _put(connection, "", PLACES, json.dumps([*places, place]))
        return [each for each in places if each != place]

    def left(self, place: Place) -> None:
        """Nothing is held there any more.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            _put(connection, "", PLACES, json.dumps([each for each in _places(connection) if each != place]))

    def cameras(self) -> list[str]:
        """All cameras of which something was ever told."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT DISTINCT camera FROM retained WHERE camera <> ''").fetchall()
        return [camera for (camera,) in rows]

    def note(self, camera: str, what: str, event_id: str) -> None:
        """This is about to be held of an event, in place of another's.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO retained (camera, what, event) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET event = excluded.event WHERE event <> excluded.event",
                (camera, what, event_id),
            )

    def forget_picture(self, camera: str, since: str, shown: str) -> None:
        """The picture of a camera is to be taken back, and none of events before this id is to be sent.

        Args:
            shown: How its pictures are turned and masked from now on.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            _forget(connection, camera, since, shown)

    def begin(self, camera: str, shown: str) -> None:
        """A camera is new, and its pictures are turned and masked so.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            _put(connection, camera, SHOWN, shown)

    def compare(self, shown: Mapping[str, str], since: str) -> list[str]:
        """Have the pictures of those cameras taken back that are turned or masked otherwise than was settled.

        Args:
            shown: How the pictures of each camera are turned and masked.
            since: None of events before this id is to be sent of these.

        Returns:
            Their ids.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.read() as connection:
            known = dict(connection.execute("SELECT camera, event FROM retained WHERE what = ?", (SHOWN,)).fetchall())
        if all(known.get(camera) == how for camera, how in shown.items()):
            return []
        others = [camera for camera, how in shown.items() if known.get(camera, how) != how]
        with self._database.write() as connection:
            for camera, how in shown.items():
                _put(connection, camera, SHOWN, how)
            for camera in others:
                # The clock may be behind what it was when they were dated.
                (newest,) = connection.execute("SELECT MAX(id) FROM events WHERE camera = ?", (camera,)).fetchone()
                _forget(connection, camera, max(since, f"{newest}~") if newest else since, shown[camera])
        return others

    def unsendable(self) -> frozenset[str]:
        """Events of which something may still be told, and whose pictures may be of a time before a mask was set."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id FROM events JOIN retained ON retained.camera = events.camera AND what = ? AND id < event"
                " WHERE id IN (SELECT event_id FROM deliveries JOIN announcements USING (seq)"
                " UNION SELECT id FROM events WHERE end_s IS NULL)",
                (MASKED,),
            ).fetchall()
        return frozenset(event_id for (event_id,) in rows)

    def lost(self, cameras: Collection[str]) -> list[tuple[str, str]]:
        """Camera and kind of all that is held of what is no more: events, pictures, cameras but for these."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT retained.camera, what, events.id IS NULL OR (what = ? AND picture_bytes = 0)"
                " FROM retained LEFT JOIN events ON events.id = retained.event"
                " WHERE what IN (?, ?) ORDER BY retained.camera, what",
                (IMAGE, IMAGE, EVENT),
            ).fetchall()
        return [(camera, what) for camera, what, is_lost in rows if is_lost or camera not in cameras]

    def deleted(self, event_ids: Iterable[str]) -> list[str]:
        """Those of these events that are no more."""
        known = "SELECT 1 FROM events WHERE id = ?"
        with self._database.read() as connection:
            return [each for each in event_ids if connection.execute(known, (each,)).fetchone() is None]

    def taken_back(self, camera: str, what: str) -> None:
        """This is held no more.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            connection.execute("DELETE FROM retained WHERE camera = ? AND what = ?", (camera, what))


def _forget(connection: sqlite3.Connection, camera: str, since: str, shown: str) -> None:
    connection.execute("UPDATE retained SET event = '' WHERE camera = ? AND what = ?", (camera, IMAGE))
    _put(connection, camera, MASKED, since)
    _put(connection, camera, SHOWN, shown)


def _places(connection: sqlite3.Connection) -> list[Place]:
    row = connection.execute("SELECT event FROM retained WHERE camera = '' AND what = ?", (PLACES,)).fetchone()
    return [] if row is None else [(prefix, discovery) for prefix, discovery in json.loads(row[0])]


def _put(connection: sqlite3.Connection, camera: str, what: str, text: str) -> None:
    connection.execute(
        "INSERT INTO retained (camera, what, event) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET event = excluded.event",
        (camera, what, text),
    )
