"""The form to log in, on pages that were open when it came."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Process, serving
from tests.web.looking import HIDE
from tests.web.test_access import REFUSED, make_token

CUT_OFF = "ERR_INCOMPLETE_CHUNKED_ENCODING"
SHOWN = {
    "/": "fc-tile[data-state=live]",
    "/cameras/door": "#state[data-state=live]",
    "/mjpeg": "#connection[data-state=live]",
    "/people": "#unknown",
    "/analytics": "#course-name",
}
"""What stands on a page of somebody who may see it."""


class Server:
    """One that asks who one is, and a token that it knows."""

    def __init__(self, process: Process, key: str) -> None:
        self.url = process.url
        self.key = key


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Shared: each page has a session of its own."""
    folder = tmp_path_factory.mktemp("entrance")
    key = make_token(folder / "data", "hall", "operate")
    with serving(folder, "--camera", "door=mock:?fps=5&size=320x240") as process:
        yield Server(process, key)


def look_elsewhere(page: Page) -> None:
    """To another tab, as for a password, and back."""
    page.evaluate(HIDE, True)
    page.evaluate(HIDE, False)


@pytest.mark.parametrize("path", SHOWN)
def test_what_is_typed_stays_when_the_session_ended_in_an_open_page(server: Server, open_page: Open, path: str) -> None:
    page = open_page(server.url + "/docs", expected=(*REFUSED, CUT_OFF)).page
    assert page.request.post(f"{server.url}/api/v1/session", data={"key": server.key}).ok
    page.goto(server.url + path)
    page.locator(SHOWN[path]).first.wait_for()
    assert page.evaluate("async () => (await fetch('/api/v1/session', { method: 'DELETE' })).ok")
    look_elsewhere(page)
    token = page.get_by_label("Token", exact=True)
    token.fill(server.key[:8])
    for _ in range(2):
        with page.expect_response("**/api/v1/session"):
            look_elsewhere(page)
    expect(token).to_have_value(server.key[:8])
    expect(token).to_be_focused()
    token.fill(server.key)
    page.keyboard.press("Enter")
    page.locator(SHOWN[path]).first.wait_for()
