"""Zones, rules and events through a whole server; what is seen is said by the tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.core.packet import Format, Packet
from framecast.core.rendition import DETECTIONS
from framecast.service.events import case
from framecast.service.store import ulid
from framecast.service.store.events import Announcement, Phase
from framecast.wire.detections import Look, Thing, pack
from tests.service.serving import Server, jpeg, serving, until

pytestmark = pytest.mark.anyio

PORCH = {"name": "porch", "kind": "zone", "points": [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}
GATE = {"name": "gate", "kind": "line", "points": [[0.5, 0], [0.5, 1]]}
OPTIONS = {"vision.enabled": False}


def person(track: int = 1, x: float = 0.2, y: float = 0.5, **more: Any) -> Thing:
    """Somebody whose foot is at ``x + 0.05, y + 0.3``."""
    return Thing("person", more.pop("score", 0.9), (x, y, 0.1, 0.3), track, **more)


async def see(server: Server, *things: Thing, camera: str = "cam", number: int = 0, **more: Any) -> int:
    """Have the camera show a picture and its detector see these things in it; the picture's id."""
    frame_id = (await server.push(jpeg(number), camera))["frame_id"]
    stream = server.camera(camera).stream
    latest = stream.video.latest
    assert latest is not None
    look = Look(frame_id, latest.epoch, latest.pts_ns, things, **more)
    stream.track(DETECTIONS).publish(
        Packet(pack(look), Format("detections"), frame_id, frame_id, latest.epoch, latest.pts_ns, latest.received_ns)
    )
    return int(frame_id)


class Listener:
    """A reader of server-sent events."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> tuple[int, dict[str, Any], bytes]:
        """The next one's number, content, and bytes."""
        number, body = 0, b""
        async with asyncio.timeout(30):
            while True:
                line = await self._answer.content.readline()
                assert line, "the stream ended"
                if line.startswith(b"id: "):
                    number = int(line[4:])
                elif line.startswith(b"data: "):
                    body = line[6:].strip()
                elif line == b"\n" and body:
                    return number, json.loads(body), body


@asynccontextmanager
async def listening(server: Server, **options: Any) -> AsyncIterator[Listener]:
    async with server.client.get(f"{server.url}/api/v1/events/stream", **options) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert (await answer.content.readline()).startswith(b"retry: ")
        yield Listener(answer)


async def test_somebody_in_the_porch_becomes_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(case.LINGER_S, "object", 60.0)
    monkeypatch.setattr(case, "UPDATE_S", 60.0)
    async with serving(tmp_path, options=OPTIONS) as server:
        assert await server.json("GET", "/api/v1/cameras/cam/zones") == {"zones": []}
        drawn = await server.json("PUT", "/api/v1/cameras/cam/zones", json={"zones": [PORCH, GATE]})
        assert [each["name"] for each in drawn["zones"]] == ["porch", "gate"]
        rule = await server.json(
            "POST",
            "/api/v1/rules",
            status=201,
            json={"kind": "object", "labels": ["person"], "zone": "porch", "name": "Porch", "cooldown_s": 0},
        )
        assert rule["reason"] == "nothing is looked at (vision.enabled is off)"
        assert rule["cameras"] == []
        async with listening(server) as listener, listening(server) as other:
            await see(server, person(y=0.1))  # not in the porch
            await see(server, person(), number=1)
            number, said, body = await listener.next()
            assert (number, said["phase"]) == (1, "start")
            event = said["event"]
            assert (event["camera"], event["rule"], event["rule_name"]) == ("cam", rule["id"], "Porch")
            assert (event["label"], event["zone"], event["end"]) == ("person", "porch", None)
            assert (await other.next())[2] == body
            assert await server.json("GET", f"/api/v1/events/{event['event_id']}") == event
            async with server.client.get(server.url + event["picture"]) as answer:
                assert answer.content_type == "image/jpeg"
                assert await answer.read() == jpeg(1)
            larger = Thing("person", 0.95, (0.1, 0.2, 0.4, 0.6), 1, "Ada")
            await see(server, larger, number=2)
            monkeypatch.setitem(case.LINGER_S, "object", 0.0)
            await see(server, number=3)
            number, said, _ = await listener.next()
            assert (number, said["phase"]) == (2, "end")
            assert said["event"]["names"] == ["Ada"]
            assert said["event"]["score"] == 0.95
            assert said["event"]["event_id"] == event["event_id"]
            assert said["event"]["end"] >= event["start"]
            async with server.client.get(server.url + event["picture"]) as answer:
                assert await answer.read() == jpeg(2), "the best picture"
        async with listening(server, headers={"Last-Event-ID": "0"}) as again:
            assert (await again.next())[2] == body
            assert (await again.next())[0] == 2
        listed = await server.json("GET", "/api/v1/events?name=Ada&kind=object&camera=cam")
        assert [each["event_id"] for each in listed["events"]] == [event["event_id"]]
        assert listed["next"] is None
        await server.json("DELETE", f"/api/v1/events/{event['event_id']}", status=204)
        await server.error("GET", f"/api/v1/events/{event['event_id']}", 404)
        await server.json("DELETE", f"/api/v1/rules/{rule['id']}", status=204)
        await until(lambda: not server.camera().stream.track(DETECTIONS).wanted)


