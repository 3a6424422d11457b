"""A server that can be put on the internet, as far as the stand-in's edge."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from framecast.core.descriptors import entrusted
from framecast.core.supervise import Backoff
from framecast.service.tunnel.selftest import SelfTest
from framecast.service.tunnel.tunnel import Phase, Tunnel
from tests.service.serving import Server, serving, until
from tests.service.tunnel.edge import NAME, Resolver, Standin, certificate
from tests.support.ports import free_port

URL = f"https://{NAME}"
CLIENT = "203.0.113.7"
"""Where the client sits, as the edge says."""


class Exposed:
    """A server with a token, a tunnel that can be opened, and a client on the internet."""

    def __init__(self, server: Server, standin: Standin, client: aiohttp.ClientSession) -> None:
        self.server = server
        self.standin = standin
        self.client = client

    @property
    def tunnel(self) -> Tunnel:
        return self.server.service.tunnel

    async def start(self, **body: Any) -> None:
        """Open the tunnel, and wait until it is online."""
        await self.tunnel.start(self.tunnel.wish({"provider": "cloudflare", **body}))
        await until(lambda: self.tunnel.status.state is Phase.ONLINE)

    async def see_through(self) -> None:
        """Wait until the self-test is good: lines that wait for a machine that stands still look held back, too."""
        await until(lambda: self.tunnel.status.selftest)
        async with asyncio.timeout(20):
            while self.tunnel.status.selftest is None or self.tunnel.status.selftest.verdict != "good":
                await self.tunnel.look()

    async def push(self, picture: bytes, headers: dict[str, str]) -> None:
        """Push a picture from near."""
        headers = {**headers, "Content-Type": "image/jpeg"}
        await self.server.json("POST", "/api/v1/cameras/cam/frames", data=picture, headers=headers)


@asynccontextmanager
async def exposed(
    folder: Path, *, options: dict[str, Any] | None = None, tokens: bool = True, **plan: Any
) -> AsyncIterator[Exposed]:
    """All of that."""
    port = free_port()
    files, authority = certificate(folder)
    trust = ssl.create_default_context(cadata=authority.decode())
    plan = {"edge": {**files, "port": port}, **plan}
    standin = Standin(folder, **plan)
    settings = {"tunnel.cloudflared": str(standin.program), "tunnel.status_port": 0, **(options or {})}
    connector = aiohttp.TCPConnector(resolver=Resolver(port), ssl=trust, socket_factory=entrusted)
    async with (
        serving(folder, options=settings, tokens=tokens) as server,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client,
    ):
        tunnel = server.service.tunnel
        tunnel.selftest = SelfTest(resolver=Resolver(port), trust=trust)
        tunnel._backoff = Backoff(first_s=0.02, cap_s=0.05)
        yield Exposed(server, standin, client)
