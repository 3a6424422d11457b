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
    """
    CREATE TABLE history (
        camera TEXT NOT NULL,
        minute INTEGER NOT NULL,
        seconds REAL NOT NULL,
        awake_s REAL NOT NULL,
        live_s REAL NOT NULL,
        frames INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        sent_bytes INTEGER NOT NULL,
        drops INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        reconnects INTEGER NOT NULL,
        viewer_s REAL NOT NULL,
        most_viewers INTEGER NOT NULL,
        passes INTEGER NOT NULL,
        p50_ms REAL NOT NULL,
        p95_ms REAL NOT NULL,
        p99_ms REAL NOT NULL,
        PRIMARY KEY (camera, minute)
    ) STRICT, WITHOUT ROWID;
    """,
)
