"""What the pages say of a camera that shows nothing, and the way out that they name."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.web.conftest import Open, Start


@pytest.fixture
def busy() -> Iterator[str]:
    """The address of a camera whose only viewer is somebody else: it takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/stream"


def test_a_camera_that_another_program_watches(start: Start, open_page: Open, busy: str) -> None:
    server = start("serve", "--camera", f"door={busy}")
    page = open_page(server.url + "/cameras/door").page
    for address in ("/cameras/door", "/"):
        page.goto(server.url + address)
        why = page.locator("framecast-player .note-why")
        expect(why).to_contain_text("said nothing")
        expect(why).to_contain_text("Mostly another program is watching, and the camera serves one at a time")


def test_a_camera_to_which_nothing_was_pushed_yet(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "bell=push:")
    page = open_page(server.url).page
    tile = page.locator("fc-tile")
    expect(tile.locator(".tile-bar .state")).to_have_text("Waiting")
    page.goto(server.url + "/cameras/bell")
    expect(page.locator("#state")).to_have_text("Waiting")
    page.get_by_role("button", name="How to send pictures here").click()
    panel = page.get_by_role("tabpanel", name="Use it")
    expect(panel).to_contain_text(f"{server.url}/api/v1/cameras/bell/frames")


def test_an_address_at_which_the_camera_has_nothing(start: Start, open_page: Open) -> None:
    device = start("mock-camera", "--listen", "0", "--fps", "5")
    server = start("serve", "--camera", f"door={device.url.replace('/stream', '')}/steam")
    page = open_page(server.url + "/cameras/door").page
    expect(page.locator("#state")).to_have_text("Wrong path?")
    page.get_by_role("button", name="Change the address").click()
    expect(page.get_by_label("Address", exact=True)).to_be_focused()
