"""``framecast backup`` and ``framecast restore``: the data folder as one file, and back."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framecast.cli import console, options
from framecast.cli.control import CommandError, Server

if TYPE_CHECKING:
    from framecast.service.store.backup import Contents


STANDARD = Path("-")


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to make, such as /mnt/nas/framecast.zip; - is standard output.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if there is one.")] = False,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Put all that is in the data folder into one file that only you may read; a running server goes on.

    Example:

      framecast backup --force /mnt/nas/framecast.zip
    """
    from framecast.service.store import backup as store

    configuration = options.load(config, data)
    folder = configuration.settings.server.data
    if file == STANDARD:
        if sys.stdout.isatty():
            raise CommandError("a backup is no text; send it into a file: framecast backup - >framecast.zip")
        with _passing() as passing:
            store.write(folder, passing)
            with passing.open("rb") as source:
                shutil.copyfileobj(source, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    else:
        contents = store.write(folder, file, replace=force)
        print(f"{_what(contents)} of {folder} {_is(contents)} in {file}")
    console.note("It holds keys, password hashes and the cameras' passwords: keep it where only you may read it.")
    if configuration.file is not None:
        console.note(f"The configuration file {configuration.file} is not in the data folder: keep it as well.")


def restore(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What `framecast backup` made, or an upgrade kept; - is standard input."),
    ],
    check: Annotated[bool, typer.Option("--check", help="Read it as a whole, and bring nothing back.")] = False,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Bring a backup back into the data folder, with the server stopped; what is there now is kept beside it.

    Nothing is changed before the whole backup has been read and found good.

    Example:

      framecast restore /mnt/nas/framecast.zip
    """
    if file != STANDARD:
        return _restore(file, str(file), check, config, data)
    with _passing() as passing:
        with passing.open("xb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        _restore(passing, "standard input", check, config, data)
    return None


def _restore(file: Path, name: str, check: bool, config: Path | None, data: Path | None) -> None:
    from framecast.service.front import control
    from framecast.service.store import restore as store

    if check:
        contents = store.verify(file)
        print(f"{name} is good: {_what(contents)}, made {console.when(contents.made_s)}")
        return
    folder = options.load(config, data).settings.server.data
    if (server := Server.find(folder)) is not None:
        where = f" at {server.url}" if server.url else ""
        raise CommandError(f"Framecast runs{where} with {folder}: stop it first, then restore")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with control.held(folder, "A restore is under way in this data folder; try again when it is done"):
        done = store.restore(file, folder)
    made = console.when(done.contents.made_s)
    print(f"{_what(done.contents)}, made {made}, {_is(done.contents)} back in {folder}")
    if done.kept is not None:
        console.note(f"What was there is kept in {done.kept}; remove it when you need it no more.")
    if time.time() - done.contents.made_s > 60:
        console.note("Tokens revoked, people removed and sessions ended since then are good again: look them over.")


@contextmanager
def _passing() -> Iterator[Path]:
    """A file that nobody else may read, for what passes through a pipe."""
    with tempfile.TemporaryDirectory(prefix="framecast-") as folder:  # 0700
        yield Path(folder) / "backup.zip"


def _what(contents: Contents) -> str:
    count = len(contents.files)
    return f"{count} file{'' if count == 1 else 's'} ({contents.size_bytes / 2**20:.1f} MiB)"


def _is(contents: Contents) -> str:
    return "is" if len(contents.files) == 1 else "are"
