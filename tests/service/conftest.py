"""A server for tests that need nothing special."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.serving import Server, serving


@pytest.fixture
async def server(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    """A server on loopback, open, with one camera ``cam`` that is pushed to."""
    async with serving(tmp_path) as running:
        yield running
