"""The state file: opening it, bringing it up to date, reading and writing it.

SQLite in the data folder. All methods are synchronous and take one lock, so any thread may call them; they wait for the
disk, so a server calls them from an executor. Each write is synced.

An older layout is brought up to date when it is opened. What it was is kept first, as a backup of the state file:
``framecast restore`` of the older version brings it back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Self

from framecast.core.errors import ConfigError, Misuse, StateError
from framecast.service.store.migrations import MIGRATIONS
from framecast.service.store.names import FILE_NAME, KEPT, READY, RESTORING
from framecast.service.store.present import Present

__all__ = ["FILE_NAME", "Database"]

log = logging.getLogger("framecast.service.store.database")

_BUSY_TIMEOUT_S = 5.0
_HURRIED_TIMEOUT_S = 0.5


class Database:
    """The open file; use ``Database.open``."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._identity = _identity(path)
        self._failure = ""  # of the last write, until one succeeds
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """That in ``folder``, made if there is none: folder 0700, file 0600.

        Raises:
            ConfigError: It can't be read or written, is no such file, or was written by a newer Framecast.
        """
        path = folder / FILE_NAME
        _see_that_no_restore_is_half_done(folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made here, so that SQLite (whose side files take over the mode) never makes it readable to others.
            # One that came from elsewhere, unpacked or copied by hand, gets the mode too.
            with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "rb") as file:
                if hasattr(os, "fchmod") and os.fstat(file.fileno()).st_mode & 0o077:
                    with contextlib.suppress(PermissionError):  # it belongs to somebody else, who lets us
                        os.fchmod(file.fileno(), 0o600)
        except OSError as error:
            raise ConfigError(
                str(folder), "server.data", str(folder), f"a folder that can be written is needed ({error.strerror})"
            ) from None
        connection = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            _prepare(connection, path)
        except sqlite3.Error as error:
            connection.close()
            raise ConfigError(
                str(path),
                "server.data",
                str(folder),
                f"the state can't be used ({error}); move it away or name another folder",
            ) from None
        except ConfigError:
            connection.close()
            raise
        return cls(connection, path)

    @cached_property
    def present(self) -> Present:
        """By what time something that is kept here is old."""
        with self.read() as connection:
            return Present.read(connection)

    def close(self) -> None:
        """Let go of the file; nothing can be asked afterwards."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, for reading, while nobody else uses it."""
        with self._lock:
            yield self._connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """The connection within a transaction, which is kept when the block ends without an exception.

        Raises:
            StateError: It can't be kept.
        """
        with self._lock:
            try:
                with _transaction(self._connection):
                    yield self._connection
                self._failure = ""
            except sqlite3.Error as error:
                # What a value of the caller's breaks is no fault of the file's.
                if not isinstance(error, sqlite3.IntegrityError):
                    self._failure = str(error)
                raise StateError(f"the state can't be written: {error}") from error

    def hurry(self) -> None:
        """Wait less for others who write from now on: the server stops, and has not much time."""
        with self.read() as connection:
            connection.execute(f"PRAGMA busy_timeout = {_HURRIED_TIMEOUT_S * 1000:.0f}")

    def trouble(self) -> str:
        """Why nothing can be kept at the moment; empty when it can.

        The file is written to only where the last write failed, to see whether it would now; else next to it.
        """
        if _identity(self._path) != self._identity:
            return "the state file was taken away or replaced while it was in use; restart the server"
        try:
            with tempfile.TemporaryFile(dir=self._path.parent) as file:
                file.write(bytes(4096))
        except OSError as error:
            return f"the data folder can't be written ({error.strerror})"
        try:
            with self.write() as connection:
                if self._failure:
                    version = connection.execute("PRAGMA user_version").fetchone()[0]
                    connection.execute(f"PRAGMA user_version = {version}")
        except StateError as error:
            return str(error)
        return ""


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE: another process (the command line) may write too, and a lock taken late can't be waited for.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _see_that_no_restore_is_half_done(folder: Path) -> None:
    if (folder / RESTORING / READY).exists():
        raise ConfigError(
            str(folder),
            "server.data",
            str(folder),
            "a restore was interrupted here; give `framecast restore FILE` again, and it goes on",
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten, faces among it, is not left in free pages
    version = _version(connection, path)
    if version == len(MIGRATIONS):
        return
    with _transaction(connection):
        # Read again: another process may have done it in between.
        version = _version(connection, path)
        if 0 < version < len(MIGRATIONS):
            _keep(path, version)
        for migration in MIGRATIONS[version:]:
            for statement in migration.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _keep(path: Path, version: int) -> None:
    """Keep the state file as it is, for the way back; nothing is changed where that can't be done."""
    from framecast.service.store import backup  # seldom needed, and 10 ms to import

    kept = path.parent / KEPT / f"layout-{version}.zip"
    try:
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        backup.write(path.parent, kept, whole=False, replace=True)
    except (OSError, Misuse, StateError) as error:
        raise ConfigError(
            str(path),
            "server.data",
            str(path.parent),
            f"its layout is {version}, this Framecast needs {len(MIGRATIONS)}, and the copy for the way back can't be "
            f"made ({error}); make room, or name another folder",
        ) from None
    log.info("the state goes from layout %d to %d; what it was is kept in %s", version, len(MIGRATIONS), kept)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise ConfigError(
            str(path),
            "version",
            version,
            f"this Framecast knows versions up to {len(MIGRATIONS)}; update it, or name another data folder"
            + _way_back(path.parent),
        )
    return version


def _way_back(folder: Path) -> str:
    """What an upgrade kept for a version like this one, in words."""
    for layout in range(len(MIGRATIONS), 0, -1):
        kept = folder / KEPT / f"layout-{layout}.zip"
        if kept.exists():
            return f", or bring back what was there before the upgrade: framecast restore {shlex.quote(str(kept))}"
    return ""
