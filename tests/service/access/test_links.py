"""Signed links: one picture or stream, for some hours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from framecast.service.access.links import LONGEST_S, Links, Maker, camera_of
from framecast.service.access.rights import Grant, Right
from framecast.service.api.table import make_table
from framecast.service.operations.trail import MOST_HOLDERS, MOST_THINGS, WINDOW_S, Repeats
from tests.service.serving import Server, jpeg, serving

pytestmark = pytest.mark.anyio

PATH = "/api/v1/cameras/cam/snapshot.jpg"
WALL = Maker("wall", "", "1")
CAMERAS = {name: {"url": "push:", "publish_from": ["127.0.0.1"]} for name in ("cam", "other")}


def watching(*cameras: str) -> Grant:
    return Grant(frozenset({Right.WATCH, Right.OPERATE}), frozenset(cameras) if cameras else None, "wall", kind="token")


def links(grant: Grant | None, secret: bytes = b"s" * 32, stamp: str = "") -> Links:
    return Links(secret, lambda maker: grant if maker == WALL else None, lambda camera_id: stamp)


def test_shows_one_path_and_nothing_but_that() -> None:
    desk = links(watching())
    text = desk.sign(PATH, WALL, 1000)
    grant = desk.grant_of(text, PATH, 999)
    assert grant is not None
    assert (grant.rights, grant.cameras, grant.kind, grant.name) == ({Right.WATCH}, {"cam"}, "link", "wall")
    for path in ("/api/v1/cameras/cam/stream.mjpeg", "/api/v1/cameras/other/snapshot.jpg", "/api/v1/cameras/cam", "/"):
        assert desk.grant_of(text, path, 999) is None


def test_ends() -> None:
    desk = links(watching())
    assert desk.grant_of(desk.sign(PATH, WALL, 1000), PATH, 1000) is None
    assert desk.grant_of(desk.sign(PATH, WALL, 1000 + LONGEST_S + 1), PATH, 1000) is None, "none lasts longer"


def test_is_of_one_server_and_unchanged() -> None:
    desk = links(watching())
    text = desk.sign(PATH, WALL, 1000)
    assert links(watching(), b"t" * 32).grant_of(text, PATH, 1) is None
    for at in range(len(text)):
        # Base 64 has letters that mean the same, and bits at its end that mean nothing.
        for letter in {*"AB/+-_", chr(ord(text[at]) ^ 1)} - {text[at]}:
            assert desk.grant_of(text[:at] + letter + text[at + 1 :], PATH, 1) is None
    for odd in ("", ".", "a.b", "W10.x", "é", "x" * 5000, text * 2):
        assert desk.grant_of(odd, PATH, 1) is None


def test_is_worth_what_its_maker_is_worth_now() -> None:
    text = links(watching()).sign(PATH, WALL, 1000)
    assert links(watching("other")).grant_of(text, PATH, 1) is None
    assert links(None).grant_of(text, PATH, 1) is None
    assert links(Grant(frozenset({Right.PUBLISH}), None, "wall")).grant_of(text, PATH, 1) is None
    assert links(watching()).grant_of(links(watching()).sign(PATH, Maker("wall", "", "2"), 1000), PATH, 1) is None


def test_is_of_one_camera_and_of_none_that_has_its_id_later() -> None:
    first, second = links(watching()), links(watching(), stamp="01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert second.grant_of(first.sign(PATH, WALL, 1000), PATH, 1) is None
    assert first.grant_of(second.sign(PATH, WALL, 1000), PATH, 1) is None
    assert second.grant_of(second.sign(PATH, WALL, 1000), PATH, 1) is not None


def test_of_hls_is_good_for_all_that_belongs_to_it() -> None:
    desk = links(watching())
    text = desk.sign("/api/v1/cameras/cam/hls/index.m3u8", WALL, 1000)
    assert desk.grant_of(text, "/api/v1/cameras/cam/hls/segment-5.ts", 1) is not None
    assert desk.grant_of(text, "/api/v1/cameras/other/hls/segment-5.ts", 1) is None
    assert desk.grant_of(text, "/api/v1/cameras/cam/stream.mp4", 1) is None


@pytest.mark.parametrize("path", ["/api/v1/cameras/", "/api/v1/cameras/cam", "/x/api/v1/cameras/cam/y", ""])
def test_paths_of_no_camera(path: str) -> None:
    assert camera_of(path) == ""


# Through a server


@pytest.fixture
async def server(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    async with serving(tmp_path, CAMERAS, tokens=True) as running:
        await running.push(jpeg(1))
        await running.push(jpeg(2), "other")
        yield running


async def token(server: Server, *cameras: str, name: str = "wall", right: str = "watch") -> dict[str, str]:
    """The header of a token."""
    body = {"name": name, "rights": [right], "cameras": list(cameras) or None}
    made = await server.service.desk.create_token(body)
    return {"Authorization": f"Bearer {made['secret']}"}


async def made(server: Server, headers: dict[str, str], path: str = PATH, **fields: Any) -> dict[str, Any]:
    body = {"path": path, **fields}
    answer = await server.json("POST", "/api/v1/links", status=201, json=body, headers=headers)
    assert isinstance(answer, dict)
    return answer


async def status(server: Server, url: str) -> int:
    async with server.client.get(url) as response:
        return response.status


async def test_whoever_has_the_address_sees_the_picture(server: Server) -> None:
    wall = await token(server, "cam")
    link = await made(server, wall, PATH + "?width=96&key=secret", ttl_s=60)
    assert 55 <= link["expires"] - time.time() < 61
    assert link["url"].startswith(server.url + PATH + "?width=96&link=")
    assert "secret" not in link["url"]
    async with server.client.get(link["url"]) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    query = urlsplit(link["url"]).query
    for path in ("/api/v1/cameras/cam/stream.mjpeg", "/api/v1/cameras/cam", "/api/v1/cameras", "/api/v1/stats"):
        assert await status(server, f"{server.url}{path}?{query}") == 401, path
    assert await status(server, f"{server.url}/api/v1/cameras/other/snapshot.jpg?{query}") == 401
    async with server.client.post(f"{server.url}/api/v1/links?{query}", json={"path": PATH}) as response:
        assert response.status == 401, "a link makes no links"


async def test_the_longest_is_good_from_its_first_moment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.service.api.links.time.time", lambda: 1_000_000.25)
    link = await made(server, await token(server), ttl_s=LONGEST_S)
    assert link["expires"] == 1_000_001 + LONGEST_S, "no less than was asked for"
    assert await status(server, link["url"]) == 200


async def test_never_more_than_its_maker_may_watch(server: Server) -> None:
    wall = await token(server, "cam")
    path = "/api/v1/cameras/other/snapshot.jpg"
    for asked in (path, "/api/v1/cameras/nothing/snapshot.jpg"):
        await server.error("POST", "/api/v1/links", 403, "forbidden", json={"path": asked}, headers=wall)
    device = await token(server, name="device", right="publish")
    await server.error("POST", "/api/v1/links", 403, "forbidden", json={"path": PATH}, headers=device)
    await server.error("POST", "/api/v1/links", 401, json={"path": PATH})


async def test_a_key_in_an_address_makes_none(tmp_path: Path) -> None:
    """They would outlive `allow_query_key`."""
    cameras = {"cam": {"url": "push:", "publish_from": ["127.0.0.1"], "allow_query_key": True}}
    async with serving(tmp_path, cameras, tokens=True) as server:
        await server.push(jpeg(1))
        wall = await token(server, "cam")
        key = wall["Authorization"].split()[1]
        assert await status(server, f"{server.url}{PATH}?key={key}") == 200
        await server.error("POST", f"/api/v1/links?key={key}", 403, "forbidden", json={"path": PATH})
        assert await status(server, (await made(server, wall))["url"]) == 200


async def test_who_watches_by_one_is_listed_as_such(server: Server) -> None:
    wall = await token(server)
    link = await made(server, wall, "/api/v1/cameras/cam/stream.mjpeg")
    async with server.client.get(link["url"]) as response:
        await response.content.readuntil(b"--frame\r\n")
        assert [viewer.holder for viewer in server.camera().stream.viewers.values()] == ["link:wall"]


async def test_many_are_written_down_as_few(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may watch may make hundreds a second, and a row each would keep others from the disk."""
    now_s = 1000.0
    monkeypatch.setattr("framecast.service.operations.trail.time.monotonic", lambda: now_s)
    wall = await token(server)
    paths = [PATH, "/api/v1/cameras/other/snapshot.jpg", *(f"/api/v1/cameras/cam/hls/{n}.ts" for n in range(30))]
    for path in [*paths, PATH + "?width=96"]:
        await made(server, wall, path)

    def rows() -> list[tuple[str, str]]:
        return [(row.target, row.detail) for row in server.service.trail.kept.page() if row.action == "made a link"]

    assert [target for target, _ in rows()] == [paths[2], paths[1], paths[0]]
    now_s += 61
    await made(server, wall)
    assert rows()[0] == (PATH, f"path={PATH}, and 30 more before")


