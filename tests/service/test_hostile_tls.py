"""What bad handshakes do: nothing that anybody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framecast.service.api.system import process
from framecast.service.front import authority
from framecast.service.front.tls import Files
from tests.service.conftest import SHORT
from tests.service.serving import serving, until
from tests.service.watched import Watched
from tests.service.watching import mjpeg

pytestmark = pytest.mark.anyio


@pytest.fixture
async def secure(tmp_path: Path, anyio_backend: object) -> AsyncIterator[tuple[Watched, int, ssl.SSLContext]]:
    """A server whose http somebody watches, its HTTPS port, and a context that trusts it."""
    data = tmp_path / "data"
    authority.init(data)
    trusted = ssl.create_default_context(cafile=Files.of(data).authority)
    cameras = {"cam": "mock:?fps=30&size=64x64"}
    async with (
        serving(tmp_path, cameras, options={**SHORT, "server.tls_port": 0}) as server,
        mjpeg(server.port) as viewer,
    ):
        await viewer.part()
        watched = Watched(server, viewer)
        address = server.listeners.tls_address
        assert address is not None
        yield watched, address.port, trusted
        await watched.goes_on()
        async with server.client.get(f"https://localhost:{address.port}/healthz", ssl=trusted) as answer:
            assert answer.status == 200


async def closed(port: int, data: bytes, timeout_s: float = 20.0) -> bytes:
    """What comes until the server closes a connection over which only these bytes came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(timeout_s):
            with contextlib.suppress(ConnectionError):
                return await reader.read()
        return b""
    finally:
        writer.transport.abort()


HELLO = bytes.fromhex("1603010200010001fc0303")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01",
        HELLO,
        HELLO + random.Random(1).randbytes(600),
        random.Random(2).randbytes(5000),
        b"\x80\x2e\x01\x00\x02" + bytes(60),
        b"",
    ],
    ids=["http", "3 bytes", "half a hello", "nonsense hello", "noise", "SSLv2", "silence"],
)
async def test_what_is_no_handshake_ends_soon(secure: tuple[Watched, int, ssl.SSLContext], data: bytes) -> None:
    watched, port, _ = secure
    assert b"HTTP/" not in await closed(port, data)
    await watched.goes_on()


async def test_many_that_come_and_go_leave_nothing(secure: tuple[Watched, int, ssl.SSLContext]) -> None:
    watched, port, trusted = secure

    async def flash(number: int) -> None:
        tls = trusted if number % 3 else None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
            )
            if number % 3 == 1:
                writer.write(b"GET /api/v1/cameras/cam/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await reader.readuntil(b"--frame\r\n")
            writer.transport.abort()

    await asyncio.gather(*(flash(number) for number in range(20)))
    await watched.goes_on()
    before = process()["fds"]
    for _ in range(5):
        await asyncio.gather(*(flash(number) for number in range(20)))
    camera = watched.server.camera()
    await until(lambda: len(camera.stream.viewers) == 1)
    await until(lambda: process()["fds"] <= before)


async def test_who_only_opens_connections_keeps_nobody_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    authority.init(data)
    trusted = ssl.create_default_context(cafile=Files.of(data).authority)
    options = {"server.tls_port": 0, "limits.max_connections_per_address": 8}
    async with serving(tmp_path, options=options) as server:
        address, places = server.listeners.tls_address, server.listeners.fronts[0].places
        assert address is not None
        url = f"https://localhost:{address.port}/healthz"
        writers = []
        for number in range(40):
            _, writer = await asyncio.open_connection("127.0.0.1", address.port)
            writer.write(HELLO[: number % 12])
            writers.append(writer)
            await until(lambda: places.taken <= 8)
            if number % 10 == 9:
                headers = {"Connection": "close"}
                async with server.client.get(url, ssl=trusted, headers=headers) as answer:
                    assert answer.status == 200
        assert places.refused >= 32
        for writer in writers:
            writer.transport.abort()
        await until(lambda: places.taken == 0)


async def test_what_comes_right_behind_the_handshake_is_not_lost(
    secure: tuple[Watched, int, ssl.SSLContext],
) -> None:
    _, port, trusted = secure
    for _ in range(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, server_hostname="localhost")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()
