"""Backups: one file that holds the data folder, readable by its owner only.

A ZIP file, so that any tool can look into it: what was in the folder below ``data/``, and at its very end
``framecast-backup.json`` with format, layout of the state file, and size and SHA-256 of each file. So one that was cut
off can't pass for a whole one. The state file is copied by SQLite, which makes a running server's copy consistent.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import sqlite3
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from framecast import __version__
from framecast.core.errors import Misuse, StateError
from framecast.service.store.names import FILE_NAME, NOT_OURS, SIDE_FILES

FORMAT = 1
MANIFEST = "framecast-backup.json"
DATA = "data/"
_CHUNK_BYTES = 1 << 20
_MANIFEST_BYTES = 64 << 20
_LATEST_S = 100 * 366 * 86_400 + 1_600_000_000
_PACKED = frozenset({".jpg", ".jpeg", ".mp4", ".ts", ".zip", ".onnx", ".webp"})
"""Suffixes of files that nothing makes smaller."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How files are packed; others bring errors of their own, and one asks for 4 GB to begin with."""
_EARLIEST_S, _LAST_S = 315_619_200, 4_354_646_400
"""ZIP knows the years 1980 to 2107."""
_BAD_SIGNS = "\0" if os.sep == "/" else "\0\\:"
"""What can't be in a file's name here, or leads elsewhere in one."""
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, UnicodeDecodeError)
"""What reading a damaged file raises."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup says of itself.

    Attributes:
        framecast: Version that wrote it.
        layout: Layout of the state file, as the number of migrations it has been through.
        made_s: When, in Unix seconds.
        whole: Whether it is all of a data folder; else the state file alone, as kept before an upgrade.
        files: Path below the data folder -> ``{"bytes", "sha256"}``.
    """

    framecast: str
    layout: int
    made_s: float
    whole: bool
    files: dict[str, dict[str, Any]]

    @property
    def size_bytes(self) -> int:
        """Of all files, unpacked."""
        return sum(int(each["bytes"]) for each in self.files.values())


