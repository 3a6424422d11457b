"""The API's resources: cameras, probes, statistics, the reference, the pages."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from framecast import __version__
from framecast.mock.device import FakeDevice
from framecast.service.access.rights import CONTROL, Right
from framecast.service.api.table import make_table
from framecast.service.front.routing import Route, Table
from framecast.web import PAGES
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import mjpeg

pytestmark = pytest.mark.anyio

CAMERA = {
    *("id", "number", "name", "url", "kind", "origin", "policy", "state", "reason", "since", "viewers", "video"),
    *("connection", "counters", "latency_ms", "renditions", "vision", "transform", "audio", "talk"),
}


# Cameras


async def test_a_camera_is_described_whole(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", ["auth=me:secret"], fps=20) as device,
        serving(tmp_path, {"cam": {"url": device.url.replace("//", "//me:secret@"), "name": "Door"}}) as server,
    ):
        idle = await server.json("GET", "/api/v1/cameras/cam")
        assert set(idle) == CAMERA
        assert (idle["state"], idle["video"], idle["viewers"]) == ("idle", None, 0)
        async with mjpeg(server.port) as viewer:
            for _ in range(10):
                part = await viewer.other()
            camera = await server.json("GET", "/api/v1/cameras/cam")
            age_s = time.time() - float(part.timestamp)
        assert set(camera) == CAMERA
        assert "secret" not in json.dumps(camera)
        assert camera["url"] == device.url.replace("//", "//me:***@")
        assert (camera["id"], camera["name"], camera["kind"], camera["origin"]) == ("cam", "Door", "pull", "config")
        assert (camera["policy"], camera["state"], camera["reason"], camera["viewers"]) == ("on_demand", "live", "", 1)
        video = camera["video"]
        assert set(video) == {"width", "height", "fps", "bytes_per_frame", "bitrate_bps", "frame_id", "age_s", "epoch"}
        assert (video["width"], video["height"]) == (640, 480)
        assert 0 <= video["age_s"] < age_s + 0.5
        connection = camera["connection"]
        assert "Espressif" in connection["dialect"]
        assert (connection["connects"], connection["reconnects"], connection["retry_in_s"]) == (1, 0, None)
        assert camera["counters"]["frames"] >= 10
        assert camera["transform"] == {"rotate": 0, "mirror": "none", "masks": []}
        assert (await server.json("GET", "/api/v1/cameras"))["cameras"][0]["id"] == "cam"


async def test_cameras_come_and_go_and_are_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        body = {"id": "garden", "url": "push:", "name": "Garden", "rotate": 90, "policy": "always"}
        added = await server.json("POST", "/api/v1/cameras", status=201, json=body)
        assert set(added) == CAMERA
        assert (added["id"], added["name"], added["origin"], added["policy"]) == ("garden", "Garden", "api", "always")
        await server.error("POST", "/api/v1/cameras", 409, "exists", json=body)
        changed = await server.json("PATCH", "/api/v1/cameras/garden", json={"name": "Yard", "mirror": "vertical"})
        assert changed["name"] == "Yard"
        assert changed["transform"] == {"rotate": 90, "mirror": "vertical", "masks": []}
        plain = await server.json("PATCH", "/api/v1/cameras/garden", json={"name": None, "rotate": None})
        assert (plain["name"], plain["transform"]["rotate"], plain["policy"]) == ("garden", 0, "always")
        await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "Changed"})
        unnamed = await server.json("POST", "/api/v1/cameras", status=201, json={"url": "push:", "name": "Été 2!"})
        assert unnamed["id"] == "ete-2"
        again = await server.json("POST", "/api/v1/cameras", status=201, json={"url": "push:", "name": "Été 2!"})
        assert again["id"] == "ete-2-2"
        await server.json("DELETE", "/api/v1/cameras/ete-2-2", status=204)
        await server.error("DELETE", "/api/v1/cameras/ete-2-2", 404, "not_found")
    async with serving(tmp_path) as server:
        cameras = {camera["id"]: camera for camera in (await server.json("GET", "/api/v1/cameras"))["cameras"]}
        assert set(cameras) == {"cam", "garden", "ete-2"}
        assert (cameras["garden"]["transform"]["mirror"], cameras["garden"]["origin"]) == ("vertical", "api")
        assert cameras["cam"]["name"] == "Changed"
        await server.json("DELETE", "/api/v1/cameras/cam", status=204)
    async with serving(tmp_path) as server:
        assert "cam" not in server.service.cameras


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad_value"),
        ({"url": ""}, "bad_value"),
        ({"url": "ftp://10.0.0.1/"}, "bad_value"),
        ({"url": "push:", "id": "No"}, "bad_id"),
        ({"url": "push:", "id": ""}, "bad_id"),
        ({"url": "push:", "id": "a" * 64}, "bad_id"),
        ({"url": "push:", "id": 5}, "bad_id"),
        ({"url": "push:", "unheard": 1}, "bad_value"),
        ({"url": "push:", "rotate": 45}, "bad_value"),
        ({"url": "push:", "mirror": "both"}, "bad_value"),
        ({"url": "push:", "masks": [[0, 0, 2, 2]]}, "bad_value"),
        ({"url": "push:", "masks": [[0, 0, 0, 0]]}, "bad_value"),
        ({"url": "push:", "policy": "never"}, "bad_value"),
        ({"url": "push:", "public": ["operate"]}, "bad_value"),
        ({"url": "push:", "publish_from": ["everywhere"]}, "bad_value"),
        ({"url": "mock:?size=1x1"}, "bad_camera"),
    ],
)
async def test_what_makes_no_camera(server: Server, body: dict[str, Any], code: str) -> None:
    message = await server.error("POST", "/api/v1/cameras", 400, code, json=body)
    assert message
    if body.get("url") and "id" not in body:
        await server.error("PATCH", "/api/v1/cameras/cam", 400, code, json=body)
    camera = await server.json("GET", "/api/v1/cameras/cam")
    assert (camera["url"], camera["name"]) == ("push:", "cam")
    assert len(server.service.cameras) == 1


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:1/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/", "http://169.254.169.254/"),
        *("http://[::ffff:127.0.0.1]/", "http://[fd00:ec2::254]/", "rtsp://127.0.0.1/", "file:/etc/passwd"),
        *("http://x.localhost/", "http://224.0.0.1/"),
    ],
)
async def test_where_the_api_may_not_reach(server: Server, url: str) -> None:
    await server.error("POST", "/api/v1/cameras", 403, "forbidden_address", json={"url": url})
    await server.error("PATCH", "/api/v1/cameras/cam", 403, "forbidden_address", json={"url": url})
    async with server.client.post(server.url + "/api/v1/probe", json={"url": url}) as answer:
        last = (await answer.read()).splitlines()[-1]
    assert json.loads(last)["result"]["ok"] is False


async def test_an_odd_name_for_an_address_is_found_out_when_it_is_connected(server: Server) -> None:
    await server.json("POST", "/api/v1/cameras", status=201, json={"id": "odd", "url": "http://127.1:1/stream"})
    async with mjpeg(server.port, "/api/v1/cameras/odd/stream.mjpeg"):
        await until(lambda: server.camera("odd").stream.state in ("failed", "offline"))
        assert "network.allow_loopback" in server.camera("odd").stream.reason


async def test_there_are_only_so_many_cameras(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_cameras": 2}) as server:
        await server.json("POST", "/api/v1/cameras", status=201, json={"url": "push:"})
        message = await server.error("POST", "/api/v1/cameras", 503, "limit_reached", json={"url": "push:"})
        assert "limits.max_cameras" in message


async def test_a_camera_has_only_so_many_viewers(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_viewers_per_camera": 2}) as server:
        async with mjpeg(server.port), mjpeg(server.port):
            await server.error("GET", "/api/v1/cameras/cam/stream.mjpeg", 503, "limit_reached")
        await until(lambda: not server.camera().stream.viewers)
        async with mjpeg(server.port) as viewer:
            assert viewer.status == 200


async def test_a_restart_connects_anew(tmp_path: Path) -> None:
    async with FakeDevice("espressif", fps=30) as device, serving(tmp_path, {"cam": device.url}) as server:
        async with mjpeg(server.port) as viewer:
            await viewer.part()
            assert await server.json("POST", "/api/v1/cameras/cam/restart") == {"success": True}
            await until(lambda: server.camera().reader.connects == 2)
            before = server.camera().stream.published
            await until(lambda: server.camera().stream.published > before)
            await viewer.part()
        await server.error("POST", "/api/v1/cameras/ghost/restart", 404, "not_found")


async def test_a_cameras_statistics_name_its_viewers(server: Server) -> None:
    await server.push(jpeg(1))
    async with mjpeg(server.port, "/api/v1/cameras/cam/stream.mjpeg?fps=10") as viewer:
        await viewer.part()
        answer = await server.json("GET", "/api/v1/cameras/cam/stats")
        assert set(answer) == CAMERA | {"readers", "restream", "webrtc"}
        (reader,) = answer["readers"]
    assert {"id", "kind", "address", "since", "sent", "drops", "behind", "fps_limit", "rendition"} <= set(reader)
    assert (reader["kind"], reader["address"], reader["sent"], reader["fps_limit"]) == ("mjpeg", "127.0.0.1", 1, 10.0)


async def test_a_rename_leaves_the_device_alone(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=30) as device,
        serving(tmp_path, {"cam": device.url}) as server,
        mjpeg(server.port) as viewer,
    ):
        await viewer.part()
        for change in ({"name": "New"}, {"rotate": 90}, {"masks": [[0, 0, 0.5, 0.5]]}, {"public": ["watch"]}):
            await server.json("PATCH", "/api/v1/cameras/cam", json=change)
            for _ in range(3):
                await viewer.part()
        assert device.connections == 1
        await server.service.administration.change_camera("cam", {"url": device.url + "?other"}, CONTROL)
        await until(lambda: device.connections == 2)


# Probes


async def probe(server: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a probe."""
    async with asyncio.timeout(20), server.client.post(server.url + "/api/v1/probe", json=body) as answer:
        assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
        return [json.loads(line) for line in (await answer.read()).splitlines()]


