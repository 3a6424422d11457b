"""Which events an MQTT server still holds something of, in the state file: what is deleted here is taken back there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from framecast.service.store.database import Database

IMAGE = "image"
EVENT = "event"
MASKED = "masked"


class Retained:
    """What is held there of each camera: `IMAGE`, a picture, and `EVENT`, an announcement. Blocking.

    Beside these, as `MASKED`, the id that an event has at least whose picture may be sent.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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

    def forget_picture(self, camera: str, since: str) -> None:
        """The picture of a camera is to be taken back, and none of events before this id is to be sent.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            connection.execute("UPDATE retained SET event = '' WHERE camera = ? AND what = ?", (camera, IMAGE))
            connection.execute(
                "INSERT INTO retained (camera, what, event) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET event = excluded.event",
                (camera, MASKED, since),
            )

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
                " WHERE what <> ? ORDER BY retained.camera, what",
                (IMAGE, MASKED),
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
