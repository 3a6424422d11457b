"""Dialogs that are closed while what they sent is on its way, or asked for twice."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.web.conftest import Open, Start
from tests.web.test_people import copied, owned


def test_a_token_is_shown_though_its_dialog_was_closed_too_early(start: Start, open_page: Open) -> None:
    page = owned(start("serve", "--camera", "door=mock:?fps=5&size=320x240"), open_page)
    page.get_by_role("tab", name="Tokens").click()
    page.get_by_role("button", name="Create a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("kitchen")
    dialog.get_by_role("radio", name="Watch A program").check()
    held: list[Route] = []
    page.route("**/api/v1/tokens", lambda route: route.continue_() if held else held.append(route))
    dialog.get_by_role("button", name="Create", exact=True).click()
    while not held:
        page.wait_for_timeout(50)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    held[0].continue_()
    page.get_by_role("heading", name="The token kitchen").wait_for()
    assert copied(page).startswith("fc_")


def press_twice(page: Page, name: str, asked: str) -> None:
    """Press a button whose dialog needs to know something first, and again while that is on its way."""
    held: list[Route] = []
    page.route(asked, lambda route: held.append(route))
    press = page.get_by_role("button", name=name)
    press.click()
    press.click()
    while len(held) < 2:
        page.wait_for_timeout(50)
    for route in reversed(held):
        with page.expect_response(asked):
            route.continue_()
    page.unroute(asked)


def test_who_presses_twice_gets_one_dialog(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240")
    page = owned(server, open_page)
    for path, name, asked in (
        ("/access", "Invite somebody", "**/api/v1/cameras"),
        ("/events#rules", "Add a rule", "**/api/v1/people"),
        ("/access#tokens", "Create a token", "**/api/v1/cameras"),
        ("/people", "Add somebody", "**/api/v1/cameras"),
    ):
        page.goto(server.url + path)
        page.get_by_role("button", name=name).wait_for()
        press_twice(page, name, asked)
        page.get_by_role("dialog").first.wait_for()
        page.evaluate("() => new Promise(requestAnimationFrame)")
        assert page.locator("dialog[open]").count() == 1, name
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_camera_that_could_not_be_added_is_told_of_though_its_dialog_was_closed(
    start: Start, open_page: Open
) -> None:
    page = open_page(start("serve").url, expected=("503",)).page
    page.get_by_role("button", name="Add a camera").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("No camera at hand").click()
    dialog.get_by_role("button", name="Add a synthetic camera").click()
    held: list[Route] = []
    page.route("**/api/v1/cameras", lambda route: held.append(route))
    dialog.get_by_role("button", name="Add", exact=True).click()
    while not held:
        page.wait_for_timeout(50)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    held[0].fulfill(status=503, json={"error": {"code": "busy", "message": "It is busy."}})
    page.get_by_text("Synthetic was not added. It is busy.").wait_for()