async def in_sight(server: Server, **fields: Any) -> dict[str, Any]:
    """A rule for anybody who is seen."""
    rule = await server.json("POST", "/api/v1/rules", status=201, json={"kind": "object", "cooldown_s": 0, **fields})
    assert isinstance(rule, dict)
    return rule


async def message(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    async with asyncio.timeout(10):
        while True:
            data = await socket.receive_json()
            if data["type"] == kind:
                assert isinstance(data, dict)
                return data


async def test_pages_are_told_over_their_socket(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "push:", "yard": "push:"}, options=OPTIONS, tokens=True) as server:
        keys = {
            cameras: (
                await server.service.desk.create_token(
                    {"name": f"of {cameras}", "rights": ["operate"], "cameras": cameras and [cameras]}
                )
            )["secret"]
            for cameras in (None, "yard")
        }
        headers = {cameras: {"Authorization": f"Bearer {key}"} for cameras, key in keys.items()}
        await server.service.events.add_rule({"kind": "object", "cooldown_s": 0})
        stream = server.camera().stream
        url = f"{server.url}/api/v1/ws"
        async with (
            server.client.ws_connect(url, headers=headers[None]) as one,
            server.client.ws_connect(url, headers=headers["yard"]) as other,
        ):
            for socket in (one, other):
                await socket.send_json({"type": "events", "on": True})
                await socket.send_json({"type": "ping", "t": 1})
                await message(socket, "pong")
            log = server.service.events.log
            assert len(log.on_announced) == 3  # and the deliveries
            for camera in ("cam", "yard"):
                await see_directly(server, camera, person())
            heard = [await message(one, "event") for _ in range(2)]
            assert {each["event"]["camera"] for each in heard} == {"cam", "yard"}
            assert all(each["phase"] == "start" for each in heard)
            assert (await message(other, "event"))["event"]["camera"] == "yard", "and not of cam"
            await one.send_json({"type": "events", "on": 1})
            assert (await message(one, "error"))["code"] == "bad_value"
            await one.send_json({"type": "events", "on": False})
            await one.send_json({"type": "ping", "t": 2})
            await message(one, "pong")
            assert len(log.on_announced) == 2
        await until(lambda: len(log.on_announced) == 1)
        assert stream.track(DETECTIONS).wanted


async def see_directly(server: Server, camera: str, *things: Thing, ahead_s: float = 0.0) -> None:
    """Have a camera's detector see these things, in no picture."""
    stream = server.camera(camera).stream
    now_ns = stream.clock.now_ns() + int(ahead_s * 1e9)
    look = Look(1, 1, now_ns, things)
    stream.track(DETECTIONS).publish(Packet(pack(look), Format("detections"), 1, 1, 1, now_ns, now_ns))


