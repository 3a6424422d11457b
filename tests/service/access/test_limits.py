"""Limits for each address and each token, through a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.service.front.places import Places
from tests.service.serving import Server, jpeg, serving, until

pytestmark = pytest.mark.anyio

FRAMES = "/api/v1/cameras/cam/frames"
SELDOM = {"limits.requests_per_s": 0.01, "limits.requests_burst": 10}
"""So seldom that there is no room for another one however slow the machine is."""


async def asked(server: Server, times: int, path: str = "/healthz", **options: Any) -> list[int]:
    """The statuses that so many requests get."""
    found = []
    for _ in range(times):
        async with server.client.get(server.url + path, **options) as response:
            found.append(response.status)
            if response.status == 429:
                assert int(response.headers["Retry-After"]) >= 1
                assert (await response.json())["error"]["code"] == "too_many_requests"
    return found


def bearer(made: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['secret']}"}


async def test_who_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with serving(tmp_path, options=SELDOM) as server:
        assert await asked(server, 15) == [200] * 10 + [429] * 5
        for path in ("/", "/nowhere", "/api/v1/cameras", "/static/css/app.css"):
            assert await asked(server, 1, path) == [429]
        for _ in range(20):
            await server.push(jpeg(1))  # a device that may is not counted so
        assert server.service.keyring is not None


async def test_a_device_that_may_not_push_is_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, options=SELDOM, tokens=True) as server:
        found = []
        for _ in range(15):
            async with server.client.post(server.url + FRAMES, data=jpeg(1)) as response:
                found.append(response.status)
        assert found == [401] * 10 + [429] * 5


async def test_a_token_is_counted_wherever_it_is_used(tmp_path: Path) -> None:
    options = {**SELDOM, "server.trusted_proxies": ["127.0.0.1"]}
    async with serving(tmp_path, options=options, tokens=True) as server:
        wall = bearer(await server.service.desk.create_token({"name": "wall", "rights": ["watch"]}))
        found = []
        for number in range(15):
            told = {**wall, "X-Forwarded-For": f"198.51.100.{number}"}
            found += await asked(server, 1, "/api/v1/cameras", headers=told)
        assert found == [200] * 10 + [429] * 5


async def test_who_has_a_link_keeps_nobody_from_the_account_that_made_it(tmp_path: Path) -> None:
    options = {
        **SELDOM,
        "limits.max_connections_per_token": 3,
        "server.trusted_proxies": ["127.0.0.1"],
    }
    async with serving(tmp_path, options=options, tokens=True) as server:
        owner = await server.owner()
        path = "/api/v1/cameras/cam/stream.mjpeg"
        link = await server.json("POST", "/api/v1/links", status=201, json={"path": path}, headers=owner)
        found = []
        for number in range(12):
            told = {"X-Forwarded-For": f"198.51.100.{number}"}
            async with server.client.get(link["url"], headers=told) as response:
                found.append(response.status)
        assert found == [200] * 10 + [429] * 2, "all who have it count as one"
        assert await asked(server, 1, "/api/v1/users", headers=owner) == [200]


async def test_connections_by_a_link_are_not_those_of_its_maker(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_connections_per_token": 2}, tokens=True) as server:
        owner = await server.owner()
        path = "/api/v1/cameras/cam/stream.mjpeg"
        link = await server.json("POST", "/api/v1/links", status=201, json={"path": path}, headers=owner)
        streams = [await server.client.get(link["url"]) for _ in range(3)]
        assert [each.status for each in streams] == [200, 200, 429]
        async with server.client.get(server.url + path, headers=owner) as response:
            assert response.status == 200
        for each in streams:
            each.close()


async def test_who_sends_too_much_is_told_so_and_a_socket_is_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.received_bytes_per_s": 10_000}) as server:
        (front, *_) = server.listeners.fronts
        picture = jpeg(1, (480, 320), noise=True)
        assert len(picture) > 60_000
        url = server.url.replace("http", "ws") + "/api/v1/cameras/cam/publish"
        async with server.client.ws_connect(url) as socket:
            await socket.send_bytes(picture)
            stream = server.camera().stream
            await until(lambda: stream.published == 1)
            front.sweep()
            message = await socket.receive(5)
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        message = await server.error("POST", FRAMES, 429, "too_many_bytes", data=jpeg(1))
        assert "limits.received_bytes_per_s" in message
        await server.json("GET", "/api/v1/cameras")


async def test_connections_of_one_token(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_connections_per_token": 3}, tokens=True) as server:
        wall = bearer(await server.service.desk.create_token({"name": "wall", "rights": ["watch"]}))
        other = bearer(await server.service.desk.create_token({"name": "other", "rights": ["watch"]}))
        path = server.url + "/api/v1/cameras/cam/stream.mjpeg"
        streams = [await server.client.get(path, headers=wall) for _ in range(3)]
        message = await server.error(
            "GET", "/api/v1/cameras/cam/stream.mjpeg", 429, "too_many_connections", headers=wall
        )
        assert "limits.max_connections_per_token" in message
        async with server.client.get(path, headers=other) as response:
            assert response.status == 200
        streams[0].close()
        await until(lambda: len(server.camera().stream.viewers) == 2)
        async with asyncio.timeout(5), server.client.get(path, headers=wall) as response:
            assert response.status == 200
        for each in streams:
            each.close()


async def test_viewers_of_one_camera(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"limits.max_viewers_per_camera": 2}) as server:
        path = server.url + "/api/v1/cameras/cam/stream.mjpeg"
        streams = [await server.client.get(path) for _ in range(2)]
        for kind in ("stream.mjpeg", "snapshot.jpg", "audio.wav"):
            async with server.client.get(f"{server.url}/api/v1/cameras/cam/{kind}") as response:
                assert response.status == 503, kind
                assert response.headers["Retry-After"] == "10"
                error = (await response.json())["error"]
            assert error["code"] == "limit_reached"
            assert "limits.max_viewers_per_camera" in error["message"]
        for each in streams:
            each.close()


class Held:
    """A connection over which something was asked."""

    idle = False

    def __init__(self, peer: str) -> None:
        self.peer = peer

    def evict(self) -> None:
        raise AssertionError


def test_a_customer_of_ipv6_is_one_address() -> None:
    places = Places(100, 3)
    assert [places.opened(Held(f"2001:db8:1:2::{number:x}")) for number in range(5)] == [True] * 3 + [False] * 2
    assert places.opened(Held("2001:db8:1:3::1"))
    shared = Places(100, 3, shared=lambda address: address == "2001:db8:1:2::7")
    assert all(shared.opened(Held("2001:db8:1:2::7")) for _ in range(5)), "many are behind a trusted proxy"
