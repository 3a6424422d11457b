"""What lies in the data folder beside what others keep there."""

from __future__ import annotations

FILE_NAME = "framecast.db"
SIDE_FILES = (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", f"{FILE_NAME}-journal")
"""SQLite's own, without which the file beside them would be another one."""
KEPT = "before"
"""Folder for what was there before an upgrade or a restore. Backups leave it out, and restores leave it alone."""
RESTORING = ".restoring"
"""Folder of a restore on its way."""
READY = "ready.json"
"""In there from when old things begin to make way for new ones until all have."""
NOT_OURS = frozenset({KEPT, RESTORING, "control.sock", "lost+found"})
"""Of the folder itself and no part of what it holds."""