async def test_who_may_see_one_camera_sees_its_events_only(tmp_path: Path) -> None:
    cameras = {"cam": "push:", "yard": "push:", "bird": {"url": "push:", "public": ["watch"]}}
    async with serving(tmp_path, cameras, options=OPTIONS) as server:
        owner, viewer = await server.owner(), await server.user("kid", cameras=["yard"])
        log = server.service.events.log
        await server.service.events.add_rule({"kind": "object", "cooldown_s": 0})
        async with listening(server, headers=viewer) as listener:
            for camera in cameras:
                await see_directly(server, camera, person())
            await until(lambda: log.store.newest == 3)
            told = {(await listener.next())[1]["event"]["camera"] for _ in range(2)}
        assert told == {"yard", "bird"}
        everything = (await server.json("GET", "/api/v1/events", headers=owner))["events"]
        ids = {each["camera"]: each["event_id"] for each in everything}
        assert set(ids) == set(cameras)
        for who, seen in ((viewer, {"yard", "bird"}), ({}, {"bird"})):
            listed = (await server.json("GET", "/api/v1/events", headers=who))["events"]
            assert {each["camera"] for each in listed} == seen
            for camera, event_id in ids.items():
                status = 200 if camera in seen else 404
                for path in (f"/api/v1/events/{event_id}", f"/api/v1/events/{event_id}/picture.jpg"):
                    async with server.client.get(server.url + path, headers=who) as answer:
                        assert answer.status == (404 if path.endswith("jpg") else status)
        await server.error("GET", "/api/v1/events?camera=cam", 403, headers=viewer)
        await server.error("GET", "/api/v1/cameras/cam/events", 403, headers=viewer)
        await server.error("GET", "/api/v1/cameras/cam/zones", 403, headers=viewer)
        await server.json("GET", "/api/v1/cameras/yard/zones", headers=viewer)
        await server.error("PUT", "/api/v1/cameras/yard/zones", 403, headers=viewer, json={"zones": []})
        await server.error("GET", "/api/v1/rules", 403, headers=viewer)
        await server.error("DELETE", f"/api/v1/events/{ids['yard']}", 403, headers=viewer)
        # Who loses the right loses the stream.
        async with listening(server, headers=viewer) as listener:
            await server.json("PATCH", "/api/v1/users/kid", headers=owner, json={"disabled": True})
            with pytest.raises((AssertionError, aiohttp.ClientError)):
                await listener.next()


async def test_lists_go_on_and_bad_questions_are_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        await in_sight(server)
        stream = server.camera().stream
        for number in range(5):
            await see_directly(server, "cam", person(), ahead_s=number / 100)
            for lookout in server.service.events._lookouts.values():
                for each in lookout.cases:
                    each.end(stream.clock.now_ns() / 1e9)
        await until(lambda: server.service.events.log.store.newest == 10)
        first = await server.json("GET", "/api/v1/events?limit=2")
        assert len(first["events"]) == 2
        assert first["next"] == first["events"][-1]["event_id"]
        rest = await server.json("GET", f"/api/v1/cameras/cam/events?before={first['next']}&limit=200")
        assert len(rest["events"]) == 3
        assert rest["next"] is None
        starts = [each["start"] for each in (*first["events"], *rest["events"])]
        assert starts == sorted(starts, reverse=True)
        since = await server.json("GET", f"/api/v1/events?since={starts[1] - 0.0005}")
        assert len(since["events"]) == 2
        assert (await server.json("GET", "/api/v1/events?before=0"))["events"] == []
        for question in ("limit=0", "limit=201", "kind=x", "since=soon", "before=-1", "since=nan", "name=" + "x" * 101):
            await server.error("GET", f"/api/v1/events?{question}", 400)
        for event_id in ("x", "..%2f..%2fframecast.db", "0" * 26, "%00" * 26, "é" * 26):
            await server.error("GET", f"/api/v1/events/{event_id}", 404)
            await server.error("GET", f"/api/v1/events/{event_id}/picture.jpg", 404)
            await server.error("DELETE", f"/api/v1/events/{event_id}", 404)
        await server.error("GET", "/api/v1/events/stream", 400, headers={"Last-Event-ID": "x"})
        async with server.client.head(f"{server.url}/api/v1/events/stream") as answer:
            assert answer.status == 200
        # A file that was restored knows fewer numbers than the reader has.
        async with listening(server, headers={"Last-Event-ID": "999999"}) as listener:
            await see_directly(server, "cam", person(), ahead_s=1)
            assert (await listener.next())[0] == 11


