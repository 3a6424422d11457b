"""Cameras under their rules over time: restarts, clocks that are set, and many of them."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from framecast.core.rendition import DETECTIONS
from framecast.vision.faces.people import Sample
from framecast.wire.detections import Look, Thing, pack
from tests.service.events.telling import Receiver
from tests.service.events.test_api import OPTIONS, in_sight, person, see, see_directly
from tests.service.serving import jpeg, serving, until

pytestmark = pytest.mark.anyio


async def test_zones_stay_in_the_scene_when_a_camera_is_turned(tmp_path: Path) -> None:
    drawn = [
        {"name": "porch", "kind": "zone", "points": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]]},
        {"name": "gate", "kind": "line", "points": [[0.5, 0.9], [0.5, 0.1]]},
    ]
    camera = "/api/v1/cameras/cam"
    async with serving(tmp_path, options=OPTIONS) as server:
        await server.json("PUT", f"{camera}/zones", json={"zones": drawn})
        await server.json("PATCH", camera, json={"rotate": 90})
        porch, gate = (await server.json("GET", f"{camera}/zones"))["zones"]
        assert porch["points"] == [[0.8, 0.1], [0.8, 0.4], [0.4, 0.4]]
        assert gate["points"] == [[0.1, 0.5], [0.9, 0.5]]
        await server.json("PATCH", camera, json={"mirror": "horizontal", "name": "Door"})
    async with serving(tmp_path, options=OPTIONS) as server:
        porch, gate = (await server.json("GET", f"{camera}/zones"))["zones"]
        assert porch["points"] == [[0.2, 0.1], [0.2, 0.4], [0.6, 0.4]]
        assert gate["points"] == [[0.1, 0.5], [0.9, 0.5]], "left stays left"
        await in_sight(server, zone="porch")
        await server.json("PATCH", camera, json={"rotate": None, "mirror": "vertical"})
        await see_directly(server, "cam", person(x=0.28, y=0.3))  # with a foot at 0.33, 0.6: porch is up there no more
        await server.json("PATCH", camera, json={"mirror": None})
        assert (await server.json("GET", f"{camera}/zones"))["zones"] == drawn
        await see_directly(server, "cam", person(x=0.28, y=0.0))  # 0.33, 0.3
        await until(lambda: server.service.events.log.store.newest >= 1)
        await server.json("PATCH", camera, json={"name": "Yard"})
        assert (await server.json("GET", f"{camera}/zones"))["zones"] == drawn


async def test_a_turn_that_can_not_be_kept_leaves_zones_where_they_are(
    tmp_path: Path,
) -> None:
    drawn = [{"name": "porch", "kind": "zone", "points": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]]}]
    camera = "/api/v1/cameras/cam"
    async with serving(tmp_path, options=OPTIONS) as server:
        await server.json("PUT", f"{camera}/zones", json={"zones": drawn})
        with server.service.events._store._database.write() as connection:
            connection.execute("CREATE TRIGGER full BEFORE INSERT ON cameras BEGIN SELECT RAISE(ABORT, 'full'); END")
        await server.error("PATCH", camera, 507, json={"rotate": 90})
        assert (await server.json("GET", f"{camera}/zones"))["zones"] == drawn
        shown = await server.json("GET", camera)
        assert shown["transform"]["rotate"] == 0
    async with serving(tmp_path, options=OPTIONS) as server:
        assert (await server.json("GET", camera))["transform"]["rotate"] == 0


async def test_a_camera_that_can_not_be_removed_keeps_its_zones(tmp_path: Path) -> None:
    drawn = [{"name": "porch", "kind": "zone", "points": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]]}]
    camera = "/api/v1/cameras/cam"
    async with serving(tmp_path, options=OPTIONS) as server:
        await server.json("PUT", f"{camera}/zones", json={"zones": drawn})
        with server.service.events._store._database.write() as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON former_cameras BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
        await server.error("DELETE", camera, 507)
        assert (await server.json("GET", f"{camera}/zones"))["zones"] == drawn
    async with serving(tmp_path, options=OPTIONS) as server:
        assert (await server.json("GET", f"{camera}/zones"))["zones"] == drawn


async def test_a_rule_can_tell_nobody(tmp_path: Path) -> None:
    async with Receiver.running() as receiver:
        options = {**OPTIONS, "events.webhooks": [receiver.url]}
        async with serving(tmp_path, options=options) as server:
            silent = await in_sight(server, name="silent", notify=["none"])
            assert silent["notify"] == ["none"]
            await see_directly(server, "cam", person())
            await until(lambda: server.service.events.log.store.newest == 1)
            await in_sight(server, name="loud")
            await see_directly(server, "cam", person())
            await until(lambda: bool(receiver.told))
            assert json.loads(receiver.told[0].body)["event"]["rule_name"] == "loud"
            listed = (await server.json("GET", "/api/v1/events"))["events"]
            assert {each["rule_name"] for each in listed} == {"silent", "loud"}


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


async def test_a_rule_that_is_changed_keeps_its_cooldown(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        rule = await in_sight(server, cooldown_s=3600)
        store, path = server.service.events.log.store, f"/api/v1/rules/{rule['id']}"
        await see_directly(server, "cam", person())
        await until(lambda: store.newest == 1)
        for change in ({"name": "Door"}, {"enabled": False}, {"enabled": True}, {"cooldown_s": 1800}):
            await server.json("PATCH", path, json=change)
            await see_directly(server, "cam", person(), ahead_s=1)
        await until(lambda: store.newest == 2)
        (event,) = (await server.json("GET", "/api/v1/events"))["events"]
        assert event["end"] is not None, "the change has ended it"
        await server.json("PATCH", path, json={"cooldown_s": 0})
        await see_directly(server, "cam", person(), ahead_s=1)
        await until(lambda: store.newest == 3)
        await server.json("DELETE", path, status=204)
        assert server.service.events._ended == {"cam": {}}


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
        store.save_zones("cam", [{"name": "porch", "kind": "circle", "points": []}], (0, "none"))
    async with serving(tmp_path, options=OPTIONS) as server:
        (kept,) = (await server.json("GET", "/api/v1/rules"))["rules"]
        assert kept["id"] == rule["id"]
        assert (await server.json("GET", "/api/v1/cameras/cam/zones"))["zones"] == []
    assert "the rule ANOTHER can't be used: kind: one of object" in caplog.text
    assert "the zones of cam can't be used: zones: the kind of 'porch'" in caplog.text


async def test_what_was_shown_before_a_mask_is_the_best_picture_of_nothing(tmp_path: Path) -> None:
    large = Thing("person", 0.95, (0.1, 0.1, 0.5, 0.7), 1)
    async with serving(tmp_path, options=OPTIONS) as server:
        await in_sight(server)
        log = server.service.events.log
        await see(server, person())
        await until(lambda: log.store.newest == 1)
        (event,) = log.store.open()
        await see(server, large, number=1)  # a better picture, which waits for the end or a name
        await server.json("PATCH", "/api/v1/cameras/cam", json={"masks": [[0, 0, 1, 1]]})
        assert not log.may_send(event.event_id, "cam")
        await server.push(jpeg(2))
        await until(lambda: server.camera().stream.video.latest is not None)
        shown = server.camera().stream.video.latest
        assert shown is not None
        look = Look(shown.frame_id, shown.epoch, shown.pts_ns, (person(),))
        server.camera().stream.track(DETECTIONS).publish(replace(shown, payload=pack(look)))
        await server.json("DELETE", f"/api/v1/rules/{event.rule}", status=204)  # ends it
        await until(lambda: log.store.newest == 2)
        assert log.picture(event.event_id) == shown.payload, "what is masked takes the place of what was not"


async def test_a_stranger_is_forgotten_with_the_pictures_or_with_the_wish_to_know_faces(tmp_path: Path) -> None:
    face = Sample(jpeg(), "tiny", bytes(512))
    async with serving(tmp_path, {"cam": "push:", "yard": "push:"}) as server:
        register = server.service.gallery.register
        for change in ({"rotate": 180}, {"detect_faces": False}, {"policy": "always"}):
            spell, other = register.spell_of("cam"), register.spell_of("yard")
            number = register.add_stranger((face,), "cam", spell)
            assert number
            await server.json("PATCH", "/api/v1/cameras/cam", json=change)
            assert number not in register.unknown
            assert not register.add_stranger((face,), "cam", spell), "a look that began before"
            assert register.add_stranger((face,), "yard", other)


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
        await until(lambda: len(ticks) >= 6)
        first = ticks.index("one")  # a round may have been under way
        assert ticks[first : first + 4] == ["one", "another's turn", "two", "another's turn"]
