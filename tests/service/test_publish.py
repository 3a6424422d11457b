"""Devices that push: POST, PUT and WebSocket, as firmwares do it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.core.errors import Misuse
from framecast.mock.device import FakeDevice
from framecast.mock.push import client_frame
from framecast.service.api import publish
from framecast.service.front.headers import ALWAYS
from tests.data import frame
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import mjpeg
from tests.support.raw import Response, connected, response

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parent.parent / "data"
FRAMES = "/api/v1/cameras/cam/frames"


def post(picture: bytes, target: str = FRAMES, *, length: int | None = None, headers: str = "") -> bytes:
    """A whole request with a raw picture."""
    size = len(picture) if length is None else length
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n{headers}"
    return f"{head}Content-Length: {size}\r\n\r\n".encode() + picture


def form(picture: bytes, field: str = "frame", boundary: str = "xyz", **fields: str) -> tuple[bytes, str]:
    """A form and its content type."""
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="a.jpg"\r\n'
    body += f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def told(answer: Response) -> dict[str, Any]:
    """What a device was told about a picture that was taken."""
    assert answer.status == 200, answer
    body: dict[str, Any] = json.loads(answer.body)
    assert set(body) == {"success", "frame_id", "size", "clients"}
    assert body["success"] is True
    return body


async def closes(reader: asyncio.StreamReader) -> bool:
    """Whether the server closes the connection, and says nothing more."""
    return await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_raw_picture(server: Server) -> None:
    first = await server.push(jpeg(1))
    assert first == {"success": True, "frame_id": first["frame_id"], "size": len(jpeg(1)), "clients": 0}
    async with mjpeg(server.port):
        second = await server.push(jpeg(2))
        assert second == {
            "success": True,
            "frame_id": first["frame_id"] + 1,
            "size": len(jpeg(2)),
            "clients": 1,
        }
    camera = await server.json("GET", "/api/v1/cameras/cam")
    assert (camera["state"], camera["video"]["width"], camera["video"]["height"]) == ("live", 96, 64)


@pytest.mark.parametrize("field", ["frame", "imageFile", "image"])
async def test_a_form(server: Server, field: str) -> None:
    body, content_type = form(jpeg(1), field)
    answer = await server.json("POST", FRAMES, data=body, headers={"Content-Type": content_type})
    assert answer["size"] == len(jpeg(1))


async def test_many_pictures_on_one_connection(server: Server) -> None:
    async with connected(server.port) as (reader, writer):
        ids = []
        for number in range(5):
            writer.write(post(jpeg(number), headers="Connection: keep-alive\r\n"))
            ids.append(told(await response(reader))["frame_id"])
        assert ids == list(range(ids[0], ids[0] + 5))


async def test_pipelined_pictures(server: Server) -> None:
    async with connected(server.port) as (reader, writer):
        writer.write(b"".join(post(jpeg(number)) for number in range(20)))
        ids = [told(await response(reader))["frame_id"] for _ in range(20)]
        assert ids == list(range(ids[0], ids[0] + 20))


async def test_pieces_of_any_size(server: Server) -> None:
    body, content_type = form(jpeg(1, (320, 240)))
    head = f"POST {FRAMES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for size in (1024, 97):
        async with connected(server.port) as (reader, writer):
            for at in range(0, len(request), size):
                writer.write(request[at : at + size])
                await asyncio.sleep(0)
            assert told(await response(reader))["size"] == len(jpeg(1, (320, 240)))


async def test_chunked_uploads(server: Server) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(jpeg(1)), 100):
            yield jpeg(1)[at : at + 100]

    answer = await server.json("POST", FRAMES, data=pieces(), headers={"Content-Type": "image/jpeg"})
    assert answer["size"] == len(jpeg(1))


async def test_expect_100_continue(server: Server) -> None:
    async with connected(server.port) as (reader, writer):
        writer.write(post(b"", length=len(jpeg(1)), headers="Expect: 100-continue\r\n"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(jpeg(1))
        told(await response(reader))


async def test_prusaconnect_puts_in_absolute_form(server: Server) -> None:
    picture = frame("bogus-exif")
    async with connected(server.port) as (reader, writer):
        writer.write(
            (
                f"PUT https://localhost{FRAMES} HTTP/1.0\r\nHost: localhost\r\nContent-Type: image/jpg\r\n"
                f"fingerprint: 0123\r\ntoken: abc\r\nContent-Length: {len(picture)}\r\n\r\n"
            ).encode()
            + picture
        )
        assert told(await response(reader))["size"] == len(picture)
        assert await closes(reader)


@pytest.mark.parametrize("name", ["post-sketch", "post-raw", "post-lf-only"])
async def test_kept_requests(tmp_path: Path, name: str) -> None:
    data = (DATA / "request" / f"{name}.request").read_bytes()
    options = {"server.allowed_hosts": ["192.168.1.2"]}
    async with (
        serving(tmp_path, {"door": "push:"}, options=options) as server,
        connected(server.port) as (reader, writer),
    ):
        writer.write(data)
        assert told(await response(reader))["size"] == len(frame("small-0"))
        latest = server.camera("door").stream.video.latest
        assert latest is not None and latest.payload == frame("small-0")


# What a wrapped Content-Length does


async def wrapped(server: Server, target: str, body: bytes, content_type: str) -> None:
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
    async with connected(server.port) as (reader, writer):
        writer.write(f"{head}Content-Length: {len(body) % 65_536}\r\n\r\n".encode() + body)
        answer = await response(reader)
        assert answer.status == 400
        assert json.loads(answer.body)["error"]["code"] == "content_length_wrapped"
        assert "Connection: close" in answer.head
        assert await closes(reader), "what follows must not be read as another request"
    assert server.camera().stream.refused == {"content_length_wrapped": 1}


BIG = jpeg(1, (480, 320), noise=True)


@pytest.mark.parametrize("target", [FRAMES, "/api/v1/devices/doorbell/camera-stream"])
async def test_a_form_whose_length_wrapped(server: Server, target: str) -> None:
    assert len(BIG) > 65_536
    body, content_type = form(BIG)
    await wrapped(server, target, body, content_type)


async def test_a_raw_picture_whose_length_wrapped(server: Server) -> None:
    await wrapped(server, FRAMES, BIG, "image/jpeg")


async def test_doctor_hears_of_it(server: Server) -> None:
    await wrapped(server, FRAMES, BIG, "image/jpeg")
    async with server.client.post(server.url + "/api/v1/probe", json={"camera": "cam"}) as answer:
        lines = [json.loads(line) for line in (await answer.read()).splitlines()]
    assert "content_length_wrapped" in [problem["code"] for problem in lines[-1]["result"]["problems"]]


async def test_doctor_tells_refused_pictures_from_none(server: Server) -> None:
    async def no_pictures() -> str:
        async with server.client.post(server.url + "/api/v1/probe", json={"camera": "cam"}) as answer:
            lines = [json.loads(line) for line in (await answer.read()).splitlines()]
        (title,) = [each["title"] for each in lines[-1]["result"]["problems"] if each["code"] == "no_pictures"]
        return str(title)

    assert await no_pictures() == "The device has sent nothing yet"
    await server.error("POST", FRAMES, 400, "not_jpeg", data=b"hello", headers={"Content-Type": "image/jpeg"})
    assert (await no_pictures()).startswith("What the device pushes can't be shown: ")


@pytest.mark.parametrize("dialect", ["post-raw", "post-multipart"])
async def test_such_a_device(tmp_path: Path, dialect: str) -> None:
    async with serving(tmp_path) as server:
        to = server.url + FRAMES
        async with FakeDevice(dialect, ["length-wrap"], to=to, frame_bytes=70_000, retry_s=0.05, fps=20):
            await until(lambda: server.camera().stream.refused["content_length_wrapped"] > 2)
        assert set(server.camera().stream.refused) == {"content_length_wrapped"}
        assert server.camera().stream.published == 0


# What is refused


async def test_bad_pictures_are_refused_and_counted(server: Server) -> None:
    cases = {
        b"hello": "not_jpeg",
        jpeg(1)[:-40]: "truncated",
    }
    for body, code in cases.items():
        await server.error("POST", FRAMES, 400, code, data=body, headers={"Content-Type": "image/jpeg"})
        assert server.camera().stream.refused[code] == 1
    await server.error("POST", FRAMES, 400, "no_picture", data=b"", headers={"Content-Type": "image/jpeg"})
    await server.error(
        "POST",
        FRAMES,
        400,
        "no_picture",
        data=b"--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    await server.error("POST", FRAMES, 400, "bad_form", data=b"abc", headers={"Content-Type": "multipart/form-data"})
    assert server.camera().stream.published == 0
    await server.error("POST", "/api/v1/cameras/nobody/frames", 404, "not_found", data=jpeg(1))


async def test_pictures_beyond_the_rate_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_fps_per_camera": 1}) as server:
        await server.push(jpeg(1))
        headers = {"Content-Type": "image/jpeg"}
        for number in range(2, 22):  # each second another one may pass, and the machine may be slow
            async with server.client.post(server.url + FRAMES, data=jpeg(number), headers=headers) as answer:
                said = await answer.json()
            if answer.status != 200:
                break
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert said["error"]["code"] == "too_many_pictures"
        assert server.camera().stream.refused == {"too_many_pictures": 1}


async def test_a_camera_that_is_fetched_takes_none(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "mock:"}) as server:
        await server.error("POST", FRAMES, 409, "not_a_push_camera", data=jpeg(1))
        await server.error("GET", "/api/v1/cameras/cam/publish", 409, "not_a_push_camera")


# WebSocket


@asynccontextmanager
async def device_socket(server: Server, camera_id: str = "cam") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A device's socket."""
    async with server.client.ws_connect(f"{server.url}/api/v1/cameras/{camera_id}/publish") as socket:
        yield socket


