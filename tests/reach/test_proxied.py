"""Everything that comes and goes, through a real nginx and a real Caddy as deploy/ configures them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiortc import RTCPeerConnection

from framecast.web import PAGES
from framecast.wire import media
from tests.reach.conftest import SEEN_FROM, Behind, behind
from tests.reach.proxy import bare
from tests.service.serving import jpeg, serving, until
from tests.support.whep import Watcher

pytestmark = pytest.mark.anyio

LAYOUTS = {
    "nginx": {"program": "nginx"},
    "nginx-below-a-path": {"program": "nginx", "prefix": "/cams"},
    "nginx-buffering": {"program": "nginx", "buffering": "forced"},
    "caddy": {"program": "caddy"},
    "caddy-below-a-path": {"program": "caddy", "prefix": "/cams"},
}


@pytest.fixture(scope="module", params=LAYOUTS)
async def through(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, anyio_backend: object
) -> AsyncIterator[Behind]:
    async with behind(tmp_path_factory.mktemp("behind"), **LAYOUTS[request.param]) as made:
        yield made


async def test_pages_and_their_files(through: Behind) -> None:
    for path in PAGES:
        async with through.client.get(through.at(path.replace("{id}", "cam"))) as response:
            assert (response.status, response.content_type) == (200, "text/html"), path
            assert not re.search(r"""(href|src|action)=["']?/""", await response.text()), "a link that is not relative"
    async with through.client.get(through.at("/static/js/wall.js")) as response:
        assert response.status == 200


async def test_snapshot(through: Behind) -> None:
    async with through.client.get(through.at("/api/v1/cameras/cam/snapshot.jpg")) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert (await response.read()).startswith(b"\xff\xd8")


async def test_mjpeg(through: Behind) -> None:
    async with through.client.get(through.at("/api/v1/cameras/cam/stream.mjpeg")) as response:
        assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        got = b""
        while got.count(b"--frame\r\n") < 4:
            got += await response.content.readany()
        (viewer,) = [each for each in through.server.camera().stream.viewers.values() if each.kind == "mjpeg"]
        assert viewer.address == SEEN_FROM


async def test_websocket(through: Behind) -> None:
    async with through.client.ws_connect(through.at("/api/v1/ws"), origin=through.proxy.origin) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        await socket.send_json({"type": "subscribe", "cameras": [{"id": "cam"}]})
        async with asyncio.timeout(20):
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    assert media.unpack(message.data).payload.startswith(b"\xff\xd8")
                    return


async def test_a_websocket_of_another_site_is_refused(through: Behind) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await through.client.ws_connect(through.at("/api/v1/ws"), origin="https://evil.example")
    assert refusal.value.status == 403


async def test_mp4(through: Behind) -> None:
    async with through.client.get(through.at("/api/v1/cameras/cam/stream.mp4")) as response:
        assert response.status == 200
        got = b""
        async with asyncio.timeout(20):
            while got.count(b"moof") < 2:
                got += await response.content.readany()
        assert got[4:8] == b"ftyp"


async def test_hls(through: Behind) -> None:
    master = through.at("/api/v1/cameras/cam/hls/index.m3u8")
    async with through.client.get(master) as response:
        assert response.status == 200
        address = response.url.join(type(response.url)(_last(await response.text())))
    async with through.client.get(address) as response:
        assert response.status == 200
        lines = (await response.text()).splitlines()
    piece = next(line.partition('URI="')[2].partition('"')[0] for line in lines if line.startswith("#EXT-X-PART:"))
    async with through.client.get(address.join(type(address)(piece))) as response:
        assert response.status == 200
        assert len(await response.read()) > 188


async def test_whep(through: Behind) -> None:
    connection = RTCPeerConnection()
    watcher = Watcher(connection)
    try:
        await watcher.watch(through.client, through.at("/api/v1/cameras/cam/whep"))
        assert watcher.location.startswith(through.proxy.prefix + "/api/v1/whep/")
        assert await watcher.frame(20)
        async with through.client.delete(through.proxy.origin + watcher.location) as response:
            assert response.status == 200
    finally:
        await connection.close()


async def test_sound(through: Behind) -> None:
    async with through.client.get(through.at("/api/v1/cameras/cam/audio.wav")) as response:
        assert (await response.content.readexactly(4000)).startswith(b"RIFF")


async def test_pushed_pictures(through: Behind) -> None:
    address = through.at("/api/v1/cameras/door/frames")
    for number in range(3):
        async with through.client.post(address, data=jpeg(number), headers={"Content-Type": "image/jpeg"}) as response:
            assert (await response.json())["success"]
    form = aiohttp.FormData()
    form.add_field("frame", jpeg(3), filename="x.jpg", content_type="image/jpeg")
    async with through.client.post(address, data=form) as response:
        assert (await response.json())["success"]
    large = jpeg(1, (1600, 1200), noise=True)
    assert len(large) > 1 << 20, "more than nginx takes by itself"
    async with through.client.post(address, data=io.BytesIO(large), headers={"Content-Type": "image/jpeg"}) as response:
        assert (await response.json())["size"] == len(large)


async def test_pushed_by_websocket(through: Behind) -> None:
    stream = through.server.camera("door").stream
    before = stream.video.latest
    async with through.client.ws_connect(through.at("/api/v1/cameras/door/publish")) as socket:
        await socket.send_bytes(jpeg(77))
        await until(lambda: stream.video.latest is not before)


async def test_pushed_sound(through: Behind) -> None:
    address = through.at("/api/v1/cameras/door/audio")
    async with through.client.post(address, data=bytes(3200)) as response:
        assert response.status == 200, await response.text()


