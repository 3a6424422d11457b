"""The state file's layout, step by step.

Each entry brings the file from version index to index + 1; what was released is never edited.
"""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE cameras (id TEXT PRIMARY KEY, fields TEXT NOT NULL) STRICT;
    CREATE TABLE removed (id TEXT PRIMARY KEY) STRICT;
    CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        digest BLOB NOT NULL UNIQUE,
        rights TEXT NOT NULL,
        cameras TEXT,
        created_s REAL NOT NULL,
        last_used_s REAL,
        revoked_s REAL
    ) STRICT;
    CREATE TABLE sessions (
        digest BLOB PRIMARY KEY,
        token_id INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
        expires_s REAL NOT NULL
    ) STRICT;
    CREATE TABLE frame_ids (camera TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT;
    """,
    "ALTER TABLE cameras ADD COLUMN trusted INTEGER NOT NULL DEFAULT 0",
)
