"""A whole server inside the test: real sockets, real parts, a data folder of its own."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import simplejpeg

from framecast import web
from framecast.app import Parts
from framecast.core.descriptors import entrusted
from framecast.core.supervise import Supervisor
from framecast.service.access.passwords import Passwords
from framecast.service.access.rights import COOKIE
from framecast.service.cameras.cameras import Camera
from framecast.service.config import CameraConfig
from framecast.service.config.resolve import defaults
from framecast.service.server import Listeners, running
from framecast.service.service import Service
from framecast.service.store.credentials import Visit
from framecast.service.store.state import State

CHEAP = Passwords(time_cost=1, memory_kib=8)
"""Hashes of no worth, in no time."""

PASSWORD = "a few good words"

logging.getLogger("framecast").setLevel(logging.INFO)


class Server:
    """A running server and a client of it."""

    def __init__(self, service: Service, listeners: Listeners, client: aiohttp.ClientSession, folder: Path) -> None:
        self.service = service
        self.listeners = listeners
        self.client = client
        self.folder = folder

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.listeners.addresses[0].port

    @property
    def url(self) -> str:
        """Its address, without a final slash."""
        return f"http://127.0.0.1:{self.port}"

    def camera(self, camera_id: str = "cam") -> Camera:
        """One of its cameras."""
        camera = self.service.cameras.get(camera_id)
        assert camera is not None
        return camera

    async def json(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        """The JSON that answers a request, which has to have this status."""
        async with self.client.request(method, self.url + path, **options) as response:
            body = await response.read()
            assert response.status == status, (response.status, body)
            if status == 204:
                return None
            assert response.content_type == "application/json"
            return await response.json()

    async def error(self, method: str, path: str, status: int, code: str = "", **options: Any) -> str:
        """The message of the error that answers a request."""
        answer = await self.json(method, path, status=status, **options)
        assert set(answer) == {"error"}
        assert set(answer["error"]) == {"code", "message"}
        if code:
            assert answer["error"]["code"] == code
        message = answer["error"]["message"]
        assert isinstance(message, str)
        return message

    async def owner(self, name: str = "owner") -> dict[str, str]:
        """The headers of an owner who logged in, whose account is made when there is none."""
        return await self.user(name, "owner")

    async def user(self, name: str, role: str = "viewer", cameras: list[str] | None = None) -> dict[str, str]:
        """The headers of somebody who logged in by name."""
        desk = self.service.desk
        if self.service.keyring.account(name) is None:
            await desk.create_user({"name": name, "role": role, "cameras": cameras, "password": PASSWORD})
        entered = await desk.log_in_by_name(name, PASSWORD, Visit("127.0.0.1", "a test"), "")
        assert entered is not None
        return {"Cookie": f"{COOKIE}={entered.cookie}", "Origin": self.url}

    async def push(self, picture: bytes, camera_id: str = "cam", **options: Any) -> dict[str, Any]:
        """Push one picture by POST; what the device is told."""
        headers = {"Content-Type": "image/jpeg"}
        answer = await self.json(
            "POST", f"/api/v1/cameras/{camera_id}/frames", data=picture, headers=headers, **options
        )
        assert isinstance(answer, dict)
        return answer


@asynccontextmanager
async def serving(
    folder: Path,
    cameras: Mapping[str, str | Mapping[str, Any]] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    tokens: bool = False,
) -> AsyncIterator[Server]:
    """A server on a free port. At the end nothing in it may have failed.

    Args:
        folder: For its data.
        cameras: Id -> URL, or all fields; one camera ``cam`` that is pushed to when left out.
        options: Settings by their dotted keys.
        tokens: Make one that nobody knows, so that a token is needed for everything.
    """
    configs = {
        camera_id: CameraConfig(**({"url": fields} if isinstance(fields, str) else dict(fields)))
        for camera_id, fields in (cameras if cameras is not None else {"cam": "push:"}).items()
    }
    settings = {"server.port": 0, "server.data": folder / "data", **(options or {})}
    configuration = defaults(settings).with_cameras(configs, "the test")
    parts = Parts(configuration.settings)
    with (
        closing(parts),
        ThreadPoolExecutor(1) as executor,
        State.open(folder / "data") as state,
    ):
        async with Supervisor() as supervisor:
            service = Service(
                configuration,
                state,
                parts,
                supervisor,
                state_executor=executor,
                assets=web.load(),
                encodes=lambda: parts.encodes,
                passwords=CHEAP,
            )
            async with running(service) as listeners:
                if tokens:
                    await service.desk.create_token({"name": "somebody", "rights": ["watch"]})
                connector = aiohttp.TCPConnector(socket_factory=entrusted)
                async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client:
                    yield Server(service, listeners, client, folder)
        assert not supervisor.failures, supervisor.failures
        for front in listeners.fronts:
            assert not any(status == 500 for status in front.requests), front.requests
            assert front.places.taken == 0


@functools.cache
def jpeg(number: int = 0, size: tuple[int, int] = (96, 64), noise: bool = False) -> bytes:
    """A picture; no two numbers give the same one. ``noise`` makes it large."""
    width, height = size
    if noise:
        image = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    else:
        image = np.zeros((height, width, 3), dtype=np.uint8)
        image[:, :, 0] = np.linspace(0, 255, width, dtype=np.uint8)
        image[:, :, 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
        for bit in range(8):
            image[: height // 2, bit * width // 8 : (bit + 1) * width // 8, 2] = 255 * (number >> bit & 1)
    encoded = simplejpeg.encode_jpeg(image, quality=80, colorspace="RGB")
    assert isinstance(encoded, bytes)
    return encoded


async def until(condition: Any, timeout_s: float = 20.0) -> None:
    """Wait until ``condition()`` is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event to set)
            await asyncio.sleep(0.005)
