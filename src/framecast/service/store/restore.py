"""Bringing a backup back.

Theory of operation. The folder itself may be a mount point or belong to somebody else's folder, so it is never renamed;
what is in it is. First everything is unpacked into ``.restoring/new`` and checked whole, the state file by SQLite too.
Then ``.restoring/ready.json`` is written, and with that it is decided: what is there moves to ``before/restore-TIME``,
what is new into its place. Each move is one rename, and which were made can be seen, so that who is interrupted goes on
where it was (``finish``). No state is opened between (``Database.open`` refuses).

Frame ids must not be given twice, and the backup does not know those given after it was made. So they go on at what a
camera can have had since, at the most.

Root restores into a folder that others write to. So folders on the way are opened once, through no link, and from then
on spoken of by what is open: nothing put in their places meanwhile leads a move out of the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framecast.core.errors import Misuse, StateError
from framecast.service.store import backup
from framecast.service.store.backup import Contents
from framecast.service.store.migrations import MIGRATIONS
from framecast.service.store.names import FILE_NAME, KEPT, NOT_OURS, READY, RESTORING, SIDE_FILES

IDS_PER_S = 1000
"""More than any camera's pictures a second."""
_SPARE_BYTES = 16 << 20
_JSON = {
    ("cameras", "fields"): dict,
    ("settings", "value"): object,
    ("rules", "fields"): dict,
    ("zones", "zones"): list,
}
_OPEN = Path("/proc/self/fd")
_KEPT_NAME = re.compile(r"restore-\d{8}-\d{6}(?:-\d{1,4})?")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back.

    Attributes:
        contents: Of the backup.
        kept: Where what was there before lies now; None when there was nothing.
    """

    contents: Contents
    kept: Path | None


def restore(file: Path, folder: Path, *, now_s: float | None = None) -> Restored:
    """Bring a backup back into a data folder with which no server runs; what was there is kept beside it.

    Nothing in the folder is touched before all of the backup has been read and found good.

    Raises:
        Misuse: The backup is damaged, or newer than this Framecast.
        StateError: The folder can't be written, or has no room.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _pinned(folder, follow=True) as here:
            _see_that_nothing_leads_away(here, folder)
            _finish(here, folder)
            with backup.opened(file) as (archive, contents):
                _see_that_it_fits(file, folder, contents)
                is_ready = False
                try:
                    shutil.rmtree(here / RESTORING, ignore_errors=True)
                    (here / RESTORING).mkdir(mode=0o700)
                    with _pinned(here / RESTORING) as stage:
                        is_ready = _prepare(here, stage, archive, contents, time.time() if now_s is None else now_s)
                finally:
                    if not is_ready:
                        shutil.rmtree(here / RESTORING, ignore_errors=True)
            kept = _finish(here, folder)
        return Restored(contents, kept)
    except OSError as error:
        raise StateError(f"the backup can't be brought back: {error}") from error


def verify(file: Path) -> Contents:
    """Read a backup as a whole and bring nothing back; raises Misuse when it is damaged or newer than we are."""
    with backup.opened(file) as (archive, contents):
        _see_that_we_know_it(file, contents)
        backup.check(archive, contents)
    return contents


def _see_that_we_know_it(file: Path, contents: Contents) -> None:
    if contents.layout > len(MIGRATIONS):
        raise Misuse(
            f"{file} was made by Framecast {contents.framecast} (layout {contents.layout}), "
            f"and this one knows layouts up to {len(MIGRATIONS)}; update it first"
        )


def _see_that_it_fits(file: Path, folder: Path, contents: Contents) -> None:
    _see_that_we_know_it(file, contents)
    free = shutil.disk_usage(folder).free
    if contents.size_bytes + _SPARE_BYTES > free:
        raise StateError(
            f"the backup needs {contents.size_bytes / 2**20:.0f} MiB, and {folder} has room for {free / 2**20:.0f}"
        )
    for mount in mounts_below(folder.resolve()) if contents.whole else ():
        raise StateError(f"{mount} is mounted there and can't be moved aside; unmount it first")