async def test_a_probe_tells_step_by_step(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=20) as device,
        serving(tmp_path, options={"network.allow_loopback": True}) as server,
    ):
        *steps, last = await probe(server, {"url": device.url})
        assert steps
        assert all({"step", "text", "ok"} <= set(step) for step in steps)
        result = last["result"]
        assert result["ok"] is True
        assert "Espressif" in result["dialect"]
        assert (result["kind"], result["width"], result["height"]) == ("pull", 640, 480)
        assert base64.b64decode(result["preview"]).startswith(b"\xff\xd8")
        assert isinstance(result["problems"], list)


async def test_a_probe_of_a_camera_that_is_being_read_takes_nothing_from_it(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=20) as device,
        serving(tmp_path, {"cam": device.url}) as server,
        mjpeg(server.port) as viewer,
    ):
        await viewer.part()
        *_, last = await probe(server, {"camera": "cam"})
        assert last["result"]["ok"] is True
        assert device.connections == 1


async def test_bad_probes(server: Server) -> None:
    for body in ({}, {"url": ""}, {"url": 5}, {"url": "x" * 3000}, {"camera": 5}, {"camera": ["cam"]}, {"x": 1}):
        await server.error("POST", "/api/v1/probe", 400, "bad_value", json=body)
    await server.error("POST", "/api/v1/probe", 400, "bad_value", json={"url": "10.0.0.1", "camera": "cam"})
    await server.error("POST", "/api/v1/probe", 400, "bad_value", json={"url": "10.0.0.1", "username": 5})
    await server.error("POST", "/api/v1/probe", 404, "not_found", json={"camera": "ghost"})
    for url in ("push:", "mock:?size=1x1", "gopher://x"):
        *_, last = await probe(server, {"url": url})
        assert last["result"]["ok"] is False
        assert last["result"]["problems"]
    *_, last = await probe(server, {"url": "rtps://10.0.0.1/"})
    words = "'rtps://10.0.0.1/' can't be used: rtps:// is unknown; did you mean rtsp://?"
    assert last["result"]["problems"][0]["title"] == words, "nothing of settings: somebody typed it"