async def test_each_binary_message_is_a_picture(server: Server) -> None:
    async with device_socket(server) as socket, mjpeg(server.port) as viewer:
        for number in range(5):
            await socket.send_bytes(jpeg(number))
            assert (await viewer.other()).picture == jpeg(number)
        await socket.send_str("device chatter")
        await socket.send_bytes(b"not a picture")
        await socket.send_bytes(jpeg(9))
        assert (await viewer.other()).picture == jpeg(9)
        assert server.camera().stream.refused == {"not_jpeg": 1}
    await until(lambda: server.camera().stream.state == "offline")


@pytest.mark.parametrize("name", ["esp-websocket-client", "whole-messages"])
async def test_fragments_as_firmwares_send_them(server: Server, name: str) -> None:
    data = (DATA / "websocket" / f"{name}.bin").read_bytes()
    async with mjpeg(server.port) as viewer, connected(server.port) as (reader, writer):
        writer.write(
            b"GET /api/v1/cameras/cam/publish HTTP/1.1\r\nHost: localhost\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        for expected in ("small-0", "small-1", "qvga"):
            piece, data = data[: len(data) // 2], data[len(data) // 2 :]
            writer.write(piece)
            if expected == "qvga":
                writer.write(data)
        seen = [(await viewer.part()).picture]
        while seen[-1] != frame("qvga"):
            seen.append((await viewer.other()).picture)
        assert seen == [frame("small-0"), frame("small-1"), frame("qvga")][-len(seen) :]


async def test_the_second_publisher_takes_over(server: Server) -> None:
    async with device_socket(server) as first:
        await first.send_bytes(jpeg(1))
        await until(lambda: server.camera().stream.published == 1)
        epoch = server.camera().stream.video.latest.epoch  # type: ignore[union-attr]
        async with device_socket(server) as second:
            message = await first.receive(timeout=5)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4409)
            assert message.extra
            await second.send_bytes(jpeg(2))
            await until(lambda: server.camera().stream.published == 2)
            latest = server.camera().stream.video.latest
            assert latest is not None
            assert (latest.epoch, latest.payload) == (epoch + 1, jpeg(2))
            assert server.camera().stream.state == "live"


async def test_nothing_of_the_first_is_taken_after_the_second_came(server: Server) -> None:
    """Pictures of the first that are on their way already must not appear as the second's."""
    async with device_socket(server) as first, device_socket(server) as second:
        await second.send_bytes(jpeg(200))
        await until(lambda: server.camera().stream.published == 1)
        for _ in range(10):
            try:
                await first.send_bytes(jpeg(1))
            except ConnectionError:
                break
        await second.send_bytes(jpeg(201))
        await until(lambda: server.camera().stream.video.latest.payload == jpeg(201))  # type: ignore[union-attr]
        assert server.camera().stream.published == 2


async def test_one_who_posts_is_told_that_it_was_replaced(server: Server) -> None:
    await server.push(jpeg(1))
    async with device_socket(server) as socket:
        await socket.send_bytes(jpeg(2))
        await until(lambda: server.camera().stream.published == 2)
        headers = {"Content-Type": "image/jpeg"}
        message = await server.error("POST", FRAMES, 409, "replaced", data=jpeg(3), headers=headers)
        assert "took this camera over" in message
        assert server.camera().stream.published == 2


async def test_a_camera_that_changes_takes_its_device_along(server: Server) -> None:
    """Turned or renamed it stays where it is; made another kind of camera it lets its device go."""
    async with device_socket(server) as socket, mjpeg(server.port) as viewer:
        await socket.send_bytes(jpeg(1))
        assert (await viewer.part()).picture == jpeg(1)
        await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "Door", "public": ["watch"]})
        await socket.send_bytes(jpeg(2))
        assert (await viewer.other()).picture == jpeg(2)
        await server.json("PATCH", "/api/v1/cameras/cam", json={"rotate": 90})
        await socket.send_bytes(jpeg(3))
        assert (await viewer.other()).picture not in (jpeg(2), jpeg(3))
        assert server.camera().stream.state == "live"
        await server.json("PATCH", "/api/v1/cameras/cam", json={"url": "mock:?size=64x64", "rotate": 0})
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        await viewer.part()


