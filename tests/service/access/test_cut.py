"""What is open ends when what let it in is gone: every kind of stream, by every way in which that happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.service.access.rights import Cut
from tests.service.serving import PASSWORD, Server, jpeg, serving, until
from tests.service.test_m5 import m5
from tests.service.watching import Page, stood_still
from tests.support.whep import local_address, watcher

pytestmark = pytest.mark.anyio

MOCK = "mock:?fps=20&size=96x64&audio=1"
CAMERAS = {"cam": MOCK, "push": "push:"}
OPTIONS = {"vision.faces": "off"}
CAMERA = "/api/v1/cameras/cam"
END_S = 20.0
MOST_S = 1.0
"""From the answer that something is revoked to the end of what it opened, on a machine that does not stand still."""

Headers = dict[str, str]
Change = Callable[[Server, str, Headers, Headers], Awaitable[Any]]


async def end_of(content: aiohttp.StreamReader) -> None:
    """Read until nothing comes any more."""
    async with asyncio.timeout(END_S):
        try:
            while await content.readany():
                pass
        except aiohttp.ClientError:
            pass


@asynccontextmanager
async def read(server: Server, path: str, headers: Headers) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """An answer without an end, of which something has come; what is yielded waits for its end."""
    async with server.client.get(server.url + path, headers=headers) as response:
        assert response.status == 200
        async with asyncio.timeout(END_S):
            assert await response.content.readany()
        yield lambda: end_of(response.content)


@asynccontextmanager
async def dashboard(server: Server, headers: Headers) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    async with Page.opened(server.client, server.url, headers=headers) as page:
        await page.subscribe("cam")
        await page.see()

        async def ended() -> None:
            with pytest.raises(EOFError):
                while True:
                    await page.see()
                    await page.ack(await page.see())

        yield ended


@asynccontextmanager
async def whep(server: Server, headers: Headers) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    async with watcher() as viewer:
        await viewer.watch(server.client, server.url + CAMERA + "/whep", headers=headers)
        assert viewer.status == 201
        yield lambda: until(lambda: not len(server.service.peering), END_S)


@asynccontextmanager
async def publisher(server: Server, headers: Headers) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    path = server.url + "/api/v1/cameras/push/publish"
    async with server.client.ws_connect(path, headers=headers) as socket:
        await socket.send_bytes(jpeg(1))
        await until(lambda: server.camera("push").stream.published == 1)

        async def ended() -> None:
            while not socket.closed:
                await socket.receive(timeout=END_S)

        yield ended


@asynccontextmanager
async def talking(server: Server, headers: Headers) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    path = server.url + "/api/v1/cameras/push/talk"
    async with server.client.ws_connect(path, headers={**headers, "Origin": server.url}) as socket:

        async def ended() -> None:
            while not socket.closed:
                await socket.receive(timeout=END_S)

        yield ended


@asynccontextmanager
async def talker(server: Server, headers: Headers) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    path = server.url + "/api/v1/cameras/push/speaker"
    async with server.client.get(path, headers=headers) as response:
        assert response.status == 200
        yield lambda: end_of(response.content)


KINDS: dict[str, Callable[[Server, Headers], Any]] = {
    "MJPEG": lambda server, headers: read(server, CAMERA + "/stream.mjpeg", headers),
    "MP4": lambda server, headers: read(server, CAMERA + "/stream.mp4", headers),
    "WAV": lambda server, headers: read(server, CAMERA + "/audio.wav", headers),
    "PCM": lambda server, headers: read(server, CAMERA + "/audio.pcm", headers),
    "older page": lambda server, headers: read(server, "/video_feed", headers),
    "detections": lambda server, headers: read(server, CAMERA + "/detections", headers),
    "events": lambda server, headers: read(server, "/api/v1/events/stream", headers),
    "dashboard": dashboard,
    "WHEP": whep,
    "publish": publisher,
    "talk": talking,
    "speaker": talker,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("carrier", ["token", "session"])
async def test_every_kind_of_stream_ends(tmp_path: Path, kind: str, carrier: str) -> None:
    if kind == "WHEP":
        assert local_address(), "WebRTC needs an address that is not loopback"
    async with serving(tmp_path, CAMERAS, options=OPTIONS) as server:
        desk, owner = server.service.desk, await server.owner()
        if carrier == "token":
            made = await desk.create_token({"name": "t", "rights": ["operate", "publish"]})
            headers = {"X-API-Key": made["secret"]}
        else:
            headers = await server.owner("ben")
        async with KINDS[kind](server, headers) as ended, KINDS["MJPEG"](server, owner):
            if carrier == "token":
                await server.json("DELETE", "/api/v1/tokens/t", status=204, headers=owner)
            else:
                await server.json("PATCH", "/api/v1/users/ben", json={"disabled": True}, headers=owner)
            clock = asyncio.get_running_loop().time
            async with stood_still() as lost_s:
                began = clock()
                await ended()
                took_s = clock() - began
            assert took_s < MOST_S + sum(lost_s)
            await until(lambda: len(server.camera().stream.viewers) < 2)
            assert len(server.camera().stream.viewers) == 1, "the owner's goes on"
        await server.error("GET", CAMERA + "/snapshot.jpg", 401, headers=headers)


async def test_what_was_open_to_all_ends_with_the_first_account_or_token(tmp_path: Path) -> None:
    for first in ("token", "account"):
        async with serving(tmp_path / first, CAMERAS) as server:
            desk = server.service.desk
            async with KINDS["MJPEG"](server, {}) as ended, KINDS["dashboard"](server, {}) as page_ended:
                if first == "token":
                    await desk.create_token({"name": "t", "rights": ["watch"]})
                else:
                    await desk.create_user({"name": "anna", "role": "owner", "password": PASSWORD})
                await ended()
                await page_ended()


async def test_what_the_last_token_had_opened_ends_with_it_though_everything_is_open_then(tmp_path: Path) -> None:
    """It would go on when somebody shuts the server again, and nobody could end it: nothing has that name any more."""
    async with serving(tmp_path, CAMERAS) as server:
        desk = server.service.desk
        made = await desk.create_token({"name": "t", "rights": ["watch"]})
        headers = {"X-API-Key": made["secret"]}
        async with KINDS["MJPEG"](server, headers) as ended, KINDS["dashboard"](server, headers) as page_ended:
            assert await desk.revoke_token("t", forget=True)
            assert server.service.access.open
            await ended()
            await page_ended()


async def test_hls_ends_with_the_next_request(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        owner, ben = await server.owner(), await server.user("ben")
        async with server.client.get(server.url + CAMERA + "/hls/index.m3u8", headers=ben) as response:
            assert response.status == 200
            lines = (await response.text()).splitlines()
        await server.json("DELETE", "/api/v1/users/ben", status=204, headers=owner)
        names = ["index.m3u8", *(line for line in lines if line and not line.startswith("#"))]
        for name in names:
            await server.error("GET", f"{CAMERA}/hls/{name}", 401, headers=ben)


async def session_id(server: Server, headers: Headers) -> str:
    listed = (await server.json("GET", "/api/v1/sessions", headers=headers))["sessions"]
    return next(str(each["id"]) for each in listed if each["current"])


async def removed(server: Server, name: str, own: Headers, owner: Headers) -> None:
    await server.json("DELETE", f"/api/v1/users/{name}", status=204, headers=owner)


async def given_a_password(server: Server, name: str, own: Headers, owner: Headers) -> None:
    change = {"password": "some other good words"}
    await server.json("PATCH", f"/api/v1/users/{name}", json=change, headers=owner)


async def invited_again_and_used(server: Server, name: str, own: Headers, owner: Headers) -> None:
    made = await server.json("PATCH", f"/api/v1/users/{name}", json={"invite": True}, headers=owner)
    body = {"code": made["invite"].partition("#")[2], "password": PASSWORD}
    await server.json("POST", "/api/v1/setup", json=body)


async def ended_by_the_owner(server: Server, name: str, own: Headers, owner: Headers) -> None:
    path = f"/api/v1/sessions/{await session_id(server, own)}"
    await server.json("DELETE", path, status=204, headers=owner)


async def logged_out(server: Server, name: str, own: Headers, owner: Headers) -> None:
    await server.json("DELETE", "/api/v1/session", status=204, headers=own)


async def logged_out_everywhere(server: Server, name: str, own: Headers, owner: Headers) -> None:
    elsewhere = await server.user(name)
    await server.json("DELETE", "/api/v1/session?everywhere=1", status=204, headers=elsewhere)


async def logged_in_again(server: Server, name: str, own: Headers, owner: Headers) -> None:
    await server.json("POST", "/api/v1/session", json={"name": name, "password": PASSWORD}, headers=own)


async def changed_the_password_elsewhere(server: Server, name: str, own: Headers, owner: Headers) -> None:
    body = {"old": PASSWORD, "new": "some other good words"}
    await server.json("POST", "/api/v1/password", json=body, headers=await server.user(name), status=204)


async def limited_to_another_camera(server: Server, name: str, own: Headers, owner: Headers) -> None:
    await server.json("PATCH", f"/api/v1/users/{name}", json={"cameras": ["push"]}, headers=owner)


CHANGES: list[Change] = [
    removed,
    given_a_password,
    invited_again_and_used,
    ended_by_the_owner,
    logged_out,
    logged_out_everywhere,
    logged_in_again,
    changed_the_password_elsewhere,
    limited_to_another_camera,
]


@pytest.mark.parametrize("change", CHANGES)
async def test_every_way_of_ending_ends_streams(tmp_path: Path, change: Change) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        owner, ben, carl = await server.owner(), await server.user("ben"), await server.user("carl")
        link = await server.json(
            "POST", "/api/v1/links", json={"path": CAMERA + "/stream.mjpeg"}, headers=ben, status=201
        )
        path = link["url"].removeprefix(server.url)
        async with (
            KINDS["MJPEG"](server, ben) as ended,
            KINDS["dashboard"](server, ben) as page_ended,
            KINDS["events"](server, ben) as events_ended,
            read(server, path, {}) as link_ended,
            KINDS["MJPEG"](server, carl),
        ):
            await change(server, "ben", ben, owner)
            await ended()
            await page_ended()
            await events_ended()
            await link_ended()
            await until(lambda: len(server.camera().stream.viewers) == 1)
        status = 403 if change is limited_to_another_camera else 401
        await server.error("GET", CAMERA + "/snapshot.jpg", status, headers=ben)
        await server.error("GET", path, 401)


async def test_ones_own_change_of_password_leaves_this_browser_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        await server.owner()
        ben = await server.user("ben")
        async with KINDS["MJPEG"](server, ben):
            body = {"old": PASSWORD, "new": "some other good words"}
            await server.json("POST", "/api/v1/password", json=body, headers=ben, status=204)
            assert len(server.camera().stream.viewers) == 1


async def test_the_end_of_one_session_leaves_the_others_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        await server.owner()
        here, there = await server.user("ben"), await server.user("ben")
        async with KINDS["MJPEG"](server, here) as ended, KINDS["dashboard"](server, there):
            await server.json("DELETE", "/api/v1/session", status=204, headers=here)
            await ended()
            await until(lambda: len(server.camera().stream.viewers) == 1)


async def test_another_role_counts_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, CAMERAS) as server:
        owner, ben = await server.owner("anna"), await server.owner("ben")
        async with KINDS["publish"](server, ben) as ended:
            await server.json("PATCH", "/api/v1/users/ben", json={"role": "viewer"}, headers=owner)
            await ended()
        await server.error("GET", "/api/v1/users", 403, headers=ben)
        await server.json("GET", "/api/v1/cameras", headers=ben)


async def test_a_cut_is_made_before_the_change_is_answered(tmp_path: Path) -> None:
    """So no second goes by in which somebody who was shut out still sees something."""
    async with serving(tmp_path, CAMERAS) as server:
        owner, ben = await server.owner(), await server.user("ben")
        cuts: list[Cut] = []
        server.service.on_revoked.append(cuts.append)
        async with KINDS["MJPEG"](server, ben) as ended:
            await server.json("PATCH", "/api/v1/users/ben", json={"disabled": True}, headers=owner)
            assert cuts == [Cut("user:ben")]
            await ended()


async def test_the_m5stack_ports_end_too(tmp_path: Path) -> None:
    async with m5(tmp_path) as (server, device_url, viewer_url):
        owner = await server.owner()
        key = (await server.service.desk.create_token({"name": "m5", "rights": ["watch", "publish"]}))["secret"]
        headers = {"X-API-Key": key}
        async with (
            server.client.ws_connect(device_url, headers=headers) as device,
            server.client.ws_connect(viewer_url + "?format=jpeg", headers=headers) as viewer,
        ):
            await device.send_bytes(jpeg(1))
            assert (await viewer.receive(timeout=END_S)).type is aiohttp.WSMsgType.BINARY
            await server.json("DELETE", "/api/v1/tokens/m5", status=204, headers=owner)
            for socket in (device, viewer):
                while not socket.closed:
                    await socket.receive(timeout=END_S)
