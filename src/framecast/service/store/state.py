"""What outlives a restart: changes by the API, credentials, frame ids.

One SQLite file in the data folder. All methods are synchronous and take one lock, so any thread may call them; they
wait for the disk, so a server calls them from an executor. Writes are rare (frame ids are reserved in blocks), hence
each is synced: after a power cut a token that was shown exists, and no frame id is used twice.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from framecast.core.clock import SYSTEM
from framecast.service.config.models import CameraConfig
from framecast.service.config.sources import Changes
from framecast.service.config.view import View
from framecast.service.store import former
from framecast.service.store.credentials import Credentials
from framecast.service.store.database import Database

FRAME_ID_BLOCK = 10_000


class State:
    """The open state file; use ``State.open``.

    Attributes:
        database: The file, for those who keep tables of their own in it.
        credentials: Accounts, tokens and sessions.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.credentials = Credentials(database)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The state in ``folder``, made if there is none: folder 0700, file 0600.

        Raises:
            ConfigError: It can't be read or written, is no such file, or was written by a newer Framecast.
        """
        return cls(Database.open(folder))

    def close(self) -> None:
        """Let go of the file; nothing can be asked afterwards."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Cameras and settings

    def changes(self) -> Changes:
        """All that the API changed."""
        with self.database.read() as connection:
            settings = connection.execute("SELECT key, value FROM settings").fetchall()
            cameras = connection.execute("SELECT id, fields, trusted FROM cameras ORDER BY rowid").fetchall()
            views = connection.execute(
                "SELECT id, masks_rotate, masks_mirror FROM cameras"
                " WHERE masks_rotate NOT NULL AND masks_mirror NOT NULL"
            ).fetchall()
            removed = connection.execute("SELECT id FROM removed").fetchall()
        return Changes(
            settings={key: json.loads(value) for key, value in settings},
            cameras={camera_id: json.loads(fields) for camera_id, fields, _ in cameras},
            removed=frozenset(camera_id for (camera_id,) in removed),
            trusted=frozenset(camera_id for camera_id, _, trusted in cameras if trusted),
            views={camera_id: (rotate, mirror) for camera_id, rotate, mirror in views},
        )

    def save_camera(
        self,
        camera_id: str,
        fields: Mapping[str, Any],
        *,
        trusted: bool = False,
        view: tuple[int, str] | None = None,
        new: bool = False,
    ) -> None:
        """Keep these fields of a camera besides those kept before; None takes a field back to its default.

        Args:
            trusted: Whether the operator gave them on this machine, so that the URL may point anywhere.
            view: How its picture is turned and mirrored then: it is kept with its masks, where they are among these.
            new: Whether it is another camera than the one of its id that was there before: nothing is left of that.
        """
        with self.database.write() as connection:
            if new:  # one that left the configuration file has left its changes here
                _forget_camera(connection, camera_id)
            row = connection.execute("SELECT fields FROM cameras WHERE id = ?", (camera_id,)).fetchone()
            merged = {**(json.loads(row[0]) if row else {}), **fields}
            text = json.dumps({name: value for name, value in merged.items() if value is not None})
            connection.execute(
                "INSERT INTO cameras (id, fields) VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET fields = excluded.fields",
                (camera_id, text),
            )
            if "url" in fields:
                connection.execute("UPDATE cameras SET trusted = ? WHERE id = ?", (trusted, camera_id))
            if "masks" in fields:
                drawn_in = (None, None) if view is None or fields["masks"] is None else view
                connection.execute(
                    "UPDATE cameras SET masks_rotate = ?, masks_mirror = ? WHERE id = ?", (*drawn_in, camera_id)
                )

    def date_masks(self, cameras: Mapping[str, CameraConfig]) -> None:
        """Keep with masks that an older version kept without it how these cameras' pictures are turned and mirrored."""
        changes = self.changes()
        undated = [
            (*View.of(config), camera_id)
            for camera_id, config in cameras.items()
            if "masks" in changes.cameras.get(camera_id, ()) and camera_id not in changes.views
        ]
        if undated:
            with self.database.write() as connection:
                connection.executemany("UPDATE cameras SET masks_rotate = ?, masks_mirror = ? WHERE id = ?", undated)

    def delete_camera(self, camera_id: str, *, configured: bool) -> former.End:
        """Forget what was changed about a camera, and what was drawn on its picture; what happened before it is over.

        What is returned is kept, and tells it from the next camera of its id (see ``store.former``).

        Args:
            configured: Whether it also stands in the configuration file, from where it must stay away.
        """
        now_s = time.time()
        old_s = self.database.present.of(now_s)
        with self.database.write() as connection:
            _forget_camera(connection, camera_id)
            end = former.end(connection, camera_id, SYSTEM.now_ns() / 1e9, now_s)  # as events are dated, and minutes
            forgotten = former.forget(connection, old_s)
            if configured:
                connection.execute("INSERT OR IGNORE INTO removed (id) VALUES (?)", (camera_id,))
        return end._replace(forgotten=forgotten)

    def save_settings(self, values: Mapping[str, Any]) -> None:
        """Keep these settings, by dotted key; None forgets a change."""
        with self.database.write() as connection:
            for key, value in values.items():
                if value is None:
                    connection.execute("DELETE FROM settings WHERE key = ?", (key,))
                else:
                    connection.execute(
                        "INSERT INTO settings (key, value) VALUES (?, ?)"
                        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                        (key, json.dumps(value)),
                    )

    # Frame ids

    def reserve_frame_ids(self, camera_id: str, count: int = FRAME_ID_BLOCK) -> int:
        """The first of ``count`` frame ids of this camera that nobody gets again, over restarts and crashes too.

        Ids start at 1. What is left of a block when the server ends is lost. A camera that was removed and comes back
        goes on where it was.
        """
        with self.database.write() as connection:
            row = connection.execute("SELECT next FROM frame_ids WHERE camera = ?", (camera_id,)).fetchone()
            start = int(row[0]) if row else 1
            connection.execute(
                "INSERT INTO frame_ids (camera, next) VALUES (?, ?)"
                " ON CONFLICT (camera) DO UPDATE SET next = excluded.next",
                (camera_id, start + count),
            )
        return start


def _forget_camera(connection: sqlite3.Connection, camera_id: str) -> None:
    connection.execute("DELETE FROM cameras WHERE id = ?", (camera_id,))
    connection.execute("DELETE FROM zones WHERE camera = ?", (camera_id,))
