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
    """
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        folded TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        cameras TEXT,
        created_s REAL NOT NULL,
        password TEXT,
        last_used_s REAL,
        disabled_s REAL,
        invitation BLOB,
        invited_until_s REAL
    ) STRICT;
    ALTER TABLE sessions RENAME TO sessions_of_tokens;
    CREATE TABLE sessions (
        digest BLOB PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        token_id INTEGER REFERENCES tokens (id) ON DELETE CASCADE,
        account_id INTEGER REFERENCES accounts (id) ON DELETE CASCADE,
        created_s REAL NOT NULL,
        expires_s REAL NOT NULL,
        last_used_s REAL,
        address TEXT NOT NULL,
        agent TEXT NOT NULL,
        CHECK ((token_id IS NULL) <> (account_id IS NULL))
    ) STRICT;
    INSERT INTO sessions (digest, id, token_id, created_s, expires_s, address, agent)
        SELECT digest, lower(hex(randomblob(8))), token_id, expires_s - 2592000, expires_s, '', ''
        FROM sessions_of_tokens;
    DROP TABLE sessions_of_tokens;
    """,
    """
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time_s REAL NOT NULL,
        who TEXT NOT NULL,
        address TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT NOT NULL,
        detail TEXT NOT NULL,
        done INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_done ON audit (done, id);
    CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE zones (camera TEXT PRIMARY KEY, zones TEXT NOT NULL) STRICT;
    CREATE TABLE rules (id TEXT PRIMARY KEY, fields TEXT NOT NULL) STRICT;
    CREATE TABLE events (
        id TEXT PRIMARY KEY,
        camera TEXT NOT NULL,
        rule TEXT NOT NULL,
        kind TEXT NOT NULL,
        start_s REAL NOT NULL,
        end_s REAL,
        seen_s REAL NOT NULL,
        picture_bytes INTEGER NOT NULL,
        fields TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX events_by_camera ON events (camera, id);
    CREATE INDEX events_open ON events (id) WHERE end_s IS NULL;
    CREATE INDEX events_with_picture ON events (id, picture_bytes) WHERE picture_bytes > 0;
    CREATE TABLE event_names (
        name TEXT NOT NULL,
        event TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
        PRIMARY KEY (name, event)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX event_names_by_event ON event_names (event);
    CREATE TABLE announcements (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL,
        camera TEXT NOT NULL,
        phase TEXT NOT NULL,
        body TEXT NOT NULL,
        at_s REAL NOT NULL
    ) STRICT;
    CREATE INDEX announcements_by_event ON announcements (event_id);
    """,
    """
    CREATE TABLE deliveries (
        sink TEXT NOT NULL,
        seq INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_s REAL NOT NULL,
        error TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (sink, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deliveries_by_seq ON deliveries (seq);
    CREATE TABLE webhooks (
        id TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        secret TEXT NOT NULL,
        trusted INTEGER NOT NULL,
        created_s REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE push_subscriptions (
        id TEXT PRIMARY KEY,
        endpoint TEXT NOT NULL,
        p256dh BLOB NOT NULL,
        auth BLOB NOT NULL,
        holder TEXT NOT NULL,
        stamp TEXT NOT NULL,
        agent TEXT NOT NULL,
        created_s REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE people (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT,
        folded TEXT UNIQUE,
        created_s REAL NOT NULL,
        seen_s REAL,
        times INTEGER NOT NULL DEFAULT 0,
        camera TEXT NOT NULL DEFAULT '',
        CHECK ((name IS NULL) = (folded IS NULL))
    ) STRICT;
    CREATE TABLE face_photos (
        person INTEGER NOT NULL REFERENCES people (number) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        picture BLOB NOT NULL,
        PRIMARY KEY (person, number)
    ) STRICT;
    CREATE TABLE face_embeddings (
        person INTEGER NOT NULL,
        photo INTEGER NOT NULL,
        model TEXT NOT NULL,
        vector BLOB NOT NULL,
        PRIMARY KEY (person, photo, model),
        FOREIGN KEY (person, photo) REFERENCES face_photos (person, number) ON DELETE CASCADE ON UPDATE CASCADE
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE retained (
        camera TEXT NOT NULL,
        what TEXT NOT NULL,
        event TEXT NOT NULL,
        PRIMARY KEY (camera, what)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE INDEX events_by_kind ON events (kind, id);
    CREATE INDEX events_by_rule ON events (rule, id, kind);
    CREATE INDEX events_by_camera_and_kind ON events (camera, kind, id);
    CREATE INDEX events_by_camera_and_rule ON events (camera, rule, id, kind);
    ALTER TABLE event_names RENAME TO bare_event_names;
    CREATE TABLE event_names (
        name TEXT NOT NULL,
        event TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,
        rule TEXT NOT NULL,
        PRIMARY KEY (name, event)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO event_names (name, event, camera, kind, rule)
        SELECT name, event, camera, kind, rule FROM bare_event_names JOIN events ON id = event;
    DROP TABLE bare_event_names;
    CREATE INDEX event_names_by_event ON event_names (event);
    CREATE INDEX event_names_by_camera ON event_names (name, camera, event, kind, rule);
    """,
    """
    CREATE TABLE former_cameras (camera TEXT PRIMARY KEY, before TEXT NOT NULL) STRICT;
    """,
    """
    ALTER TABLE cameras ADD COLUMN masks_rotate INTEGER;
    ALTER TABLE cameras ADD COLUMN masks_mirror TEXT;
    ALTER TABLE zones ADD COLUMN rotate INTEGER;
    ALTER TABLE zones ADD COLUMN mirror TEXT;
    """,
    """
    CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), known_s REAL NOT NULL, ahead_s REAL NOT NULL) STRICT;
    INSERT INTO clock (one, known_s, ahead_s) SELECT 1, MAX(known_s), 0 FROM (
        SELECT MAX(minute) * 60.0 AS known_s FROM history UNION ALL SELECT MAX(start_s) FROM events
    ) HAVING MAX(known_s) NOT NULL;
    """,
    """
    ALTER TABLE former_cameras ADD COLUMN minute INTEGER NOT NULL DEFAULT 0;
    UPDATE former_cameras SET minute = CAST(strftime('%s', 'now') AS INTEGER) / 60 + 1;
    """,
)
