"""What bad WebSockets, viewers and idle connections do: nothing that anybody else notices."""

from __future__ import annotations

import asyncio
import json
import random
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from framecast.mock.push import client_frame
from framecast.service.api.system import process
from framecast.wire.wsframe import Opcode, server_frame
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watched import Watched, get
from tests.service.watching import Page, mjpeg

pytestmark = pytest.mark.anyio

UPGRADE = (
    "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

BAD_KEYS = ("", "x", "dGhlIHNhbXBsZSBub25jZQ", "d\xc4GhlIHNhbXBsZSBub25jZQ==", "A" * 4000)

BAD_FRAMES: dict[str, bytes] = {
    "reserved opcode": client_frame(0x3, b"x"),
    "reserved control": client_frame(0xB, b"x"),
    "reserved bits": bytes([0xF1]) + client_frame(1, b"x")[1:],
    "compressed, though that was not agreed": bytes([0xC1]) + client_frame(1, b"x")[1:],
    "an exabyte": b"\x82\xff\x7f" + b"\xff" * 7 + b"mask",
    "2 GB": b"\x82\xff\x00\x00\x00\x00\x7f\xff\xff\xff" + b"mask",
    "negative": b"\x82\xff\xff" + b"\xff" * 7 + b"mask",
    "continuation of nothing": client_frame(0, b"x"),
    "a message in a message": client_frame(1, b"a", last=False) + client_frame(1, b"b"),
    "fragmented ping": client_frame(9, b"x", last=False),
    "long ping": client_frame(9, bytes(126)),
    "bad UTF-8": client_frame(1, b"\xff\xfe"),
    "bad close": client_frame(8, b"\x03"),
    "bad close code": client_frame(8, b"\x00\x01"),
    "close with bad UTF-8": client_frame(8, b"\x03\xe8\xff"),
    "noise": bytes(random.Random(1).randbytes(5000)),
    "another request": get("/healthz"),
}


@asynccontextmanager
async def upgraded(server: Server, target: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw WebSocket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(UPGRADE.format(target).encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 101 ")
        yield reader, writer
    finally:
        writer.transport.abort()


async def ends(reader: asyncio.StreamReader, timeout_s: float = 20.0) -> None:
    """The connection is closed, after a close frame or without one."""
    async with asyncio.timeout(timeout_s):
        try:
            while await reader.read(1 << 16):
                pass
        except ConnectionError:
            pass


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_bad_key_opens_no_socket(watched: Watched, key: str) -> None:
    request = UPGRADE.format("/api/v1/ws").replace("dGhlIHNhbXBsZSBub25jZQ==", key)
    assert await watched.says(request.encode()) == 400
    await watched.goes_on()


@pytest.mark.parametrize("target", ["/api/v1/ws", "/api/v1/cameras/door/publish", "/api/v1/cameras/door/talk"])
async def test_bad_frames_end_the_socket(watched: Watched, target: str) -> None:
    async def one(data: bytes) -> None:
        async with upgraded(watched.server, target) as (reader, writer):
            writer.write(data)
            await ends(reader)

    for data in BAD_FRAMES.values():
        await one(data)
    await watched.goes_on()
    assert watched.server.camera("door").stream.published == 0


async def test_frames_that_are_not_masked_are_taken(watched: Watched) -> None:
    """RFC 6455 forbids them, and simple firmwares send them."""
    async with upgraded(watched.server, "/api/v1/cameras/door/publish") as (_, writer):
        writer.write(server_frame(Opcode.BINARY, jpeg(1)))
        await until(lambda: watched.server.camera("door").stream.published == 1)


async def test_endless_fragments_end_the_socket(watched: Watched) -> None:
    for target, size in (("/api/v1/ws", 1000), ("/api/v1/cameras/door/publish", 60_000)):
        async with upgraded(watched.server, target) as (reader, writer):
            ending = asyncio.create_task(ends(reader))
            writer.write(client_frame(2, b"x", last=False))
            fragment = client_frame(0, bytes(size), last=False)
            while not ending.done() and not writer.transport.is_closing():
                writer.write(fragment * 4)
                await asyncio.sleep(0.001)
            await ending
        await watched.goes_on()


async def test_a_flood_of_pings_and_of_messages_is_answered_at_the_readers_pace(watched: Watched) -> None:
    """A page that talks and never listens stops being heard; it must not fill the server's memory."""
    before = process()["rss_bytes"]
    async with upgraded(watched.server, "/api/v1/ws") as (_, writer):
        message = client_frame(1, json.dumps({"type": "ping", "t": "x" * 50_000}).encode())
        sent = 0
        try:
            async with asyncio.timeout(1.0):
                while True:
                    writer.write(message)
                    await writer.drain()
                    sent += 1
                    await asyncio.sleep(0)
        except (TimeoutError, ConnectionError):
            pass
        await watched.goes_on()
    assert process()["rss_bytes"] - before < 64 << 20


@pytest.mark.parametrize("form", ["h264", "mp4"])
async def test_who_subscribes_again_and_again_and_never_reads_fills_nothing(tmp_path: Path, form: str) -> None:
    """What a newcomer is given at once must not be had without end."""
    camera = "mock:?fps=20&size=640x480"
    async with serving(tmp_path, {"cam": camera}) as server, Page.opened(server.client, server.url) as other:
        await other.subscribe("cam", form=form)
        await other.ack(await other.see())
        async with upgraded(server, "/api/v1/ws") as (reader, writer):
            wishes = [{"id": "cam", "form": form, "credit": credit} for credit in (2, 3)] * 20
            asked = [json.dumps({"type": "subscribe", "cameras": [wish]}).encode() for wish in wishes]
            message = b"".join(client_frame(1, each) for each in (*asked, json.dumps({"type": "ping"}).encode()))
            try:
                async with asyncio.timeout(2.0):
                    while True:
                        writer.write(message)
                        await writer.drain()
                        await asyncio.sleep(0)
            except TimeoutError:
                pass
            waited = 0
            try:
                while data := await asyncio.wait_for(reader.read(1 << 20), 1.0):
                    waited += len(data)
            except TimeoutError:
                pass
            assert waited < 16 << 20, "what two kernels hold, and what is answered while it is read"


@pytest.mark.parametrize(
    "headers",
    [
        "Upgrade: websocket\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
    ],
)
async def test_bad_handshakes(watched: Watched, headers: str) -> None:
    for target in ("/api/v1/ws", "/api/v1/cameras/door/publish"):
        assert 400 <= await watched.says(get(target, headers)) < 500
    assert await watched.says(get("/healthz", headers)) == 200


# Viewers


async def test_a_viewer_who_never_reads_costs_one_frame(watched: Watched) -> None:
    """The kernel's buffers fill, and then it is simply behind."""
    await watched.server.push(jpeg(1, (480, 320), noise=True), "door")
    before = process()["rss_bytes"]
    stuck = []
    for _ in range(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", watched.server.port, limit=1000)
        writer.write(get("/api/v1/cameras/door/stream.mjpeg"))
        stuck.append((reader, writer))
    stream = watched.server.camera("door").stream
    await until(lambda: len(stream.viewers) == 10)
    for number in range(80):
        await watched.server.push(jpeg(number % 8, (480, 320), noise=True), "door")
    await until(lambda: all(viewer.behind for viewer in stream.viewers.values()))
    await watched.goes_on()
    assert all(viewer.drops > 10 for viewer in stream.viewers.values())
    assert process()["rss_bytes"] - before < 80 << 20
    for _, writer in stuck:
        writer.transport.abort()
    await until(lambda: not stream.viewers)


async def test_a_viewer_who_talks_is_cut(watched: Watched) -> None:
    async with mjpeg(watched.server.port) as viewer:
        await viewer.part()
        for _ in range(20):
            if not viewer.writer.transport.is_closing():
                viewer.writer.write(bytes(8192))
            await asyncio.sleep(0.005)
        await viewer.ended()
    async with mjpeg(watched.server.port) as viewer:
        viewer.writer.write(get("/healthz"))
        await viewer.part()
        await viewer.part()


async def test_two_thousand_idle_sockets(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2_000 if hard == resource.RLIM_INFINITY or hard > 6_000 else (hard - 500) // 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * wanted + 1_000), hard))
    options = {"limits.header_timeout_s": 2}
    try:
        async with (
            serving(tmp_path, {"cam": "mock:?fps=30&size=64x64"}, options=options) as server,
            mjpeg(server.port) as viewer,
        ):
            watched = Watched(server, viewer)
            idle = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", server.port) for _ in range(wanted)))
            await watched.goes_on()
            await server.json("GET", "/healthz")
            async with mjpeg(server.port) as late:
                await late.part()
            await until(lambda: server.listeners.fronts[0].places.taken <= 4)
            await watched.goes_on()
            for _, writer in idle:
                writer.transport.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("limit", ["limits.max_connections_per_address", "limits.max_connections"])
async def test_idle_connections_make_room_for_those_who_ask(tmp_path: Path, limit: str) -> None:
    async with (
        serving(tmp_path, {"cam": "mock:?fps=30&size=64x64"}, options={limit: 20}) as server,
        mjpeg(server.port) as viewer,
    ):
        watched = Watched(server, viewer)
        front = server.listeners.fronts[0]
        many = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(60)]
        await until(lambda: front.places.refused >= 41)
        assert front.places.taken <= 20
        await watched.goes_on()
        await server.json("GET", "/healthz")
        async with mjpeg(server.port) as late:
            await late.part()
        for _, writer in many:
            writer.transport.abort()
        await until(lambda: front.places.taken == 2)  # the viewer, and the client's kept connection


async def test_more_viewers_than_allowed_are_turned_away(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_connections": 16}) as server:
        viewers = [mjpeg(server.port) for _ in range(16)]
        for viewer in viewers:
            await viewer.__aenter__()
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await ends(reader)
            writer.transport.abort()
        assert len(server.camera().stream.viewers) == 16
        for viewer in viewers:
            await viewer.__aexit__(None, None, None)
        await until(lambda: server.listeners.fronts[0].places.taken == 0)
        await server.json("GET", "/healthz")
