"""What "Use it" on the page of a camera gives to copy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.web.conftest import Open, Process, serving

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A camera that everybody may watch."""
    with serving(tmp_path_factory.mktemp("embed"), "--camera", "door=mock:?fps=5&size=320x240") as process:
        yield process


def test_has_every_address_that_the_readme_names(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    page.get_by_role("tab", name="Use it").click()
    panel = page.get_by_role("tabpanel", name="Use it")
    expect(panel.locator(".snippet").first).to_be_visible()
    text = panel.inner_text()
    named = set(re.findall(r"/api/v1/cameras/door/[\w./]+", README.read_text()))
    assert len(named) > 5
    for path in named:
        assert server.url + path in text
    assert f"ffmpeg -i {server.url}/api/v1/cameras/door/stream.mp4" in text
    assert "quality=auto" in text


def test_no_two_ways_have_one_heading(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    page.get_by_role("tab", name="Use it").click()
    headings = page.locator("#panel-embed h3")
    expect(headings.first).to_be_visible()
    texts = headings.all_inner_texts()
    assert len(set(texts)) == len(texts)
    for text in ("A web page: as a picture", "A web page: the whole player"):
        assert text in texts
    player = page.locator(".snippet", has=page.get_by_role("heading", name="the whole player"))
    expect(player).to_contain_text("allowed_origins = [")
