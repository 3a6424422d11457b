"""Keys of this server's own, made when they are first needed."""

from __future__ import annotations

import secrets

from framecast.service.store.database import Database

SIZE_BYTES = 32
LINKS = "links"


def get(database: Database, name: str) -> bytes:
    """The key of this name, the same ever after; whoever may read the state file may know it."""
    with database.read() as connection:
        known = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
    if known is not None:
        return bytes(known[0])
    with database.write() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", (name, secrets.token_bytes(SIZE_BYTES))
        )
        (value,) = connection.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
    return bytes(value)
