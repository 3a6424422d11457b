"""What an operator changes about a camera, and what is said where that is refused."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web.conftest import Open, Start

SYNTHETIC = "mock:?fps=5&size=320x240"


def test_an_address_that_is_refused_is_blamed_on_no_token(start: Start, open_page: Open) -> None:
    server = start("serve")
    page = open_page(server.url, expected=("403",)).page
    assert page.request.post(f"{server.url}/api/v1/cameras", data={"id": "door", "url": SYNTHETIC}).ok
    page.goto(server.url + "/cameras/door")
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Address", exact=True).fill("http://127.0.0.1:15069/stream")
    page.keyboard.press("Enter")
    told = page.get_by_text("Not saved.")
    expect(told).to_contain_text("cameras on this machine are not allowed (network.allow_loopback)")
    expect(told).not_to_contain_text("token")
