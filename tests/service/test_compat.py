"""Routes that existing devices and pages call: they work unchanged, field by field."""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import Path
from typing import Any

import pytest

from framecast.mock.device import FakeDevice
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import MjpegViewer, mjpeg
from tests.support.raw import connected, response

pytestmark = pytest.mark.anyio

DOORBELL = "/api/v1/devices/doorbell/camera-stream"
CAMERAS = {"cam": "push:", "doorbell": "push:", "robot": "push:"}


def doorbell_form(picture: bytes, **fields: str) -> dict[str, Any]:
    """A doorbell's request."""
    boundary = "----ESP32DoorbellBoundary"
    head = f"--{boundary}\r\nContent-Disposition: form-data"
    body = "".join(f'{head}; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    body += f'{head}; name="frame"; filename="frame.jpg"\r\n'
    data = body.encode() + b"Content-Type: image/jpeg\r\n\r\n" + picture + f"\r\n--{boundary}--\r\n".encode()
    return {"data": data, "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"}}


# Doorbell


async def test_a_doorbell_pushes(server: Server) -> None:
    posted = doorbell_form(jpeg(1), device_id="doorbell_001", frame_id="42", timestamp="123456")
    answer = await server.json("POST", DOORBELL, **posted)
    assert answer == {"success": True, "frame_id": 42, "size": len(jpeg(1)), "clients": 0}
    async with mjpeg(server.port, "/api/v1/stream/camera") as viewer:
        assert (await viewer.part()).picture == jpeg(1)
        answer = await server.json("POST", DOORBELL, **doorbell_form(jpeg(2), device_id="doorbell_001", frame_id="43"))
        assert (answer["frame_id"], answer["clients"]) == (43, 1)
        part = await viewer.other()
        assert part.picture == jpeg(2)
        ours = (await server.json("POST", DOORBELL, **doorbell_form(jpeg(3), device_id="doorbell_001")))["frame_id"]
        assert ours == part.frame_id + 1, "without an id of the device's own, ours"


@pytest.mark.parametrize(
    ("sent", "echoed"), [("7", 7), ("0007", 7), ("a-7", "a-7"), ("-1", "-1"), ("9" * 30, "9" * 30)]
)
async def test_its_frame_id_is_echoed(server: Server, sent: str, echoed: int | str) -> None:
    assert (await server.json("POST", DOORBELL, **doorbell_form(jpeg(1), frame_id=sent)))["frame_id"] == echoed


async def test_its_device_id_chooses_the_camera(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        for device_id, camera_id in (("robot", "robot"), ("unheard-of", "cam"), ("", "cam"), ("../cam", "cam")):
            before = server.camera(camera_id).stream.published
            await server.json("POST", DOORBELL, **doorbell_form(jpeg(1), device_id=device_id))
            assert server.camera(camera_id).stream.published == before + 1
    async with serving(tmp_path, CAMERAS, options={"compat.doorbell": "doorbell"}) as server:
        await server.json("POST", DOORBELL, **doorbell_form(jpeg(1), device_id="unheard-of"))
        assert server.camera("doorbell").stream.published == 1


async def test_a_doorbell_that_no_camera_is_for_leaves_a_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, {"cam": "mock:?fps=5"}) as server:
        for _ in range(3):
            posted = doorbell_form(jpeg(1), device_id="front")
            words = await server.error("POST", DOORBELL, 409, "not_a_push_camera", **posted)
            assert words == "No camera has the id front: framecast cameras add front push:"
        odd = await server.error("POST", DOORBELL, 409, **doorbell_form(jpeg(1), device_id="Front 1"))
        assert "compat.doorbell" in odd
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert told == [f"a doorbell at 127.0.0.1 is refused: {words[:1].lower()}{words[1:]}"]


async def test_its_timestamp_is_uptime_or_unix_by_its_magnitude(server: Server) -> None:
    async def pts_s(timestamp: str, frame_id: int) -> float:
        await server.json("POST", DOORBELL, **doorbell_form(jpeg(frame_id), timestamp=timestamp))
        latest = server.camera().stream.video.latest
        assert latest is not None
        return latest.pts_ns / 1e9

    now = time.time()
    for timestamp in ("123456", str(int(now * 1000)), "x", "", "-5", "9" * 16):
        assert abs(await pts_s(timestamp, 1) - now) < 5
    first = await pts_s("200000", 2)
    assert 0 < await pts_s("200040", 3) - first < 1


async def test_a_doorbell_reads_its_answer_as_before(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, {"doorbell": "push:"}) as server,
        FakeDevice("doorbell", to=server.url, fps=30) as device,
    ):
        await until(lambda: device.statuses[200] > 5)
        assert set(device.statuses) == {200}
        assert set(json.loads(device.last_answer)) == {"success", "frame_id", "size", "clients"}


async def test_a_doorbells_snapshot(server: Server) -> None:
    await server.error("GET", "/api/v1/stream/camera/snapshot", 503, "no_frame")
    await server.push(jpeg(1))
    async with server.client.get(server.url + "/api/v1/stream/camera/snapshot") as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/jpeg", jpeg(1))


