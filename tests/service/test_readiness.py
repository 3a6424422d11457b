"""/readyz tells the truth: each thing that keeps the server from its work, and that it is well again after."""

from __future__ import annotations

import contextlib
import resource
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from framecast.service.operations import readiness
from framecast.service.operations.readiness import Readiness
from framecast.service.store.database import FILE_NAME, Database
from tests.service.serving import Server, jpeg, serving, until


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question is answered anew."""
    monkeypatch.setattr(readiness, "FRESH_NS", 0)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """The kernel lets this process make no file longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def is_well(server: Server) -> bool:
    """Whether it says that it is ready."""
    return (await server.json("GET", "/readyz"))["status"] == "ready"


async def test_a_disk_that_takes_nothing(server: Server) -> None:
    assert await is_well(server)
    with full_disk():
        assert await server.error("GET", "/readyz", 503, "not_ready") == (
            "The data folder can't be written (File too large)"
        )
        # What needs no disk goes on.
        await server.push(jpeg())
    assert await is_well(server)


async def test_a_change_that_could_not_be_kept(server: Server) -> None:
    with full_disk():
        await server.error("POST", "/api/v1/cameras", 503, "not_kept", json={"id": "yard", "url": "push:"})
    # It is tried whether it works now, and it does.
    assert server.service.readiness._database._failure
    assert await is_well(server)
    assert not server.service.readiness._database._failure


async def test_a_disk_with_little_room(server: Server) -> None:
    server.service.readiness._room_bytes = 1 << 60
    assert "the state is full" in await server.error("GET", "/readyz", 503, "not_ready")


async def test_a_state_file_that_was_taken_away(tmp_path: Path, anyio_backend: object) -> None:
    async with serving(tmp_path) as server:
        (tmp_path / "data" / FILE_NAME).rename(tmp_path / "elsewhere")
        said = await server.error("GET", "/readyz", 503, "not_ready")
        assert "The state file was taken away or replaced" in said
        (tmp_path / "data" / FILE_NAME).write_bytes(b"another one")
        assert said == await server.error("GET", "/readyz", 503, "not_ready")
        (tmp_path / "elsewhere").rename(tmp_path / "data" / FILE_NAME)
        assert await is_well(server)


async def test_a_state_file_that_somebody_holds(server: Server) -> None:
    server.service.readiness._database._connection.execute("PRAGMA busy_timeout = 1")
    with contextlib.closing(sqlite3.connect(server.folder / "data" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in await server.error("GET", "/readyz", 503, "not_ready")
        other.execute("ROLLBACK")
    assert await is_well(server)


async def test_a_port_at_which_nothing_listens(tmp_path: Path, anyio_backend: object) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        other = probe.getsockname()[1]
    async with serving(tmp_path, options={"server.listen": [f"127.0.0.1:{other}"]}) as server:
        assert await is_well(server)
        (closed,) = [each for port, each in server.listeners._serving if port == other]
        closed.close()
        said = await server.error("GET", "/readyz", 503, "not_ready")
        assert said == f"Nothing listens at port {other} any more"


async def test_while_it_stops(tmp_path: Path, anyio_backend: object) -> None:
    async with serving(tmp_path) as server:
        await server.service.stop()
        assert await server.error("GET", "/readyz", 503, "not_ready") == "The server is starting or stopping"


async def test_a_disk_that_hangs_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: object
) -> None:
    """Whoever asks gets an answer, and no more than one look waits for the disk."""
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.01)
    let_go, looks = threading.Event(), 0
    with contextlib.closing(Database.open(tmp_path)) as database, ThreadPoolExecutor(1) as executor:
        ready = Readiness(database, tmp_path, executor)
        look = ready.look

        def hang() -> list[str]:
            nonlocal looks
            looks += 1
            let_go.wait()
            return look()

        monkeypatch.setattr(ready, "look", hang)
        for _ in range(5):
            assert await ready.reasons() == ["the disk with the state does not answer"]
        await until(lambda: looks)  # its thread may have got no core yet
        assert looks == 1
        monkeypatch.setattr(readiness, "PATIENCE_S", 20)
        let_go.set()
        assert await ready.reasons() == []


async def test_the_disk_is_not_looked_at_for_each_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: object
) -> None:
    monkeypatch.setattr(readiness, "FRESH_NS", 3600 * 10**9)
    with contextlib.closing(Database.open(tmp_path)) as database, ThreadPoolExecutor(1) as executor:
        ready = Readiness(database, tmp_path, executor)
        assert await ready.reasons() == []
        (tmp_path / FILE_NAME).unlink()
        assert await ready.reasons() == []
        monkeypatch.setattr(readiness, "FRESH_NS", 0)
        assert len(await ready.reasons()) == 1