def mounts_below(folder: Path) -> list[Path]:
    """Folders, and single files, that are mounted below this one; empty where the system doesn't say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    # The fifth field; spaces and the like are octal in it. See proc(5).
    places = [re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split(" ")[4]) for line in lines]
    return [Path(place) for place in places if folder in Path(place).parents]


@contextlib.contextmanager
def _pinned(path: Path, shown: Path | None = None, *, follow: bool = False) -> Iterator[Path]:
    """A folder by a way to it that stays, whatever takes its place; ``path`` itself where the system has none.

    Args:
        shown: What to call it in messages.
        follow: Whether a link may lead to it.

    Raises:
        StateError: It is no folder.
    """
    if not hasattr(os, "O_DIRECTORY") or not _OPEN.is_dir():
        yield path
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if follow else os.O_NOFOLLOW))
    except (NotADirectoryError, FileNotFoundError):  # a link is none, either
        raise StateError(f"{shown or path} is no folder; take it away first") from None
    try:
        yield _OPEN / str(descriptor)
    finally:
        os.close(descriptor)


def _see_that_nothing_leads_away(here: Path, folder: Path) -> None:
    """The plain look, before anything is begun."""
    for name in (KEPT, RESTORING, f"{RESTORING}/new"):
        path = here / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise StateError(f"{folder / name} is no folder; take it away first")


def _plan(file: Path) -> dict[str, Any]:
    """What was decided; raises StateError where `_decide` has not written it."""
    try:
        plan = json.loads(file.read_text())
        if set(plan) == {"names", "whole", "kept"} and _KEPT_NAME.fullmatch(plan["kept"]):
            return dict(plan)
    except (ValueError, TypeError):
        pass
    raise StateError(f"{file} was not written by a restore; take {file.parent} away first")


def _prepare(here: Path, stage: Path, archive: zipfile.ZipFile, contents: Contents, now_s: float) -> bool:
    """Have all that is new beside the old, and decide for it; True, since there is no way back then."""
    (stage / "new").mkdir(mode=0o700)
    with _pinned(stage / "new") as new:
        backup.unpack(archive, contents, new)
        _check_state(new / FILE_NAME, contents, now_s)
        backup.sync(new)
    _belongs_to_owner_of(here, stage)
    _decide(here, stage, contents)
    return True


def _check_state(path: Path, contents: Contents, now_s: float) -> None:
    """Let SQLite look at every page, and let frame ids go on where none was given."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
            layout = connection.execute("PRAGMA user_version").fetchone()[0]
            if said != "ok" or layout != contents.layout:
                raise Misuse(f"the backup is damaged: its {FILE_NAME} is no good ({said}); nothing was changed")
            if layout < 0 or _shape(connection) != _shape_of(layout):
                raise Misuse(f"the backup is damaged: its {FILE_NAME} has other tables than ours; nothing was changed")
            if not _is_json(connection):
                raise Misuse(f"the backup is damaged: its {FILE_NAME} has text that is no JSON; nothing was changed")
            passed_s = max(now_s - contents.made_s, 0)
            connection.execute("UPDATE frame_ids SET next = next + ?", (int(passed_s + 1) * IDS_PER_S,))
    except sqlite3.Error as error:
        raise Misuse(f"the backup is damaged: its {FILE_NAME} is no good ({error}); nothing was changed") from None


def _shape(connection: sqlite3.Connection) -> tuple[object, ...]:
    """Tables with their columns, and indexes; what else a file may hold, such as triggers, which run by themselves."""
    things = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY 1, 2"
    found = connection.execute(things).fetchall()
    columns = 'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid'
    return tuple((*each, *connection.execute(columns, (each[1],))) for each in found)


def _shape_of(layout: int) -> tuple[object, ...]:
    """The same of a state file that we made."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for migration in MIGRATIONS[:layout]:
            connection.executescript(migration)
        return _shape(connection)


def _is_json(connection: sqlite3.Connection) -> bool:
    """Whether what a server reads as JSON when it starts is some."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    for (table, column), kind in _JSON.items():
        for (text,) in connection.execute(f"SELECT {column} FROM {table}") if table in tables else ():
            try:
                if not isinstance(json.loads(text), kind):
                    return False
            except (ValueError, RecursionError):
                return False
    return True


def _belongs_to_owner_of(folder: Path, place: Path) -> None:
    """Where root restores, what comes back belongs to whoever has the folder: that is who runs the server.

    What is inside first: as soon as a folder is theirs, they may put anything into it.
    """
    owner = folder.stat()
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or owner.st_uid == 0:
        return
    top = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for _, folders, names, descriptor in os.fwalk(".", topdown=False, dir_fd=top):
            for name in (*folders, *names):
                os.chown(name, owner.st_uid, owner.st_gid, dir_fd=descriptor, follow_symlinks=False)
        os.chown(top, owner.st_uid, owner.st_gid)
    finally:
        os.close(top)


def _decide(here: Path, stage: Path, contents: Contents) -> None:
    names = sorted({name.partition("/")[0] for name in contents.files})
    when = kept = time.strftime("restore-%Y%m%d-%H%M%S")
    number = 1
    while os.path.lexists(here / KEPT / kept):
        number += 1
        kept = f"{when}-{number}"
    part = stage / (READY + ".part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump({"names": names, "whole": contents.whole, "kept": kept}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, stage / READY)
    backup.sync(stage)


def _finish(here: Path, folder: Path) -> Path | None:
    """Make the moves that are left to make; where what was there lies, None when nothing was."""
    if not (here / RESTORING / READY).exists():
        return None
    with contextlib.ExitStack() as open_:
        stage = open_.enter_context(_pinned(here / RESTORING, folder / RESTORING))
        plan = _plan(stage / READY)
        new = open_.enter_context(_pinned(stage / "new", folder / RESTORING / "new"))
        (here / KEPT).mkdir(mode=0o700, exist_ok=True)
        before = open_.enter_context(_pinned(here / KEPT, folder / KEPT))
        (before / plan["kept"]).mkdir(mode=0o700, exist_ok=True)
        kept = open_.enter_context(_pinned(before / plan["kept"], folder / KEPT / plan["kept"]))
        _move(here, new, kept, plan)
        backup.sync(here)
        was_empty = not any(kept.iterdir())
        _belongs_to_owner_of(here, before)
        if was_empty:
            (before / plan["kept"]).rmdir()
            with contextlib.suppress(OSError):
                (here / KEPT).rmdir()
        (stage / READY).unlink()  # before the rest: without what it tells of, nobody could go on by it
        backup.sync(stage)
    shutil.rmtree(here / RESTORING)
    return None if was_empty else folder / KEPT / plan["kept"]


def _move(here: Path, new: Path, kept: Path, plan: dict[str, Any]) -> None:
    """What is there out of the way, and what is new into its place."""
    names = set(plan["names"])
    for entry in list(here.iterdir()):
        # One of ours that is no longer among the new ones is in its place already.
        is_old = entry.name not in names or os.path.lexists(new / entry.name)
        goes = plan["whole"] or entry.name in names or entry.name in SIDE_FILES
        if entry.name not in NOT_OURS and is_old and goes:
            os.replace(entry, kept / entry.name)
    for entry in list(new.iterdir()):
        os.replace(entry, here / entry.name)
