"""Settings over the API: what is told of them, and what of them can be changed while the server runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.service.config.schema import settings_table
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import PATIENCE_S, mjpeg

pytestmark = pytest.mark.anyio

ALL = "/api/v1/settings"
OF_CAM = "/api/v1/cameras/cam/settings"
SECRET = "swordfish"
CAMERA = {"url": f"http://admin:{SECRET}@192.0.2.1/", "password": SECRET, "name": "Door", "masks": [[0, 0, 0.5, 1]]}


async def values(server: Server, path: str = ALL, **change: Any) -> dict[str, Any]:
    """Each setting's value, after a change if one is given (``__`` stands for a dot)."""
    if change:
        answer = await server.json("PATCH", path, json={key.replace("__", "."): each for key, each in change.items()})
        assert answer == await server.json("GET", path)
    answer = await server.json("GET", path)
    return {key: setting["value"] for key, setting in answer["settings"].items()}


async def test_every_setting_is_told_with_where_it_came_from(tmp_path: Path) -> None:
    options = {"stream.fps": 12.5, "mqtt.password": SECRET, "events.webhooks": [f"https://:{SECRET}@example.org/x"]}
    async with serving(tmp_path, {"cam": CAMERA}, options=options) as server:
        told = (await server.json("GET", ALL))["settings"]
        of_camera = (await server.json("GET", OF_CAM))["settings"]
    assert {*told, *(f"cameras.*.{name}" for name in of_camera)} == {*settings_table()}
    assert SECRET not in str(told) + str(of_camera)
    fps, buffer = told["stream.fps"], told["stream.buffer"]
    assert (fps["value"], fps["default"], fps["changeable"]) == (12.5, 0.0, False), "a command line wins over the API"
    assert fps["origin"] == "--fps"
    assert (buffer["value"], buffer["origin"], buffer["changeable"]) == (2, "default", True)
    assert buffer["accepted"] == "a whole number from 1 to 256"
    assert told["server.data"]["value"] == str(tmp_path / "data")
    assert not told["server.port"]["changeable"]
    assert not told["compat.m5_viewer_port"]["changeable"], "ports are opened at the start"
    assert (of_camera["name"]["value"], of_camera["name"]["default"]) == ("Door", "")
    assert (of_camera["name"]["origin"], of_camera["rotate"]["origin"]) == ("the test", "default")
    assert of_camera["masks"]["value"] == [[0.0, 0.0, 0.5, 1.0]]
    assert of_camera["url"]["default"] is None


async def test_a_change_holds_at_once_and_after_a_restart_until_it_is_taken_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        shown = await values(server, stream__fps=5, stream__buffer=7, compat__doorbell="cam")
        assert (shown["stream.fps"], shown["stream.buffer"], shown["compat.doorbell"]) == (5.0, 7, "cam")
        assert (server.camera().options.fps, server.camera().options.buffer) == (5.0, 7)
    async with serving(tmp_path) as server:
        assert (await values(server))["stream.fps"] == 5.0
        assert (await server.json("GET", ALL))["settings"]["stream.fps"]["origin"] == "change made by the API"
        shown = await values(server, stream__fps=None)
        assert (shown["stream.fps"], shown["stream.buffer"]) == (0.0, 7)
        assert server.camera().options.fps == 0.0
    async with serving(tmp_path) as server:
        shown = await values(server)
        assert (shown["stream.fps"], shown["stream.buffer"]) == (0.0, 7)


