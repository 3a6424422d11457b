"""The two extra ports of M5Stack devices."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from framecast.mock.device import FakeDevice
from framecast.service.api import m5 as service_m5
from framecast.service.config import CameraConfig
from framecast.service.service import Service
from tests.service.serving import Server, jpeg, serving, until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def m5(folder: Path, *, tokens: bool = False, **limits: int) -> AsyncIterator[tuple[Server, str, str]]:
    """A server with both ports, and their addresses."""
    device, viewer = free_port(), free_port()
    options = {"compat.m5_device_port": device, "compat.m5_viewer_port": viewer}
    options.update({f"limits.{name}": limit for name, limit in limits.items()})
    async with serving(folder, {"cam": "push:", "other": "push:"}, options=options, tokens=tokens) as server:
        yield server, f"ws://127.0.0.1:{device}", f"ws://127.0.0.1:{viewer}"


async def picture(socket: aiohttp.ClientWebSocketResponse) -> bytes:
    """The next binary message."""
    message = await socket.receive(timeout=5)
    assert message.type is aiohttp.WSMsgType.BINARY, message
    assert isinstance(message.data, bytes)
    return message.data


@pytest.mark.parametrize(("path", "camera_id"), [("/", "cam"), ("/cam", "cam"), ("/other", "other")])
async def test_the_path_names_the_camera(tmp_path: Path, path: str, camera_id: str) -> None:
    async with (
        m5(tmp_path) as (server, device_url, viewer_url),
        server.client.ws_connect(device_url + path) as device,
    ):
        await device.send_bytes(jpeg(1))
        await until(lambda: server.camera(camera_id).stream.published == 1)
        async with server.client.ws_connect(viewer_url + path + "?format=jpeg") as viewer:
            assert await picture(viewer) == jpeg(1), "a newcomer starts at once"
            await viewer.send_str("hello")
            for number in range(2, 6):
                await device.send_bytes(jpeg(number))
                assert await picture(viewer) == jpeg(number)
            assert len(server.camera(camera_id).stream.viewers) == 1
        await until(lambda: not server.camera(camera_id).stream.viewers)


async def test_status_tells_who_is_there(tmp_path: Path) -> None:
    async with m5(tmp_path) as (server, device_url, viewer_url):
        nobody = {"camera_clients": 0, "viewer_clients": 0, "streaming": False}
        assert await server.json("GET", "/status") == nobody
        async with (
            server.client.ws_connect(device_url) as device,
            server.client.ws_connect(viewer_url + "/?format=jpeg") as viewer,
        ):
            await device.send_bytes(jpeg(1))
            await picture(viewer)
            assert await server.json("GET", "/status") == {"camera_clients": 1, "viewer_clients": 1, "streaming": True}
        await until(lambda: not server.camera().stream.viewers and server.camera().stream.publisher is None)
        assert await server.json("GET", "/status") == nobody


async def test_a_real_device_pushes_there(tmp_path: Path) -> None:
    async with (
        m5(tmp_path) as (server, device_url, viewer_url),
        FakeDevice("m5stack-ws", to=device_url + "/", fps=30),
        server.client.ws_connect(viewer_url + "/?format=jpeg") as viewer,
    ):
        for _ in range(5):
            await picture(viewer)


async def test_a_removed_camera_ends_its_sockets(tmp_path: Path) -> None:
    async with (
        m5(tmp_path) as (server, device_url, viewer_url),
        server.client.ws_connect(device_url + "/other") as device,
        server.client.ws_connect(viewer_url + "/other?format=jpeg") as viewer,
    ):
        await device.send_bytes(jpeg(1))
        await picture(viewer)
        await server.json("DELETE", "/api/v1/cameras/other", status=204)
        for socket_ in (device, viewer):
            assert (await socket_.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


async def test_a_camera_that_goes_during_the_handshake_leaves_nothing_to_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_socket = service_m5.open_socket

    async def late(service: Service, request: web.BaseRequest, **options: int) -> web.WebSocketResponse:
        opened = await open_socket(service, request, **options)
        await service.cameras.remove("other")
        return opened

    async with m5(tmp_path) as (server, _, viewer_url):
        monkeypatch.setattr(service_m5, "open_socket", late)
        async with server.client.ws_connect(viewer_url + "/other") as viewer:
            assert (await viewer.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        await server.service.cameras.add("other", CameraConfig(url="push:"), "the test")
        camera = server.camera("other")
        assert server.service.transport_stream(camera).stream is camera.stream


async def test_rights_hold_here_too(tmp_path: Path) -> None:
    async with m5(tmp_path, tokens=True) as (server, device_url, viewer_url):

        async def status(url: str, headers: dict[str, str]) -> int:
            try:
                async with server.client.ws_connect(url, headers=headers):
                    return 101
            except aiohttp.WSServerHandshakeError as refusal:
                return refusal.status

        secrets = {
            right: (await server.service.desk.create_token({"name": right, "rights": [right]}))["secret"]
            for right in ("watch", "publish")
        }
        for right, url in (("watch", viewer_url), ("publish", device_url)):
            other = {"watch": "publish", "publish": "watch"}[right]
            assert await status(url, {}) == 401
            assert await status(url, {"X-API-Key": secrets[other]}) == 403
            assert await status(url, {"X-API-Key": secrets[right]}) == 101
            limited = await server.service.desk.create_token(
                {"name": f"l{right}", "rights": [right], "cameras": ["other"]}
            )
            headers = {"X-API-Key": limited["secret"]}
            assert await status(url + "/other", headers) == 101
            assert await status(url + "/cam", headers) == 403
            assert await status(url + "/ghost", headers) == 403
            assert await status(url, headers) == 403
            assert await status(url + "/ghost", {"X-API-Key": secrets[right]}) == 404


async def test_one_viewer_too_many_is_told_so(tmp_path: Path) -> None:
    async with (
        m5(tmp_path, max_viewers_per_camera=1) as (server, _, viewer_url),
        server.client.ws_connect(viewer_url),
    ):
        await until(lambda: server.camera().stream.viewers)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with server.client.ws_connect(viewer_url):
                pass
        assert refusal.value.status == 503


async def test_other_requests_are_refused(tmp_path: Path) -> None:
    async with m5(tmp_path) as (server, device_url, viewer_url):
        for url in (device_url, viewer_url):
            address = url.replace("ws:", "http:")
            async with server.client.get(address) as response:
                assert response.status == 400
            async with server.client.post(address) as response:
                assert response.status == 405
            async with server.client.get(address + "/a/b/c") as response:
                assert response.status == 404
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with server.client.ws_connect(url, headers={"Origin": "https://evil.example"}):
                    pass


async def test_a_port_that_is_taken_stays_closed_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, caplog.at_level(logging.WARNING):
        options = {"compat.m5_device_port": taken.getsockname()[1]}
        async with serving(tmp_path, options=options) as server:
            await server.json("GET", "/healthz")
    assert "The M5Stack port" in caplog.text or "the M5Stack port" in caplog.text


async def test_there_are_no_such_ports_unless_asked_for(server: Server) -> None:
    routes = [route for front in server.listeners.fronts for route in front.table.routes]
    assert not [route for route in routes if route.websocket and route.path == "/"]
