"""FFmpeg is led nowhere: RFC 2326, section 11.3, and what a hostile camera could make of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from framecast.core.errors import ConfigError, DeviceError, Unreachable
from framecast.ingest.pyav import AvSource

from .test_pyav import FakeFeed

pytestmark = pytest.mark.anyio


def anywhere(host: str, ip: str) -> None:
    """Every address may be connected to."""


@dataclass
class Scripted:
    """An RTSP server that answers each request with the next of these, and keeps who came."""

    answers: list[bytes]
    port: int = 0
    connections: int = 0
    requests: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(head.split(" ", 1)[0])
                cseq = next(line for line in head.splitlines() if line.lower().startswith("cseq"))
                if not self.answers:
                    break
                writer.write(self.answers.pop(0).replace(b"CSEQ", cseq.encode()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[Scripted]:
    peer = Scripted(list(answers))
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()


OK = b"RTSP/1.0 200 OK\r\nCSEQ\r\n\r\n"


def leads(port: int, scheme: bytes = b"rtsp", *, status: bytes = b"302 Moved") -> bytes:
    return b"RTSP/1.0 %b\r\nCSEQ\r\nLocation: %b://127.0.0.1:%d/inside\r\n\r\n" % (status, scheme, port)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"305 Use Proxy"])
async def test_a_redirect_is_not_followed(status: bytes, before: int, checked: bool) -> None:
    async with scripted(OK) as inside, scripted(*[OK] * before, *[leads(inside.port, status=status)] * 2) as camera:
        check = anywhere if checked else None
        source = AvSource(f"rtsp://127.0.0.1:{camera.port}/live", check_address=check, timeout_s=2)
        with pytest.raises(Unreachable, match="leads elsewhere, which is not followed"):
            await source.run(FakeFeed())
        assert (camera.connections, inside.connections) == (1, 0)


@pytest.mark.parametrize("scheme", ["rtsps", "satip", "tcp", "tls", "udp", "rtp", "crypto", "http", "tcp,rtsp", ""])
async def test_nor_is_one_to_another_protocol(scheme: str) -> None:
    async with scripted(OK) as inside, scripted(OK, leads(inside.port, scheme.encode())) as camera:
        source = AvSource(f"rtsp://127.0.0.1:{camera.port}/live", check_address=anywhere, timeout_s=2)
        with pytest.raises(DeviceError):
            await source.run(FakeFeed())
        assert (camera.connections, inside.connections) == (1, 0)


async def test_an_older_ffmpeg_reads_no_address_of_the_apis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framecast.ingest.avsession.FOLLOWS_REDIRECTS", True)
    async with scripted(OK) as camera:
        url = f"rtsp://127.0.0.1:{camera.port}/live"
        with pytest.raises(ConfigError, match="av>=18"):
            await AvSource(url, check_address=anywhere, timeout_s=2).run(FakeFeed())
        assert camera.connections == 0
