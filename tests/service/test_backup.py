"""Backups: whole, ours alone, consistent beside a running server; and everything is back."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from framecast.cli import main
from framecast.core.errors import ConfigError, Misuse, StateError
from framecast.service.front import control
from framecast.service.store import backup, restore
from framecast.service.store.names import FILE_NAME, KEPT
from framecast.service.store.state import State
from tests.service.serving import jpeg, serving


def fill(folder: Path) -> None:
    """A data folder with something of everything."""
    with State.open(folder) as state:
        state.save_camera("yard", {"url": "push:", "password": "s3cret"})
        state.save_settings({"stream.fps": 5.5})
        state.reserve_frame_ids("yard")
    (folder / "tls").mkdir(mode=0o700)
    (folder / "tls" / "ca.key").write_text("key")
    (folder / "tls" / "ca.crt").write_text("certificate")
    (folder / "tls" / "ca.crt").chmod(0o644)
    (folder / "tls" / "ca.key").chmod(0o600)
    (folder / "recordings" / "yard").mkdir(parents=True)
    (folder / "recordings" / "yard" / "1.mp4").write_bytes(os.urandom(3 << 20))


def held(folder: Path) -> dict[str, bytes]:
    """All files of a data folder that count, but for the state file."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(FILE_NAME) and KEPT not in path.relative_to(folder).parts
    }