async def test_rules_are_kept_changed_and_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        rule = await in_sight(server, zone="porch", quiet=[["22:00", "07:00"]], labels=["person"])
        assert "porch" in rule["reason"]
        assert not server.camera().stream.track(DETECTIONS).wanted, "there is no such zone"
        await server.json("PUT", "/api/v1/cameras/cam/zones", json={"zones": [PORCH]})
        assert server.camera().stream.track(DETECTIONS).wanted
        (kept,) = (await server.json("GET", "/api/v1/rules"))["rules"]
        assert kept == {**rule, "reason": "nothing is looked at (vision.enabled is off)"}
        path = f"/api/v1/rules/{rule['id']}"
        changed = await server.json("PATCH", path, json={"enabled": False, "notify": ["mqtt"]})
        assert (changed["enabled"], changed["notify"], changed["quiet"]) == (False, ["mqtt"], [["22:00", "07:00"]])
        assert not server.camera().stream.track(DETECTIONS).wanted
        await server.error("PATCH", path, 400, json={"kind": "line"})
        await server.error("PATCH", path, 400, json={"id": "x"})
        await server.error("POST", "/api/v1/rules", 400, json={"kind": "sound"})
        await server.error("PATCH", "/api/v1/rules/x", 404, json={})
        await server.error("DELETE", "/api/v1/rules/x", 404)
        await server.error("PUT", "/api/v1/cameras/cam/zones", 400, json={"zones": [PORCH, PORCH]})
        await server.error("PUT", "/api/v1/cameras/cam/zones", 400, json=PORCH)
        gone = await in_sight(server, cameras=["shed"])
        assert "none of its cameras" in gone["reason"]
    async with serving(tmp_path, options=OPTIONS) as server:
        first, second = (await server.json("GET", "/api/v1/rules"))["rules"]
        assert first == changed
        assert second == gone
        assert await server.json("GET", "/api/v1/cameras/cam/zones") == {"zones": [PORCH]}
        # A rule holds for a camera as soon as it comes.
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "shed", "url": "push:"})
        assert server.camera("shed").stream.track(DETECTIONS).wanted
        await see_directly(server, "shed", person())
        await until(lambda: server.service.events.log.store.newest == 1)
        await server.json("DELETE", "/api/v1/cameras/shed", status=204)
        await until(lambda: server.service.events.log.store.newest == 2)
        (event,) = (await server.json("GET", "/api/v1/events"))["events"]
        assert event["end"] is not None, "a camera that goes ends its events"


async def test_a_rule_says_why_nothing_can_come_of_it(tmp_path: Path) -> None:
    cameras = {"cam": {"url": "push:", "name": "Door"}, "yard": {"url": "push:", "detect": ["dog"]}}
    async with serving(tmp_path, cameras) as server:
        for fields, reason in (
            ({"labels": ["person"]}, ""),
            ({"labels": ["cat"]}, "what is looked for at Door is person"),
            ({"labels": ["cat"], "enabled": False}, ""),
            ({"labels": ["dog"], "cameras": ["yard"]}, ""),
            ({"labels": ["person"], "cameras": ["yard"]}, "what is looked for at yard is dog"),
            ({"kind": "motion"}, ""),
            ({"kind": "motion", "line": "gate"}, ""),  # left over from when it was of another kind
            ({"kind": "motion", "zone": "porch"}, "none of its cameras has a zone named 'porch'"),
            ({"kind": "line", "line": "gate"}, "none of its cameras has a line named 'gate'"),
            ({"kind": "offline", "zone": "porch"}, ""),
        ):
            assert (await in_sight(server, **fields))["reason"] == reason