# The server


async def test_health(server: Server) -> None:
    assert await server.json("GET", "/healthz") == {"status": "ok", "version": __version__}
    assert await server.json("GET", "/readyz") == {"status": "ready", "cameras": 1}
    server.service.ready = False
    await server.error("GET", "/readyz", 503, "not_ready")
    server.service.ready = True


async def test_metrics_are_what_prometheus_reads(server: Server) -> None:
    await server.push(jpeg(1))
    async with server.client.get(server.url + "/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        families = {family.name: family for family in text_string_to_metric_families(await answer.text())}
    assert families["framecast_frames"].samples[0].value == 1
    assert {"framecast_encodes", "framecast_inferences", "framecast_viewers", "framecast_drops"} <= set(families)
    assert all(family.documentation for family in families.values())


async def test_the_reference_has_every_route(server: Server) -> None:
    document = await server.json("GET", "/api/openapi.json")
    assert document["openapi"].startswith("3.1")
    for route in make_table(server.service).routes:
        operation = document["paths"][route.path.replace(":path}", "}")][route.method.lower()]
        assert operation["summary"]
        assert operation["x-right"] == route.right.value
        assert ("security" in operation) is (route.right is not Right.PUBLIC)
        named = [parameter["name"] for parameter in operation.get("parameters", ())]
        assert set(route.query) <= set(named)
    assert "CameraConfig" in document["components"]["schemas"]


@pytest.mark.parametrize("path", [path.replace("{id}", "cam") for path in PAGES])
async def test_pages(server: Server, path: str) -> None:
    async with server.client.get(server.url + path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        etag = answer.headers["ETag"]
    async with server.client.get(server.url + path, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


async def test_files_of_the_pages(server: Server) -> None:
    for name, asset in server.service.assets.items():
        if name.startswith("static/"):
            async with server.client.get(f"{server.url}/{name}") as answer:
                assert (answer.status, await answer.read()) == (200, asset.body)
                assert answer.headers["Content-Type"] == asset.content_type
    async with server.client.get(server.url + "/favicon.ico") as answer:
        assert (answer.status, answer.content_type) == (200, "image/svg+xml")


async def test_methods(server: Server) -> None:
    async with server.client.request("PROPFIND", server.url + "/api/v1/cameras") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
        assert answer.headers["Server"] == "Framecast"
    async with server.client.options(server.url + "/api/v1/cameras") as answer:
        assert answer.status == 204
        assert answer.headers["Allow"] == "GET, OPTIONS, POST"
    async with server.client.head(server.url + "/api/v1/cameras") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    await server.error("PUT", "/api/v1/cameras/cam", 405, "method_not_allowed")
    await server.error("GET", "/nowhere", 404, "not_found")


@pytest.mark.parametrize(("path", "root"), [("/help", "./"), ("/cameras/cam/<b>.mp4", "../../")])
async def test_a_person_who_went_astray_gets_a_page(server: Server, path: str, root: str) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with server.client.get(server.url + path, headers=accept) as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
    assert f'href="{root}">All cameras</a>' in text
    assert "<b>" not in text
    async with server.client.get(server.url + "/") as wall:
        assert wall.headers["Content-Security-Policy"] == policy
    await server.error("GET", path, 404, "not_found")
    await server.error("GET", "/api/v1/nothing", 404, "not_found", headers=accept)


async def test_tokens(server: Server) -> None:
    for body in ({}, {"name": "x"}, {"name": "x", "rights": []}, {"name": "x", "rights": ["root"]}, {"name": "\n"}):
        await server.error("POST", "/api/v1/tokens", 400, "bad_token", json=body)
    made = await server.json("POST", "/api/v1/tokens", status=201, json={"name": "a", "rights": ["operate", "watch"]})
    operator = {"Authorization": f"Bearer {made['secret']}"}
    await server.error("GET", "/api/v1/tokens", 403, "forbidden", headers=operator)
    assert (await server.json("GET", "/api/v1/session"))["open"] is False
    await server.service.desk.revoke_token("a", forget=True)
    assert (await server.json("GET", "/api/v1/session"))["open"] is True
    headers = await server.owner()
    body = {"name": "b", "rights": ["watch"]}
    await server.json("POST", "/api/v1/tokens", status=201, json=body, headers=headers)
    await server.error("POST", "/api/v1/tokens", 400, "bad_token", json=body, headers=headers)
    (listed,) = (await server.json("GET", "/api/v1/tokens", headers=headers))["tokens"]
    assert (listed["name"], listed["rights"]) == ("b", ["watch"])
    assert (listed["cameras"], listed["revoked"]) == (None, None)
    await server.json("DELETE", "/api/v1/tokens/b?forget=1", status=204, headers=headers)


# The table itself


def test_paths_are_found() -> None:
    async def nothing(call: Any) -> Any:
        raise AssertionError

    def route(path: str) -> Route:
        return Route("GET", path, Right.PUBLIC, nothing, "")

    paths = ["/", "/a", "/a/b", "/c/{id}", "/c/{id}/x", "/c/{id}/x/y", "/s/{path:path}", "/{name}"]
    table = Table([route(path) for path in paths])
    found = {
        path: (found[0]["GET"].path, found[1])
        for path in ("/", "/a", "/a/b", "/c/1", "/c/1/x", "/c/1/x/y", "/s/a", "/s/a/b/c", "/z")
        if (found := table.find(path))
    }
    assert found == {
        "/": ("/", ""),
        "/a": ("/a", ""),
        "/a/b": ("/a/b", ""),
        "/c/1": ("/c/{id}", "1"),
        "/c/1/x": ("/c/{id}/x", "1"),
        "/c/1/x/y": ("/c/{id}/x/y", "1"),
        "/s/a": ("/s/{path:path}", "a"),
        "/s/a/b/c": ("/s/{path:path}", "a/b/c"),
        "/z": ("/{name}", "z"),
    }
    for path in ("", "*", "a", "/c/", "/c//x", "/c/1/", "/c/1/z", "/a/", "//"):
        assert table.find(path) is None, path


async def test_a_client_may_be_told_in_another_charset(server: Server) -> None:
    """Names in any script go through, in JSON and in headers' place."""
    for name in ("Haustür", "玄関", "🚪", "<script>alert(1)</script>", "a" * 80):
        assert (await server.json("PATCH", "/api/v1/cameras/cam", json={"name": name}))["name"] == name
    await server.error("PATCH", "/api/v1/cameras/cam", 400, "bad_value", json={"name": "a" * 81})
    assert isinstance(server.client, aiohttp.ClientSession)
