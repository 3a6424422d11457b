"""The pages where the browser keeps nothing for them, as in a frame of another site."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Start
from tests.web.looking import wait_live

BARRED = """
for (const name of ["localStorage", "sessionStorage"]) {
  const get = () => {
    throw new DOMException("Access is denied for this document.", "SecurityError");
  };
  Object.defineProperty(window, name, { get });
}
"""


def names(page: Page, url: str) -> list[str]:
    """The cameras that the server has."""
    return [camera["id"] for camera in page.request.get(f"{url}/api/v1/cameras").json()["cameras"]]


def test_the_wall_is_shown_and_a_camera_is_removed(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240")
    page = open_page(server.url + "/docs").page
    added = {"id": "yard", "url": "mock:?fps=5&size=320x240"}
    assert page.request.post(f"{server.url}/api/v1/cameras", data=added).ok
    page.add_init_script(BARRED)
    page.goto(server.url)
    wait_live(page, 2)
    page.get_by_role("button", name="Larger tiles").click()
    page.goto(server.url + "/cameras/yard")
    page.get_by_role("heading", name="yard").wait_for()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Remove this camera").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("It can't be undone.")
    question.get_by_role("button", name="Remove").click()
    page.wait_for_url(server.url + "/")
    wait_live(page, 1)
    assert names(page, server.url) == ["door"]
