"""What is seen, through a whole server: over the WebSocket and as server-sent events, once for all who ask."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.core.mailbox import Mailbox
from framecast.core.rendition import DETECTIONS as TRACK
from tests.service.serving import Server, serving, until
from tests.service.watching import Page
from tests.vision import tinymodel
from tests.vision.scenes import scene

pytestmark = pytest.mark.anyio
DETECTIONS = "/api/v1/cameras/cam/detections"
STAMPS_MS = itertools.count(1_000_000, 40)
"""The device's clock: what is seen is the same as in the picture before, however long a busy machine looked at that."""


@asynccontextmanager
async def seeing(folder: Path, *, model: bool = True, **options: Any) -> AsyncIterator[Server]:
    """A server that finds bright squares."""
    if model:
        tinymodel.write(folder / "data" / "models" / "tiny.onnx")
    wanted = {
        "vision.fps": 0,
        "vision.faces": "off",
        "vision.labels": ["person", "car"],
        **{f"vision.{key}": options[key] for key in options},
    }
    async with serving(folder, options=wanted) as server:
        yield server


async def look_at(server: Server, page: Page, pictures: Iterable[bytes]) -> list[dict[str, Any]]:
    """What a page hears of each of these pictures, each pushed when the one before was looked at."""
    told = []
    for picture in pictures:
        headers = {"Content-Type": "image/jpeg", "X-Timestamp": str(next(STAMPS_MS))}
        frame_id = (await server.json("POST", "/api/v1/cameras/cam/frames", data=picture, headers=headers))["frame_id"]
        look = await page.hear("detections")
        while look["frame_id"] < frame_id:
            look = await page.hear("detections")
        assert look["frame_id"] == frame_id
        told.append(look)
    return told


def box_of(look: dict[str, Any]) -> list[float]:
    (thing,) = look["things"]
    return [round(part * side) for part, side in zip(thing["box"], (192, 144, 192, 144), strict=True)]


