"""Restoring: what is damaged changes nothing, and who is interrupted goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framecast.core.errors import ConfigError, Misuse, StateError
from framecast.service.store import backup, restore
from framecast.service.store.names import FILE_NAME, KEPT, READY, RESTORING
from framecast.service.store.state import State
from tests.service.test_backup import fill, held

Change = Callable[[dict[str, bytes]], None]


def rewritten(file: Path, change: Change) -> Path:
    """The same backup with what somebody did to it."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_what_is_packed_otherwise_is_refused(tmp_path: Path, method: int) -> None:
    fill(tmp_path / "data")
    ours, file = tmp_path / "backup.zip", tmp_path / "other.zip"
    backup.write(tmp_path / "data", ours)
    with zipfile.ZipFile(ours) as archive, zipfile.ZipFile(file, "w", method) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    damaged = bytearray(file.read_bytes())
    damaged[200:400] = bytes(200)
    file.write_bytes(damaged)
    with pytest.raises(Misuse, match="packed in another way"):
        restore.restore(file, tmp_path / "data")


@pytest.mark.parametrize("cut", [1, 100, 5000, -1])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    fill(tmp_path / "data")
    file = tmp_path / "backup.zip"
    backup.write(tmp_path / "data", file)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(Misuse, match="is no backup, or was cut off"):
        restore.restore(file, tmp_path / "data")