def write(folder: Path, file: Path, *, whole: bool = True, replace: bool = False) -> Contents:
    """Write a backup of a data folder; it appears under its name when it is complete and on the disk.

    Args:
        folder: The data folder; a server may be running with it.
        file: To be made, mode 0600.
        whole: Everything; else the state file alone.
        replace: Whether a file of this name may be replaced.

    Raises:
        Misuse: There is nothing to back up, or ``file`` is no place for it.
        StateError: Something can't be read or written.
    """
    if not (folder / FILE_NAME).is_file():
        raise Misuse(f"there is nothing to back up: {folder} has no {FILE_NAME} (--data names the folder)")
    if file.is_dir():
        raise Misuse(f"{file} is a folder; name a file in it, such as {file / 'framecast.zip'}")
    if file.exists() and not replace:
        raise Misuse(f"{file} exists; name another file, or replace it with --force")
    if whole and folder.resolve() in file.resolve().parents:
        raise Misuse(f"{file} is in the data folder, and would be lost with it; name a place outside")
    part = file.with_name(file.name + ".part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as target:
            contents = _write(folder, target, whole=whole)
            target.flush()
            os.fsync(target.fileno())
        os.replace(part, file)
        sync(file.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StateError(f"the backup can't be made: {error}") from error
    return contents


def sync(folder: Path) -> None:
    """Have on the disk what this folder holds by which names."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(folder: Path, target: IO[bytes], *, whole: bool) -> Contents:
    made_s = time.time()
    files: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        with tempfile.TemporaryDirectory(prefix="framecast-") as place:  # 0700
            copy = Path(place) / FILE_NAME
            copy.touch(mode=0o600)
            layout = copy_state(folder / FILE_NAME, copy)
            files[FILE_NAME] = _add(archive, copy, FILE_NAME)
        for path, name in _files(folder) if whole else ():
            # What goes away meanwhile is not part of what there is.
            with contextlib.suppress(FileNotFoundError):
                files[name] = _add(archive, path, name)
        contents = Contents(__version__, layout, made_s, whole, files)
        archive.writestr(MANIFEST, json.dumps({"format": FORMAT, **asdict(contents)}, indent=1))
    return contents


def copy_state(source: Path, target: Path) -> int:
    """Copy a state file, in whatever use it is; returns the layout of the copy."""
    with (
        contextlib.closing(sqlite3.connect(source, timeout=5.0)) as ours,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        ours.backup(copy)
        # One file, that needs nothing beside it to be read.
        copy.execute("PRAGMA journal_mode = DELETE")
        return int(copy.execute("PRAGMA user_version").fetchone()[0])


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Regular files of the data folder with their names in a backup, but for the state file; links are not followed."""
    for place, folders, names in os.walk(folder, onerror=_not_read):
        at_top = Path(place) == folder
        folders[:] = sorted(name for name in folders if not (at_top and name in NOT_OURS))
        for name in sorted(names):
            if at_top and (name in NOT_OURS or name in SIDE_FILES or name == FILE_NAME):
                continue
            path = Path(place) / name
            try:
                is_file = stat.S_ISREG(path.lstat().st_mode)
            except FileNotFoundError:
                continue
            if is_file:
                yield path, _as_text(path.relative_to(folder).as_posix())


def _as_text(name: str) -> str:
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise OSError(errno.EILSEQ, f"the name {name!r} in the data folder is not UTF-8; rename it")
    return name


def _not_read(error: OSError) -> None:
    """A folder that can't be read is no empty one: a backup without what is in it would pass for a whole one."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> dict[str, Any]:
    with path.open("rb") as source:
        facts = os.fstat(source.fileno())
        written = time.localtime(min(max(facts.st_mtime, _EARLIEST_S), _LAST_S))[:6]
        entry = zipfile.ZipInfo(DATA + name, written)
        entry.external_attr = stat.S_IFREG << 16 | (facts.st_mode & 0o777) << 16
        entry.compress_type = zipfile.ZIP_STORED if path.suffix in _PACKED else zipfile.ZIP_DEFLATED
        digest, size_bytes = hashlib.sha256(), 0
        with archive.open(entry, "w", force_zip64=True) as target:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
                target.write(chunk)
    return {"bytes": size_bytes, "sha256": digest.hexdigest()}


@contextlib.contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Contents]]:
    """A backup for reading, its table of contents checked, its files not yet.

    Raises:
        Misuse: It is none, is damaged, or was made by a newer Framecast.
    """
    try:
        archive = zipfile.ZipFile(file)
    except FileNotFoundError:
        raise Misuse(f"there is no file {file}") from None
    except UNREADABLE as error:
        raise Misuse(f"{file} is no backup, or was cut off: {error}") from None
    with archive:
        yield archive, _contents(archive, file)


def _contents(archive: zipfile.ZipFile, file: Path) -> Contents:
    try:
        if any(entry.compress_type not in _METHODS for entry in archive.infolist()):
            raise ValueError("it is packed in another way than ours are")
        if archive.getinfo(MANIFEST).file_size > _MANIFEST_BYTES:
            raise ValueError("its table of contents is too large")
        read = json.loads(archive.read(MANIFEST))
        number, version = read.pop("format"), str(read["framecast"])
        if type(number) is not int or not re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", version):
            raise ValueError("no version of Framecast made it")
        if number > FORMAT:
            raise Misuse(f"{file} was made by a newer Framecast ({version}); update this one first")
        contents = Contents(**read)
        if not 0 <= contents.made_s < _LATEST_S or type(contents.layout) is not int:
            raise ValueError("it does not say when it was made")
        for name, facts in contents.files.items():
            _see_that_it_stays_inside(name)
            if archive.getinfo(DATA + name).file_size != facts["bytes"] or not isinstance(facts["sha256"], str):
                raise ValueError(f"{name} is not as it was written")
        if FILE_NAME not in contents.files or len(archive.namelist()) != len(contents.files) + 1:
            raise ValueError("other files are in it than it says")
    except Misuse:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, *UNREADABLE) as error:
        raise Misuse(f"{file} is no whole backup of Framecast: {error}") from None
    return contents


def _see_that_it_stays_inside(name: str) -> None:
    parts = PurePosixPath(name).parts
    bad = not parts or name.startswith("/") or ".." in parts or parts[0] in NOT_OURS or name in SIDE_FILES
    if bad or any(sign in name for sign in _BAD_SIGNS) or PurePosixPath(name).as_posix() != name:
        raise ValueError(f"{name!r} is no name of a file in a data folder")


def unpack(archive: zipfile.ZipFile, contents: Contents, target: Path) -> None:
    """Write all files below ``target``, which is empty, checked and synced.

    Raises:
        Misuse: One is not as it was when it was written.
        OSError: One can't be written.
    """
    for name, facts in contents.files.items():
        entry = archive.getinfo(DATA + name)
        path = target / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = (entry.external_attr >> 16) & 0o755 | 0o600
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            for chunk in _checked(archive, entry, name, str(facts["sha256"])):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(mode)


def check(archive: zipfile.ZipFile, contents: Contents) -> None:
    """Read all files; raises Misuse when one is not as it was when it was written."""
    for name, facts in contents.files.items():
        for _ in _checked(archive, archive.getinfo(DATA + name), name, str(facts["sha256"])):
            pass


def _checked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, expected: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    damaged = Misuse(f"the backup is damaged: {name} is not as it was written; nothing was changed")
    try:
        source = archive.open(entry)
    except UNREADABLE:
        raise damaged from None
    with source:
        while True:
            try:
                chunk = source.read(_CHUNK_BYTES)
            except UNREADABLE:
                raise damaged from None
            if not chunk:
                break
            digest.update(chunk)
            yield chunk
    if digest.hexdigest() != expected:
        raise damaged
