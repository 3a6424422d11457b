"""What outlives a restart, a crash and another process."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from framecast.core.errors import ConfigError, Misuse, StateError
from framecast.service.access.keyring import Uses
from framecast.service.access.rights import Right
from framecast.service.access.sessions import MOST_SESSIONS, SESSION_LIFE_S
from framecast.service.access.tokens import digest
from framecast.service.store.database import FILE_NAME
from framecast.service.store.state import FRAME_ID_BLOCK, State


def test_files_are_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with State.open(folder) as state:
        state.reserve_frame_ids("door")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for file in folder.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_file_that_others_could_read_is_ours_alone_from_now_on(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    (tmp_path / FILE_NAME).chmod(0o644)
    with State.open(tmp_path) as state:
        state.reserve_frame_ids("door")
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_changes_are_kept(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        assert (state.changes().settings, state.changes().cameras, state.changes().removed) == ({}, {}, frozenset())
        state.save_settings({"stream.fps": 5.5, "log.level": "debug", "stream.buffer": 3})
        state.save_settings({"stream.buffer": None})
        state.save_camera("yard", {"url": "push:", "name": "Yard", "masks": [[0, 0, 0.5, 0.5]]})
        state.save_camera("yard", {"name": None, "rotate": 90})
        state.save_camera("cat", {"url": "push:"})
        state.delete_camera("cat", configured=False)
        state.delete_camera("door", configured=True)
        state.delete_camera("door", configured=True)
    with State.open(tmp_path) as state:
        changes = state.changes()
    assert changes.settings == {"stream.fps": 5.5, "log.level": "debug"}
    assert changes.cameras == {"yard": {"url": "push:", "masks": [[0, 0, 0.5, 0.5]], "rotate": 90}}
    assert changes.removed == {"door"}
    assert changes.trusted == frozenset()


def test_whose_url_it_is(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        state.save_camera("own", {"url": "http://127.0.0.1/"}, trusted=True)
        state.save_camera("own", {"name": "Own"})
        assert state.changes().trusted == {"own"}
        state.save_camera("own", {"url": "http://10.0.0.1/"})
        assert state.changes().trusted == frozenset()


def test_frame_ids_rise_over_restarts_and_removals(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        assert state.reserve_frame_ids("door") == 1
        assert state.reserve_frame_ids("yard", 5) == 1
        assert state.reserve_frame_ids("door", 5) == 1 + FRAME_ID_BLOCK
        state.delete_camera("door", configured=False)
    with State.open(tmp_path) as state:
        assert state.reserve_frame_ids("door") == 6 + FRAME_ID_BLOCK
        assert state.reserve_frame_ids("yard") == 6


def test_frame_ids_rise_over_kill(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from framecast.service.store.state import State\n"
        "state = State.open(pathlib.Path(sys.argv[1]))\n"
        "while True: print(state.reserve_frame_ids('door', 10), flush=True)"
    )
    highest = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            for _ in range(20):
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            starts = [int(line) for line in process.stdout.read().split("\n")[:-1]]
        assert first > highest
        highest = max([first, *starts])


def test_tokens(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        token, secret = state.credentials.create_token(
            "wall", frozenset({Right.WATCH, Right.PUBLISH}), frozenset({"door"}), now_s=5.0
        )
        assert token.digest == digest(secret)
        state.credentials.create_token("all", frozenset({Right.OPERATE}))
        with pytest.raises(Misuse, match="a token named wall already"):
            state.credentials.create_token("wall", frozenset({Right.WATCH}))
        state.credentials.touch(Uses({token.id: 77.0}, {}, {}))
        assert state.credentials.revoke_token("wall", now_s=9.0)
        assert state.credentials.revoke_token("wall", now_s=10.0)
        assert not state.credentials.revoke_token("none")
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert secret.encode() not in data
    with State.open(tmp_path) as state:
        wall, everything = state.credentials.tokens()
        assert (wall.name, wall.rights, wall.cameras) == ("wall", {Right.WATCH, Right.PUBLISH}, {"door"})
        assert (wall.created_s, wall.last_used_s, wall.revoked_s) == (5, 77, 9)
        assert everything.cameras is None
        assert state.credentials.forget_token("wall")
        assert not state.credentials.forget_token("wall")
        assert [token.name for token in state.credentials.tokens()] == ["all"]


def test_sessions(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        token, _ = state.credentials.create_token("wall", frozenset({Right.WATCH}))
        first, cookie = state.credentials.create_session(token, now_s=100.0)
        second, _ = state.credentials.create_session(token, now_s=200.0)
        assert first.digest == digest(cookie)
        assert first.expires_s == 100 + SESSION_LIFE_S
        assert state.credentials.sessions(now_s=300.0) == [first, second]
        assert state.credentials.sessions(now_s=150.0 + SESSION_LIFE_S) == [second]
        state.credentials.delete_sessions([second])
        assert state.credentials.sessions(now_s=0.0) == []
        state.credentials.create_session(token)
        state.credentials.revoke_token("wall")
        assert state.credentials.sessions(now_s=0.0) == []


def test_threads_and_processes_share_it(tmp_path: Path) -> None:
    starts: list[int] = []
    with State.open(tmp_path) as one, State.open(tmp_path) as other:

        def reserve(state: State) -> None:
            for _ in range(25):
                starts.append(state.reserve_frame_ids("door", 1))

        threads = [threading.Thread(target=reserve, args=(state,)) for state in (one, one, other, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(starts) == list(range(1, 101))


def test_newer_files_are_left_alone(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match=r"this Framecast knows versions up to \d+; update it"):
        State.open(tmp_path)


def test_what_is_no_state(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match="file is not a database"):
        State.open(tmp_path)
    with pytest.raises(ConfigError, match="a folder that can be written is needed"):
        State.open(tmp_path / FILE_NAME / "below")


def test_failed_writes_are_told_and_change_nothing(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        state.save_settings({"stream.fps": 5})
        limit = sqlite3.connect(tmp_path / FILE_NAME)
        limit.execute("BEGIN EXCLUSIVE")
        state.database._connection.execute("PRAGMA busy_timeout = 1")
        with pytest.raises(StateError, match="locked"):
            state.save_settings({"stream.fps": 6})
        limit.execute("ROLLBACK")
        limit.close()
        state.save_settings({"stream.buffer": 7})
        assert state.changes().settings == {"stream.fps": 5, "stream.buffer": 7}


def test_sessions_of_one_token_are_bounded(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        token, _ = state.credentials.create_token("a", frozenset({Right.WATCH}))
        other, _ = state.credentials.create_token("b", frozenset({Right.WATCH}))
        kept = state.credentials.create_session(other, now_s=0)[0]
        made = [state.credentials.create_session(token, now_s=1.0 + number)[0] for number in range(MOST_SESSIONS + 3)]
        assert {session.digest for session in state.credentials.sessions(now_s=2.0)} == {
            kept.digest,
            *(session.digest for session in made[3:]),
        }
