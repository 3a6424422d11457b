"""A whole server, asked as a proxy asks: with its headers, and below a path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import Server, jpeg, serving, until

pytestmark = pytest.mark.anyio

TOLD = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "cams.example",
    "X-Forwarded-Prefix": "/cams",
}
BEHIND = {"server.trusted_proxies": ["127.0.0.1"], "server.base_path": "/cams"}


@asynccontextmanager
async def behind(folder: Path, options: Mapping[str, Any] = BEHIND) -> AsyncIterator[tuple[Server, dict[str, str]]]:
    async with serving(folder, options=options) as server:
        rights = ["watch", "operate", "publish"]
        made = await server.service.desk.create_token({"name": "all", "rights": rights})
        yield server, {"Authorization": f"Bearer {made['secret']}"}


@asynccontextmanager
async def watching(server: Server, path: str, headers: Mapping[str, str]) -> AsyncIterator[str]:
    """The address under which a viewer is known."""
    async with server.client.get(server.url + path, headers=headers) as response:
        assert response.status == 200
        await until(lambda: len(server.camera().stream.viewers) == 1)
        (viewer,) = server.camera().stream.viewers.values()
        yield viewer.address


async def test_viewers_are_known_by_their_own_address(tmp_path: Path) -> None:
    async with (
        behind(tmp_path) as (server, key),
        watching(server, "/api/v1/cameras/cam/stream.mjpeg", {**key, **TOLD}) as address,
    ):
        assert address == "203.0.113.9"


async def test_nobody_is_believed_unless_configured(tmp_path: Path) -> None:
    async with behind(tmp_path, {}) as (server, key):
        headers = {**key, **TOLD, "X-Real-IP": "10.0.0.1", "Forwarded": "for=10.0.0.1"}
        async with watching(server, "/api/v1/cameras/cam/stream.mjpeg", headers) as address:
            assert address == "127.0.0.1"


async def test_devices_push_from_networks_by_their_own_address(tmp_path: Path) -> None:
    camera = {"cam": {"url": "push:", "publish_from": ["203.0.113.0/24"]}}
    async with serving(tmp_path, camera, options=BEHIND) as server:

        async def push(**headers: str) -> int:
            url = f"{server.url}/api/v1/cameras/cam/frames"
            headers["Content-Type"] = "image/jpeg"
            async with server.client.post(url, data=jpeg(), headers=headers) as response:
                return response.status

        assert await push(**TOLD) == 200
        assert await push(**{"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}) == 401
        assert await push() == 401


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "CF-Connecting-IP", "X-Real-IP", "Via"])
async def test_an_open_server_refuses_what_a_proxy_brings(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as server:
        message = await server.error("GET", "/api/v1/cameras", 403, "behind_proxy", headers={name: "203.0.113.9"})
        assert name in message and "framecast user create" in message and "server.trusted_proxies" in message
        assert (await server.json("GET", "/api/v1/session"))["open"]


async def test_a_server_behind_a_proxy_is_never_open(tmp_path: Path) -> None:
    async with serving(tmp_path, options=BEHIND) as server:
        assert not (await server.json("GET", "/api/v1/session", headers=TOLD))["open"]
        await server.error("GET", "/api/v1/cameras", 401, "unauthorised")


@pytest.mark.parametrize("prefix", ["", "/cams"])
async def test_paths_are_answered_with_and_without_the_prefix(tmp_path: Path, prefix: str) -> None:
    async with behind(tmp_path) as (server, key):
        listed = await server.json("GET", f"{prefix}/api/v1/cameras", headers=key)
        assert [camera["id"] for camera in listed["cameras"]] == ["cam"]
        async with server.client.get(f"{server.url}{prefix}/static/css/app.css") as response:
            assert response.status == 200
        await server.error("GET", f"{prefix}/api/v1/cameras", 401, "unauthorised")
        await server.error("GET", f"{prefix}/api/v1/cameras/cam", 401, "unauthorised")
        await server.error("GET", f"/other{prefix}/api/v1/cameras", 404, headers=key)


async def test_the_prefix_alone_leads_to_the_wall(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, _):
        async with server.client.get(f"{server.url}/cams", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (308, "/cams/")
        async with server.client.get(f"{server.url}/cams") as response:
            assert (response.status, response.content_type) == (200, "text/html")


async def test_who_went_astray_finds_back_below_the_prefix(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, key):
        headers = {**key, "Accept": "text/html"}
        for path, root in (("/cams/nowhere", "./"), ("/cams/a/b", "../"), ("/a/b", "../")):
            async with server.client.get(server.url + path, headers=headers) as response:
                assert response.status == 404
                assert f'href="{root}">All cameras</a>' in await response.text()
        await server.error("GET", "/cams/api/nothing", 404, headers=headers)


async def test_locations_lead_below_the_prefix(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, key):
        for headers, prefix in ((TOLD, "/cams"), ({**TOLD, "X-Forwarded-Prefix": "/x"}, "/x"), ({}, "")):
            body = {"id": f"new{len(prefix)}", "url": "push:"}
            async with server.client.post(f"{server.url}/api/v1/cameras", json=body, headers=key | headers) as response:
                assert response.status == 201
                assert response.headers["Location"] == f"{prefix}/api/v1/cameras/{body['id']}"


async def test_pages_of_the_outer_name_may_change_things_and_others_not(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, key):
        path = "/api/v1/cameras/cam"

        async def patch(origin: str, **headers: str) -> int:
            whole = key | TOLD | headers | {"Origin": origin}
            async with server.client.patch(server.url + path, json={"name": "x"}, headers=whole) as response:
                return response.status

        assert await patch("https://cams.example") == 200
        assert await patch("https://evil.example") == 403
        assert await patch("http://cams.example") == 403, "we are called by HTTPS"
        assert await patch(server.url) == 403, "nobody outside knows us by this name"


async def test_an_unknown_proxy_that_hides_the_name_is_told_of(tmp_path: Path) -> None:
    async with behind(tmp_path, {}) as (server, key):
        headers = key | {"Origin": "https://cams.example", "X-Forwarded-For": "203.0.113.9"}
        message = await server.error("PATCH", "/api/v1/cameras/cam", 403, "wrong_origin", json={}, headers=headers)
        assert "127.0.0.1 in server.trusted_proxies" in message
        del headers["X-Forwarded-For"]
        message = await server.error("PATCH", "/api/v1/cameras/cam", 403, "wrong_origin", json={}, headers=headers)
        assert "proxy" not in message


async def test_a_proxy_that_nobody_named_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for options, times in (({}, 1), (BEHIND, 0)):
        caplog.clear()
        async with behind(tmp_path / str(times), options) as (server, key):
            for _ in range(3):
                await server.json("GET", "/api/v1/cameras", headers={**key, **TOLD, "Connection": "close"})
        said = [record.getMessage() for record in caplog.records if "passes on requests" in record.getMessage()]
        assert len(said) == times
        assert all(text.startswith("127.0.0.1 passes on") for text in said)


@pytest.mark.parametrize("left_on", [False, True], ids=["taken-off", "left-on"])
async def test_links_lead_through_the_proxy(tmp_path: Path, left_on: bool) -> None:
    async with behind(tmp_path) as (server, key):
        pushed = {**key, "Content-Type": "image/jpeg"}
        await server.json("POST", "/api/v1/cameras/cam/frames", data=jpeg(), headers=pushed)
        inner = server.url + ("/cams" if left_on else "")
        headers = {**TOLD, "Origin": "https://cams.example", **key}
        body = {"path": "/api/v1/cameras/cam/snapshot.jpg", "ttl_s": 60}
        async with server.client.post(f"{inner}/api/v1/links", json=body, headers=headers) as response:
            assert response.status == 201, await response.text()
            url = (await response.json())["url"]
        assert url.startswith("https://cams.example/cams/api/v1/cameras/cam/snapshot.jpg?")
        path = url.removeprefix("https://cams.example/cams")
        async with server.client.get(inner + path, headers=TOLD) as response:
            assert (response.status, response.content_type) == (200, "image/jpeg"), await response.read()


async def test_guessing_is_counted_by_who_guesses(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, _):

        async def guess(number: int, address: str) -> int:
            headers = {**TOLD, "X-Forwarded-For": address}
            body = {"key": f"fc_{number}"}
            async with server.client.post(f"{server.url}/api/v1/session", json=body, headers=headers) as response:
                return response.status

        tried = [await guess(number, "203.0.113.9") for number in range(30)]
        assert tried[0] == 401
        assert tried[-1] == 429
        assert await guess(30, "203.0.113.10") == 401, "a neighbour behind the same proxy"
        assert await guess(31, "198.51.100.7, 203.0.113.9") == 429, "who adds an address of his own stays himself"


async def test_who_makes_up_addresses_guesses_no_longer(tmp_path: Path) -> None:
    async with behind(tmp_path, {}) as (server, _):
        tried = []
        for number in range(30):
            headers = {**TOLD, "X-Forwarded-For": f"203.0.113.{number}"}
            body = {"key": f"fc_{number}"}
            async with server.client.post(f"{server.url}/api/v1/session", json=body, headers=headers) as response:
                tried.append(response.status)
        assert tried[-1] == 429


async def test_the_session_cookie_is_kept_below_the_prefix(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, key):
        body = {"key": key["Authorization"].split()[1]}
        headers = {**TOLD, "Origin": "https://cams.example"}
        async with server.client.post(f"{server.url}/api/v1/session", json=body, headers=headers) as response:
            assert response.status == 200
            cookie = response.cookies["__Secure-framecast_session"]
            assert (cookie["path"], cookie["secure"], cookie["httponly"]) == ("/cams/", True, True)
        shown = {**TOLD, "Cookie": f"__Secure-framecast_session={cookie.value}"}
        assert (await server.json("GET", "/api/v1/session", headers=shown))["name"] == "all"
        headers |= shown
        async with server.client.delete(f"{server.url}/api/v1/session", headers=headers) as response:
            assert response.cookies["__Secure-framecast_session"]["path"] == "/cams/"
            assert response.cookies["__Secure-framecast_session"]["max-age"] == "0"
        assert (await server.json("GET", "/api/v1/session", headers=shown))["name"] == ""


async def test_a_proxy_may_have_all_connections(tmp_path: Path) -> None:
    options = BEHIND | {"limits.max_connections_per_address": 2}
    async with behind(tmp_path, options) as (server, key):
        headers = {**key, **TOLD}
        path = "/api/v1/cameras/cam/stream.mjpeg"
        async with (
            watching(server, path, headers),
            server.client.get(server.url + path, headers=headers) as second,
            server.client.get(server.url + path, headers=headers) as third,
        ):
            assert (second.status, third.status) == (200, 200)


async def test_https_is_not_offered_where_a_proxy_does_it(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, _):
        facts = await server.json("GET", "/api/v1/system", headers=TOLD)
        assert (facts["secure"], facts["https"]) == (True, None)
        assert not (await server.json("GET", "/api/v1/system"))["secure"]
