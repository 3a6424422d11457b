"""These tests run on uvloop and on the plain asyncio loop."""

from __future__ import annotations

from typing import cast

import pytest

from tests.conftest import BOTH_LOOPS, Backend


@pytest.fixture(scope="session", params=BOTH_LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """Both loops, one after the other."""
    return cast(Backend, request.param)
