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
        async with asyncio.timeout(10):
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
    monkeypatch.setitem(case.LINGER_S, "object", 0.2)
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
        assert rule["reason"] == ""
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
            await asyncio.sleep(0.25)
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