async def test_a_preset_brings_what_it_bundles(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        shown = await values(server, stream__preset="mobile")
        assert (shown["stream.fps"], shown["capture.width"], shown["capture.quality"]) == (10.0, 480, 60)
        assert server.camera().options.rendition.width_px == 480
        assert (await values(server, stream__preset=None))["capture.width"] == 0
        assert server.camera().options.rendition.width_px == 0


async def test_who_watches_stays_and_hears_the_other_heartbeat(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await values(server, stream__heartbeat_interval_s=60)
        async with mjpeg(server.port) as viewer:
            await server.push(jpeg(1))
            await viewer.part()
            await viewer.part()  # the first repeat is soon; the next would be a minute later
            await values(server, stream__heartbeat_interval_s=0.5)
            async with asyncio.timeout(PATIENCE_S):
                assert (await viewer.part()).picture == (await viewer.part()).picture == jpeg(1)
        assert server.camera().options.heartbeat_interval_s == 0.5


async def test_a_camera_is_read_anew_where_it_is_read_otherwise_and_only_there(tmp_path: Path) -> None:
    cameras = {"cam": "mock:?fps=10", "own": {"url": "mock:?fps=10", "policy": "always", "grace_s": 7}}
    async with serving(tmp_path, cameras) as server:
        before, own = server.camera(), server.camera("own")
        await values(server, stream__fps=3)
        assert server.camera().reader is before.reader
        await values(server, stream__policy="always", stream__grace_s=1)
        assert server.camera().reader is not before.reader
        assert server.camera().stream is before.stream
        assert server.camera("own").reader is own.reader, "it says itself how it is read"
        await until(lambda: server.camera().stream.published > 0)


async def test_what_cannot_be_changed_is_refused_and_nothing_of_it_kept(tmp_path: Path) -> None:
    cameras = {"cam": "push:", "usb": "v4l2:/dev/video9"}
    async with serving(tmp_path, cameras, options={"stream.verify": "never"}) as server:
        for change, status, code, word in (
            ({"stream.fps": 5, "server.port": 80}, 400, "bad_value", "can only be set in the file"),
            ({"stream.fps": 5, "compat.m5_viewer_port": 0}, 400, "bad_value", "can only be set in the file"),
            ({"stream.fps": 5, "stream.bufer": 3}, 400, "bad_value", "did you mean stream.buffer?"),
            ({"stream.fps": 5, "stream.buffer": 0}, 400, "bad_value", "a whole number from 1 to 256"),
            ({"stream.fps": 5, "cameras.cam.name": "x"}, 400, "bad_value", "is a camera's"),
            ({"stream.fps": 5, "stream": {"buffer": 3}}, 400, "bad_value", "no such setting"),
            ({"stream.fps": 5, "stream.verify": "always"}, 409, "pinned", "--verify gives it"),
            ({"stream.fps": 5, "stream.verify": None}, 409, "pinned", "--verify gives it"),
        ):
            assert word in await server.error("PATCH", ALL, status, code, json=change), change
        await server.error("PATCH", ALL, 400, json=[1])
        tiny = {"stream.fps": 5, "capture.width": 4, "capture.height": 4}
        assert "width=4" in await server.error("PATCH", ALL, 400, "bad_camera", json=tiny)
        assert (await values(server))["stream.fps"] == 0.0
        assert (await values(server, stream__verify="never"))["stream.verify"] == "never", "as it is given"
        assert await values(server, OF_CAM) == await values(server, OF_CAM, name=None)
        await server.error("PATCH", OF_CAM, 400, "bad_value", json={"name": 5})
        await server.error("GET", "/api/v1/cameras/none/settings", 404)


async def test_a_camera_s_settings_are_those_of_the_camera(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert (await values(server, OF_CAM, name="Gate", rotate=90))["name"] == "Gate"
        camera = await server.json("GET", "/api/v1/cameras/cam")
        assert (camera["name"], camera["transform"]["rotate"]) == ("Gate", 90)
        assert (await server.json("GET", OF_CAM))["settings"]["name"]["origin"] == "change made by the API"
        assert (await values(server, OF_CAM, name=None))["name"] == ""


async def test_the_log_of_changes_says_what_was_set(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner()
        await server.json("PATCH", ALL, json={"stream.fps": 5, "log.level": "debug"}, headers=owner)
        entry = (await server.json("GET", "/api/v1/audit", headers=owner))["entries"][0]
    assert (entry["action"], entry["detail"]) == ("changed settings", "stream.fps=5, log.level=debug")


@contextmanager
def command(folder: Path, log: Path) -> Iterator[str]:
    """The real server, ready; its URL."""
    arguments = ["serve", "--port", "0", "--data", str(folder / "data"), "--camera", "cam=mock:?fps=10"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "framecast", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1].rstrip("/")
        finally:
            process.terminate()
            process.communicate()


async def test_the_level_of_the_log_is_changed_at_once_and_kept(tmp_path: Path) -> None:
    """Of the real command: the kept change is known only once the log is open."""
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    async with aiohttp.ClientSession() as client:

        async def look(url: str) -> None:
            async with client.get(f"{url}/api/v1/cameras/cam/snapshot.jpg") as response:
                assert response.status in (200, 503)

        with command(tmp_path, logs[0]) as url:
            await look(url)
            async with client.patch(url + ALL, json={"log.level": "debug"}) as response:
                assert response.status == 200
            assert "subscriber added" not in logs[0].read_text()
            await look(url)
            await until(lambda: "subscriber added" in logs[0].read_text())
        with command(tmp_path, logs[1]) as url:
            await look(url)
            await until(lambda: "subscriber added" in logs[1].read_text())