async def test_a_doorbells_statistics(server: Server) -> None:
    fields = {
        *("framesReceived", "audioChunksReceived", "framesDropped", "audioChunksDropped", "videoClientsConnected"),
        *("audioClientsConnected", "currentFrames", "currentAudioChunks", "lastFrameTime", "lastAudioTime"),
        *("bufferUsage", "streamActive"),
    }
    answer = await server.json("GET", "/api/v1/stream/stats")
    assert answer["success"] is True
    stats = answer["stats"]
    assert set(stats) == fields
    assert stats["bufferUsage"] == {"frames": "0/30", "audio": "0/100"}
    assert stats["streamActive"] == {"video": False, "audio": False}
    assert stats["lastFrameTime"] is None
    async with mjpeg(server.port):
        for number in range(40):
            await server.push(jpeg(number))
        stats = (await server.json("GET", "/api/v1/stream/stats"))["stats"]
    assert (stats["framesReceived"], stats["currentFrames"], stats["videoClientsConnected"]) == (40, 30, 1)
    assert stats["bufferUsage"] == {"frames": "30/30", "audio": "0/100"}
    assert stats["streamActive"] == {"video": True, "audio": False}
    assert abs(stats["lastFrameTime"] / 1000 - time.time()) < 5


# Broadcast


@pytest.mark.parametrize("path", ["/stream", "/stream/detect"])
async def test_broadcasts(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, CAMERAS, options={"compat.broadcast": "doorbell", "vision.enabled": False}) as server:
        for number, camera_id in enumerate(CAMERAS):
            for each in range(number + 1):
                await server.push(jpeg(10 * number + each), camera_id)
        assert len({camera.stream.frame_ids.next for camera in server.service.cameras}) == len(CAMERAS)
        for target, camera_id in ((path, "doorbell"), (f"{path}?camera=robot", "robot"), (f"{path}?camera=cam", "cam")):
            async with mjpeg(server.port, target) as viewer:
                part, sent = await viewer.part(), server.camera(camera_id).stream.video.latest
                assert sent is not None
                assert part.frame_id == sent.frame_id
                # What is seen, or why nothing can be, stands in the other's pictures.
                assert (part.picture == sent.payload) is (path == "/stream")
        await server.error("GET", f"{path}?camera=ghost", 404, "not_found")


async def test_server_statistics(server: Server) -> None:
    idle = await server.json("GET", "/api/v1/stats")
    assert (idle["active_broadcasters"], idle["clients"]) == (0, 0)
    await server.push(jpeg(1))
    async with mjpeg(server.port):
        busy = await server.json("GET", "/api/v1/stats")
    assert (busy["active_broadcasters"], busy["clients"]) == (1, 1)
    assert busy["cameras"]["cam"]["frames"] == 1
    assert busy["uptime_s"] >= 0
    assert set(busy["process"]) == {"cpu_s", "rss_bytes", "fds", "tasks"}


# Robot


@pytest.mark.parametrize("path", ["/api/robot/stream", "/video_feed"])
async def test_robots(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, CAMERAS, options={"compat.robot": "robot"}) as server:
        await server.push(jpeg(7), "robot")
        async with mjpeg(server.port, path) as viewer:
            assert (await viewer.part()).picture == jpeg(7)


async def test_a_robots_statistics(tmp_path: Path) -> None:
    options = {"stream.fps": 15.0, "capture.quality": 70}
    async with serving(tmp_path, options=options) as server:
        await server.push(jpeg(1, (640, 480)))
        async with mjpeg(server.port, "/api/robot/stream"):
            stats = await server.json("GET", "/api/robot/stream/stats")
    assert stats == {
        "active_clients": 1,
        "frame_cache_enabled": True,
        "stream_fps": 15.0,
        "camera_resolution": "640x480",
        "jpeg_quality": 70,
    }


async def test_a_robots_key_comes_as_it_always_did(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        secret = (await server.service.desk.create_token({"name": "robot", "rights": ["watch"]}))["secret"]
        await server.error("GET", "/api/robot/stream/stats", 401)
        await server.json("GET", "/api/robot/stream/stats", headers={"X-API-Key": secret})


async def test_the_configured_rate_holds_for_each_viewer(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, {"cam": "mock:?fps=60&size=64x64"}, options={"stream.fps": 10.0}) as server,
        mjpeg(server.port, "/video_feed?fps=60") as viewer,
    ):
        first = await viewer.part()
        for _ in range(5):
            last = await viewer.other()
        assert float(last.timestamp) - float(first.timestamp) > 0.3


# None of them knows a camera that isn't there


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/api/v1/stream/camera",
            "/api/v1/stream/camera/snapshot",
            "/api/v1/stream/stats",
            "/stream",
            "/stream/detect",
        ),
        *("/api/robot/stream", "/api/robot/stream/stats", "/video_feed", "/status"),
    ],
)
async def test_without_a_camera(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, {}) as server:
        assert await server.error("GET", path, 404, "not_found") == "There is no camera yet"
        assert await server.error("POST", DOORBELL, 404, **doorbell_form(jpeg(1))) == "There is no camera yet"


# Displays


async def test_an_old_display_reads_the_doorbells_stream(server: Server) -> None:
    """HTTP/1.0 without any header, and lines by `\\r\\n` alone."""
    await server.push(jpeg(1))
    async with connected(server.port) as (reader, writer):
        writer.write(b"GET /api/v1/stream/camera HTTP/1.0\r\n\r\n")
        viewer = MjpegViewer(reader, writer, advance=False)
        await viewer.read_head()
        assert viewer.status == 200
        assert await viewer.opening() == b"--frame\r\n"
        assert (await viewer.part()).picture == jpeg(1)


async def test_a_sketch_polls_over_one_connection(server: Server) -> None:
    await server.push(jpeg(1))
    async with connected(server.port) as (reader, writer):
        for _ in range(3):
            writer.write(b"GET /api/v1/cameras/cam/snapshot.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await response(reader)
            assert (answer.status, answer.body) == (200, jpeg(1))
            assert re.search(r"(?m)^Content-Length: \d+\r$", answer.head)
