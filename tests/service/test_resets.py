"""HTTPS to somebody who resets each connection at once: each such place may be told to us by others.

uvloop loses track of who has the descriptor then. If our side closed it once more, it would close whatever of this
process has that number next: a camera's connection, the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing

import pytest

from framecast.output.restream.whipsession import WhipSession
from framecast.output.webrtc.ice import IceOptions
from framecast.service.events.courier import Undelivered
from framecast.service.events.poster import Poster
from framecast.service.tunnel.selftest import SelfTest
from tests.service.tunnel.edge import Resolver
from tests.support.resetting import Resetting, leaked

pytestmark = pytest.mark.anyio

Call = Callable[[], Awaitable[None]]
PATIENCE = range(12)
"""From turns in which nothing is connected yet to ones in which TLS has begun, or is through."""


@asynccontextmanager
async def posting(port: int) -> AsyncIterator[Call]:
    poster = Poster()

    async def call() -> None:
        with pytest.raises(Undelivered, match=r"no connection|no answer"):
            await poster.post(f"https://127.0.0.1:{port}/", b"{}", {})

    yield call
    await poster.close()


@asynccontextmanager
async def looking(port: int) -> AsyncIterator[Call]:
    selftest = SelfTest(resolver=Resolver(port))

    async def call() -> None:
        assert (await selftest.run("https://example.trycloudflare.com")).verdict == "unreachable"

    yield call


@asynccontextmanager
async def pushing(port: int) -> AsyncIterator[Call]:
    session = WhipSession(f"https://127.0.0.1:{port}/whip", None, IceOptions())

    async def call() -> None:
        with pytest.raises(OSError):
            await session._post("v=0")

    yield call
    await session.close()


@pytest.mark.parametrize("calling", [posting, looking, pushing])
async def test_each_descriptor_is_closed_once(calling: Callable[[int], AbstractAsyncContextManager[Call]]) -> None:
    with leaked() as told, closing(Resetting()) as server:
        async with calling(server.port) as call:
            for server.patience in PATIENCE:
                await call()
        assert server.resets >= len(PATIENCE)
    assert told == []
