"""Who may do what, through the real routes: every route of the table, for every kind of caller."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.mock.device import FakeDevice
from framecast.service.access.rights import COOKIE, Right
from framecast.service.api.table import make_table
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import STREAM, Page, mjpeg

pytestmark = pytest.mark.anyio

CAMERAS = {"cam": "push:", "other": "push:"}

ROLES: dict[str, dict[str, Any] | None] = {
    "nobody": None,
    "watcher": {"rights": ["watch"]},
    "operator": {"rights": ["operate"]},
    "publisher": {"rights": ["publish"]},
    "watcher of other": {"rights": ["watch"], "cameras": ["other"]},
    "operator of other": {"rights": ["operate"], "cameras": ["other"]},
    "publisher of other": {"rights": ["publish"], "cameras": ["other"]},
}


async def tokens_of(server: Server) -> dict[str, str]:
    """A token for each role."""
    return {
        role: (await server.service.desk.create_token({"name": role, **grant}))["secret"]
        for role, grant in ROLES.items()
        if grant is not None
    }


def bearer(secret: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {secret}"}


@asynccontextmanager
async def asked(server: Server, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    """An answer, without its body: it may have no end."""
    async with server.client.request(method, server.url + path, **options) as response:
        yield response
        response.close()


async def test_whether_a_camera_exists_is_told_to_nobody_without_the_right(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        secrets = await tokens_of(server)
        routes = [route for route in make_table(server.service).routes if "/cameras/{id}" in route.path]
        paths = [(route.method, route.path) for route in routes if route.right is not Right.PUBLIC]
        paths += [("GET", "/stream?camera={id}"), ("GET", "/stream/detect?camera={id}")]
        for headers in ({}, bearer(secrets["watcher of other"]), bearer(secrets["publisher of other"]), bearer("fc_x")):
            for method, path in paths:
                answers = []
                for camera_id in ("cam", "ghost"):
                    async with asked(server, method, path.replace("{id}", camera_id), headers=headers) as response:
                        assert response.status in (401, 403), (method, path)
                        text = (await response.text()).replace(f"camera {camera_id}", "ID")
                        answers.append((response.status, text, response.headers.get("WWW-Authenticate")))
                assert answers[0] == answers[1], (method, path)
        await server.error("GET", "/api/v1/anything", 401)
        await server.error("GET", "/stream?camera=ghost", 404, headers=bearer(secrets["watcher"]))


async def test_rights_come_before_validation(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS, tokens=True) as server:
        for path in ("stream.mjpeg?fps=x", "snapshot.jpg?width=x", "publish"):
            await server.error("GET", f"/api/v1/cameras/cam/{path}", 401)
        await server.error("POST", "/api/v1/cameras", 401, data=b"{")
        await server.error("POST", "/api/v1/cameras/cam/frames", 401, data=io.BytesIO(bytes(20_000_000)))
        await server.error("PATCH", "/api/v1/cameras/cam", 401, data=b"\xff")
        await server.error("POST", "/api/v1/probe", 401, json={"url": 5})
        assert server.camera().stream.refused == {}


async def test_what_is_listed_is_what_may_be_watched(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        secrets = await tokens_of(server)
        seen = {}
        for role, secret in secrets.items():
            if "publisher" not in role:
                listed = await server.json("GET", "/api/v1/cameras", headers=bearer(secret))
                seen[role] = [camera["id"] for camera in listed["cameras"]]
        assert seen == {
            "watcher": ["cam", "other"],
            "operator": ["cam", "other"],
            "watcher of other": ["other"],
            "operator of other": ["other"],
        }
        limited = bearer(secrets["watcher of other"])
        statistics = await server.json("GET", "/api/v1/stats", headers=limited)
        assert list(statistics["cameras"]) == ["other"]
        assert [statistics[each] for each in ("process", "encodes", "scans")] == [None] * 3, "they tell of all cameras"
        whole = bearer(secrets["watcher"])
        assert (await server.json("GET", "/api/v1/stats", headers=whole))["process"]["rss_bytes"] > 0
        async with asked(server, "GET", "/metrics", headers=limited) as response:
            text = await response.text()
        assert 'camera="other"' in text
        assert 'camera="cam"' not in text
        own = ("framecast_resident_bytes", "framecast_cpu_seconds", "framecast_encodes", "framecast_tunnel")
        assert not any(each in text for each in own)
        async with asked(server, "GET", "/metrics", headers=whole) as response:
            text = await response.text()
        assert all(each in text for each in own)
        async with Page.opened(server.client, server.url, headers=limited) as page:
            assert [camera["id"] for camera in (await page.hear("hello"))["cameras"]] == ["other"]
            await page.subscribe("cam")
            assert (await page.hear("error"))["code"] == "not_found"
            await page.subscribe("*")
            await page.say(type="stats", interval_s=0.2)
            assert list((await page.hear("stats"))["cameras"]) == ["other"]
            assert not server.camera("cam").stream.viewers
            operator = bearer(secrets["operator"])
            await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "secret"}, headers=operator)
            await server.json("DELETE", "/api/v1/cameras/cam", status=204, headers=operator)
            await page.settle()
            assert not [
                text for text in page.texts if text["type"] in ("camera", "removed") and "cam" in str(text)[:80]
            ]


async def test_every_carrier_of_a_token(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        secret = (await tokens_of(server))["watcher"]
        basic = "Basic " + base64.b64encode(f"anybody:{secret}".encode()).decode()
        for headers in (bearer(secret), {"X-API-Key": secret}, {"token": secret}, {"Authorization": basic}):
            await server.json("GET", "/api/v1/cameras/cam", headers=headers)
        for headers in (
            {"X-API-Key": "fc_no"},
            {"Authorization": "Bearer"},
            {"Authorization": "Basic !!!"},
            {"Authorization": "Basic /////w=="},
            {"Authorization": "Digest x"},
            {"Cookie": f"{COOKIE}={secret}"},
            {"Cookie": "x" * 4000},
        ):
            await server.error("GET", "/api/v1/cameras/cam", 401, headers=headers)
        await server.error("GET", f"/api/v1/cameras/cam?key={secret}", 401)


async def test_a_key_in_the_address(tmp_path: Path) -> None:
    cameras = {"cam": {"url": "push:", "allow_query_key": True}, "other": "push:"}
    async with serving(tmp_path, cameras) as server:
        secrets = await tokens_of(server)
        made = await server.service.desk.create_token({"name": "all", "rights": ["watch", "operate", "publish"]})
        everything = made["secret"]
        await server.json("GET", f"/api/v1/cameras/cam?key={secrets['watcher']}")
        await server.error("GET", f"/api/v1/cameras/other?key={secrets['watcher']}", 403)
        await server.json("POST", f"/api/v1/cameras/cam/frames?key={everything}", data=jpeg(1))
        await server.error("PATCH", f"/api/v1/cameras/cam?key={everything}", 403, json={"name": "x"})
        await server.error("POST", f"/api/v1/cameras/cam/restart?key={everything}", 403)
        async with mjpeg(server.port, f"/api/v1/cameras/cam/stream.mjpeg?key={secrets['watcher']}") as viewer:
            assert (await viewer.part()).picture == jpeg(1)
        async with server.client.ws_connect(
            f"{server.url}/api/v1/cameras/cam/publish?key={secrets['publisher']}"
        ) as socket:
            await socket.send_bytes(jpeg(2))
            await until(lambda: server.camera().stream.published == 2)


async def test_what_a_camera_opens(tmp_path: Path) -> None:
    cameras = {"cam": {"url": "push:", "public": ["watch"], "publish_from": ["127.0.0.0/8"]}, "other": "push:"}
    async with serving(tmp_path, cameras, tokens=True) as server:
        await server.push(jpeg(1))
        await server.error("POST", "/api/v1/cameras/other/frames", 401, data=jpeg(1))
        async with mjpeg(server.port) as viewer:
            assert (await viewer.part()).picture == jpeg(1)
        async with asked(server, "GET", "/api/v1/cameras/cam/snapshot.jpg") as response:
            assert response.status == 200
        await server.error("GET", "/api/v1/cameras/other/snapshot.jpg", 401)
        listed = (await server.json("GET", "/api/v1/cameras"))["cameras"]
        assert [camera["id"] for camera in listed] == ["cam"]
        async with Page.opened(server.client, server.url) as page:
            assert [camera["id"] for camera in (await page.hear("hello"))["cameras"]] == ["cam"]
        await server.error("PATCH", "/api/v1/cameras/cam", 401, json={"name": "x"})
        async with FakeDevice("doorbell", to=server.url, fps=20):
            await until(lambda: server.camera().stream.published > 3)
        async with server.client.ws_connect(f"{server.url}/api/v1/cameras/cam/publish") as socket:
            await socket.send_bytes(jpeg(2))


async def test_a_camera_that_closes_lets_nobody_stay(tmp_path: Path) -> None:
    cameras = {"cam": {"url": "push:", "public": ["watch"], "publish_from": ["127.0.0.0/8"]}}
    async with serving(tmp_path, cameras) as server:
        operator = {"X-API-Key": (await tokens_of(server))["operator"]}
        await server.push(jpeg(1))
        async with (
            Page.opened(server.client, server.url, headers=operator) as known,
            server.client.ws_connect(f"{server.url}/api/v1/cameras/cam/publish") as device,
        ):
            await known.hear("hello")
            async with mjpeg(server.port) as viewer, Page.opened(server.client, server.url) as page:
                await page.subscribe("cam")
                await page.see()
                await server.json("PATCH", "/api/v1/cameras/cam", json={"public": []}, headers=operator)
                await viewer.ended()
                with pytest.raises(EOFError):
                    while True:
                        await page.see()
            await known.settle()
            published = server.camera().stream.published
            await device.send_bytes(jpeg(2))
            await until(lambda: server.camera().stream.published > published)  # it loses nothing by that
            fewer = {"publish_from": ["127.0.0.1"]}
            await server.json("PATCH", "/api/v1/cameras/cam", json=fewer, headers=operator)
            await device.send_bytes(jpeg(3))
            await until(lambda: server.camera().stream.published > published + 1)  # it is in one that stays
            await server.json("PATCH", "/api/v1/cameras/cam", json={"publish_from": []}, headers=operator)
            await device.receive(timeout=5)
            assert device.closed
        await server.error("GET", "/api/v1/cameras/cam/snapshot.jpg", 401)
        await server.error("POST", "/api/v1/cameras/cam/frames", 401, data=jpeg(2))


async def test_a_camera_that_takes_keys_in_addresses_no_more_lets_nobody_stay(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": {"url": "push:", "allow_query_key": True}}) as server:
        secrets = await tokens_of(server)
        operator = {"X-API-Key": secrets["operator"]}
        await server.json("POST", "/api/v1/cameras/cam/frames", data=jpeg(1), headers={"token": secrets["publisher"]})
        key = f"?key={secrets['watcher']}"
        async with (
            mjpeg(server.port, headers=f"X-API-Key: {secrets['watcher']}\r\n") as known,
            mjpeg(server.port, STREAM + key) as one,
            mjpeg(server.port, STREAM + key) as other,
            server.client.ws_connect(f"{server.url}/api/v1/cameras/cam/publish?key={secrets['publisher']}") as device,
        ):
            for viewer in (known, one, other):
                await viewer.part()
            await server.json("PATCH", "/api/v1/cameras/cam", json={"allow_query_key": False}, headers=operator)
            await one.ended()
            await other.ended()
            await device.receive(timeout=5)
            assert device.closed
            await server.json(
                "POST", "/api/v1/cameras/cam/frames", data=jpeg(2), headers={"token": secrets["publisher"]}
            )
            assert (await known.other()).picture == jpeg(2)
        await server.error("GET", STREAM + key, 401)


async def test_a_revoked_token_lets_nobody_stay_who_showed_it_in_an_address(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": {"url": "push:", "allow_query_key": True}}) as server:
        secrets = await tokens_of(server)
        async with mjpeg(server.port, f"{STREAM}?key={secrets['watcher']}") as viewer:
            await server.service.desk.revoke_token("watcher", forget=False)
            await viewer.ended()


async def test_the_first_token_closes_what_was_open(server: Server) -> None:
    """But the one who makes it gets to see it."""
    await server.push(jpeg(1))
    async with mjpeg(server.port) as viewer, Page.opened(server.client, server.url) as page:
        await viewer.part()
        await page.subscribe("cam")
        await page.see()
        body = {"name": "first", "rights": ["watch"]}
        made = await server.json("POST", "/api/v1/tokens", status=201, json=body)
        await viewer.ended()
        with pytest.raises(EOFError):
            while True:
                await page.see()
        headers, owner = bearer(made["secret"]), await server.owner()
        async with mjpeg(server.port, headers=f"X-API-Key: {made['secret']}\r\n") as known:
            await known.part()
            await server.json("POST", "/api/v1/tokens", status=201, headers=owner, json={**body, "name": "second"})
            await server.json("GET", "/api/v1/session", headers=headers)
            assert server.camera().stream.viewers, "a further one changes nothing for those who are in"
        await server.json("DELETE", "/api/v1/tokens/first", status=204, headers=owner)
        await server.error("GET", "/api/v1/cameras", 401, headers=headers)


async def test_logging_out_with_any_cookie_writes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        secrets = await tokens_of(server)
        async with asked(server, "POST", "/api/v1/session", json={"key": secrets["watcher"]}) as response:
            known = response.cookies[COOKIE].value
        connection = server.service._state.database._connection
        before, ours = connection.total_changes, {"Origin": server.url}
        for cookie in ("nonsense", "x" * 4000, known + "x"):
            await server.json("DELETE", "/api/v1/session", status=204, headers={"Cookie": f"{COOKIE}={cookie}", **ours})
        assert connection.total_changes == before
        assert len(server.service._state.credentials.sessions()) == 1
        await server.json("DELETE", "/api/v1/session", status=204, headers={"Cookie": f"{COOKIE}={known}", **ours})
        assert len(server.service._state.credentials.sessions()) == 0


async def test_a_browser_exchanges_a_key_for_a_cookie(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        secrets = await tokens_of(server)
        assert await server.json("GET", "/api/v1/session") == {
            "open": False,
            "rights": [],
            "cameras": [],
            "name": "",
            "kind": "none",
            "role": None,
            "accounts": False,
            "setup": False,
            "public_url": None,
        }
        await server.error("POST", "/api/v1/session", 401, "wrong_key", json={"key": "fc_wrong"})
        for body in ({}, {"key": ""}, {"key": 5}, {"key": None}):
            await server.error("POST", "/api/v1/session", 400, "bad_value", json=body)
        async with asked(server, "POST", "/api/v1/session", json={"key": secrets["operator"]}) as response:
            answer = await response.json()
            cookie = response.cookies[COOKIE]
        assert answer == {
            "open": False,
            "rights": ["operate", "watch"],
            "cameras": None,
            "name": "operator",
            "kind": "token",
            "role": None,
            "accounts": False,
            "setup": False,
            "public_url": None,
        }
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert secrets["operator"] not in cookie.value
        headers = {"Cookie": f"{COOKIE}={cookie.value}", "Origin": server.url}
        await server.json("GET", "/api/v1/cameras", headers=headers)
        await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "x"}, headers={**headers, "Origin": server.url})
        evil = {**headers, "Origin": "https://evil.example"}
        await server.error("PATCH", "/api/v1/cameras/cam", 403, "wrong_origin", json={"name": "y"}, headers=evil)
        await server.json("DELETE", "/api/v1/session", status=204, headers=headers)
        await server.error("GET", "/api/v1/cameras", 401, headers=headers)


async def test_guessing_keys_is_slow(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS, tokens=True) as server:
        for _ in range(10):
            await server.error("POST", "/api/v1/session", 401, json={"key": "fc_guess"})
        await server.error("POST", "/api/v1/session", 429, "too_many_attempts", json={"key": "fc_guess"})


async def test_revoking_works_at_once_for_those_who_watch_too(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        secrets = await tokens_of(server)
        operator, watcher = bearer(secrets["operator"]), bearer(secrets["watcher"])
        lines = "".join(f"{name}: {value}\r\n" for name, value in watcher.items())
        async with asked(server, "POST", "/api/v1/session", json={"key": secrets["watcher"]}) as response:
            cookie = {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}", "Origin": server.url}
        async with (
            mjpeg(server.port, headers=lines) as viewer,
            Page.opened(server.client, server.url, headers=cookie) as page,
            Page.opened(server.client, server.url, headers=operator) as stays,
        ):
            await page.hear("hello")
            await server.json("DELETE", "/api/v1/tokens/watcher", status=204, headers=await server.owner())
            await viewer.ended()
            with pytest.raises(EOFError):
                await page.hear("pong")
            await stays.settle()
        for headers in (watcher, cookie):
            await server.error("GET", "/api/v1/cameras", 401, headers=headers)
        await server.error("DELETE", "/api/v1/tokens/unheard-of", 404, headers=await server.owner())


async def test_what_is_no_token_cuts_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner, ben = await server.owner(), await server.user("ben")
        async with Page.opened(server.client, server.url, headers=ben) as page:
            await page.hear("hello")
            await server.error("DELETE", "/api/v1/tokens/user:ben", 404, headers=owner)
            await page.settle()


# Open mode


async def test_everything_is_open_on_loopback_and_credentials_are_ignored(server: Server) -> None:
    assert await server.json("GET", "/api/v1/session") == {
        "open": True,
        "rights": ["operate", "own", "publish", "watch"],
        "cameras": None,
        "name": "",
        "kind": "open",
        "role": None,
        "accounts": False,
        "setup": False,
        "public_url": None,
    }
    for headers in ({}, bearer("fc_wrong"), {"X-API-Key": "x"}, {"Authorization": "Basic !!!"}):
        await server.json("GET", "/api/v1/cameras", headers=headers)
        await server.push(jpeg(1), "cam", params={"key": "x"})
    await server.json("POST", "/api/v1/session", json={"key": "anything"})
    await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "x"})


async def test_the_first_token_ends_it(server: Server) -> None:
    made = await server.json("POST", "/api/v1/tokens", json={"name": "me", "rights": ["operate"]}, status=201)
    assert made["secret"].startswith("fc_")
    await server.error("GET", "/api/v1/cameras", 401)
    await server.error("GET", "/api/v1/tokens", 403, headers=bearer(made["secret"]))
    listed = await server.json("GET", "/api/v1/tokens", headers=await server.owner())
    assert "secret" not in listed["tokens"][0]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "x y"]
)
async def test_names_that_were_rebound_get_nothing(server: Server, host: str) -> None:
    for path in ("/", "/api/v1/cameras", "/api/v1/cameras/cam/stream.mjpeg", "/api/v1/ws", "/healthz"):
        await server.error("GET", path, 421, "wrong_host", headers={"Host": host})
    await server.error("POST", "/api/v1/cameras", 421, "wrong_host", headers={"Host": host}, json={"url": "push:"})


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1", "[::1]:8080", "door.localhost", "mycam"])
async def test_names_that_are_our_own(tmp_path: Path, host: str) -> None:
    async with serving(tmp_path, options={"server.allowed_hosts": ["mycam"]}) as server:
        await server.json("GET", "/api/v1/cameras", headers={"Host": host})


async def test_pages_of_other_sites_may_change_nothing(server: Server) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "file://", "http://localhost.evil"):
        headers = {"Origin": origin}
        await server.error("POST", "/api/v1/cameras", 403, "wrong_origin", headers=headers, json={"url": "push:"})
        await server.error("DELETE", "/api/v1/cameras/cam", 403, "wrong_origin", headers=headers)
        for path in ("/api/v1/ws", "/api/v1/cameras/cam/publish"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                async with server.client.ws_connect(server.url + path, headers=headers):
                    pass
            assert refusal.value.status == 403
        async with asked(server, "GET", "/api/v1/cameras", headers=headers) as response:
            assert response.status == 200
            assert not [name for name in response.headers if name.lower().startswith("access-control")]
    async with Page.opened(server.client, server.url, headers={"Origin": server.url}) as page:
        await page.hear("hello")


async def test_origins_that_are_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"server.allowed_origins": ["https://home.example"]}) as server:
        await server.push(jpeg(1))
        headers = {"Origin": "https://home.example"}
        for path in (
            "/api/v1/cameras",
            "/api/v1/cameras/cam/snapshot.jpg",
            "/api/v1/cameras/cam/stream.mjpeg",
            "/nothing",
        ):
            async with asked(server, "GET", path, headers=headers) as response:
                assert response.headers["Access-Control-Allow-Origin"] == "https://home.example"
                assert response.headers["Vary"] == "Origin"
            async with asked(server, "GET", path, headers={"Origin": "https://evil.example"}) as response:
                assert "Access-Control-Allow-Origin" not in response.headers
                assert response.headers["Vary"] == "Origin", "what a cache keeps of it is not for those who are allowed"
            async with asked(server, "GET", path) as response:
                assert response.headers["Vary"] == "Origin"
        async with asked(server, "OPTIONS", "/api/v1/cameras/cam", headers=headers) as response:
            assert response.status == 204
            assert response.headers["Vary"] == "Origin"
            assert response.headers["Access-Control-Allow-Origin"] == "https://home.example"
            assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
        async with Page.opened(server.client, server.url, headers=headers) as page:
            await page.hear("hello")
        await server.json("POST", "/api/v1/cameras", json={"url": "push:"}, headers=headers, status=201)
        async with asked(server, "GET", "/") as response:
            assert "frame-ancestors 'self' https://home.example" in response.headers["Content-Security-Policy"]


# The control socket


async def test_the_control_socket_is_the_operators(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS, tokens=True) as server, FakeDevice("espressif") as device:
        connector = aiohttp.UnixConnector(str(server.folder / "data" / "control.sock"))
        async with aiohttp.ClientSession("http://framecast", connector=connector) as control:
            async with control.get("/api/v1/cameras") as response:
                assert response.status == 200
            body = {"id": "near", "url": device.url}
            async with control.post("/api/v1/cameras", json=body, headers={"Origin": "https://x"}) as response:
                assert response.status == 201, "URLs of this machine are the operator's to give"
                assert (await response.json())["origin"] == "operator"
            async with control.get("/api/v1/cameras/near/snapshot.jpg") as response:
                assert response.status == 200
        operator = bearer((await server.service.desk.create_token({"name": "op", "rights": ["operate"]}))["secret"])
        message = await server.error(
            "POST", "/api/v1/cameras", 403, "forbidden_address", json={"url": device.url}, headers=operator
        )
        assert "network.allow_loopback" in message
