"""What a visitor sees who may not do everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect

from framecast.service.accounts import tokenapi
from framecast.service.store.state import State
from tests.web.conftest import Open, Start
from tests.web.looking import wait_live

REFUSED = ("401", "HTTP Authentication failed", "Unexpected response code", "403")


def make_token(data: Path, name: str, *rights: str, cameras: list[str] | None = None) -> str:
    """A token for the server with this data folder, which has not begun yet."""
    with State.open(data) as state:
        limit = {} if cameras is None else {"cameras": cameras}
        secret: str = tokenapi.create(state.credentials, {"name": name, "rights": list(rights), **limit})["secret"]
    return secret


def test_asks_for_a_key_and_opens_with_it(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "state"
    key = make_token(data, "hall", "watch")
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240", data=data)
    page = open_page(server.url, expected=REFUSED).page
    page.get_by_role("heading", name="A token is needed").wait_for()
    expect(page.locator(".panel")).to_contain_text("--right operate")
    page.get_by_label("Token", exact=True).fill("fc_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    page.get_by_label("Token", exact=True).fill(key)
    page.keyboard.press("Enter")
    wait_live(page, 1)
    # May watch, not change: what would be refused is not offered.
    assert not page.get_by_role("button", name="Add camera").is_visible()
    page.locator("fc-tile a").click()
    page.locator("#state", has_text="Live").wait_for()
    assert not page.get_by_role("tab", name="Settings").is_visible()
    assert not page.get_by_role("button", name="Restart the reader").is_visible()
    page.keyboard.press("Escape")
    # The page that is left has such a menu, too.
    page.wait_for_url(server.url + "/")
    page.get_by_role("button", name="Menu, logged in as hall").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.get_by_role("heading", name="A token is needed").wait_for()


def test_an_operator_is_offered_everything(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "state"
    key = make_token(data, "owner", "operate")
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240", data=data)
    page = open_page(server.url + "/cameras/door", expected=REFUSED).page
    page.get_by_label("Token", exact=True).fill(key)
    page.keyboard.press("Enter")
    page.locator("#state", has_text="Live").wait_for()
    expect(page.get_by_role("tab", name="Settings")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add camera").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The device sends by itself").click()
    dialog.get_by_role("button", name="Add a camera that sends").click()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_contain_text("framecast token create NAME --right publish")
    expect(dialog).to_contain_text("/frames --token TOKEN")


def test_a_device_key_does_not_open_the_wall(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "state"
    key = make_token(data, "bell", "publish")
    page = open_page(start("serve", data=data).url, expected=REFUSED).page
    page.get_by_label("Token", exact=True).fill(key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not allow watching")


def test_a_revoked_key_closes_the_wall(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "state"
    key = make_token(data, "hall", "watch")
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240", data=data)
    page = open_page(server.url, expected=REFUSED).page
    page.get_by_label("Token", exact=True).fill(key)
    page.keyboard.press("Enter")
    wait_live(page, 1)
    command = [sys.executable, "-m", "framecast", "token", "revoke", "hall", "--data", str(data)]
    subprocess.run(command, check=True, capture_output=True)
    page.get_by_role("heading", name="A token is needed").wait_for()
    expect(page.locator("#summary")).to_be_hidden()


def test_the_wall_opens_by_itself_when_the_last_key_is_forgotten(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "state"
    make_token(data, "yard", "publish")
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240", data=data)
    page = open_page(server.url, expected=REFUSED).page
    page.get_by_role("heading", name="A token is needed").wait_for()
    command = [sys.executable, "-m", "framecast", "token", "revoke", "yard", "--forget", "--data", str(data)]
    subprocess.run(command, check=True, capture_output=True)
    wait_live(page, 1)
