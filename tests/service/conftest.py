"""Servers for tests that need nothing special."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.serving import Server, serving
from tests.service.watched import Watched
from tests.service.watching import mjpeg

SHORT = {"limits.header_timeout_s": 3, "limits.body_timeout_s": 3, "limits.idle_timeout_s": 3}
"""Not so short that a busy machine is taken for somebody who says nothing."""


@pytest.fixture
async def server(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    """A server on loopback, open, with one camera ``cam`` that is pushed to."""
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
async def watched(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Watched]:
    """A server with one camera that is watched and one that takes pushes."""
    cameras = {"cam": "mock:?fps=30&size=64x64", "door": "push:"}
    async with serving(tmp_path, cameras, options=SHORT) as server, mjpeg(server.port) as viewer:
        await viewer.part()
        watched = Watched(server, viewer)
        yield watched
        await watched.goes_on()