def test_a_holder_has_so_many_rows_a_minute_whatever_they_are_about() -> None:
    repeats = Repeats()
    assert [repeats.more("ann", str(n), 0.0) for n in range(MOST_THINGS + 5)] == [0] * MOST_THINGS + [None] * 5
    assert repeats.more("bob", "1", 0.0) == 0
    assert repeats.more("ann", "1", WINDOW_S) == 5
    for number in range(2 * MOST_HOLDERS):
        repeats.more(str(number), "1", WINDOW_S)
    assert len(repeats) == MOST_HOLDERS


async def test_ends_with_its_maker_s_token_and_so_do_streams_that_it_opened(server: Server) -> None:
    wall = await token(server)
    await token(server, name="another")
    link = await made(server, wall, "/api/v1/cameras/cam/stream.mjpeg")
    async with server.client.get(link["url"]) as response:
        assert response.status == 200
        await response.content.readuntil(b"--frame\r\n")
        await server.service.desk.revoke_token("wall", forget=True)
        with pytest.raises(aiohttp.ClientError):
            while await response.content.readany():
                pass
    assert await status(server, link["url"]) == 401
    await token(server)
    assert await status(server, link["url"]) == 401, "another one of this name is another one"


async def test_ends_in_time_with_what_was_opened_by_it(server: Server) -> None:
    link = await made(server, await token(server), "/api/v1/cameras/cam/stream.mjpeg", ttl_s=3)
    async with server.client.get(link["url"]) as response:
        assert response.status == 200
        await response.content.readuntil(b"--frame\r\n")
        with pytest.raises(aiohttp.ClientError):
            async with asyncio.timeout(20):
                while await response.content.readany():
                    pass
    assert await status(server, link["url"]) == 401


