"""What is remembered of cameras, from the counters to the answer of the API."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from framecast.core.stream import State
from framecast.mock.device import FakeDevice
from framecast.service.operations import history as module
from framecast.service.operations.history import MOST_POINTS, STEPS_MINUTES, Account, History, step_for
from framecast.service.store.database import FILE_NAME
from framecast.service.store.history import HistoryStore, Past, Row
from framecast.service.store.present import Present
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import mjpeg

pytestmark = pytest.mark.anyio

BEGIN_S = 1_800_000_000 // 3600 * 3600.0


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = BEGIN_S

    def __call__(self) -> float:
        return self.now_s


def watch_over(server: Server, wall: Wall, *, hours: int = 24) -> History:
    """A history of this server's cameras by another clock, in place of its own."""
    service = server.service
    store = HistoryStore(service._state.database, server.folder / "data")
    store.present = Present()  # by that clock
    service.history.hours = 0  # it looks at the clock on the wall, and would keep a minute of that among ours
    made = History(
        service.cameras,
        store,
        hours=hours,
        blocking=service.blocking,
        now_s=wall,
    )
    for camera in service.cameras:
        made._begin(camera)
    service.history = made
    return made


async def show(server: Server, query: str = "", **options: Any) -> dict[str, Any]:
    """The route's answer."""
    answer = await server.json("GET", f"/api/v1/history{query}", **options)
    assert isinstance(answer, dict)
    return answer


def points(answer: dict[str, Any], camera_id: str = "cam") -> list[dict[str, Any]]:
    """A camera's points, each by the names of its columns."""
    return [dict(zip(answer["columns"], point, strict=True)) for point in answer["cameras"][camera_id]["points"]]


async def test_a_minute_holds_what_happened_in_it(server: Server) -> None:
    wall = Wall()
    history = watch_over(server, wall)
    async with mjpeg(server.port) as viewer:
        for number in range(4):
            await server.push(jpeg(number))
            await viewer.part()
        size = sum(len(jpeg(number)) for number in range(4))
        server.camera().stream.refused["truncated"] += 2
        wall.now_s += 60
        assert history.look(), "a minute is over"
        assert not history.look()
        (minute, now) = points(await show(server, "?camera=cam&hours=1"))
    assert minute["time"] == BEGIN_S
    assert now["time"] == BEGIN_S + 60
    assert (minute["refused"], minute["drops"], minute["reconnects"], minute["most_viewers"]) == (2, 0, 0, 1)
    assert minute["p50_ms"] > 0
    assert minute["p50_ms"] <= minute["p95_ms"] <= minute["p99_ms"]
    assert minute["sent_bps"] > minute["bitrate_bps"] > 0
    assert now["p50_ms"] is None, "nothing was passed on since"
    summary = (await show(server, "?hours=1"))["cameras"]["cam"]
    assert (summary["frames"], summary["bytes"], summary["refused"]) == (4, size, 2)
    assert summary["sent_bytes"] >= size
    assert "points" not in summary


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.push(jpeg(1))
    async with serving(tmp_path) as server:
        await server.push(jpeg(2))
        answer = await show(server, "?camera=cam")
    assert answer["cameras"]["cam"]["frames"] == 2
    assert answer["kept_hours"] == 168