async def test_a_turned_camera_that_nobody_watches_does_not_grow_old(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": {"url": "push:", "rotate": 90}}) as server:
        async with mjpeg(server.port) as viewer:
            await server.push(jpeg(1))
            await viewer.part()
        await until(lambda: server.camera().stream.inlet.wanted is False)
        began_s = time.monotonic()
        sent = await server.push(jpeg(2))
        video = (await server.json("GET", "/api/v1/cameras/cam"))["video"]
        assert video["frame_id"] == sent["frame_id"]
        assert video["age_s"] <= time.monotonic() - began_s + 0.01
        assert (video["width"], video["height"]) == (64, 96), "as viewers see it"


async def test_a_change_that_is_refused_leaves_the_camera_as_it_was(server: Server) -> None:
    async with device_socket(server) as socket, mjpeg(server.port) as viewer:
        await socket.send_bytes(jpeg(1))
        await viewer.part()
        beyond = {"masks": [[0.5, 0, 0.6, 1]], "policy": "always"}
        await server.error("PATCH", "/api/v1/cameras/cam", 400, json=beyond)
        await socket.send_bytes(jpeg(2))
        assert (await viewer.other()).picture == jpeg(2)
        with pytest.raises(Misuse, match="at most 1"):
            config = server.camera().config.model_copy(update={"masks": [(0.5, 0.0, 0.6, 1.0)], "policy": "always"})
            await server.service.cameras.change("cam", config, "config")
        await socket.send_bytes(jpeg(3))
        assert (await viewer.other()).picture == jpeg(3)


async def test_a_removed_camera_lets_its_device_go(server: Server) -> None:
    async with device_socket(server) as socket:
        await socket.send_bytes(jpeg(1))
        await until(lambda: server.camera().stream.published == 1)
        await server.json("DELETE", "/api/v1/cameras/cam", status=204)
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


async def test_a_message_that_is_too_large_is_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_frame_bytes": 20_000}) as server:
        async with device_socket(server) as socket:
            await socket.send_bytes(os.urandom(30_000))
            message = await socket.receive(timeout=5)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)
        assert server.camera().stream.refused == {"too_many_bytes": 1}
        await server.error("POST", FRAMES, 413, "too_large", data=os.urandom(100_000))
        assert server.camera().stream.refused == {"too_many_bytes": 2}
        await server.error("POST", FRAMES, 400, "too_many_bytes", data=jpeg(1) + b"\xff\xd8" * 11_000)


