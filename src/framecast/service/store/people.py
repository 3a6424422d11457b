"""The people whom cameras know by their faces, and the faces that nobody has named yet: one row each, with photos.

An unknown face is a person without a name; naming it makes it one. Of each photo the face and what is round it is kept,
and what it looks like to each model that was used. All of it goes with the person.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from sqlite3 import Connection

from framecast.core.clock import SYSTEM
from framecast.service.store.database import Database
from framecast.vision.faces.people import Likeness, Sample, Stranger

MOST_UNKNOWN = 200
UNKNOWN_KEPT_S = 30 * 86_400.0
"""So long an unknown face is remembered that is not seen again."""


@dataclass(frozen=True, slots=True)
class Person:
    """One who is known, or a face that nobody has named.

    Attributes:
        number: For good.
        name: Empty of an unknown face.
        created_s: Unix seconds.
        seen_s: When it was seen last, Unix seconds; None for never.
        times: How often it was seen.
        camera: Id of the one that saw it last; empty for none.
        photos: Numbers of the photos.
    """

    number: int
    name: str
    created_s: float
    seen_s: float | None
    times: int
    camera: str
    photos: tuple[int, ...]


class PeopleStore:
    """The rows. Blocking, like all that is kept in the state file.

    Args:
        database: The state file.
        now_s: Unix time as people have it.
    """

    def __init__(self, database: Database, now_s: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now_s = now_s

    def people(self) -> list[Person]:
        """All, named or not, by their numbers."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT number, name, created_s, seen_s, times, camera FROM people ORDER BY number"
            ).fetchall()
            photos: dict[int, list[int]] = {}
            for person, number in connection.execute("SELECT person, number FROM face_photos ORDER BY person, number"):
                photos.setdefault(person, []).append(number)
        return [
            Person(number, name or "", created_s, seen_s, times, camera, tuple(photos.get(number, ())))
            for number, name, created_s, seen_s, times, camera in rows
        ]

    def likenesses(self) -> tuple[Likeness, ...]:
        """What all photos look like."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT person, model, vector, photo FROM face_embeddings").fetchall()
        return tuple(Likeness(person, model, bytes(vector), photo) for person, model, vector, photo in rows)

    def next_number(self) -> int:
        """The first number that nobody ever had."""
        with self._database.read() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'people'").fetchone()
        return int(row[0]) + 1 if row else 1

    def add(self, name: str, folded: str, number: int | None = None) -> int:
        """Keep a person; returns the number.

        Raises:
            StateError: The name is taken, or it can't be kept.
        """
        with self._database.write() as connection:
            row = connection.execute(
                "INSERT INTO people (number, name, folded, created_s) VALUES (?, ?, ?, ?) RETURNING number",
                (number, name, folded, self._now_s()),
            ).fetchone()
        return int(row[0])

    def rename(self, number: int, name: str, folded: str) -> bool:
        """Give a person, or an unknown face, a name; False when there is none."""
        with self._database.write() as connection:
            done = connection.execute(
                "UPDATE people SET name = ?, folded = ? WHERE number = ?", (name, folded, number)
            ).rowcount
        return bool(done)

    def merge(self, source: int, target: int, most: int) -> None:
        """Make the photos of one those of another, as far as there is room, and forget the first."""
        with self._database.write() as connection:
            (count, last) = connection.execute(
                "SELECT count(*), coalesce(max(number), 0) FROM face_photos WHERE person = ?", (target,)
            ).fetchone()
            rows = connection.execute(
                "SELECT number FROM face_photos WHERE person = ? ORDER BY number LIMIT ?",
                (source, max(0, most - count)),
            ).fetchall()
            for place, (number,) in enumerate(rows, last + 1):
                # The embeddings follow.
                connection.execute(
                    "UPDATE face_photos SET person = ?, number = ? WHERE person = ? AND number = ?",
                    (target, place, source, number),
                )
            connection.execute("DELETE FROM people WHERE number = ?", (source,))

    def forget(self, number: int) -> bool:
        """Forget somebody with all photos; False when there is nobody."""
        with self._database.write() as connection:
            done = connection.execute("DELETE FROM people WHERE number = ?", (number,)).rowcount
        self._wipe()
        return bool(done)

    # Photos

    def add_photo(self, person: int, sample: Sample) -> int:
        """Keep a photo; returns its number among those of the person.

        Raises:
            StateError: There is no such person, or it can't be kept.
        """
        with self._database.write() as connection:
            (last,) = connection.execute(
                "SELECT coalesce(max(number), 0) FROM face_photos WHERE person = ?", (person,)
            ).fetchone()
            _keep_photo(connection, person, last + 1, sample)
            return int(last) + 1

    def photo(self, person: int, number: int) -> bytes | None:
        """A photo's JPEG."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT picture FROM face_photos WHERE person = ? AND number = ?", (person, number)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def drop_photo(self, person: int, number: int) -> bool:
        """Forget a photo; False when there is none."""
        with self._database.write() as connection:
            done = connection.execute(
                "DELETE FROM face_photos WHERE person = ? AND number = ?", (person, number)
            ).rowcount
        self._wipe()
        return bool(done)

    def _wipe(self) -> None:
        """What was deleted is gone from the file's log, too; later, where another process reads just now."""
        with self._database.read() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def photos_unlike(self, model: str) -> list[tuple[int, int]]:
        """Photos of which is not known what they look like to ``model``: person and number."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT person, number FROM face_photos WHERE NOT EXISTS (SELECT 1 FROM face_embeddings e"
                " WHERE e.person = face_photos.person AND e.photo = face_photos.number AND e.model = ?)",
                (model,),
            ).fetchall()
        return [(person, number) for person, number in rows]

    def add_likeness(self, person: int, photo: int, model: str, vector: bytes) -> None:
        """Keep what a photo looks like; nothing when the photo is gone by now."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO face_embeddings (person, photo, model, vector)"
                " SELECT person, number, ?, ? FROM face_photos WHERE person = ? AND number = ?",
                (model, vector, person, photo),
            )

    # What the cameras saw

    def keep_news(
        self, strangers: Iterable[Stranger], dropped: Iterable[int], seen: Mapping[int, tuple[int, str]]
    ) -> None:
        """Keep new unknown faces and when everybody was seen, and forget the oldest unknown ones."""
        now_s = self._now_s()
        # A machine that learns the time late must not take whom it just saw for long gone.
        kept_since_s = min(self._database.present.of(now_s), SYSTEM.now_ns() / 1e9) - UNKNOWN_KEPT_S
        with self._database.write() as connection:
            for each in strangers:
                connection.execute(
                    "INSERT OR IGNORE INTO people (number, created_s, seen_s, camera) VALUES (?, ?, ?, ?)",
                    (each.number, now_s, now_s, each.camera),
                )
                for number, sample in enumerate(each.samples, 1):
                    _keep_photo(connection, each.number, number, sample)
            for number, (times, camera) in seen.items():
                connection.execute(
                    "UPDATE people SET seen_s = ?, times = times + ?, camera = ? WHERE number = ?",
                    (now_s, times, camera, number),
                )
            connection.executemany(
                "DELETE FROM people WHERE number = ? AND name IS NULL", [(number,) for number in dropped]
            )
            connection.execute(
                "DELETE FROM people WHERE name IS NULL AND (seen_s < ? OR number IN (SELECT number FROM people"
                " WHERE name IS NULL ORDER BY seen_s DESC, number DESC LIMIT -1 OFFSET ?))",
                (kept_since_s, MOST_UNKNOWN),
            )


def _keep_photo(connection: Connection, person: int, number: int, sample: Sample) -> None:
    connection.execute(
        "INSERT INTO face_photos (person, number, picture) VALUES (?, ?, ?)", (person, number, sample.picture)
    )
    connection.execute(
        "INSERT INTO face_embeddings (person, photo, model, vector) VALUES (?, ?, ?, ?)",
        (person, number, sample.model, sample.vector),
    )