def rows(folder: Path) -> list[str]:
    """All that the state file holds, but for the frame ids, which go on."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return [line for line in connection.iterdump() if "frame_ids" not in line]


def test_backup_wipe_restore_brings_everything_back(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    before, state_before = held(data), rows(data)
    written = backup.write(data, file)
    assert written.whole
    assert set(written.files) == {FILE_NAME, *before}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shutil.rmtree(data)

    done = restore.restore(file, data)
    assert done.kept is None
    assert (held(data), rows(data)) == (before, state_before)
    assert sorted(path.name for path in data.iterdir()) == [FILE_NAME, "recordings", "tls"]
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    modes = {name: stat.S_IMODE((data / "tls" / name).stat().st_mode) for name in ("ca.key", "ca.crt")}
    assert modes == {"ca.key": 0o600, "ca.crt": 0o644}
    assert stat.S_IMODE((data / FILE_NAME).stat().st_mode) == 0o600
    with State.open(data) as state:
        assert state.changes().cameras == {"yard": {"url": "push:", "password": "s3cret"}}
        assert state.changes().settings == {"stream.fps": 5.5}


def test_what_was_there_is_kept_and_left_out_of_backups(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    backup.write(data, file)
    with State.open(data) as state:
        state.save_camera("later", {"url": "push:"})
        # As after a crash: changes in the side file that the restored file must not take for its own.
        shutil.copytree(data, tmp_path / "crashed")
    assert (tmp_path / "crashed" / f"{FILE_NAME}-wal").stat().st_size
    (tmp_path / "crashed" / "models").mkdir()

    first = restore.restore(file, tmp_path / "crashed")
    second = restore.restore(file, tmp_path / "crashed")
    assert first.kept != second.kept
    assert first.kept is not None and second.kept is not None
    assert (first.kept / "models").is_dir()
    assert not (tmp_path / "crashed" / "models").exists()
    with State.open(first.kept) as state:
        assert "later" in state.changes().cameras
    with State.open(tmp_path / "crashed") as state:
        assert set(state.changes().cameras) == {"yard"}
    assert not any(name.startswith(KEPT) for name in backup.write(tmp_path / "crashed", tmp_path / "2.zip").files)


def test_frame_ids_go_on_where_none_was_given(tmp_path: Path) -> None:
    fill(tmp_path / "data")
    made_s = backup.write(tmp_path / "data", tmp_path / "backup.zip").made_s
    with State.open(tmp_path / "data") as state:
        given = [state.reserve_frame_ids("yard") for _ in range(5)]
    restore.restore(tmp_path / "backup.zip", tmp_path / "data", now_s=made_s + 3600)
    with State.open(tmp_path / "data") as state:
        assert state.reserve_frame_ids("yard") > given[-1] + 10_000
    # A clock that was set back makes none go back.
    restore.restore(tmp_path / "backup.zip", tmp_path / "data", now_s=made_s - 3600)
    with State.open(tmp_path / "data") as state:
        assert state.reserve_frame_ids("yard") > 10_001


def test_it_is_consistent_while_somebody_writes(tmp_path: Path) -> None:
    """Two settings that always change together are equal in each of several copies."""
    data, stop = tmp_path / "data", threading.Event()
    with State.open(data) as state:
        state.save_settings({"a": 0, "b": 0})

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                state.save_settings({"a": number, "b": number})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                backup.write(data, tmp_path / f"{number}.zip")
        finally:
            stop.set()
            writer.join()
    seen = []
    for number in range(5):
        restore.restore(tmp_path / f"{number}.zip", tmp_path / f"back{number}")
        with State.open(tmp_path / f"back{number}") as state:
            settings = state.changes().settings
        assert settings["a"] == settings["b"]
        seen.append(settings["a"])
    assert seen == sorted(seen)


async def test_who_was_let_in_is_let_in_again(tmp_path: Path, anyio_backend: object) -> None:
    """Tokens, people with their passwords, and browsers that are logged in."""
    person = {"name": "anna", "password": "correct horse battery staple"}
    async with serving(tmp_path) as server:
        made = await server.json("POST", "/api/v1/tokens", status=201, json={"name": "wall", "rights": ["watch"]})
        key = {"Authorization": f"Bearer {made['secret']}"}
        await server.service.desk.create_user({**person, "role": "owner"})
        async with server.client.post(server.url + "/api/v1/session", json=person) as answer:
            (cookie,) = answer.cookies.values()
        browser = {"Cookie": f"{cookie.key}={cookie.value}"}
        backup.write(tmp_path / "data", tmp_path / "backup.zip")
        await server.json("DELETE", "/api/v1/tokens/wall", status=204, headers={**browser, "Origin": server.url})
    shutil.rmtree(tmp_path / "data")
    restore.restore(tmp_path / "backup.zip", tmp_path / "data")
    async with serving(tmp_path) as server:
        assert (await server.json("GET", "/api/v1/session", headers=browser))["name"] == "anna"
        assert (await server.json("GET", "/api/v1/session", headers=key))["name"] == "wall"
        assert (await server.json("POST", "/api/v1/session", json=person))["role"] == "owner"
        await server.error("GET", "/api/v1/cameras", 401)


async def test_of_a_running_server(tmp_path: Path, anyio_backend: object) -> None:
    async with serving(tmp_path, {}) as server:
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "yard", "url": "push:"})
        told = await server.push(jpeg(), "yard")
        written = backup.write(tmp_path / "data", tmp_path / "backup.zip")
        assert FILE_NAME in written.files
        assert "control.sock" not in written.files
    restore.restore(tmp_path / "backup.zip", tmp_path / "again" / "data")
    async with serving(tmp_path / "again", {}) as server:
        assert (await server.push(jpeg(), "yard"))["frame_id"] > told["frame_id"]


async def test_the_commands(tmp_path: Path, anyio_backend: object, capsys: pytest.CaptureFixture[str]) -> None:
    file, where = str(tmp_path / "backup.zip"), ("--data", str(tmp_path / "data"))

    async def run(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(main, list(arguments))
        said = capsys.readouterr()
        return status, said.out, said.err

    assert (await run("backup", file, *where))[0] == 1
    async with serving(tmp_path, {}) as server:
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "yard", "url": "push:"})
        status, out, err = await run("backup", file, *where)
        assert status == 0
        assert re.sub(r"0\.\d MiB", "a few KiB", out) == f"1 file (a few KiB) of {tmp_path / 'data'} is in {file}\n"
        assert "keep it where only you may read it" in err
        status, _, err = await run("restore", file, *where)
        assert status == 1
        assert f"Framecast runs at {server.url}/ with {tmp_path / 'data'}: stop it first, then restore" in err
        status, out, _ = await run("restore", file, "--check")
        assert status == 0
        assert f"{file} is good: 1 file (" in out
        await server.json("DELETE", "/api/v1/cameras/yard", status=204)
    status, out, err = await run("restore", file, *where)
    assert status == 0
    assert f"is back in {tmp_path / 'data'}" in out
    assert f"What was there is kept in {tmp_path / 'data' / KEPT}" in err
    assert not (tmp_path / "data" / "control.sock").exists()
    async with serving(tmp_path, {}) as server:
        assert [camera.camera_id for camera in server.service.cameras] == ["yard"]


def test_through_a_pipe(tmp_path: Path) -> None:
    """As in a container, whose files one can't easily get at."""
    command = [sys.executable, "-m", "framecast"]
    fill(tmp_path / "data")
    sent = subprocess.run([*command, "backup", "-", "--data", tmp_path / "data"], capture_output=True)
    assert sent.returncode == 0
    came = subprocess.run(
        [*command, "restore", "-", "--data", tmp_path / "back"], input=sent.stdout, capture_output=True
    )
    assert came.returncode == 0
    assert held(tmp_path / "back") == held(tmp_path / "data")