async def test_a_page_hears_what_is_seen_where(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server, Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", detections=True)
        await page.settle()
        first, second = await look_at(server, page, [scene(40, 60), scene(44, 60)])
        assert first["camera"] == server.camera().stream.number
        assert first["state"] == second["state"] == ""
        assert first["things"][0]["label"] == "person"
        assert first["region"] == [0, 0, 1, 1]
        assert box_of(first) == pytest.approx([40, 60, 24, 24], abs=3)
        assert box_of(second) == pytest.approx([44, 60, 24, 24], abs=3)
        assert second["things"][0]["track"] == 1
        shown = (await server.json("GET", "/api/v1/cameras/cam"))["vision"]
        assert (shown["state"], shown["model"], shown["looks"], shown["inferences"]) == ("running", "tiny", 2, 2)
        assert set(shown["ms"]) == {"decode", "motion", "objects"}
        await page.say(type="unsubscribe", cameras=["cam"])
        await page.settle()
        assert server.camera().stream.renditions == ["detections"], "for a while, should somebody come back"


async def test_a_camera_says_what_is_asked_of_its_detection(tmp_path: Path) -> None:
    async with seeing(tmp_path, threshold=0.4, faces="auto") as server:
        usual = (await server.json("GET", "/api/v1/cameras/cam"))["vision"]["asked"]
        assert usual == {"labels": ["car", "person"], "fps": 0, "threshold": 0.4, "faces": True, "own": False}
        own = {"detect": ["dog"], "detect_fps": 2, "detect_threshold": 0.7, "detect_faces": False}
        shown = (await server.json("PATCH", "/api/v1/cameras/cam", json=own))["vision"]["asked"]
        assert shown == {"labels": ["dog"], "fps": 2, "threshold": 0.7, "faces": False, "own": True}
        shown = (await server.json("PATCH", "/api/v1/cameras/cam", json=dict.fromkeys(own)))["vision"]["asked"]
        assert shown == usual


async def test_server_sent_events_and_one_look(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server:
        await server.push(scene(40, 60))
        once = await server.json("GET", DETECTIONS + "?once=1")
        assert once["things"][0]["label"] == "person"
        async with server.client.get(server.url + DETECTIONS) as answer:
            assert answer.content_type == "text/event-stream"
            assert await _event(answer) == (once["frame_id"], once), "the latest, at once"
            pushed = (await server.push(scene(90, 20, label="car")))["frame_id"]
            frame_id, look = await _event(answer)
            assert frame_id == look["frame_id"] == pushed
            assert [thing["label"] for thing in look["things"]] == ["car"]
        await until(lambda: not server.camera().stream.viewers)
        assert (await server.json("GET", "/api/v1/cameras/cam"))["vision"]["state"] == "running", "for a while yet"


async def _event(answer: aiohttp.ClientResponse) -> tuple[int, dict[str, Any]]:
    first, second, last = [await answer.content.readline() for _ in range(3)]
    assert last == b"\n"
    return int(first.removeprefix(b"id: ")), json.loads(second.removeprefix(b"data: "))


async def test_one_inference_a_picture_whoever_asks(tmp_path: Path) -> None:
    async with (
        seeing(tmp_path) as server,
        Page.opened(server.client, server.url) as page,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as crowd,
    ):
        await page.subscribe("cam", detections=True)
        await page.settle()
        sight = server.camera().sight
        await look_at(server, page, [scene(10 + 6 * step, 60) for step in range(4)])
        assert (sight.looks, sight.inferences["objects"]) == (4, 4)
        heard: list[list[int]] = [[] for _ in range(200)]
        others = [asyncio.create_task(_hear(crowd, server.url + DETECTIONS, ids, 5)) for ids in heard]
        await until(lambda: all(heard))  # the look before: each is there now
        await look_at(server, page, [scene(10 + 6 * step, 90) for step in range(4)])
        await asyncio.wait_for(asyncio.gather(*others), 60)
        assert (sight.looks, sight.inferences["objects"]) == (8, 8)
        assert all(ids == heard[0] for ids in heard)
        metrics = await (await server.client.get(server.url + "/metrics")).text()
        assert 'framecast_inferences_total{camera="cam",kind="objects"} 8.0' in metrics


async def _hear(client: aiohttp.ClientSession, url: str, ids: list[int], count: int) -> None:
    """Note the ids of so many looks as they come."""
    async with client.get(url) as answer:
        while len(ids) < count:
            line = await answer.content.readline()
            if line.startswith(b"id:"):
                ids.append(int(line[3:]))


async def test_settings_of_a_camera_hold_at_once(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server, Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", detections=True)
        await page.settle()
        (look,) = await look_at(server, page, [scene(40, 60, label="car")])
        assert [thing["label"] for thing in look["things"]] == ["car"]
        await server.json("PATCH", "/api/v1/cameras/cam", json={"detect": ["person"]})
        again = await page.hear("detections")
        assert (again["frame_id"], again["things"]) == (look["frame_id"], []), "the next picture may be a minute away"
        (look,) = await look_at(server, page, [scene(44, 60, label="car")])
        assert look["things"] == []
        assert (
            await server.error("PATCH", "/api/v1/cameras/cam", 400, "bad_value", json={"detect": ["<b>"]})
            == 'detect: what a model finds, such as "person", of at most 64 letters'
        )


async def test_who_is_seen_after_a_change_is_not_taken_for_who_was_there_before(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server, Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", detections=True)
        await page.settle()
        looks = await look_at(server, page, [scene(40, 60), scene(44, 60)])
        await server.json("PATCH", "/api/v1/cameras/cam", json={"detect_threshold": 0.4})
        await until(lambda: server.camera().sight.looks == 3)  # the picture that is shown was looked at anew
        looks += await look_at(server, page, [scene(120, 60), scene(124, 60)])
        assert [look["things"][0]["track"] for look in looks] == [0, 1, 0, 3], (
            "2 was looked at once, in the old picture"
        )


async def test_without_a_model_it_says_so_and_looks_for_people_all_the_same(tmp_path: Path) -> None:
    async with seeing(tmp_path, model=False) as server, Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", detections=True)
        await page.settle()
        (look,) = await look_at(server, page, [scene(40, 60)])
        assert look["state"] == "no_model"
        assert "framecast models install" in look["reason"]


async def test_switched_off_it_says_so(tmp_path: Path) -> None:
    async with seeing(tmp_path, enabled=False) as server:
        await server.push(scene())
        look = await server.json("GET", DETECTIONS + "?once=1")
        assert (look["state"], look["things"]) == ("off", [])
        assert server.camera().sight.looks == 0


async def test_who_listens_goes_with_the_camera_and_with_the_server(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server, server.client.get(server.url + DETECTIONS) as answer:
        await server.push(scene(40, 60))
        await _event(answer)
        await server.error("GET", "/api/v1/cameras/later/detections?once=1", 404)
        await server.json("POST", "/api/v1/cameras", json={"id": "later", "url": "push:"}, status=201)
        waiting = asyncio.create_task(server.json("GET", "/api/v1/cameras/later/detections?once=1", status=404))
        await until(lambda: server.camera("later").stream.viewers)
        await server.json("DELETE", "/api/v1/cameras/later", status=204)
        assert (await waiting)["error"]["code"] == "not_found"
        await server.json("DELETE", "/api/v1/cameras/cam", status=204)
        with pytest.raises(aiohttp.ClientError):
            await answer.content.read()


async def test_who_asks_what_is_seen_while_a_camera_goes_breaks_nothing(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server:
        await server.push(scene(40, 60))
        cameras, stream = server.service.cameras, server.camera().stream
        going = asyncio.create_task(cameras.remove("cam"))
        await asyncio.sleep(0)
        assert "cam" not in cameras
        assert not going.done()
        stream.track(TRACK).attach(Mailbox())
        await going
        assert not server.service.supervisor.failures


async def test_old_clients_get_events_without_chunks(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server:
        await server.push(scene(40, 60))
        await server.json("GET", DETECTIONS + "?once=1")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {DETECTIONS} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert "Content-Type: text/event-stream" in head
        assert "chunked" not in head
        assert (await reader.readline()).startswith(b"id: ")
        writer.close()
        async with server.client.head(server.url + DETECTIONS) as answer:
            assert answer.status == 200
        assert await server.error("GET", DETECTIONS + "?once=2", 400, "bad_value")


async def test_while_nobody_asks_what_is_seen_nothing_is_looked_at(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server, Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        for step in range(3):
            await server.push(scene(40 + 8 * step, 60))
            await page.ack(await page.see())
        camera = server.camera()
        assert (camera.sight.looks, camera.sight.inferences.total(), camera.stream.renditions) == (0, 0, [])
        assert (await server.json("GET", "/api/v1/cameras/cam"))["vision"]["state"] == "idle"
        await page.subscribe("cam", detections="yes")
        assert (await page.hear("error"))["code"] == "bad_value"


async def test_nothing_seen_before_a_mask_is_told_after_it(tmp_path: Path) -> None:
    async with seeing(tmp_path) as server, Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", detections=True)
        await page.settle()
        (look,) = await look_at(server, page, [scene(40, 60)])
        assert look["things"]
        await server.json("PATCH", "/api/v1/cameras/cam", json={"masks": [[0.1, 0.3, 0.5, 0.5]]})
        latest = server.camera().stream.track(TRACK).latest
        assert latest is None or latest.frame_id > look["frame_id"], "the same picture, masked"
        (look,) = await look_at(server, page, [scene(44, 60)])
        assert look["things"] == []


async def test_what_failed_is_idle_once_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("framecast.vision.looker.Looker.look", fail)

    async def vision() -> tuple[str, str]:
        shown = (await server.json("GET", "/api/v1/cameras/cam"))["vision"]
        return shown["state"], shown["reason"]

    async with seeing(tmp_path) as server, Page.opened(server.client, server.url) as page:
        stream = server.camera().stream
        monkeypatch.setattr(stream, "_grace_s", 0.0)
        await page.subscribe("cam", detections=True)
        await server.push(scene(40, 60))
        await until(lambda: server.camera().sight.state)
        assert await vision() == ("failed", "looking failed: out of memory")
        await page.say(type="unsubscribe", cameras=["cam"])
        await until(lambda: not stream.renditions)
        assert await vision() == ("idle", "")
        server.service.supervisor.failures.clear()  # it was meant to


async def test_looks_are_for_those_who_may_watch(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "push:", "other": "push:"}, tokens=True) as server:
        await server.owner()
        headers = await server.user("visitor", cameras=["other"])
        await server.error("GET", DETECTIONS, 401)
        await server.error("GET", DETECTIONS + "?once=1", 403, headers=headers)


async def test_a_camera_says_why_nothing_can_be_seen_in_its_pictures(tmp_path: Path) -> None:
    whole = scene(40, 60)
    cut = whole[: len(whole) * 2 // 3] + b"\xff\xd9"
    pictures = {"black": scene(side_px=0, grey=0), "too_small": scene(size=(1, 1), side_px=1), "corrupt": cut}
    tinymodel.write(tmp_path / "data" / "models" / "tiny.onnx")
    options = {"vision.fps": 0, "vision.faces": "off", "stream.verify": "never"}
    async with serving(tmp_path, options=options) as server, Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", detections=True)
        await page.settle()
        for state, picture in pictures.items():
            (look,) = await look_at(server, page, [picture])
            shown = (await server.json("GET", "/api/v1/cameras/cam"))["vision"]
            assert (look["state"], shown["state"]) == (state, state)
            assert look["reason"] == shown["reason"] != ""
            assert (look["things"], shown["inferences"]) == ([], 0)
        (look,) = await look_at(server, page, [whole])
        assert (look["state"], len(look["things"])) == ("", 1)
        assert (await server.json("GET", "/api/v1/cameras/cam"))["vision"]["state"] == "running"
