"""A server behind a real proxy, and a browser to look through it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from framecast.core.descriptors import entrusted
from tests.reach.proxy import Buffering, Proxy, caddy, nginx
from tests.service.serving import Server, serving

CAMERAS = {"cam": "mock:?fps=20&size=96x64&audio=1", "door": "push:"}
SEEN_FROM = "127.0.0.2"
"""Where the client sits: not where the proxy does, which alone is trusted."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A server, the proxy in front of it, and a client that goes through the proxy with a token.

    Attributes:
        http: The newest version that the proxy speaks.
    """

    server: Server
    proxy: Proxy
    client: aiohttp.ClientSession
    secret: str
    http: str = "2"

    def at(self, path: str) -> str:
        """The outer address of one of our paths."""
        return self.proxy.url + path


@asynccontextmanager
async def behind(
    folder: Path,
    program: str = "nginx",
    *,
    prefix: str = "",
    buffering: Buffering = "as deployed",
    sockets: bool = True,
    options: dict[str, Any] | None = None,
) -> AsyncIterator[Behind]:
    """A server with a token that may do everything, behind a proxy; see `proxy.nginx`."""
    settings = {"server.trusted_proxies": ["127.0.0.1/32"], "server.base_path": prefix, **(options or {})}
    async with serving(folder, CAMERAS, options=settings) as server:
        rights = ["watch", "operate", "publish"]
        secret = (await server.service.desk.create_token({"name": "all", "rights": rights}))["secret"]
        passed = (
            nginx(folder, server.port, prefix=prefix, buffering=buffering, sockets=sockets)
            if program == "nginx"
            else caddy(folder, server.port, prefix=prefix)
        )
        with passed as proxy:
            connector = aiohttp.TCPConnector(
                ssl=proxy.certificate.trusted(),
                family=socket.AF_INET,
                local_addr=(SEEN_FROM, 0),
                socket_factory=entrusted,
            )
            headers = {"Authorization": f"Bearer {secret}"}
            async with aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
            ) as client:
                yield Behind(server, proxy, client, secret, "1.1" if buffering == "forced" else "2")