def test_no_server_starts_beside_a_restore(tmp_path: Path) -> None:
    with control.held(tmp_path, "why"), pytest.raises(ConfigError, match="another Framecast is running"):
        control.see_that_none_runs(tmp_path)
    control.see_that_none_runs(tmp_path)


def test_where_it_can_not_go(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(Misuse, match=r"nothing to back up: .* has no framecast.db"):
        backup.write(data, tmp_path / "a.zip")
    assert not data.exists()
    fill(data)
    with pytest.raises(Misuse, match="is in the data folder"):
        backup.write(data, data / "a.zip")
    with pytest.raises(Misuse, match="is a folder; name a file in it"):
        backup.write(data, tmp_path)
    with pytest.raises(StateError, match=r"the backup can't be made: .*No such file"):
        backup.write(data, tmp_path / "nowhere" / "a.zip")
    (tmp_path / "there").write_text("mine")
    with pytest.raises(Misuse, match="exists; name another file, or replace it with --force"):
        backup.write(data, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"
    backup.write(data, tmp_path / "there", replace=True)
    assert restore.verify(tmp_path / "there").layout
    with pytest.raises(Misuse, match="there is no file"):
        restore.restore(tmp_path / "none.zip", data)
    assert [path.name for path in tmp_path.iterdir() if ".part" in path.name] == []


def test_files_of_any_name_and_age_are_back(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    for name in ("10:30.txt", "back\\slash", "two\nlines", "Tür", "later"):
        (data / name).write_text(name)
    os.utime(data / "later", (5e9, 5e9))
    os.utime(data / "Tür", (0, 0))
    before = held(data)
    backup.write(data, file)
    shutil.rmtree(data)
    restore.restore(file, data)
    assert held(data) == before


def test_a_name_that_no_zip_file_can_hold_is_told(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.zip"
    fill(data)
    (data / os.fsdecode(b"\xff.bin")).touch()
    with pytest.raises(StateError, match=r"the name '\\udcff.bin' in the data folder is not UTF-8; rename it"):
        backup.write(data, file)
    assert list(tmp_path.iterdir()) == [data]


def test_links_and_sockets_are_left_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data)
    (tmp_path / "elsewhere").write_text("not ours")
    (data / "link").symlink_to(tmp_path / "elsewhere")
    (data / "folder").symlink_to(tmp_path)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(data / "other.sock"))
        written = backup.write(data, tmp_path / "a.zip")
    assert not any("link" in name or "folder" in name or "sock" in name for name in written.files)


def test_a_folder_that_can_not_be_read_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    fill(data)
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("tls"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StateError, match=r"the backup can't be made: .*Permission denied: .*tls"):
        backup.write(data, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_what_goes_away_meanwhile_is_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    fill(data)
    (data / "tls" / "passing").write_text("")
    real = os.walk

    def walk(folder: Path, **options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for found in real(folder, **options):
            if "passing" in found[2]:
                (data / "tls" / "passing").unlink()
            yield found

    monkeypatch.setattr(os, "walk", walk)
    assert {"tls/ca.crt", "tls/ca.key"} < set(backup.write(data, tmp_path / "a.zip").files)


def test_a_damaged_state_file_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).write_bytes(b"nothing" * 1000)
    with pytest.raises(StateError, match="the backup can't be made: file is not a database"):
        backup.write(tmp_path / "data", tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    # And it does not stand in the way of a good one.
    fill(tmp_path / "good")
    backup.write(tmp_path / "good", tmp_path / "a.zip")
    done = restore.restore(tmp_path / "a.zip", tmp_path / "data")
    assert done.kept is not None
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_name_that_is_no_text_is_told_as_damage(tmp_path: Path) -> None:
    fill(tmp_path / "data")
    backup.write(tmp_path / "data", tmp_path / "a.zip")
    damaged = bytearray((tmp_path / "a.zip").read_bytes())
    entry = damaged.rfind(b"PK\x01\x02")  # flags at 8 (0x800: the name is UTF-8), the name at 46
    damaged[entry + 9] |= 0x08
    damaged[entry + 46] = 0xFF
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(Misuse, match="is no backup, or was cut off"), backup.opened(tmp_path / "a.zip"):
        pass
