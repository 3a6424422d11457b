"""What outlives a restart: changes by the API, tokens, sessions, frame ids.

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

from framecast.core.errors import Misuse
from framecast.service.access import tokens
from framecast.service.access.rights import Right
from framecast.service.access.tokens import Session, Token
from framecast.service.config.sources import Changes
from framecast.service.store.database import Database

FRAME_ID_BLOCK = 10_000


class State:
    """The open state file; use ``State.open``.

    Attributes:
        database: The file, for those who keep tables of their own in it.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

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
            removed = connection.execute("SELECT id FROM removed").fetchall()
        return Changes(
            settings={key: json.loads(value) for key, value in settings},
            cameras={camera_id: json.loads(fields) for camera_id, fields, _ in cameras},
            removed=frozenset(camera_id for (camera_id,) in removed),
            trusted=frozenset(camera_id for camera_id, _, trusted in cameras if trusted),
        )

    def save_camera(self, camera_id: str, fields: Mapping[str, Any], *, trusted: bool = False) -> None:
        """Keep these fields of a camera besides those kept before; None takes a field back to its default.

        Args:
            trusted: Whether the operator gave them on this machine, so that the URL may point anywhere.
        """
        with self.database.write() as connection:
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

    def delete_camera(self, camera_id: str, *, configured: bool) -> None:
        """Forget what was changed about a camera.

        Args:
            configured: Whether it also stands in the configuration file, from where it must stay away.
        """
        with self.database.write() as connection:
            connection.execute("DELETE FROM cameras WHERE id = ?", (camera_id,))
            if configured:
                connection.execute("INSERT OR IGNORE INTO removed (id) VALUES (?)", (camera_id,))

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

    # Tokens and sessions

    def tokens(self) -> list[Token]:
        """Every token, revoked ones too, the oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(
                "SELECT id, name, digest, rights, cameras, created_s, last_used_s, revoked_s FROM tokens ORDER BY id"
            ).fetchall()
        return [_token(row) for row in rows]

    def create_token(
        self, name: str, rights: frozenset[Right], cameras: frozenset[str] | None = None, *, now_s: float | None = None
    ) -> tuple[Token, str]:
        """A new token, and its secret, which can't be found out later; raises Misuse when the name is taken."""
        secret = tokens.new_secret()
        created_s = time.time() if now_s is None else now_s
        with self.database.write() as connection:
            try:
                cursor = connection.execute(
                    "INSERT INTO tokens (name, digest, rights, cameras, created_s) VALUES (?, ?, ?, ?, ?)",
                    (
                        name,
                        tokens.digest(secret),
                        " ".join(sorted(rights)),
                        None if cameras is None else " ".join(sorted(cameras)),
                        created_s,
                    ),
                )
            except sqlite3.IntegrityError:
                raise Misuse(
                    f"there is a token named {name} already; revoke and forget it, or take another name"
                ) from None
        return Token(cursor.lastrowid or 0, name, tokens.digest(secret), rights, cameras, created_s), secret

    def revoke_token(self, name: str, *, now_s: float | None = None) -> bool:
        """Make a token useless at once, and end its sessions; False when there is none of this name."""
        revoked_s = time.time() if now_s is None else now_s
        with self.database.write() as connection:
            cursor = connection.execute(
                "UPDATE tokens SET revoked_s = COALESCE(revoked_s, ?) WHERE name = ?", (revoked_s, name)
            )
            connection.execute("DELETE FROM sessions WHERE token_id IN (SELECT id FROM tokens WHERE name = ?)", (name,))
            return cursor.rowcount > 0

    def forget_token(self, name: str) -> bool:
        """Remove a token from the list; without any token left, a server on loopback is open again."""
        with self.database.write() as connection:
            return connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount > 0

    def touch_tokens(self, uses: Mapping[int, float]) -> None:
        """Keep when tokens were last used: token id to Unix seconds."""
        with self.database.write() as connection:
            connection.executemany(
                "UPDATE tokens SET last_used_s = ? WHERE id = ?",
                [(used_s, token_id) for token_id, used_s in uses.items()],
            )

    def sessions(self, *, now_s: float | None = None) -> list[Session]:
        """Sessions that haven't ended; those that have are removed."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE expires_s <= ?", (time.time() if now_s is None else now_s,))
            rows = connection.execute("SELECT digest, token_id, expires_s FROM sessions").fetchall()
        return [Session(bytes(row[0]), row[1], row[2]) for row in rows]

    def create_session(self, token_id: int, *, now_s: float | None = None) -> tuple[Session, str]:
        """A new session for a token, and the value of its cookie; the oldest ends where there are too many."""
        session_id = tokens.new_session_id()
        start_s = time.time() if now_s is None else now_s
        session = Session(tokens.digest(session_id), token_id, start_s + tokens.SESSION_LIFE_S)
        with self.database.write() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE token_id = ?1 AND digest NOT IN"
                " (SELECT digest FROM sessions WHERE token_id = ?1 ORDER BY expires_s DESC LIMIT ?2)",
                (token_id, tokens.MOST_SESSIONS - 1),
            )
            connection.execute(
                "INSERT INTO sessions (digest, token_id, expires_s) VALUES (?, ?, ?)",
                (session.digest, session.token_id, session.expires_s),
            )
        return session, session_id

    def delete_session(self, digest: bytes) -> None:
        """End a session, given what ``Keyring.drop_session`` returned."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE digest = ?", (digest,))


def _token(row: tuple[Any, ...]) -> Token:
    token_id, name, digest, rights, cameras, created_s, last_used_s, revoked_s = row
    return Token(
        id=token_id,
        name=name,
        digest=bytes(digest),
        rights=frozenset(Right(word) for word in rights.split()),
        cameras=None if cameras is None else frozenset(cameras.split()),
        created_s=created_s,
        last_used_s=last_used_s,
        revoked_s=revoked_s,
    )
