"""A link to one camera's picture, as somebody makes it on the camera's page."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web.conftest import Open, Start
from tests.web.test_people import CAMERAS, owned

AWAY = """
() => {
  const { dashboard } = document.querySelector("#player").server;
  dashboard.stop();
  dashboard.start();
}
"""


def test_a_link_shows_one_camera_until_its_maker_logs_out(start: Start, open_page: Open) -> None:
    server = start("serve", *CAMERAS)
    page = owned(server, open_page)
    page.goto(server.url + "/cameras/door")
    page.get_by_role("tab", name="Use it").click()
    page.get_by_label("What the link shows").select_option("One picture")
    page.get_by_role("button", name="Make a link").click()
    made = page.locator(".snippet", has_text="A link for some hours").locator("fc-copy code")
    made.wait_for()
    link = made.inner_text()
    assert link.startswith(f"{server.url}/api/v1/cameras/door/snapshot.jpg?")
    expect(page.locator("#panel-embed")).to_contain_text("which is this computer")
    # It is still there when the socket has been away, as after a look into another app.
    with page.expect_response("**/api/v1/session"):
        page.evaluate(AWAY)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert made.inner_text() == link
    stranger = open_page(link).page
    assert stranger.request.get(link).status == 200
    assert stranger.request.get(link.replace("/door/", "/yard/")).status == 401
    page.get_by_role("button", name="Menu, logged in as anna").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.get_by_role("heading", name="Log in").wait_for()
    assert stranger.request.get(link).status == 401