def test_no_changed_byte_gets_through(tmp_path: Path) -> None:
    """Wherever a byte is flipped: it is refused, or nothing that counts is another."""
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    with State.open(data) as state:
        state.save_camera("yard", {"url": "push:"})
    (data / "tls").mkdir()
    (data / "tls" / "ca.key").write_text("key")
    backup.write(data, file)
    good, whole = held(data), file.read_bytes()
    for at in range(0, len(whole), max(len(whole) // 150, 1)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            restore.restore(file, tmp_path / f"back{at}")
        except (Misuse, StateError):
            assert list((tmp_path / f"back{at}").iterdir()) == []
        else:
            assert held(tmp_path / f"back{at}") == good
            with State.open(tmp_path / f"back{at}") as state:
                assert set(state.changes().cameras) == {"yard"}


def other_data(entries: dict[str, bytes]) -> None:
    """Another key, of the same length."""
    entries["data/tls/ca.key"] = b"eyk"


def leave_one_out(entries: dict[str, bytes]) -> None:
    """A file that is listed is not there."""
    del entries["data/tls/ca.crt"]


def add_one(entries: dict[str, bytes]) -> None:
    """A file that is not listed."""
    entries["data/tls/other.key"] = b"x"


def climb(name: str) -> Change:
    """A file with a name that leads out of the folder, listed as it should be."""

    def change(entries: dict[str, bytes]) -> None:
        table = json.loads(entries.pop(backup.MANIFEST))
        table["files"][name] = table["files"].pop("tls/ca.crt")
        entries["data/" + name] = entries.pop("data/tls/ca.crt")
        entries[backup.MANIFEST] = json.dumps(table).encode()

    return change


def say(**fields: object) -> Change:
    """Another table of contents."""

    def change(entries: dict[str, bytes]) -> None:
        entries[backup.MANIFEST] = json.dumps({**json.loads(entries[backup.MANIFEST]), **fields}).encode()

    return change


def newer_format(entries: dict[str, bytes]) -> None:
    """As a version of the future writes it."""
    entries[backup.MANIFEST] = json.dumps({"format": 2, "framecast": "9.0", "more": []}).encode()


def bad_state(entries: dict[str, bytes]) -> None:
    """A state file that is none, with its right hash."""
    table = json.loads(entries[backup.MANIFEST])
    entries["data/" + FILE_NAME] = data = b"nothing" * 1000
    table["files"][FILE_NAME] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    entries[backup.MANIFEST] = json.dumps(table).encode()


def with_state(script: str) -> Change:
    """A state file in which somebody did this, with its right hash."""

    def change(entries: dict[str, bytes]) -> None:
        table = json.loads(entries[backup.MANIFEST])
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(entries["data/" + FILE_NAME])
            connection.executescript(script)
            entries["data/" + FILE_NAME] = data = connection.serialize()
        table["files"][FILE_NAME] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        entries[backup.MANIFEST] = json.dumps(table).encode()

    return change


COUNTING = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_data, "damaged: tls/ca.key is not as it was written"),
        (leave_one_out, "is no whole backup"),
        (add_one, "other files are in it than it says"),
        (climb("../outside"), "no name of a file in a data folder"),
        (climb("/etc/outside"), "no name of a file in a data folder"),
        (climb("a/../../outside"), "no name of a file in a data folder"),
        (climb(f"{RESTORING}/{READY}"), "no name of a file in a data folder"),
        (climb(f"{FILE_NAME}-wal"), "no name of a file in a data folder"),
        (climb("control.sock"), "no name of a file in a data folder"),
        (say(made_s=float("nan")), "does not say when it was made"),
        (say(made_s=1e300), "does not say when it was made"),
        (say(made_s="now"), "is no whole backup"),
        (say(layout="3"), "does not say when it was made"),
        (say(layout=-1), "its framecast.db is no good"),
        (say(files=[]), "is no whole backup"),
        (say(files={"tls": 5}), "is no whole backup"),
        (say(framecast="\x1b[2J"), "no version of Framecast made it"),
        (say(more=1), "is no whole backup"),
        (newer_format, r"made by a newer Framecast \(9.0\); update this one first"),
        (say(format=float("inf")), "no version of Framecast made it"),
        (bad_state, "its framecast.db is no good"),
        (with_state("DROP TABLE accounts"), "other tables than ours"),
        (with_state("DROP TABLE removed; CREATE VIEW removed AS SELECT 'cam' AS id"), "other tables than ours"),
        (with_state("ALTER TABLE cameras ADD COLUMN more TEXT"), "other tables than ours"),
        (
            with_state(f"CREATE TRIGGER t AFTER UPDATE ON frame_ids BEGIN INSERT INTO removed {COUNTING}; END"),
            "other tables than ours",
        ),
        (with_state("INSERT INTO settings VALUES ('a', '{')"), "no JSON"),
        (with_state("INSERT INTO cameras (id, fields) VALUES ('a', '[]')"), "no JSON"),
        (with_state("INSERT INTO frame_ids VALUES ('a', 9223372036854775807)"), "its framecast.db is no good"),
    ],
)
def test_what_is_not_as_it_was_changes_nothing(tmp_path: Path, change: Change, words: str) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    backup.write(data, file)
    before = held(data)
    with pytest.raises(Misuse, match=words):
        restore.restore(rewritten(file, change), data)
    assert held(data) == before
    assert not (data / RESTORING).exists()
    assert not (tmp_path / "outside").exists()


def test_who_is_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power fails after each of the moves in turn: the folder is refused until a restore has come to its end."""
    file = tmp_path / "backup.zip"
    fill(tmp_path / "template")
    backup.write(tmp_path / "template", file)
    wanted = held(tmp_path / "template")
    real, moves = os.replace, 0

    class PowerCut(BaseException):
        pass

    for survive in range(1, 20):
        data = tmp_path / f"data{survive}"
        with State.open(data) as state:
            state.save_camera("old", {"url": "push:"})
        (data / "tls").mkdir()
        (data / "tls" / "mine").write_text("old")
        moves = 0

        def move(source: Path, target: Path, most: int = survive) -> None:
            nonlocal moves
            if moves == most:
                raise PowerCut
            moves += 1
            real(source, target)

        monkeypatch.setattr(os, "replace", move)
        try:
            restore.restore(file, data)
        except PowerCut:
            monkeypatch.undo()
            with pytest.raises(ConfigError, match="a restore was interrupted here"):
                State.open(data)
            restore.restore(file, data)
        else:
            monkeypatch.undo()
            assert survive > 4
            break
        assert held(data) == wanted
        kept = [path for path in (data / KEPT).iterdir() if (path / "tls" / "mine").exists()]
        assert len(kept) == 1
        with State.open(kept[0]) as state:
            assert "old" in state.changes().cameras
    else:
        raise AssertionError("it never came to its end")


def test_who_is_interrupted_while_tidying_up_is_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power fails when the empty folder is gone, and what told of it may not be: files go in any order."""
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    wanted = held(data)
    backup.write(data, file)

    def cut_short(path: Path, ignore_errors: bool = False) -> None:
        if (path / "new").exists():
            (path / "new").rmdir()
            raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", cut_short)
        with pytest.raises(StateError, match="power cut"):
            restore.restore(file, data)
    State.open(data).close()
    restore.restore(file, data)
    assert held(data) == wanted