# Real firmwares' ways, over real sockets


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("post-raw", FRAMES),
        ("post-multipart", FRAMES),
        ("prusaconnect", FRAMES),
        ("doorbell", "/api/v1/devices/doorbell/camera-stream"),
        ("websocket", "/api/v1/cameras/cam/publish"),
        ("m5stack-ws", "/api/v1/cameras/cam/publish"),
    ],
)
async def test_every_pushing_dialect_arrives(tmp_path: Path, dialect: str, path: str) -> None:
    async with serving(tmp_path) as server:
        scheme = "ws" if path.endswith("publish") else "http"
        async with FakeDevice(dialect, fps=50, to=f"{scheme}://127.0.0.1:{server.port}{path}") as device:
            await until(lambda: server.camera().stream.published >= 10)
            assert not server.camera().stream.refused, device.statuses
            assert server.camera().reader.dialect


async def test_frame_ids_go_on_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        before = (await server.push(jpeg(1)))["frame_id"]
    async with serving(tmp_path) as server:
        assert (await server.push(jpeg(1)))["frame_id"] > before


def test_client_frames_are_masked() -> None:
    assert client_frame(2, b"x")[1] & 0x80


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("extra", ["", "Connection: close\r\n", "Connection: keep-alive\r\n", "Origin: ORIGIN\r\n"])
async def test_a_brief_answer_is_the_one_that_others_get(tmp_path: Path, version: str, extra: str) -> None:
    """Its head is written in one go where it can be: its headers and what follows it are as ever."""
    async with serving(tmp_path) as server:
        headers = extra.replace("ORIGIN", server.url)
        request = post(jpeg(), headers=headers).replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1)
        request = request.replace(b"Host: localhost", f"Host: 127.0.0.1:{server.port}".encode())
        kept = "close" not in extra if version == "1.1" else "keep-alive" in extra
        async with connected(server.port) as (reader, writer):
            for _ in range(2 if kept else 1):
                writer.write(request)
                answer = await response(reader)
                assert told(answer)["success"]
                lines = answer.head.lower().split("\r\n")[1:-2]
                names = [line.partition(":")[0] for line in lines]
                always = {"content-length", "content-type", "date", "server", *map(str.lower, ALWAYS)}
                assert sorted(name for name in names if name != "connection") == sorted(always)
                assert "server: framecast" in lines
                assert ("connection: close" in lines) is (not kept and version == "1.1")
                assert ("connection: keep-alive" in lines) is (kept and version == "1.0")
            if not kept:
                assert await reader.read() == b""


async def test_a_socket_over_which_no_picture_comes_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "SILENT_S", 2.0)
    loop = asyncio.get_running_loop()
    async with server.client.ws_connect(f"{server.url}/api/v1/cameras/cam/publish") as socket:
        began = loop.time()
        while loop.time() < began + 1.25 * publish.SILENT_S:
            await socket.send_bytes(jpeg(1))
            await asyncio.sleep(0.02)
        assert not socket.closed
        await socket.send_str("hello")  # words are no picture
        message = await socket.receive(timeout=10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, publish.SILENT_CODE)