async def test_old_minutes_go(server: Server) -> None:
    wall = Wall()
    history = watch_over(server, wall, hours=1)
    for _ in range(90):
        wall.now_s += 60
        assert history.look()
        await history.keep()
    with closing(sqlite3.connect(server.folder / "data" / FILE_NAME)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM history WHERE camera = 'cam'").fetchone()
    assert count <= 61
    assert len(points(await show(server, "?camera=cam&hours=24"))) <= MOST_POINTS
    assert await forgotten(server, history, wall), "cameras that are gone are forgotten, too"


async def test_minutes_of_a_clock_that_was_years_ahead_are_not_of_today(server: Server) -> None:
    wall = Wall()
    history = watch_over(server, wall)
    for ahead_s in (365 * 86_400, 0, 60):
        wall.now_s = BEGIN_S + ahead_s
        history.look()
        await history.keep()
    history._waiting.append([Row("cam", int(BEGIN_S // 60) + 365 * 1440, 60, frames=7)])
    assert [point["time"] for point in points(await show(server, "?camera=cam&hours=1"))] == [BEGIN_S, BEGIN_S + 60]


async def forgotten(server: Server, history: History, wall: Wall) -> bool:
    """Whether the minutes of a camera that was removed are gone once they are old enough."""
    await server.json("DELETE", "/api/v1/cameras/cam", status=204)
    for _ in range(3):
        wall.now_s += 3600
        history.look()
        await history.keep()
    with closing(sqlite3.connect(server.folder / "data" / FILE_NAME)) as connection:
        return connection.execute("SELECT count(*) FROM history").fetchone() == (0,)


async def test_without_a_file_an_hour_stays_in_memory(server: Server) -> None:
    wall = Wall()
    history = watch_over(server, wall, hours=0)
    for _ in range(90):
        wall.now_s += 60
        history.look()
        await history.keep()
    answer = await show(server, "?camera=cam&hours=6")
    assert answer["kept_hours"] == 1
    assert len(points(answer)) == 61
    with closing(sqlite3.connect(server.folder / "data" / FILE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (0,)


class SlowStore(HistoryStore):
    """One on a slow disk, on which threads wait until they are let go."""

    def __init__(self, like: HistoryStore) -> None:
        super().__init__(like._database, like._path.parent)
        self.reading, self.writing = threading.Event(), threading.Event()
        self.go_on = threading.Event()

    def look(self) -> Past:
        return _SlowPast(super().look()._connection, self)

    def keep(self, *args: Any, **options: Any) -> None:
        self.writing.set()
        super().keep(*args, **options)


class _SlowPast(Past):
    def __init__(self, connection: sqlite3.Connection, store: SlowStore) -> None:
        super().__init__(connection)
        self._store = store

    def read(self, *args: Any, **options: Any) -> list[Row]:
        self._store.reading.set()
        assert self._store.go_on.wait(30)
        return super().read(*args, **options)


async def test_reading_holds_up_no_writing_and_sees_nothing_twice(server: Server) -> None:
    wall = Wall()
    history = watch_over(server, wall)
    await server.push(jpeg(1))
    wall.now_s += 60
    assert history.look()
    slow = history._store = SlowStore(history._store)
    reading = asyncio.create_task(history.read(["cam"], hours=1))
    await until(slow.reading.is_set)
    await server.push(jpeg(2))
    wall.now_s += 60
    history.look()
    await history.keep()
    assert not history._waiting, "kept while somebody read"
    slow.go_on.set()
    _, rows = await reading
    assert sum(row.frames for row in rows["cam"]) == 1
    _, rows = await history.read(["cam"], hours=1)
    assert sum(row.frames for row in rows["cam"]) == 2


async def test_the_end_does_not_wait_for_a_slow_disk(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.05)
    history = watch_over(server, Wall())
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(30)

    blocked = asyncio.create_task(server.service.blocking(hold))  # somebody else has the file
    try:
        await until(begun.is_set)
        await history.close()
        assert "is not kept" in caplog.text
    finally:
        go_on.set()
        await blocked


async def test_what_cannot_be_kept_waits(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    wall = Wall()
    history = watch_over(server, wall)
    await server.push(jpeg(1))
    with closing(sqlite3.connect(server.folder / "data" / FILE_NAME, isolation_level=None)) as other:
        other.execute("PRAGMA wal_checkpoint")
        server.service._state.database._connection.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            wall.now_s += 60
            history.look()
            await history.keep()
        assert "waits in memory" in caplog.text
        assert len(points(await show(server, "?camera=cam&hours=1"))) == 4
        other.execute("ROLLBACK")
    await history.keep()
    assert not history._waiting
    assert len(points(await show(server, "?camera=cam&hours=1"))) == 4
    assert (await show(server, "?hours=1"))["cameras"]["cam"]["frames"] == 1


async def test_a_camera_that_slept_has_not_reconnected_one_that_broke_off_has(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=30) as device,
        serving(tmp_path, {"cam": {"url": device.url, "grace_s": 0.0}}) as server,
    ):
        wall = Wall()
        history = watch_over(server, wall)
        stream = server.camera().stream
        for _ in range(2):
            async with mjpeg(server.port) as viewer:
                await viewer.part()
            await until(lambda: stream.state is State.IDLE)
        (point,) = points(await show(server, "?camera=cam&hours=1"))
        assert server.camera().reader.connects == 2
        assert point["reconnects"] == 0
        async with mjpeg(server.port) as viewer:
            await viewer.part()
            await until(lambda: server.camera().reader.connects == 3)
            server.service.cameras.restart("cam")
            await until(lambda: server.camera().reader.connects == 4)
            history.look()
            (point,) = points(await show(server, "?camera=cam&hours=1"))
        assert point["reconnects"] == 1
        assert 0 < point["live"] <= 1


async def test_the_samples_of_a_minute_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SAMPLES", 64)
    camera = server.camera()
    account = Account(camera)
    async with mjpeg(server.port) as viewer:
        await server.push(jpeg(1))
        await viewer.part()
        (fanout,) = camera.output.fanouts.values()
        for number in range(200):
            fanout.latency_ms.add(float(number))
        account.look(camera)
    row = account.row(0)
    assert len(account._samples) <= 64
    assert row.passes >= 200 - 8
    assert row.p50_ms == pytest.approx(100, abs=5)


async def test_a_removed_camera_takes_nothing_along(server: Server) -> None:
    wall = Wall()
    history = watch_over(server, wall)
    await server.push(jpeg(1))
    await server.json("DELETE", "/api/v1/cameras/cam", status=204)
    wall.now_s += 60
    history.look()
    await history.keep()
    assert (await show(server))["cameras"] == {}
    await server.error("GET", "/api/v1/history?camera=cam", 404)


@pytest.mark.parametrize("query", ["?hours=0", "?hours=9999", "?hours=x", "?hours=nan"])
async def test_ranges_that_make_no_sense_are_refused(server: Server, query: str) -> None:
    assert "hours has to be a number" in await server.error("GET", f"/api/v1/history{query}", 400)


async def test_only_cameras_that_one_may_watch_are_shown(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "push:", "bath": "push:"}) as server:
        made = await server.service.desk.create_token({"name": "k", "rights": ["watch"], "cameras": ["cam"]})
        headers = {"X-API-Key": made["secret"]}
        assert set((await show(server, headers=headers))["cameras"]) == {"cam"}
        await server.error("GET", "/api/v1/history?camera=bath", 403, headers=headers)
        await server.error("GET", "/api/v1/history?camera=ghost", 403, headers=headers)
        await server.error("GET", "/api/v1/history", 401)


def test_steps_suit_the_range() -> None:
    assert [step_for(hours) for hours in (1, 6, 24, 168, 2160)] == [1, 1, 5, 30, 360]
    assert list(STEPS_MINUTES) == sorted(STEPS_MINUTES)


async def test_minutes_are_named_by_the_wall_clock(server: Server) -> None:
    await server.push(jpeg(1))
    (point,) = points(await show(server, "?camera=cam&hours=1"))[-1:]
    assert 0 <= time.time() - point["time"] < 120
