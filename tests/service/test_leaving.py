"""What becomes of viewers at a bad moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from framecast.service.api import dashboard, sound, watch
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import Page

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("form", ["stream.mjpeg", "stream.mp4", "audio.wav", "audio.pcm"])
async def test_a_camera_removed_while_a_viewers_head_is_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    target = f"/api/v1/cameras/cam/{form}"
    async with serving(tmp_path, {"cam": "mock:?fps=20&size=64x64&audio=1"}) as server:
        prepare = web.StreamResponse.prepare

        async def slowly(response: web.StreamResponse, request: Any) -> Any:
            prepared = await prepare(response, request)
            if request.path == target:
                await server.service.administration.remove_camera("cam")
            return prepared

        monkeypatch.setattr(web.StreamResponse, "prepare", slowly)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            try:
                await reader.read()
            except ConnectionError:
                pass
        writer.close()
        assert server.service.cameras.get("cam") is None


async def test_a_camera_replaced_while_a_page_hears_that_another_can_not_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = {"limits.max_viewers_per_camera": 1}
    async with (
        serving(tmp_path, {"cam": "push:"}, options=limit) as server,
        Page.opened(server.client, server.url) as first,
        Page.opened(server.client, server.url) as page,
    ):
        await server.json("POST", "/api/v1/cameras", json={"id": "other", "url": "push:"}, status=201)
        await first.subscribe("cam")
        await first.settle()
        say = dashboard.Conversation._say

        async def slowly(conversation: dashboard.Conversation, message: dict[str, Any]) -> None:
            await say(conversation, message)
            if message["type"] == "error":
                await server.json("DELETE", "/api/v1/cameras/other", status=204)
                await server.json("POST", "/api/v1/cameras", json={"id": "other", "url": "push:"}, status=201)

        monkeypatch.setattr(dashboard.Conversation, "_say", slowly)
        await page.subscribe("*")
        assert (await page.hear("error"))["code"] == "limit_reached"
        await page.settle()
        await server.push(jpeg(1), "other")
        assert (await page.see()).camera == server.camera("other").stream.number


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """The port of a device that takes connections and says nothing."""
    ended = asyncio.Event()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.transport.abort()

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        ended.set()
        listener.close()


def in_progress(server: Server) -> int:
    """Requests that are being answered."""
    connections = [each for front in server.listeners.fronts for one in front._servers for each in one.connections]
    return sum(connection._current_request is not None for connection in connections)


async def leave(server: Server, how: str) -> None:
    """Have the camera go: because somebody removes it, or since the server stops."""
    server.service.closing = how == "stop"
    await server.service.cameras.remove("cam")


@pytest.mark.parametrize(("how", "status", "code"), [("stop", 503, "closing"), ("removed", 404, "not_found")])
@pytest.mark.parametrize(
    "name",
    [
        "snapshot.jpg",
        "audio.pcm",
        "hls/index.m3u8",
        "hls/stream.m3u8",
        "hls/stream.m3u8?_HLS_msn={newest}&_HLS_part=9",
        "hls/{hint}",
    ],
)
async def test_who_waits_is_told_why_the_camera_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str, status: int, code: str
) -> None:
    monkeypatch.setattr(watch, "SNAPSHOT_WAIT_S", 60.0)
    monkeypatch.setattr(sound, "FIRST_CHUNK_S", 60.0)
    async with silent() as port, serving(tmp_path, {"cam": f"http://127.0.0.1:{port}/"}) as server:
        path = "/api/v1/cameras/cam/"
        first = asyncio.ensure_future(server.error("GET", f"{path}hls/index.m3u8", status, code))
        await until(lambda: in_progress(server) == 1)
        (running,) = server.service.hls._running.values()
        name = name.format(newest=running.segmenter.newest, hint=running.segmenter.hint)
        asking = asyncio.ensure_future(server.error("GET", path + name, status, code))
        await until(lambda: in_progress(server) == 2)
        await leave(server, how)
        async with asyncio.timeout(5):
            await asyncio.gather(asking, first)
            await server.error("GET", f"{path}snapshot.jpg", status, code)
            async with server.client.get(f"{server.url}/video_feed") as answer:
                assert (answer.status, answer.headers.get("Retry-After")) == (status, "5" if how == "stop" else None)


@pytest.mark.parametrize(("how", "code"), [("stop", 1001), ("removed", 4404)])
async def test_a_page_that_talks_is_told_why_the_camera_goes(tmp_path: Path, how: str, code: int) -> None:
    async with serving(tmp_path) as server, server.client.ws_connect(f"{server.url}/api/v1/cameras/cam/talk") as page:
        await page.receive(timeout=5)
        await leave(server, how)
        while not page.closed:
            await page.receive(timeout=5)
        assert page.close_code == code
