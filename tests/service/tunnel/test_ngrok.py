"""ngrok's own SDK against a stand-in for its service: as far as one gets without the internet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from framecast.service.tunnel.ngrok import Ngrok
from framecast.service.tunnel.provider import TunnelError
from tests.service.serving import until
from tests.service.tunnel.edge import Report
from tests.service.tunnel.ngrokservice import AUTH, BIND, CLIENT, UNBIND, URL, NgrokService, ngrok_service
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(tmp_path: Path, anyio_backend: object) -> AsyncIterator[NgrokService]:
    async with ngrok_service(tmp_path) as running:
        yield running


def tunnel(service: NgrokService, **options: Any) -> Ngrok:
    return Ngrok("2abc_secret", server=f"localhost:{service.port}", authority=service.authority, **options)


@asynccontextmanager
async def running(ngrok: Ngrok, port: int, report: Report) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(ngrok.run(port, report))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, TunnelError):
            await task


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """A port that answers a request with its own head."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def failure(ngrok: Ngrok) -> TunnelError:
    with pytest.raises(TunnelError) as caught:
        await ngrok.run(1, Report())
    return caught.value


async def test_who_comes_from_the_internet_is_led_here(service: NgrokService) -> None:
    report = Report()
    async with echoing() as port, running(tunnel(service), port, report):
        await until(lambda: report.told)
        assert report.told == [("online", URL)]
        answer = await service.visit(b"GET /healthz HTTP/1.1\r\nHost: cams.example.ngrok.app\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert f"X-Forwarded-For: {CLIENT}".encode() in answer
    (_, auth), (_, bind) = [asked for asked in service.asked if asked[0] in (AUTH, BIND)]
    assert auth["Extra"]["AuthToken"] == "2abc_secret"
    assert auth["Extra"]["UserAgent"].startswith("framecast/")
    assert bind["Opts"]["Hostname"] == ""
    assert bind["ForwardsTo"] == f"http://127.0.0.1:{port}/"
    assert (UNBIND, {"Id": "tunnel-1"}) in service.asked


async def test_one_that_was_closed_stays_so(service: NgrokService) -> None:
    report = Report()
    async with running(tunnel(service), 1, report):
        await until(lambda: report.told)
    # The SDK leaves its connection to end by itself, and takes that end for a loss.
    service.drop()
    await until(lambda: not service.agents)
    await asyncio.sleep(0.2)  # four times its first pause
    assert [kind for kind, _ in service.asked].count(AUTH) == 1


async def test_a_name_of_ones_own(service: NgrokService) -> None:
    report = Report()
    async with running(tunnel(service, domain="cams.example.net"), 1, report):
        await until(lambda: report.told)
        assert report.told == [("online", "https://cams.example.net")]


async def test_a_lost_connection_comes_back(service: NgrokService) -> None:
    report = Report()
    async with running(tunnel(service, heartbeat_s=1), 1, report) as task:
        await until(lambda: report.told)
        service.drop()
        await until(lambda: len(report.told) == 3)
        assert [kind for kind, _ in report.told] == ["online", "waiting", "online"]
        assert "the connection to ngrok is lost" in report.told[1][1]
        assert report.told[2] == ("online", URL)
        assert not task.done()


async def test_one_that_does_not_come_back_soon_ends(service: NgrokService) -> None:
    report = Report()
    async with running(tunnel(service, reconnect_s=0.3), 1, report) as task:
        await until(lambda: report.told)
        service.refusals[AUTH] = "internal trouble\nERR_NGROK_7000"
        service.drop()
        with pytest.raises(TunnelError, match="the connection to ngrok is lost") as caught:
            await task
        assert not caught.value.final


async def test_who_only_answers_a_heartbeat_has_not_let_it_in_again(service: NgrokService) -> None:
    """A session that is refused lives until then, and its first heartbeat is answered before."""
    report = Report()
    async with running(tunnel(service, reconnect_s=0.6), 1, report) as task:
        await until(lambda: report.told)
        service.refusals[AUTH], service.late_s = "internal trouble\nERR_NGROK_7000", 0.2
        service.drop()
        async with asyncio.timeout(10):
            with pytest.raises(TunnelError, match="the connection to ngrok is lost"):
                await task
        assert [kind for kind, _ in report.told] == ["online", "waiting"]


async def test_the_dashboard_can_stop_it(service: NgrokService) -> None:
    report = Report()
    async with running(tunnel(service), 1, report) as task:
        await until(lambda: report.told)
        assert await service.stop() == "{}"
        with pytest.raises(TunnelError, match="dashboard") as caught:
            await task
        assert caught.value.final


@pytest.mark.parametrize(
    ("kind", "refusal", "words", "final"),
    [
        (AUTH, "authentication failed\nERR_NGROK_105", "doesn't know this token", True),
        (AUTH, "no token\nERR_NGROK_4018", "NGROK_AUTHTOKEN", True),
        (AUTH, "Your authtoken: 2abc_secret\nERR_NGROK_106", "Your authtoken: … (ERR_NGROK_106)", True),
        (AUTH, "too many agents\nERR_NGROK_108", "too many agents (ERR_NGROK_108)", False),
        (AUTH, "internal trouble\nERR_NGROK_7000", "internal trouble", False),
        (BIND, "the name is not yours\nERR_NGROK_320", "the name is not yours", True),
        (BIND, "it is online already\nERR_NGROK_334", "it is online already", False),
    ],
)
async def test_why_there_is_no_tunnel(service: NgrokService, kind: int, refusal: str, words: str, final: bool) -> None:
    service.refusals[kind] = refusal
    error = await failure(tunnel(service))
    assert words in str(error)
    assert "2abc_secret" not in str(error)
    assert error.final is final


async def test_without_a_token_one_is_told_where_to_put_it() -> None:
    error = await failure(Ngrok(""))
    assert "NGROK_AUTHTOKEN" in str(error)
    assert error.final


async def test_without_a_network() -> None:
    error = await failure(Ngrok("2abc", server=f"localhost:{free_port()}"))
    assert "can't be reached" in str(error)
    assert not error.final


async def test_a_service_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connection, and nobody answers
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        error = await failure(Ngrok("2abc", server=server, connect_timeout_s=0.3))
    assert "did not answer within 0.3 s" in str(error)
