"""Dialogs that are closed while what they sent is on its way."""

from __future__ import annotations

from playwright.sync_api import Route, expect

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
