"""Viewers for as long as they are here, and what those are told who wait for something of a camera when it goes.

A server that stops ends its cameras first. They come back with it, so nobody may be told that they are gone for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import WSCloseCode

from framecast.core.viewer import Viewer
from framecast.service.cameras.cameras import Camera
from framecast.service.errors import ApiError, closing, not_found
from framecast.service.service import Service


def gone(service: Service) -> ApiError:
    """What is answered to who waited for a camera that is gone now."""
    return closing() if service.closing else not_found("This camera was removed")


@contextmanager
def admitted(service: Service, camera: Camera, kind: str, address: str, **options: Any) -> Iterator[Viewer]:
    """Count a viewer in for the length of a block.

    Raises:
        LimitReached: The camera has as many as the operator allows.
    """
    viewer = service.cameras.admit(camera, kind, address, **options)
    try:
        yield viewer
    finally:
        service.cameras.dismiss(camera, viewer)


@asynccontextmanager
async def while_here(service: Service, camera: Camera) -> AsyncIterator[None]:
    """Run a block that waits; it ends when the camera goes.

    Raises:
        ApiError: The camera went meanwhile (`gone`).
    """

    def removed(other: Camera) -> None:
        if other.stream is camera.stream:
            limit.reschedule(asyncio.get_running_loop().time())

    limit = asyncio.timeout(None)
    service.cameras.on_removed.append(removed)
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise gone(service) from None
        raise
    finally:
        service.cameras.on_removed.remove(removed)


def last_words(service: Service, code: int, words: str) -> tuple[int, str]:
    """The code and the words to close a socket with: those given, unless the server stops."""
    return (WSCloseCode.GOING_AWAY, "the server stops") if service.closing else (code, words)
