"""Bringing a backup back.

Theory of operation. The folder itself may be a mount point or belong to somebody else's folder, so it is never renamed;
what is in it is. First everything is unpacked into ``.restoring/new`` and checked whole, the state file by SQLite too.
Then ``.restoring/ready.json`` is written, and with that it is decided: what is there moves to ``before/restore-TIME``,
what is new into its place. Each move is one rename, and which were made can be seen, so that who is interrupted goes on
where it was (``finish``). No state is opened between (``Database.open`` refuses).

Frame ids must not be given twice, and the backup does not know those given after it was made. So they go on at what a
camera can have had since, at the most.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import time
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
        _see_that_nothing_leads_away(folder)
        _finish(folder)
        with backup.opened(file) as (archive, contents):
            _see_that_it_fits(file, folder, contents)
            stage = folder / RESTORING
            try:
                _prepare(stage)
                backup.unpack(archive, contents, stage / "new")
                _check_state(stage / "new" / FILE_NAME, contents, time.time() if now_s is None else now_s)
                _belongs_to_owner_of(folder, stage)
                _decide(folder, contents)
            except BaseException:
                if not (stage / READY).exists():
                    shutil.rmtree(stage, ignore_errors=True)
                raise
        return Restored(contents, _finish(folder))
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


def _see_that_nothing_leads_away(folder: Path) -> None:
    """Root restores into a folder that others write to: nothing they put there may lead it out of it."""
    for path in (folder / KEPT, folder / RESTORING, folder / RESTORING / "new"):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise StateError(f"{path} is no folder; take it away first")


def _plan(file: Path) -> dict[str, Any]:
    """What was decided; raises StateError where `_decide` has not written it."""
    try:
        plan = json.loads(file.read_text())
        if set(plan) == {"names", "whole", "kept"} and _KEPT_NAME.fullmatch(plan["kept"]):
            return dict(plan)
    except (ValueError, TypeError):
        pass
    raise StateError(f"{file} was not written by a restore; take {file.parent} away first")


def _prepare(stage: Path) -> None:
    shutil.rmtree(stage, ignore_errors=True)
    (stage / "new").mkdir(mode=0o700, parents=True)
    stage.chmod(0o700)


def _check_state(path: Path, contents: Contents, now_s: float) -> None:
    """Let SQLite look at every page, and let frame ids go on where none was given."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
            layout = connection.execute("PRAGMA user_version").fetchone()[0]
            if said != "ok" or layout != contents.layout:
                raise Misuse(f"the backup is damaged: its {FILE_NAME} is no good ({said}); nothing was changed")
            passed_s = max(now_s - contents.made_s, 0)
            connection.execute("UPDATE frame_ids SET next = next + ?", (int(passed_s + 1) * IDS_PER_S,))
    except sqlite3.Error as error:
        raise Misuse(f"the backup is damaged: its {FILE_NAME} is no good ({error}); nothing was changed") from None


def _belongs_to_owner_of(folder: Path, stage: Path) -> None:
    """Where root restores, what comes back belongs to whoever has the folder: that is who runs the server."""
    owner = folder.stat()
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or owner.st_uid == 0:
        return
    for place, folders, names in os.walk(stage):
        for path in (place, *(os.path.join(place, name) for name in (*folders, *names))):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _decide(folder: Path, contents: Contents) -> None:
    stage = folder / RESTORING
    names = sorted({name.partition("/")[0] for name in contents.files})
    when = kept = time.strftime("restore-%Y%m%d-%H%M%S")
    number = 1
    while (folder / KEPT / kept).exists():
        number += 1
        kept = f"{when}-{number}"
    part = stage / (READY + ".part")
    with part.open("w") as file:
        json.dump({"names": names, "whole": contents.whole, "kept": kept}, file)
        file.flush()
        os.fsync(file.fileno())
    backup.sync(stage / "new")
    os.replace(part, stage / READY)
    backup.sync(stage)


def _finish(folder: Path) -> Path | None:
    """Make the moves that are left to make; where what was there lies, None when nothing was."""
    stage = folder / RESTORING
    if not (stage / READY).exists():
        return None
    plan = _plan(stage / READY)
    names, new, kept = set(plan["names"]), stage / "new", folder / KEPT / plan["kept"]
    for path in (kept.parent, kept):
        path.mkdir(mode=0o700, exist_ok=True)
    for entry in list(folder.iterdir()):
        # One of ours that is no longer among the new ones is in its place already.
        is_old = entry.name not in names or (new / entry.name).exists()
        goes = plan["whole"] or entry.name in names or entry.name in SIDE_FILES
        if entry.name not in NOT_OURS and is_old and goes:
            os.replace(entry, kept / entry.name)
    for entry in list(new.iterdir()):
        os.replace(entry, folder / entry.name)
    backup.sync(folder)
    was_empty = not any(kept.iterdir())
    _belongs_to_owner_of(folder, kept.parent)
    if was_empty:
        kept.rmdir()
        with contextlib.suppress(OSError):
            kept.parent.rmdir()
    (stage / READY).unlink()  # before the rest: without what it tells of, nobody could go on by it
    backup.sync(stage)
    shutil.rmtree(stage)
    return None if was_empty else kept
