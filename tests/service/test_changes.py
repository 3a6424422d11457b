"""Changes of cameras through the API, as they hold now and after a restart."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from framecast.mock.device import FakeDevice
from framecast.service.errors import ApiError
from framecast.service.store.database import FILE_NAME
from framecast.wire.jpeg import read_header
from tests.service.serving import Server, jpeg, serving
from tests.service.watching import mjpeg

pytestmark = pytest.mark.anyio

CAMERA = "/api/v1/cameras/cam"
HALF, QUARTER = [[0.0, 0.0, 0.5, 1.0]], [[0.0, 0.0, 0.5, 0.5]]
CONFIGURED = {"cam": {"url": "push:", "name": "Door", "rotate": 90, "masks": HALF, "policy": "always"}}


async def shown(server: Server, **change: Any) -> tuple[Any, ...]:
    """Name, turn, masks and policy of the camera, after a change if one is given."""
    if change:
        camera = await server.json("PATCH", CAMERA, json=change)
        assert camera == {**await server.json("GET", CAMERA), "since": camera["since"]}
    camera = await server.json("GET", CAMERA)
    return camera["name"], camera["transform"]["rotate"], camera["transform"]["masks"], camera["policy"]


async def test_null_is_what_the_file_says_at_once_and_later(tmp_path: Path) -> None:
    nothing = {"name": None, "rotate": None, "masks": None, "policy": None}
    async with serving(tmp_path, CONFIGURED) as server:
        assert await shown(server) == ("Door", 90, HALF, "always")
        changed = {"name": "Gate", "rotate": 0, "masks": QUARTER, "policy": "on_demand"}
        assert await shown(server, **changed) == ("Gate", 0, QUARTER, "on_demand")
        assert await shown(server, masks=None) == ("Gate", 0, HALF, "on_demand")
        assert server.camera().config.masks == [(0.0, 0.0, 0.5, 1.0)]
        assert await shown(server, masks=[]) == ("Gate", 0, [], "on_demand"), "no mask is something else than null"
        assert await shown(server, **nothing) == ("Door", 90, HALF, "always")
        await server.error("PATCH", CAMERA, 400, "bad_value", json={"nope": None})
        await server.error("PATCH", CAMERA, 400, "bad_value", json={"policy": "never", "masks": None})
        assert await shown(server) == ("Door", 90, HALF, "always")
    async with serving(tmp_path, CONFIGURED) as server:
        assert await shown(server) == ("Door", 90, HALF, "always")


async def test_masks_stay_on_the_scene_when_the_picture_is_turned(tmp_path: Path) -> None:
    upper, left = [[0.0, 0.0, 1.0, 0.5]], HALF
    async with serving(tmp_path, CONFIGURED) as server:
        assert await shown(server, rotate=180) == ("Door", 180, upper, "always"), "turned by 90 degrees more"
        assert server.camera().config.masks == [(0.0, 0.0, 1.0, 0.5)]
        assert await shown(server, rotate=90) == ("Door", 90, left, "always")
        assert await shown(server, mirror="horizontal") == ("Door", 90, [[0.5, 0.0, 0.5, 1.0]], "always")
        assert await shown(server, rotate=None, mirror=None, masks=QUARTER) == ("Door", 90, QUARTER, "always")
        assert await shown(server, rotate=0, masks=[]) == ("Door", 0, [], "always")
        assert await shown(server, rotate=90, masks=HALF) == ("Door", 90, HALF, "always"), "as they were sent"
        assert await shown(server, rotate=270) == ("Door", 270, [[0.5, 0.0, 0.5, 1.0]], "always")
    async with serving(tmp_path, CONFIGURED) as server:
        assert await shown(server) == ("Door", 270, [[0.5, 0.0, 0.5, 1.0]], "always")


async def test_who_watches_a_camera_that_seldom_sends_sees_its_picture_turned_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": {"url": "push:"}}) as server, mjpeg(server.port) as viewer:
        await server.push(jpeg(1, (96, 64)))
        before = await viewer.part()
        for rotate, size in ((90, (64, 96)), (180, (96, 64)), (0, (96, 64))):
            await server.json("PATCH", CAMERA, json={"rotate": rotate})
            part = await viewer.part()
            while part.frame_id == before.frame_id:
                part = await viewer.part()
            header = read_header(part.picture)
            assert (header.width_px, header.height_px) == size
            before = part
        assert part.picture == jpeg(1, (96, 64))


RIGHT_ANGLE = [[0.0, 0.0], [0.5, 0.0], [0.0, 0.25]]
ZONES = f"{CAMERA}/zones"


def turned(**fields: Any) -> dict[str, dict[str, Any]]:
    """The camera as a file that was changed has it."""
    return {"cam": {"url": "push:", **fields}}


def undate(folder: Path) -> None:
    """Have the state file say as little as an older version did."""
    with closing(sqlite3.connect(folder / "data" / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE cameras SET masks_rotate = NULL, masks_mirror = NULL")
        connection.execute("UPDATE zones SET rotate = NULL, mirror = NULL")


@pytest.mark.parametrize("by_older", [False, True])
async def test_a_turn_in_the_file_leaves_masks_and_zones_on_the_scene(tmp_path: Path, by_older: bool) -> None:
    async def drawn(server: Server) -> tuple[Any, Any]:
        (zone,) = (await server.json("GET", ZONES))["zones"]
        return (await server.json("GET", CAMERA))["transform"]["masks"], zone["points"]

    def is_blackened(server: Server) -> list[Any]:
        return [list(mask) for mask in server.camera().config.masks]

    async with serving(tmp_path, turned(rotate=90)) as server:
        await server.json("PATCH", CAMERA, json={"masks": QUARTER})
        zone = {"name": "porch", "kind": "zone", "points": RIGHT_ANGLE}
        await server.json("PUT", ZONES, json={"zones": [zone]})
        assert await drawn(server) == (QUARTER, RIGHT_ANGLE)
    if by_older:
        undate(tmp_path)
        async with serving(tmp_path, turned(rotate=90)) as server:
            assert await drawn(server) == (QUARTER, RIGHT_ANGLE), "they are taken for drawn as the camera is now"
    there = [[0.5, 0.0, 0.5, 0.5]], [[1.0, 0.0], [1.0, 0.5], [0.75, 0.0]]
    async with serving(tmp_path, turned(rotate=180)) as server:
        assert await drawn(server) == there, "turned by 90 degrees more"
        assert is_blackened(server) == there[0]
        assert (await shown(server, name="Gate"))[2] == there[0]
    async with serving(tmp_path, turned(rotate=180)) as server:
        assert await drawn(server) == there, "and once only"
        assert (await shown(server, rotate=270))[1:3] == (270, [[0.5, 0.5, 0.5, 0.5]])
        assert is_blackened(server) == [[0.5, 0.5, 0.5, 0.5]]
        assert (await drawn(server))[1] == [[1.0, 1.0], [0.5, 1.0], [1.0, 0.75]]
        assert (await shown(server, rotate=None))[1:3] == (180, there[0])
    async with serving(tmp_path, turned(rotate=180, mirror="vertical")) as server:
        assert await drawn(server) == ([[0.5, 0.5, 0.5, 0.5]], [[1.0, 1.0], [1.0, 0.5], [0.75, 1.0]])
        assert (await shown(server, masks=QUARTER))[2] == QUARTER, "drawn on it as it is now"
    async with serving(tmp_path, turned(rotate=180)) as server:
        assert (await drawn(server))[0] == [[0.0, 0.5, 0.5, 0.5]]
    async with serving(tmp_path, turned(rotate=90)) as server:
        assert (await drawn(server))[1] == RIGHT_ANGLE, "as it was drawn, after all"


async def test_the_masks_of_a_file_hold_for_the_picture_as_it_turns_it(tmp_path: Path) -> None:
    async with serving(tmp_path, turned(rotate=90, masks=QUARTER)) as server:
        assert (await shown(server, name="Gate"))[2] == QUARTER
    async with serving(tmp_path, turned(rotate=180, masks=HALF)) as server:
        assert (await shown(server))[2] == HALF


async def test_nothing_is_drawn_on_a_camera_that_goes(tmp_path: Path) -> None:
    """Or the next one of its id would have it."""
    zone = {"name": "porch", "kind": "zone", "points": RIGHT_ANGLE}
    async with serving(tmp_path) as server:
        old = server.camera()
        await server.json("DELETE", CAMERA, status=204)
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "cam", "url": "push:"})
        with pytest.raises(ApiError, match="removed"):
            await server.service.events.set_zones(old, [zone])
        service = server.service
        going, drawing = service.administration.remove_camera("cam"), service.events.set_zones(server.camera(), [zone])
        _, error = await asyncio.gather(going, drawing, return_exceptions=True)
        assert isinstance(error, ApiError)
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "cam", "url": "push:"})
        assert (await server.json("GET", ZONES))["zones"] == []
    async with serving(tmp_path) as server:
        assert (await server.json("GET", ZONES))["zones"] == []


async def test_a_camera_that_is_added_has_nothing_of_one_that_left_the_file(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.json("PATCH", CAMERA, json={"public": ["watch"], "masks": QUARTER, "restream": ["rtmp://a.b/c/d"]})
        await server.json("PUT", ZONES, json={"zones": [{"name": "porch", "kind": "zone", "points": RIGHT_ANGLE}]})
    async with serving(tmp_path, {}) as server:
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "cam", "url": "push:", "name": "Yard"})
        config = server.camera().config
        assert server.service.settings.cameras == {"cam": config}
        assert (await server.json("GET", ZONES))["zones"] == []
    async with serving(tmp_path, {}) as server:
        assert server.camera().config == config
        assert not config.public and not config.masks and not config.restream
        assert (await server.json("GET", ZONES))["zones"] == []
    async with serving(tmp_path) as server:
        assert server.camera().name == "Yard", "one that is back in the file has what was changed about it"


async def test_null_is_the_default_where_no_file_says_anything(tmp_path: Path) -> None:
    async with serving(tmp_path, {}) as server:
        body = {"id": "cam", "url": "push:", "name": "Yard", "masks": HALF}
        await server.json("POST", "/api/v1/cameras", status=201, json=body)
        assert await shown(server, masks=None, name=None) == ("cam", 0, [], "on_demand")
        await server.error("PATCH", CAMERA, 400, "bad_value", json={"url": None})
    async with serving(tmp_path, {}) as server:
        assert await shown(server) == ("cam", 0, [], "on_demand")


async def test_an_address_goes_back_to_the_files(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "mock:?size=64x64"}) as server:
        changed = await server.json("PATCH", CAMERA, json={"url": "push:"})
        assert (changed["url"], changed["origin"]) == ("push:", "api")
        await server.push(jpeg(1))
        back = await server.json("PATCH", CAMERA, json={"url": None})
        assert (back["url"], back["origin"]) == ("mock:?size=64x64", "config")


async def test_what_the_command_line_says_is_not_changed_in_vain(tmp_path: Path) -> None:
    options = {"cameras.cam.url": "push:"}
    async with serving(tmp_path, {"cam": {"url": "mock:", "name": "Door"}}, options=options) as server:
        assert (await server.json("GET", CAMERA))["url"] == "push:"
        message = await server.error("PATCH", CAMERA, 409, "pinned", json={"url": "mock:?fps=1", "name": "Gate"})
        assert "--url" in message
        assert "there" in await server.error("PATCH", CAMERA, 409, "pinned", json={"url": None})
        assert (await server.json("GET", CAMERA))["name"] == "Door"
        assert (await server.json("PATCH", CAMERA, json={"url": "push:", "name": "Gate"}))["name"] == "Gate"
        await server.error("DELETE", CAMERA, 409, "pinned")
        await server.push(jpeg(1))


async def test_a_look_at_a_camera_tells_nothing_of_its_password(tmp_path: Path) -> None:
    async with FakeDevice("espressif", fps=20) as device:
        address = f"{device.url}?user=me&pwd=s3cret"
        async with serving(tmp_path, {"cam": address}, options={"network.allow_loopback": True}) as server:
            for body in ({"camera": "cam"}, {"url": address}):
                async with server.client.post(server.url + "/api/v1/probe", json=body) as answer:
                    *steps, last = map(json.loads, (await answer.read()).splitlines())
                assert last["result"]["ok"], last
                assert "s3cret" not in json.dumps(steps)
                asked_by_id = "camera" in body
                assert last["result"]["url"] == (address.replace("s3cret", "***") if asked_by_id else address)
                assert ("s3cret" in json.dumps(last)) is not asked_by_id, "who typed it needs it to add the camera"


async def test_a_camera_s_password_goes_to_no_other_address(tmp_path: Path) -> None:
    """Who may change a camera needn't know its password, and could have it sent to a device of their own."""
    known = {"url": "http://192.168.1.20/stream", "username": "admin", "password": "hush"}
    async with serving(tmp_path, {"cam": known}) as server:
        elsewhere = "http://192.168.1.66/stream"
        for change in ({"url": elsewhere}, {"url": elsewhere, "password": None}):
            message = await server.error("PATCH", CAMERA, 400, "bad_value", json=change)
            assert "password" in message
        assert server.camera().config.url == known["url"]
        await server.json("PATCH", CAMERA, json={"url": "http://192.168.1.20:81/other"})
        await server.json("PATCH", CAMERA, json={"url": "push:"})
        await server.error("PATCH", CAMERA, 400, "bad_value", json={"url": elsewhere})
        await server.json("PATCH", CAMERA, json={"url": None})
        await server.json("PATCH", CAMERA, json={"url": elsewhere, "password": ""})
        assert server.camera().config.password == ""
        await server.error("PATCH", CAMERA, 400, "bad_value", json={"password": None})
        await server.json("PATCH", CAMERA, json={"password": "theirs"})
        await server.json("PATCH", CAMERA, json={"url": None, "password": None})
        assert server.camera().config.password == "hush"


