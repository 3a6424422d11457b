"""Names without a space, as long as they may be: nothing runs over what stands beside it, or out of the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import ViewportSize

from tests.web.conftest import DESK, PHONE, Open, Process, Start
from tests.web.looking import FITS

ID = "x" * 60
NAME = "Overthegaragedoorbehindthegardenhouse" * 2
OVERFLOWING = """
(selector) => [...document.querySelectorAll(selector)]
  .filter((each) => each.scrollWidth > each.clientWidth)
  .map((each) => each.outerHTML)
"""


@pytest.fixture
def server(start: Start, open_page: Open) -> Process:
    """A camera with such an id and such a name."""
    process = start("serve")
    request = open_page(process.url + "/docs").page.request
    camera = {"id": ID, "name": NAME, "url": "mock:?fps=5&size=320x240"}
    assert request.post(process.url + "/api/v1/cameras", data=camera).ok
    return process


def test_long_names_stay_in_their_place(server: Process, open_page: Open) -> None:
    sizes: list[ViewportSize] = [PHONE, DESK]
    for size in sizes:
        page = open_page(server.url + "/analytics", size=size).page
        page.get_by_role("button", name=NAME).wait_for()
        assert page.evaluate(OVERFLOWING, ".sums-name") == []
        assert page.evaluate(FITS)
        page.goto(server.url + "/access")
        page.get_by_role("tab", name="Log").click()
        page.get_by_text(ID).first.wait_for()
        assert page.evaluate(OVERFLOWING, "[aria-label=Log]") == []
        assert page.evaluate(FITS)
