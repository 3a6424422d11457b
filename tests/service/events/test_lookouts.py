"""Cameras under their rules over time: restarts, clocks that are set, and many of them."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from tests.service.events.test_api import OPTIONS, in_sight, person, see_directly
from tests.service.serving import serving, until

pytestmark = pytest.mark.anyio


async def test_a_restart_ends_no_cooldown(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        await in_sight(server, name="now and then", cooldown_s=3600)
        await in_sight(server, name="always")
        await see_directly(server, "cam", person())
        await until(lambda: server.service.events.log.store.newest == 2)
    async with serving(tmp_path, options=OPTIONS) as server:
        assert server.service.events.log.store.newest == 4
        await see_directly(server, "cam", person())
        await until(lambda: server.service.events.log.store.newest > 4)
        await server.service.events.log.flush()
        listed = (await server.json("GET", "/api/v1/events"))["events"]
        assert [each["rule_name"] for each in listed if each["end"] is None] == ["always"]


async def test_the_end_of_a_time_to_come_makes_no_longer_cooldown(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        await in_sight(server, cooldown_s=0.1)
        await see_directly(server, "cam", person(), ahead_s=3600)
        await until(lambda: server.service.events.log.store.newest == 1)
    async with serving(tmp_path, options=OPTIONS) as server:
        await see_directly(server, "cam", person(), ahead_s=10)
        await until(lambda: server.service.events.log.store.newest == 3)


async def test_quiet_hours_are_by_the_clock_of_people_also_when_that_was_set_late(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        now_s = time.time()
        span = [time.strftime("%H:%M", time.localtime(now_s + hours * 3600)) for hours in (11, 13)]
        await in_sight(server, quiet=[span])
        server.service.events._lookouts["cam"]._wall_s = lambda: now_s + 12 * 3600
        await see_directly(server, "cam", person())
        await until(lambda: server.service.events.log.store.newest == 1)
        (event,) = (await server.json("GET", "/api/v1/events"))["events"]
        assert event["quiet"]
        assert abs(event["start"] - now_s) < 3600, "events are dated by a clock that is not moved"


async def test_what_can_not_be_read_any_more_keeps_no_server_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        rule = await in_sight(server)
        store = server.service.events._store
        store.save_rule("ANOTHER", {"kind": "of a later version"})
        store.save_zones("cam", [{"name": "porch", "kind": "circle", "points": []}])
    async with serving(tmp_path, options=OPTIONS) as server:
        (kept,) = (await server.json("GET", "/api/v1/rules"))["rules"]
        assert kept["id"] == rule["id"]
        assert (await server.json("GET", "/api/v1/cameras/cam/zones"))["zones"] == []
    assert "the rule ANOTHER can't be used: kind: one of object" in caplog.text
    assert "the zones of cam can't be used: zones: the kind of 'porch'" in caplog.text


async def test_many_cameras_rules_do_not_hold_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.events.events.TICK_S", 0.01)
    async with serving(tmp_path, {"one": "push:", "two": "push:"}, options=OPTIONS) as server:
        await in_sight(server)
        ticks: list[str] = []
        loop = asyncio.get_running_loop()

        def tick(name: str) -> None:
            ticks.append(name)
            loop.call_soon(ticks.append, "another's turn")

        for name, lookout in server.service.events._lookouts.items():
            monkeypatch.setattr(lookout, "tick", partial(tick, name))
        await until(lambda: len(ticks) >= 4)
        assert ticks[:4] == ["one", "another's turn", "two", "another's turn"]
