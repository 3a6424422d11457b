"""A server with a tunnel: from the command to somebody on the internet, through the stand-in for `cloudflared`."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from framecast.core.errors import ConfigError
from framecast.service.access.rights import CONTROL
from framecast.service.accounts import tokenapi
from framecast.service.api.metrics import exposition
from framecast.service.errors import ApiError
from framecast.service.server import announce
from framecast.service.store.state import State
from framecast.service.tunnel import tunnel as tunnels
from framecast.service.tunnel.entrance import Entrance, ProviderName
from framecast.service.tunnel.selftest import SelfTest
from framecast.service.tunnel.tunnel import Phase, Wish
from tests.service.serving import jpeg, serving, until
from tests.service.tunnel.edge import NAME, Resolver
from tests.service.tunnel.exposed import CLIENT, URL, exposed
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


async def test_somebody_on_the_internet_gets_in_with_a_token_only(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        made = await here.server.service.desk.create_token({"name": "eve", "rights": ["watch", "publish"]})
        await here.start()
        assert here.tunnel.status.url == URL
        async with here.client.get(URL + "/api/v1/cameras") as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {made['secret']}"}
        async with here.client.get(URL + "/api/v1/cameras", headers=headers) as answer:
            assert answer.status == 200
        await here.push(jpeg(1), headers)
        async with here.client.get(URL + "/api/v1/cameras/cam/snapshot.jpg", headers=headers) as answer:
            assert await answer.read() == jpeg(1)
        async with here.client.get(URL + "/api/v1/cameras/cam/stream.mjpeg", headers=headers) as answer:
            assert (await answer.content.readuntil(b"\r\n\r\n")).startswith(b"--frame\r\n")
            (viewer,) = here.server.camera().stream.viewers.values()
            assert viewer.address == CLIENT
        async with here.client.ws_connect(URL + "/api/v1/ws", headers={**headers, "Origin": URL}) as socket:
            await socket.send_json({"type": "ping"})
            assert (await socket.receive(timeout=10)).type == aiohttp.WSMsgType.TEXT


async def test_nobody_passes_for_somebody_near(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        forged = {"X-Forwarded-For": "127.0.0.1", "CF-Connecting-IP": "127.0.0.1", "X-Real-IP": "127.0.0.1"}
        body = {"name": "owner", "rights": ["operate"]}
        async with here.client.post(URL + "/api/v1/tokens", json=body, headers=forged) as answer:
            assert answer.status == 401
        async with here.client.get(URL + "/api/v1/system", headers=forged) as answer:
            facts = await answer.json()
        assert facts["secure"]
        assert facts["https"] is None
        for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"CF-Connecting-IP": "nonsense"}):
            fields = CIMultiDictProxy(CIMultiDict(headers))
            client = here.server.service.entrance.client("127.0.0.1", fields, "/", secure=False)
            assert client.address == "tunnel"


@pytest.mark.parametrize(
    ("provider", "fields", "address"),
    [
        ("ngrok", [("X-Forwarded-For", "10.0.0.1, 198.51.100.23")], "198.51.100.23"),
        ("ngrok", [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "198.51.100.23")], "198.51.100.23"),
        ("ngrok", [("CF-Connecting-IP", "127.0.0.1"), ("X-Forwarded-For", "198.51.100.23")], "198.51.100.23"),
        ("cloudflare", [("X-Forwarded-For", "10.0.0.1"), ("CF-Connecting-IP", "2001:DB8::1")], "2001:db8::1"),
    ],
)
async def test_by_which_header_somebody_is_known(
    provider: ProviderName, fields: list[tuple[str, str]], address: str
) -> None:
    entrance = Entrance()
    entrance.provider, entrance.host = provider, NAME
    fields = [*fields, ("Host", NAME)]
    client = entrance.client("127.0.0.1", CIMultiDictProxy(CIMultiDict(fields)), "/", secure=False)
    assert (client.address, client.secure, client.forwarded) == (address, True, True)


async def test_a_page_of_another_site_that_finds_the_way_in_gets_nothing_by_it(tmp_path: Path) -> None:
    port = free_port()
    async with exposed(tmp_path, options={"tunnel.port": port}) as here:
        await here.server.service.administration.change_camera("cam", {"public": ["watch"]}, CONTROL)
        await here.start()
        async with here.client.get(URL + "/api/v1/cameras") as answer:  # shown to everybody who has the address
            assert answer.status == 200
        rebound = {"Host": f"evil.example:{port}"}
        async with here.server.client.get(f"http://127.0.0.1:{port}/api/v1/cameras", headers=rebound) as answer:
            assert answer.status in (401, 421)


async def test_a_network_that_may_push_is_not_the_internet(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.server.service.administration.change_camera("cam", {"publish_from": ["127.0.0.0/8"]}, CONTROL)
        await here.server.push(jpeg(1))
        await here.start()
        picture = {"data": jpeg(2), "headers": {"Content-Type": "image/jpeg", "X-Forwarded-For": "127.0.0.1"}}
        async with here.client.post(URL + "/api/v1/cameras/cam/frames", **picture) as answer:
            assert answer.status == 401


async def test_it_refuses_while_nothing_protects_the_server(tmp_path: Path) -> None:
    async with exposed(tmp_path, tokens=False) as here:
        words = await here.server.error("POST", "/api/v1/tunnel", 409, "not_exposed", json={"provider": "cloudflare"})
        assert "framecast user create" in words
        assert here.tunnel.status.state is Phase.OFF
        assert here.standin.calls == []


async def test_at_the_start_that_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither accounts nor tokens"):
        async with exposed(tmp_path, tokens=False, options={"tunnel.provider": "cloudflare"}):
            pass


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cameras\.cam\.url"):
        async with serving(tmp_path, {"cam": "mock:?size=nonsense"}):
            pass


async def test_it_goes_with_the_last_token(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        pid = here.standin.calls[0]["pid"]
        assert not here.server.service.access.open
        await here.server.service.desk.revoke_token("somebody", forget=True)
        await until(lambda: here.tunnel.status.state is Phase.OFF)
        await until(lambda: here.server.service.access.open)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_while_there_is_one_no_server_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        monkeypatch.setattr(here.tunnel, "check", lambda: None)  # it would be closed a moment later
        await here.server.service.desk.revoke_token("somebody", forget=True)
        assert len(here.server.service.keyring) == 0
        assert not here.server.service.access.open
        await here.server.error("GET", "/api/v1/tokens", 401)


async def test_what_goes_wrong_in_it_stays_there(tmp_path: Path) -> None:
    class Broken:
        async def run(self, port: int, report: Any) -> None:
            raise RuntimeError("2abc_secret")

    async with exposed(tmp_path) as here:
        here.tunnel.providers["cloudflare"] = lambda wish: Broken()
        await here.tunnel.start(here.tunnel.wish({"provider": "cloudflare"}))
        await until(lambda: here.tunnel.status.state is Phase.FAILED)
        assert here.tunnel.status.error == "something went wrong here (RuntimeError); the log says what"
        here.server.service.supervisor.failures.clear()
        await here.tunnel.stop()


def test_a_wish_can_be_printed() -> None:
    assert "secret" not in repr(Wish("ngrok", authtoken="2abc_secret", cloudflare_token="eyJ_secret"))


async def test_stopping_disconnects_who_came_through_it_and_nobody_else(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        made = await here.server.service.desk.create_token({"name": "eve", "rights": ["watch", "publish"]})
        headers = {"Authorization": f"Bearer {made['secret']}"}
        await here.push(jpeg(1), headers)
        await here.start()
        stream = "/api/v1/cameras/cam/stream.mjpeg"
        async with (
            here.client.get(URL + stream, headers=headers) as far,
            here.server.client.get(here.server.url + stream, headers=headers) as near,
        ):
            await far.content.readuntil(b"\r\n\r\n")
            await near.content.readuntil(b"\r\n\r\n")
            await here.tunnel.stop()
            with pytest.raises(aiohttp.ClientError):
                async with asyncio.timeout(5):
                    while await far.content.read(65_536):
                        pass
                    raise aiohttp.ClientConnectionError  # an end is an end, too
            await until(lambda: len(here.server.camera().stream.viewers) == 1)
            await here.push(jpeg(2), headers)
            await near.content.readuntil(b"--frame\r\n")


async def test_the_owner_s_link_is_told_by_the_public_address_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with exposed(tmp_path) as here:
        announce(here.server.service, here.server.listeners)
        code = capsys.readouterr().out.partition("/setup#")[2].split()[0]
        await here.start()
        assert f"{URL}/setup#{code}" in capsys.readouterr().out
    owned = tmp_path / "owned"
    owned.mkdir()
    async with exposed(owned) as here:
        await here.server.owner()
        announce(here.server.service, here.server.listeners)
        await here.start()
        assert "/setup#" not in capsys.readouterr().out


async def test_who_closes_it_from_far_away_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "ANSWER_S", 3.0)  # the answer goes through another process
    async with exposed(tmp_path) as here:
        await here.start()
        code = here.server.service.desk.owner_link.make().partition("#")[2]
        body = {"code": code, "name": "anna", "password": "correct horse battery staple"}
        async with here.client.post(URL + "/api/v1/setup", json=body, headers={"Origin": URL}) as answer:
            assert answer.status == 200
            cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        headers = {"Cookie": cookie.partition(";")[0], "Origin": URL}
        async with here.client.get(URL + "/api/v1/tunnel", headers=headers) as answer:
            assert (await answer.json())["url"] == URL
        async with here.client.delete(URL + "/api/v1/tunnel", headers={**headers, "Origin": "https://x.y"}) as answer:
            assert answer.status == 403
        async with here.client.delete(URL + "/api/v1/tunnel", headers=headers) as answer:
            assert answer.status == 204
        await until(lambda: here.tunnel.status.state is Phase.OFF)


async def test_one_that_crashes_is_started_again_under_its_new_name(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        here.standin.plan(name="other-words.trycloudflare.com")
        os.kill(here.standin.calls[0]["pid"], signal.SIGKILL)
        await until(lambda: here.tunnel.status.url == "https://other-words.trycloudflare.com")
        assert here.tunnel.status.state is Phase.ONLINE
        assert here.tunnel.status.reconnects == 1
        assert here.tunnel.status.error == ""


async def test_an_interruption_is_told_of(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        pid = here.standin.calls[0]["pid"]
        assert "framecast_tunnel_up 1.0" in exposition(here.server.service, []).decode()
        os.kill(pid, signal.SIGUSR1)
        await until(lambda: here.tunnel.status.state is Phase.WAITING)
        assert "framecast_tunnel_up 0.0" in exposition(here.server.service, []).decode()
        assert "lost its connection" in here.tunnel.status.error
        assert here.tunnel.status.url == URL
        os.kill(pid, signal.SIGUSR2)
        await until(lambda: here.tunnel.status.state is Phase.ONLINE)
        assert here.tunnel.status.reconnects == 1
        assert "framecast_tunnel_reconnects_total 1.0" in exposition(here.server.service, []).decode()


async def test_what_can_not_be_mended_by_trying_again_fails(tmp_path: Path) -> None:
    async with exposed(tmp_path, options={"tunnel.cloudflared": "cloudflared-that-is-not-there"}) as here:
        await here.tunnel.start(here.tunnel.wish({"provider": "cloudflare"}))
        await until(lambda: here.tunnel.status.state is Phase.FAILED)
        assert "install cloudflared" in here.tunnel.status.error
        assert not here.tunnel.runs


async def test_its_way_in_is_open_as_long_as_it_is(tmp_path: Path) -> None:
    port = free_port()
    async with exposed(tmp_path, options={"tunnel.port": port}) as here:
        await here.start()
        assert here.standin.calls[0]["arguments"][-1] == f"http://127.0.0.1:{port}"
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await here.tunnel.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_without_a_network_it_goes_on_trying(tmp_path: Path) -> None:
    async with exposed(tmp_path, how="no-network") as here:
        await here.tunnel.start(here.tunnel.wish({}))
        await until(lambda: len(here.standin.calls) >= 3)
        assert here.tunnel.status.state is Phase.STARTING
        assert "no such host" in here.tunnel.status.error
        await here.tunnel.stop()
        assert here.tunnel.status.state is Phase.OFF


async def test_the_self_test_sees_that_pictures_come_through(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        await here.see_through()
        async with here.client.get(URL + "/api/v1/system") as answer:
            assert (await answer.json())["buffered"] is False


async def test_the_self_test_notices_a_proxy_that_holds_back(tmp_path: Path) -> None:
    async with exposed(tmp_path, hold_bytes=65_536) as here:
        await here.start()
        await until(lambda: here.tunnel.status.selftest)
        assert here.tunnel.status.selftest is not None
        assert here.tunnel.status.selftest.verdict == "buffered"
        async with here.client.get(URL + "/api/v1/system") as answer:
            assert (await answer.json())["buffered"] is True
        assert (await here.server.json("GET", "/api/v1/system"))["buffered"] is False  # near, nothing is held back


async def test_the_self_test_tells_what_else_may_be(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        selftest = here.tunnel.selftest
        assert (await selftest.run("https://elsewhere.example")).verdict == "unreachable"  # its certificate
        here.standin.plan(edge=None)
        assert (await SelfTest(resolver=Resolver(free_port())).run(URL)).verdict == "unreachable"


@pytest.mark.parametrize(("held", "verdict"), [(1, "good"), (2, "buffered")])
async def test_what_stood_still_once_is_not_said_to_hold_back(held: int, verdict: str) -> None:
    looks = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal looks
        looks += 1
        pause_s = 0.0 if looks <= held else 0.3
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for number in range(1, 6):
            writer.write(b"%d\n" % number)
            await asyncio.sleep(pause_s)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as door:
        found = await SelfTest().run(f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}")
    assert (found.verdict, looks) == (verdict, 2)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 502 \xff\xfe\x85\r\n\r\n", b"HTTP/1.1 503 no\r\nContent-Length: 1000\r\n\r\n" + b"[" * 1000]
)
async def test_whatever_somebody_else_answers_the_self_test_can_be_shown(answer: bytes) -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(garble, "127.0.0.1", 0) as door:
        found = await SelfTest().run(f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}")
    assert found.verdict == "elsewhere"
    assert found.words.isprintable()
    assert found.words.encode()


async def test_a_configured_tunnel_is_opened_at_the_start(tmp_path: Path) -> None:
    with State.open(tmp_path / "data") as state:
        tokenapi.create(state.credentials, {"name": "me", "rights": ["operate"]})
    async with exposed(tmp_path, tokens=False, options={"tunnel.provider": "cloudflare"}) as here:
        await until(lambda: here.tunnel.status.state is Phase.ONLINE)
        assert here.tunnel.status.url == URL


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"provider": "other"}, "one of ngrok, cloudflare"),
        ({"domain": "a b"}, "a name such as"),
        ({"domain": "-x.example"}, "a name such as"),
        ({"program": "/bin/sh"}, "not known"),
        ({"cloudflared": "/bin/sh"}, "not known"),
        ({"authtoken": 5}, "a text"),
        ({"authtoken": "a\nb"}, "a text"),
    ],
)
async def test_what_may_not_be_asked_for(tmp_path: Path, body: dict[str, Any], words: str) -> None:
    async with serving(tmp_path) as server:
        assert words in await server.error("POST", "/api/v1/tunnel", 400, "bad_value", json=body)


async def test_a_tunnel_made_at_cloudflare_needs_its_name_and_port(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        for body in ({"cloudflare_token": "eyJ"}, {"domain": "cams.example.net"}):
            with pytest.raises(ApiError, match="Cloudflare"):
                await here.start(**body)
