"""The stream by which buffering is found out."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from framecast.output import mjpeg
from framecast.service.api import selftest
from framecast.service.tunnel.selftest import SelfTest
from tests.service.serving import serving

pytestmark = pytest.mark.anyio

PATH = "/api/v1/selftest/stream"


async def test_lines_come_one_by_one_with_the_head_of_a_stream(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as server, server.client.get(server.url + PATH) as response:
        assert response.status == 200
        for name, value in mjpeg.HEADERS.items():
            assert response.headers[name] == value
        came, lines = [], []
        async for line in response.content:
            came.append(time.monotonic())
            lines.append(line)
        assert lines == [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"]
        assert came[-1] - came[0] > 0.5


async def test_it_takes_no_more_than_some_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "PERIOD_S", 0.5)
    monkeypatch.setattr(selftest, "MOST_AT_ONCE", selftest.MOST_OF_ONE + 1)
    async with serving(tmp_path) as server, AsyncExitStack() as stack:
        begun = [stack.enter_async_context(server.client.get(server.url + PATH)) for _ in range(selftest.MOST_OF_ONE)]
        answers = await asyncio.gather(*begun)
        assert {answer.status for answer in answers} == {200}
        message = await server.error("GET", PATH, 503, "busy")
        assert "try again" in message
        other = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0)))
        )
        answers.append(await stack.enter_async_context(other.get(server.url + PATH)))
        assert answers[-1].status == 200, "one address does not have all places"
        async with other.get(server.url + PATH) as response:
            assert response.status == 503
        await asyncio.gather(*(answer.read() for answer in answers))
        async with server.client.get(server.url + PATH) as response:
            assert response.status == 200, "places come back"


async def test_being_busy_is_not_being_somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "MOST_AT_ONCE", 0)
    async with serving(tmp_path) as server:
        found = await SelfTest().run(server.url)
    assert (found.verdict, "try again" in found.words) == ("unreachable", True)


async def test_who_only_asks_for_the_head_gets_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, server.client.head(server.url + PATH) as response:
        assert response.headers["Content-Type"] == mjpeg.CONTENT_TYPE