async def test_what_another_credential_opens_on_the_same_connection_goes_on(server: Server) -> None:
    wall = await token(server)
    link = await made(server, wall, ttl_s=60)
    async with server.client.get(link["url"]) as response:
        assert response.status == 200
        await response.read()
    async with server.client.get(server.url + "/api/v1/cameras/cam/stream.mjpeg", headers=wall) as response:
        await response.content.readuntil(b"--frame\r\n")
        (front, *_) = server.listeners.fronts
        (connection,) = [each for each in front._connections() if each.grant.name == "wall"]
        assert connection.ends is None


async def test_outlives_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS, tokens=True) as server:
        link = await made(server, await token(server, "cam"))
    async with serving(tmp_path, CAMERAS) as server:
        path = urlsplit(link["url"])
        async with server.client.get(f"{server.url}{path.path}?{path.query}&max_age=1") as response:
            assert response.status == 503, "there is no picture yet, and that is all that is wrong"


async def test_of_a_camera_that_was_removed_leads_to_no_other_of_its_id(tmp_path: Path) -> None:
    """Its maker may watch all cameras; whoever has the link was shown that one."""
    links: list[str] = []
    async with serving(tmp_path, CAMERAS) as server:
        owner, wall = await server.owner(), await token(server)
        for _ in range(2):
            house = {"id": "house", "url": "push:", "publish_from": ["127.0.0.1"]}
            await server.json("POST", "/api/v1/cameras", json=house, status=201, headers=owner)
            await server.push(jpeg(1), "house")
            links.append((await made(server, wall, "/api/v1/cameras/house/snapshot.jpg"))["url"][len(server.url) :])
            assert await status(server, server.url + links[-1]) == 200
            if len(links) == 1:
                await server.json("DELETE", "/api/v1/cameras/house", status=204, headers=owner)
        assert [await status(server, server.url + link) for link in links] == [401, 200]
    async with serving(tmp_path, CAMERAS) as server:
        await server.push(jpeg(1), "house")
        assert [await status(server, server.url + link) for link in links] == [401, 200], "after a restart, too"


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "/api/v1/cameras"}, {"path": "/api/v1/cameras/cam"}, {"path": "/"}, {"path": "https://evil.example/"},
        {"path": "/api/v1/ws"}, {"path": "/api/v1/cameras/cam/publish"}, {"path": "/api/v1/cameras/cam/frames"},
        {"path": "/api/v1/cameras/cam/stats"}, {"path": "/stream"}, {"path": PATH + "\r\nX: y"}, {"path": 5}, {},
        {"path": PATH, "ttl_s": 0}, {"path": PATH, "ttl_s": LONGEST_S + 1}, {"path": PATH, "ttl_s": True},
        {"path": PATH, "ttl_s": "60"}, {"path": PATH, "right": "operate"},
    ],
)  # fmt: skip
async def test_leads_to_pictures_and_streams_only(tmp_path: Path, fields: dict[str, Any]) -> None:
    async with serving(tmp_path) as server:
        await server.error("POST", "/api/v1/links", 400, "bad_value", json=fields)


async def test_every_picture_and_stream_of_a_camera_can_be_linked(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        paths = [
            route.path.replace("{id}", "cam").replace("{name:path}", "index.m3u8")
            for route in make_table(server.service).routes
            if route.path.startswith("/api/v1/cameras/{id}/")
            and route.tag == "watch"
            and route.method == "GET"
            and not route.answer.startswith("text/event-stream")  # words of a picture are none
        ]
        assert len(paths) >= 5
        for path in paths:
            link = await made(server, {}, path)
            assert link["url"] == server.url + path, "where everything is open, nothing has to be signed"