@pytest.mark.parametrize("name", [RESTORING, KEPT])
def test_no_link_leads_a_restore_out_of_the_folder(tmp_path: Path, name: str) -> None:
    data, file, elsewhere = tmp_path / "data", tmp_path / "backup.zip", tmp_path / "elsewhere"
    fill(data)
    backup.write(data, file)
    elsewhere.mkdir()
    (elsewhere / "theirs").write_text("x")
    (data / name).symlink_to(elsewhere)
    with pytest.raises(StateError, match=f"{name} is no folder"):
        restore.restore(file, data)
    assert [path.name for path in elsewhere.iterdir()] == ["theirs"]


@pytest.mark.parametrize("kept", ["../../elsewhere", "..", "", 5])
def test_a_plan_that_no_restore_wrote_is_not_followed(tmp_path: Path, kept: object) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    backup.write(data, file)
    (data / RESTORING / "new").mkdir(parents=True)
    (data / RESTORING / READY).write_text(json.dumps({"names": [], "whole": True, "kept": kept}))
    before = held(data)
    with pytest.raises(StateError, match=f"{READY} was not written by a restore"):
        restore.restore(file, data)
    assert held(data) == before


def test_who_restores_as_root_gives_away_what_is_in_the_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    backup.write(data, file)
    (data / "link").symlink_to(tmp_path / "backup.zip")
    if os.geteuid() == 0:
        os.chown(data, 12345, 12345)
    given: list[tuple[Path, bool]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def chown(path: str | int, *_: int, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        if isinstance(path, str):  # else it is open
            given.append((Path(path), follow_symlinks))

    monkeypatch.setattr(os, "chown", chown)
    restore.restore(file, data)
    assert any(path.name == "link" for path, _ in given)
    assert not any(follows for _, follows in given)


@pytest.mark.parametrize("name", [RESTORING, f"{RESTORING}/new", KEPT])
def test_a_link_put_there_after_the_look_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Somebody who may write to the folder exchanges what lies there in the moment before the moves."""
    data, file, elsewhere = tmp_path / "data", tmp_path / "backup.zip", tmp_path / "elsewhere"
    fill(data)
    backup.write(data, file)
    (elsewhere / "new").mkdir(parents=True)
    (elsewhere / "new" / "theirs").write_text("x")
    real = restore._plan

    def exchange(plan: Path) -> dict[str, Any]:
        found = real(plan)
        if (data / name).exists():
            (data / name).rename(tmp_path / "taken away")
        (data / name).symlink_to(elsewhere / "new" if name.endswith("new") else elsewhere)
        return found

    monkeypatch.setattr(restore, "_plan", exchange)
    with contextlib.suppress(StateError):
        restore.restore(file, data)
    assert [path.name for path in elsewhere.iterdir()] == ["new"]
    assert [path.name for path in (elsewhere / "new").iterdir()] == ["theirs"]
    assert not (data / "theirs").exists()


def test_what_is_mounted_is_found_before_anything_moves() -> None:
    assert Path("/proc") in restore.mounts_below(Path("/"))
    assert restore.mounts_below(Path("/proc/self")) == []