async def test_a_server_that_stops_ends_what_is_under_way_and_says_so(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as client:
        async with serving(tmp_path, options=OPTIONS) as server:
            await in_sight(server)
            answer = await client.get(f"{server.url}/api/v1/events/stream")
            await see_directly(server, "cam", person())
            await until(lambda: server.service.events.log.store.newest == 1)
        told = await answer.content.read()
        assert [each for each in ("start", "end") if f'"phase":"{each}"'.encode() in told] == ["start", "end"]
    async with serving(tmp_path, options=OPTIONS) as server, listening(server, headers={"Last-Event-ID": "1"}) as heard:
        number, said, _ = await heard.next()
        assert (number, said["phase"]) == (2, "end")


async def test_a_camera_that_goes_away_becomes_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "LEAST_GONE_S", 0.2)
    async with serving(tmp_path, options=OPTIONS) as server, listening(server) as listener:
        rule = await in_sight(server, kind="offline", for_s=0)
        _, said, _ = await listener.next()
        assert (said["phase"], said["event"]["kind"], said["event"]["picture"]) == ("start", "offline", None)
        assert server.camera().stream.video.wanted
        assert not server.camera().stream.track(DETECTIONS).wanted, "nothing has to be looked at for it"
        await server.push(jpeg())
        _, said, _ = await listener.next()
        assert said["phase"] == "end"
        await server.json("DELETE", f"/api/v1/rules/{rule['id']}", status=204)
        assert not server.camera().stream.video.wanted


async def test_a_mask_takes_back_pictures_that_are_not_kept_yet(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        await in_sight(server)
        await see(server, person(), number=1)
        await until(lambda: server.service.events.log.store.newest == 1)
        await see(server, Thing("person", 0.9, (0, 0, 1, 1), 1), number=2)  # a better one
        await server.json("PATCH", "/api/v1/cameras/cam", json={"masks": [[0, 0, 0.5, 0.5]]})
        await server.json("DELETE", "/api/v1/cameras/cam", status=204)
        await until(lambda: server.service.events.log.store.newest == 2)
        (event,) = (await server.json("GET", "/api/v1/events"))["events"]
        async with server.client.get(server.url + event["picture"]) as answer:
            assert await answer.read() == jpeg(1)


async def test_where_the_picture_is_gone_already_the_next_one_does(tmp_path: Path) -> None:
    async with serving(tmp_path, options=OPTIONS) as server:
        for number in (1, 2, 3):
            frame_id = (await server.push(jpeg(number)))["frame_id"]
        stream = server.camera().stream
        stream.video._ring.popleft()  # as it is with pictures of some hundred kilobytes
        await in_sight(server)
        latest = stream.video.latest
        assert latest is not None
        look = Look(frame_id - 2, latest.epoch, latest.pts_ns, (person(),))
        form = Format("detections")
        stream.track(DETECTIONS).publish(Packet(pack(look), form, frame_id - 2, 1, latest.epoch, latest.pts_ns, 0))
        await until(lambda: server.service.events.log.store.newest == 1)
        (event,) = (await server.json("GET", "/api/v1/events"))["events"]
        async with server.client.get(server.url + event["picture"]) as answer:
            assert await answer.read() == jpeg(2)


async def test_a_reader_that_takes_nothing_is_cut_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.service.api.events.MOST_BEHIND", 4)
    async with serving(tmp_path, options=OPTIONS) as server:
        log = server.service.events.log
        async with listening(server) as slow:
            # All at once, so that none of them can be told in between.
            said = [Announcement(number, ulid.new(number), "cam", Phase.START, "{}", 0.0) for number in range(1, 9)]
            for each in said:
                for listener in tuple(log.on_announced):
                    listener(each)
            with pytest.raises((AssertionError, aiohttp.ClientError)):
                for _ in range(8):
                    await slow.next()
        await until(lambda: len(log.on_announced) == 1)
