"""What all tests share: the event loop they run on, and how patient property tests are."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("framecast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("framecast")

Backend = tuple[str, dict[str, Any]]

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
UVLOOP: Backend = ("asyncio", {"use_uvloop": True})
PLAIN: Backend = ("asyncio", {"use_uvloop": False})
BOTH_LOOPS = [
    pytest.param(UVLOOP, id="uvloop", marks=pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed")),
    pytest.param(PLAIN, id="asyncio"),
]
"""For packages whose tests run on both: Windows has no uvloop."""

TIMED = (
    "bench/test_tools.py",
    "interop/test_hls.py",
    "interop/test_players.py::test_chromium_paints",
    "interop/test_players.py::test_every_player",
    "service/test_adaptive.py",
    "service/test_hls.py::test_a_mask_takes_back",
    "service/test_hls.py::test_ff",
    "service/test_server.py::test_it_stops",
    "sync/test_sockets.py",
    "web/test_bad_link.py",
    "web/test_in_step.py",
    "web/test_lip_sync.py",
    "web/test_wall.py::test_plays_cameras_in_step",
)
"""Tests of how long something takes in real time: beside much other work they would measure that."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, so that `make test` can run them after the others."""
    for item in items:
        if item.nodeid.partition("tests/")[2].startswith(TIMED):
            item.add_marker("timed")


@pytest.fixture(scope="session")
def anyio_backend() -> Backend:
    """The loop the product runs on here; a package that runs its tests on both overrides this."""
    return UVLOOP if HAS_UVLOOP else PLAIN


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command that runs inside a test sets up the log of a process; its handler would outlive the test's stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
