"""The page about the tunnel: for this machine, to be read, whatever it says."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest

from framecast.service.tunnel import qr
from framecast.service.tunnel.selftest import Result
from framecast.service.tunnel.statuspage import render
from framecast.service.tunnel.tunnel import Phase, Status
from tests.service.tunnel.edge import NAME
from tests.service.tunnel.exposed import URL, exposed

pytestmark = pytest.mark.anyio


async def test_it_tells_how_the_tunnel_is(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.start()
        await here.see_through()
        page = here.tunnel.status.status_page
        assert page is not None
        client = here.server.client
        async with client.get(page) as answer:
            text = await answer.text()
            policy = answer.headers["Content-Security-Policy"]
        assert f'<a href="{URL}"' in text
        assert "Online" in text
        assert "pictures come through as they are sent" in text
        assert "script" not in policy
        assert "default-src 'none'" in policy
        async with client.get(page + "status.json") as answer:
            assert (await answer.json())["url"] == URL
        async with client.get(page + "qr.svg") as answer:
            assert answer.content_type == "image/svg+xml"
            assert await answer.read() == qr.svg(URL)
        async with client.get(page + "status.css") as answer:
            assert answer.content_type == "text/css"
        for name in ("", "status.json", "qr.svg"):  # a page of another site, whose name leads here now
            async with client.get(page + name, headers={"Host": "evil.example:4040"}) as answer:
                assert answer.status == 421
        for method in ("POST", "DELETE"):
            async with client.request(method, page) as answer:
                assert answer.status == 405
        await here.tunnel.stop()
        with pytest.raises(OSError, match=r"."):
            await client.get(page)


async def test_others_do_not_reach_it(tmp_path: Path) -> None:
    async with exposed(tmp_path, options={"server.host": "0.0.0.0"}) as here:
        await here.start()
        page = here.tunnel.status.status_page
        assert page is not None
        port = int(re.sub(r"\D", "", page))
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.2", port))  # it listens on 127.0.0.1 alone


async def test_where_its_port_is_taken_there_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with exposed(tmp_path, options={"tunnel.status_port": port}) as here:
            await here.start()
            assert here.tunnel.status.status_page is None
            assert "tunnel.status_port" in caplog.text


async def test_it_can_be_left_out(tmp_path: Path) -> None:
    async with exposed(tmp_path, options={"tunnel.status_page": False}) as here:
        await here.start()
        assert here.tunnel.status.status_page is None


def test_what_it_says_is_text() -> None:
    evil = "<script>alert(1)</script>"
    result = Result("elsewhere", evil, time.time())
    page = render(Status(Phase.WAITING, "ngrok", 'https://x"><b>', time.time(), 2, evil, result), time.time())
    assert "<script" not in page
    assert "<b>" not in page
    assert "Came back" in page


def test_every_state_has_words() -> None:
    for phase in Phase:
        assert phase.value in render(Status(phase), time.time())


def test_the_code_is_one() -> None:
    assert qr.svg(f"https://{NAME}").startswith(b"<svg")
    assert "█" in qr.terminal(f"https://{NAME}") or "▄" in qr.terminal(f"https://{NAME}")


async def test_the_api_shows_the_code_to_owners(tmp_path: Path) -> None:
    async with exposed(tmp_path) as here:
        await here.server.error("GET", "/api/v1/tunnel/qr.svg", 401)
        await here.server.error("GET", "/api/v1/tunnel", 401)
        await here.server.error("POST", "/api/v1/tunnel/selftest", 401)