async def test_talking(through: Behind) -> None:
    async with through.client.ws_connect(
        through.at("/api/v1/cameras/door/talk"), origin=through.proxy.origin
    ) as socket:
        assert json.loads((await socket.receive(20)).data)


async def test_changes_from_our_own_page(through: Behind) -> None:
    for origin, status in ((through.proxy.origin, 200), ("https://evil.example", 403)):
        body = {"name": "Front door"}
        async with through.client.patch(
            through.at("/api/v1/cameras/door"), json=body, headers={"Origin": origin}
        ) as response:
            assert response.status == status


async def test_logging_in(through: Behind) -> None:
    headers = {"Origin": through.proxy.origin, "Authorization": ""}
    async with through.client.post(
        through.at("/api/v1/session"), json={"key": through.secret}, headers=headers
    ) as response:
        assert response.status == 200
        (cookie,) = response.cookies.values()
    assert cookie.key == ("__Secure-" if through.proxy.prefix else "__Host-") + "framecast_session"
    assert (cookie["path"], cookie["secure"]) == (through.proxy.prefix + "/", True)
    headers["Cookie"] = f"{cookie.key}={cookie.value}"
    async with through.client.get(through.at("/api/v1/cameras"), headers=headers) as response:
        assert response.status == 200


async def test_what_a_client_claims_of_itself_is_not_believed(through: Behind) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.66",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "for=203.0.113.66;proto=http;host=evil.example",
    }
    body = {"id": "mine", "url": "push:"}
    async with through.client.post(through.at("/api/v1/cameras"), json=body, headers=lies) as response:
        assert response.headers["Location"] == f"{through.proxy.prefix}/api/v1/cameras/mine"
    async with through.client.delete(through.at("/api/v1/cameras/mine")) as response:
        assert response.status == 204
    async with through.client.get(through.at("/api/v1/system"), headers=lies) as response:
        assert (await response.json())["secure"]
    async with through.client.get(through.at("/api/v1/cameras/cam/stream.mjpeg"), headers=lies) as response:
        await response.content.readany()
        assert SEEN_FROM in {viewer.address for viewer in through.server.camera().stream.viewers.values()}
        assert "203.0.113.66" not in {viewer.address for viewer in through.server.camera().stream.viewers.values()}


async def test_a_revoked_token_ends_its_stream(through: Behind) -> None:
    desk = through.server.service.desk
    made = await desk.create_token({"name": "guest", "rights": ["watch"]})
    headers = {"Authorization": f"Bearer {made['secret']}"}
    async with through.client.get(through.at("/api/v1/cameras/cam/stream.mjpeg"), headers=headers) as response:
        await response.content.readany()
        await desk.revoke_token("guest", forget=True)
        async with asyncio.timeout(20):
            with contextlib.suppress(aiohttp.ClientError):
                while await response.content.readany():
                    pass


async def test_http2(through: Behind) -> None:
    for path, wanted in (
        ("/", b"</html>"),
        ("/api/v1/cameras/cam/stream.mjpeg", b"--frame\r\nContent-Type: image/jpeg"),
    ):
        curl = await asyncio.create_subprocess_exec(
            *("curl", "--http2", "-sS", "-N", "-i", "--ipv4", "--cacert", str(through.proxy.certificate.chain)),
            *("-H", f"Authorization: Bearer {through.secret}", through.at(path)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert curl.stdout is not None
        try:
            got = b""
            async with asyncio.timeout(20):
                while wanted not in got:
                    piece = await curl.stdout.read(65_536)
                    assert piece, got[:2000]
                    got += piece
        finally:
            with contextlib.suppress(ProcessLookupError):
                curl.kill()
            await curl.communicate()
        assert got.startswith(f"HTTP/{through.http} 200".encode())


async def test_the_path_alone_leads_to_the_wall(through: Behind) -> None:
    if not through.proxy.prefix:
        return
    async with through.client.get(through.proxy.url) as response:
        assert str(response.url) == through.proxy.url + "/"
        assert response.content_type == "text/html"


async def holds_back(through: Behind) -> bool:
    """Whether the lines, which leave over 0.8 s, come together.

    They do as well where the proxy, or who listens, stands still for that long, so it takes three times, as with pages.
    """
    for _ in range(3):
        came, lines = [], []
        async with through.client.get(through.at("/api/v1/selftest/stream")) as response:
            async for line in response.content:
                came.append(time.monotonic())
                lines.append(line)
        assert lines == [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"]
        if came[-1] - came[0] >= 0.4:
            return False
    return True


async def test_whether_answers_are_held_back(through: Behind, request: pytest.FixtureRequest) -> None:
    assert await holds_back(through) == (request.node.callspec.params["through"] == "nginx-buffering")


async def test_nginx_as_it_is_by_default_holds_nothing_back(tmp_path: Path) -> None:
    async with behind(tmp_path, buffering="nginx's default") as through:
        assert not await holds_back(through), "X-Accel-Buffering says so"


async def test_an_open_server_is_not_shown_by_a_bare_proxy_pass(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        with bare(tmp_path, server.port) as url:
            for agent in ("Mozilla/5.0 (X11; Linux x86_64)", "curl/7.88.1", ""):
                headers = {"User-Agent": agent}
                async with server.client.get(f"{url}/api/v1/cameras", headers=headers) as response:
                    assert (response.status, (await response.json())["error"]["code"]) == (403, "behind_proxy")


def _last(playlist: str) -> str:
    return next(line for line in playlist.splitlines() if line and not line.startswith("#"))
