"""Pages that stay open, or were opened too early: what they say is still so, and they come back by themselves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Process, serving
from tests.web.test_faces import seed_strangers

HIDE = """
(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Open to this machine; it has seen two faces that it does not know."""
    folder: Path = tmp_path_factory.mktemp("staying")
    seed_strangers(folder / "data", 2)
    with serving(folder, "--camera", "door=push:") as process:
        yield process


def opened(server: Process, open_page: Open) -> Page:
    """A page whose time the test decides."""
    page = open_page(server.url + "/docs", expected=("ERR_FAILED", "503")).page
    page.clock.install()
    return page


def test_a_page_that_was_opened_without_the_server_returns_with_it(
    server: Process, open_page: Open, path: str, asked: str, there: str
) -> None:
    page = open_page(server.url + "/docs", expected=("ERR_FAILED",)).page
    page.route(f"**/api/v1/{asked}", lambda route: route.abort())
    page.goto(server.url + path)
    page.get_by_role("heading", name="The server does not answer").wait_for()
    page.unroute(f"**/api/v1/{asked}")
    page.get_by_role("button", name=there).wait_for()
