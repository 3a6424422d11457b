"""What each viewer was given, since when, and by whose credential."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from framecast.service.api.leaving import admitted
from framecast.service.api.metrics import exposition
from framecast.service.cameras import views
from framecast.service.operations.history import Counters
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import Page, mjpeg
from tests.support.whep import local_address, watcher

pytestmark = pytest.mark.anyio

OPENING = b"--frame\r\n"


async def readers(server: Server, **options: Any) -> list[dict[str, Any]]:
    """Everybody who watches."""
    answer = await server.json("GET", "/api/v1/cameras/cam/stats", **options)
    found = answer["readers"]
    assert isinstance(found, list)
    return found


async def test_the_bytes_of_a_viewer_are_those_that_came(server: Server) -> None:
    before = server.service.clock.now_ns() / 1e9
    async with mjpeg(server.port, version="1.0") as viewer:
        size = 0
        for number in range(5):
            await server.push(jpeg(number))
            part = await viewer.part()
            head = (
                f"Content-Type: image/jpeg\r\nX-Frame-Id: {part.frame_id}\r\nX-Timestamp: {part.timestamp}\r\n"
                f"Content-Length: {len(part.picture)}\r\n\r\n"
            )
            size += len(head) + len(part.picture) + len(b"\r\n--frame\r\n")
        (reader,) = await readers(server)
        assert reader["sent"] == 5
        assert size <= reader["bytes"] <= size + len(OPENING)
        assert before <= reader["since"] <= server.service.clock.now_ns() / 1e9
    await until(lambda: not server.camera().stream.viewers)
    numbers = (await server.json("GET", "/api/v1/stats"))["cameras"]["cam"]
    assert numbers["sent_bytes"] == reader["bytes"], "they stay in the camera's sum"
    async with server.client.get(server.url + "/metrics") as response:
        assert f'framecast_sent_bytes_total{{camera="cam"}} {float(reader["bytes"])}' in await response.text()


async def test_every_form_is_counted(server: Server) -> None:
    await server.push(jpeg(1))
    size = len(jpeg(1))
    async with server.client.get(server.url + "/api/v1/cameras/cam/snapshot.jpg") as response:
        assert len(await response.read()) == size
        etag = response.headers["ETag"]
    assert server.camera().stream.sent_bytes == size
    headers = {"If-None-Match": etag}
    async with server.client.get(server.url + "/api/v1/cameras/cam/snapshot.jpg", headers=headers) as response:
        assert response.status == 304
    assert server.camera().stream.sent_bytes == size, "nothing was sent"
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam")
        message = await page.see()
        (reader,) = await readers(server)
        assert reader["kind"] == "websocket"
        assert len(message.payload) < reader["bytes"] < len(message.payload) + 100


async def test_a_viewer_is_known_by_its_credential_to_those_who_may_operate(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        watch = (await server.service.desk.create_token({"name": "kitchen", "rights": ["watch"]}))["secret"]
        operate = (await server.service.desk.create_token({"name": "desk", "rights": ["operate"]}))["secret"]
        camera = server.camera()
        async with mjpeg(server.port, headers=f"X-API-Key: {watch}\r\n"):
            await until(lambda: camera.stream.viewers)
            (seen,) = await readers(server, headers={"X-API-Key": operate})
            assert (seen["holder"], seen["address"]) == ("kitchen", "127.0.0.1")
            (seen,) = await readers(server, headers={"X-API-Key": watch})
            assert (seen["holder"], seen["address"]) == (None, None), "where others sit is no viewer's business"


async def test_where_a_webrtc_viewer_sits_is_told_to_those_who_may_operate(tmp_path: Path) -> None:
    assert local_address(), "WebRTC needs an address that is not loopback"
    async with serving(tmp_path, {"cam": "mock:?fps=10&size=96x64"}) as server:
        watch = (await server.service.desk.create_token({"name": "kitchen", "rights": ["watch"]}))["secret"]
        operate = (await server.service.desk.create_token({"name": "desk", "rights": ["operate"]}))["secret"]
        path = "/api/v1/cameras/cam"
        async with watcher() as viewer:
            await viewer.watch(server.client, server.url + path + "/whep", headers={"X-API-Key": watch})
            await viewer.frame()
            for key, told in ((operate, True), (watch, False)):
                answer = await server.json("GET", path + "/stats", headers={"X-API-Key": key})
                (peer,) = answer["webrtc"]["peers"]
                assert (peer["address"] is not None) == told


async def test_sound_is_counted_to_the_byte(server: Server) -> None:
    pcm = bytes(range(256)) * 4
    path = "/api/v1/cameras/cam/audio"
    async with server.client.get(server.url + "/api/v1/cameras/cam/audio.pcm") as response:
        heard = 0
        await until(lambda: server.camera().stream.viewers)
        for sequence in range(3):
            headers = {"Content-Type": "application/octet-stream", "X-Sequence": str(sequence)}
            await server.json("POST", path, data=pcm, headers=headers)
            heard += len(await response.content.readexactly(len(pcm)))
        (reader,) = await readers(server)
        assert reader["kind"] == "audio"
        assert heard <= reader["bytes"] <= heard + 64, "the framing of chunks besides"


@pytest.mark.parametrize("form", ["stream.mp4", "hls"])
async def test_coded_forms_are_counted(tmp_path: Path, form: str) -> None:
    async with serving(tmp_path, {"cam": "mock:?fps=20&size=64x64"}) as server:
        base = "/api/v1/cameras/cam/"
        if form == "hls":
            async with server.client.get(server.url + base + "hls/stream.m3u8") as response:
                (piece, *_) = re.findall(r'PART:.*URI="([^"]+)"', await response.text())
            async with server.client.get(f"{server.url}{base}hls/{piece}") as response:
                size = len(await response.read())
            (reader,) = await readers(server)
            assert reader["bytes"] == size
            return
        async with server.client.get(server.url + base + form) as response:
            size = len(await response.content.readexactly(5000))
            (reader,) = await readers(server)
            assert size <= reader["bytes"] < size + 500_000


async def test_a_viewer_is_added_up_once_a_look(tmp_path: Path) -> None:
    """Thousands are, on each page and each second."""
    async with serving(tmp_path) as server:
        camera = server.camera()
        with admitted(server.service, camera, "mjpeg", "127.0.0.1") as viewer:
            looks = 0

            def settle() -> None:
                nonlocal looks
                looks += 1

            viewer.settle = settle
            for look in (views.numbers, views.camera, Counters.of):
                looks = 0
                look(camera)
                assert looks == 1, look
            looks = 0
            exposition(server.service, [camera])
            assert looks == 1


async def test_a_failure_names_no_camera_outside_ones_scope(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "push:", "bath": "push:"}) as server:
        made = await server.service.desk.create_token({"name": "k", "rights": ["watch"], "cameras": ["cam"]})
        failures = server.service.supervisor.failures
        failures.update({"camera:cam": 1, "webrtc:bath": 1, "worker:video/320": 1, "history": 1})
        async with server.client.get(server.url + "/metrics", headers={"X-API-Key": made["secret"]}) as response:
            text = await response.text()
        failures.clear()
    assert "bath" not in text
    for part in ("camera:cam", "worker:video/320", "history"):
        assert f'framecast_failures_total{{part="{part}"}} 1.0' in text