@contextmanager
def locked(folder: Path, server: Server) -> Iterator[None]:
    """While nothing can be written."""
    server.service._state.database._connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(folder / "data" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def test_what_cannot_be_kept_is_not_done(tmp_path: Path) -> None:
    async with serving(tmp_path, CONFIGURED) as server:
        with locked(tmp_path, server):
            await server.error("PATCH", CAMERA, 503, "not_kept", json={"name": "Gate", "masks": []})
            await server.error("PATCH", CAMERA, 503, "not_kept", json={"url": "mock:"})
            await server.error("DELETE", CAMERA, 503, "not_kept")
            await server.error("POST", "/api/v1/cameras", 503, "not_kept", json={"id": "new", "url": "push:"})
            await server.error("POST", "/api/v1/tokens", 503, "not_kept", json={"name": "a", "rights": ["watch"]})
            assert await shown(server) == ("Door", 90, HALF, "always")
        assert [camera.camera_id for camera in server.service.cameras] == ["cam"]
        assert server.camera().config.kind == "push"
        assert await shown(server, name="Gate") == ("Gate", 90, HALF, "always")


async def test_a_full_disk(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        connection = server.service._state.database._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        statuses = []
        for number in range(100):
            body = {"id": f"c{number}", "url": "push:", "masks": [[0.123456789, 0.1, 0.1, 0.1]] * 32}
            async with server.client.post(server.url + "/api/v1/cameras", json=body) as answer:
                statuses.append(answer.status)
                if answer.status != 201:
                    break
        assert statuses[-1] == 507
        assert len(server.service.cameras) == len(statuses), "the one that was there, and those that could be kept"
