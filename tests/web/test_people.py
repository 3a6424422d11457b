"""Owners, those they invite, tokens and sessions, as people manage them in their browsers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.service.tunnel.edge import Standin
from tests.web.conftest import DESK, PHONE, TABLET, Open, Process, Start
from tests.web.looking import FAINT, FITS, SMALL, UNNAMED, wait_live

CAMERAS = ("--camera", "door=mock:?fps=5&size=320x240", "--camera", "yard=mock:?fps=5&size=320x240")
PASSWORD = "nine lives of a cat"
REFUSED = (
    *("status of 400", "status of 401", "status of 403", "status of 409", "status of 429"),
    # Who had no credential is cut off as soon as somebody owns the server.
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    *("HTTP Authentication failed", "Unexpected response code", "WebSocket connection"),
)


@pytest.fixture
def server(start: Start) -> Process:
    """Two cameras, and nobody who owns them: open to this machine."""
    return start("serve", *CAMERAS)


def copied(page: Page) -> str:
    """What the dialog shows once."""
    return page.get_by_role("dialog").locator("fc-copy code").inner_text()


def close(page: Page) -> None:
    """Close the dialog."""
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_have_count(0)


def owned(server: Process, open_page: Open, name: str = "anna") -> Page:
    """The page of who may do what, of somebody who made himself the owner there."""
    page = open_page(server.url + "/access", expected=REFUSED).page
    page.get_by_role("button", name="Make the owner").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Make the owner").click()
    page.get_by_role("button", name=f"Menu, logged in as {name}").wait_for()
    return page


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill the form."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.keyboard.press("Enter")


def entry(page: Page, name: str) -> str:
    """What the list says of one."""
    return page.locator(".entry", has_text=name).inner_text()


def test_the_owner_link_makes_one_owner(start: Start, open_page: Open) -> None:
    server = start("serve", "--host", "0.0.0.0", *CAMERAS)
    code = server.line_with("/setup#").split("#")[1]
    url = f"http://127.0.0.1:{server.url.rsplit(':', 1)[1]}"
    page = open_page(url, expected=REFUSED).page
    page.get_by_role("heading", name="Nobody owns this server yet").wait_for()
    page.goto(f"{url}/setup#{code}")
    page.get_by_role("heading", name="Become the owner").wait_for()
    # Out of the address at once, and out of the history.
    assert page.url == f"{url}/setup"
    page.get_by_label("Your name").fill("anna")
    page.get_by_label("Password", exact=True).fill("short")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("10 to 200 characters")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(url + "/")
    wait_live(page, 2)
    page.get_by_role("button", name="Menu, logged in as anna").click()
    expect(page.get_by_role("region", name="Menu")).to_contain_text("Owner, all cameras")
    again = open_page(f"{url}/setup#{code}", expected=REFUSED).page
    again.get_by_role("heading", name="This server has an owner already").wait_for()


def test_a_link_without_its_code_says_so(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/setup").page
    page.get_by_role("heading", name="The link is not whole").wait_for()


def test_who_is_invited_sees_what_is_meant_for_him_and_no_longer_than_that(server: Process, open_page: Open) -> None:
    urlopen(Request(server.url + "/api/v1/cameras/door", b'{"name": "Front door"}', method="PATCH"), timeout=60).close()
    owner = owned(server, open_page)
    owner.get_by_role("button", name="Invite somebody").click()
    dialog = owner.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Bob next door")
    dialog.get_by_label("Only these").check()
    dialog.get_by_label("Front door", exact=True).check()
    dialog.get_by_role("button", name="Make the invitation").click()
    owner.get_by_role("heading", name="A link for Bob next door").wait_for()
    link = copied(owner)
    assert link.startswith(f"{server.url}/setup#")
    close(owner)
    assert "Invited" in entry(owner, "Bob next door")
    assert "Front door" in entry(owner, "Bob next door"), "cameras are called as people call them"

    guest = open_page(link, expected=REFUSED).page
    guest.get_by_role("heading", name="Choose your password").wait_for()
    guest.get_by_label("Password", exact=True).fill("ten green bottles")
    guest.keyboard.press("Enter")
    wait_live(guest, 1)
    assert not guest.get_by_role("button", name="Add camera").is_visible()
    guest.get_by_role("button", name="Menu, logged in as Bob next door").click()
    expect(guest.get_by_role("region", name="Menu")).to_contain_text("Viewer, 1 of the cameras")
    guest.get_by_role("link", name="Access").click()
    guest.get_by_role("tab", name="Sessions").wait_for()
    assert guest.get_by_role("tab").count() == 1
    guest.goto(server.url)
    wait_live(guest, 1)

    owner.reload()
    expect(owner.locator(".entry", has_text="Bob next door")).not_to_contain_text("Invited")
    owner.get_by_role("button", name="Change: Bob next door").click()
    owner.get_by_label("Disabled").check()
    owner.get_by_role("button", name="Save").click()
    guest.get_by_role("heading", name="Log in").wait_for()
    expect(owner.locator(".entry", has_text="Bob next door")).to_contain_text("Disabled")
    log_in(guest, "Bob next door", "ten green bottles")
    expect(guest.get_by_role("alert")).to_contain_text("don't belong together")

    owner.get_by_role("button", name="Change: Bob next door").click()
    owner.get_by_role("dialog").get_by_role("button", name="Remove").click()
    owner.get_by_role("dialog", name="Remove Bob next door?").get_by_role("button", name="Remove").click()
    expect(owner.locator(".entry")).to_have_count(1)
    # Used, and of nobody any more.
    late = open_page(link, expected=REFUSED).page
    late.get_by_role("heading", name="This link is good no more").wait_for()


def test_the_last_owner_stays(server: Process, open_page: Open) -> None:
    page = owned(server, open_page)
    page.get_by_role("button", name="Change: anna").click()
    page.get_by_label("Role").select_option("viewer")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("last owner")


def test_logs_in_and_out_by_name(server: Process, open_page: Open) -> None:
    owned(server, open_page)
    page = open_page(server.url + "/cameras/door", expected=REFUSED).page
    page.get_by_role("heading", name="Log in").wait_for()
    assert page.evaluate(UNNAMED) == [], "each field has its label, whatever else is on the page"
    page.goto(server.url)
    page.get_by_role("heading", name="Log in").wait_for()
    log_in(page, "anna", "not the password")
    expect(page.get_by_role("alert")).to_contain_text("Name and password don't belong together")
    log_in(page, "anna")
    wait_live(page, 2)
    page.get_by_role("button", name="Menu, logged in as anna").click()
    page.get_by_role("button", name="Change password").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Present password", exact=True).fill("wrong again")
    dialog.get_by_label("New password", exact=True).fill("ten green bottles")
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog.get_by_role("alert")).to_contain_text("old password is wrong")
    dialog.get_by_label("Present password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Change password").click()
    page.get_by_text("Your password is changed").wait_for()
    page.get_by_role("button", name="Menu, logged in as anna").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.get_by_role("heading", name="Log in").wait_for()
    log_in(page, "anna", "ten green bottles")
    wait_live(page, 2)


def test_who_guesses_is_told_how_long_to_wait(server: Process, open_page: Open) -> None:
    owned(server, open_page)
    page = open_page(server.url, expected=REFUSED).page
    page.get_by_role("heading", name="Log in").wait_for()
    guess = {"name": "nobody", "password": "not the password"}
    for _ in range(100):
        answer = page.request.post(f"{server.url}/api/v1/session", data=guess)
        if answer.status == 429:
            break
    log_in(page, "nobody", "not the password")
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Too many wrong attempts. Wait \d+ (s|min), then"))


def test_a_token_is_shown_once_and_can_be_revoked(server: Process, open_page: Open) -> None:
    page = owned(server, open_page)
    page.evaluate("delete Element.prototype.checkVisibility")  # Safari has it from 17.4 on
    page.get_by_role("tab", name="Tokens").click()
    page.get_by_role("button", name="Create a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("kitchen")
    dialog.get_by_role("radio", name="Watch A program").check()
    dialog.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("heading", name="The token kitchen").wait_for()
    secret = copied(page)
    close(page)
    assert secret.startswith("fc_") and secret not in page.content()
    assert re.search(r"watches\s*·\s*all cameras\s*·\s*never used", entry(page, "kitchen"))

    display = open_page(server.url, expected=REFUSED).page
    display.get_by_role("button", name="Use a token instead").click()
    display.get_by_label("Token", exact=True).fill(secret)
    display.keyboard.press("Enter")
    wait_live(display, 2)
    page.keyboard.press("r")
    expect(page.locator(".entry", has_text="kitchen")).to_contain_text("last used")
    page.get_by_role("button", name="Revoke: kitchen").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    display.get_by_role("heading", name="Log in").wait_for()
    expect(page.locator(".entry", has_text="kitchen")).to_contain_text("Revoked")
    page.get_by_role("button", name="Forget: kitchen").click()
    expect(page.locator("#panel-tokens")).to_contain_text("No tokens yet")
    expect(page.get_by_role("button", name="Create a token")).to_be_focused()


def test_sessions_are_ended_one_by_one_or_all_at_once(server: Process, open_page: Open) -> None:
    page = owned(server, open_page)
    others = [open_page(server.url, expected=REFUSED).page for _ in range(2)]
    for other in others:
        log_in(other, "anna")
        wait_live(other, 2)
    page.get_by_role("tab", name="Sessions").click()
    expect(page.locator("#panel-sessions .entry")).to_have_count(3)
    expect(page.locator("#panel-sessions")).to_contain_text("127.0.0.1")
    assert page.locator(".entry", has_text="This one").count() == 1
    for _ in others:
        left = page.locator("#panel-sessions .entry", has_not_text="This one")
        count = left.count()
        left.first.get_by_role("button", name="Log out").click()
        expect(left).to_have_count(count - 1)
    for other in others:
        other.get_by_role("heading", name="Log in").wait_for()
    log_in(others[0], "anna")
    wait_live(others[0], 2)
    page.get_by_role("button", name="Log out everywhere", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in").wait_for()
    others[0].get_by_role("heading", name="Log in").wait_for()


def test_the_log_says_who_did_what(server: Process, open_page: Open) -> None:
    page = owned(server, open_page)
    page.get_by_role("tab", name="Log", exact=True).click()
    rows = page.get_by_role("region", name="Log").locator("tbody tr")
    expect(rows.filter(has_text="anna").first).to_be_visible()
    assert PASSWORD not in page.content()


def test_starts_a_tunnel_and_shows_its_address(start: Start, open_page: Open, tmp_path: Path) -> None:
    # A name that nobody has: the look from outside has to end here.
    program = Standin(tmp_path, name="cameras.invalid").program
    file = tmp_path / "framecast.toml"
    file.write_text(f"[tunnel]\ncloudflared = {json.dumps(str(program))}\nstatus_page = false\n")
    page = owned(start("serve", "--config", str(file)), open_page)
    page.get_by_role("tab", name="Tunnel").click()
    panel = page.locator("#panel-tunnel")
    expect(panel).to_contain_text("No tunnel")
    page.get_by_role("button", name="Start a tunnel").click()
    page.get_by_label("Provider").select_option("cloudflare")
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    expect(panel.locator("fc-copy code")).to_have_text("https://cameras.invalid")
    expect(panel).to_contain_text("Online")
    code = page.get_by_role("img", name="QR code of https://cameras.invalid")
    # It is made anew with each change of what is told beside it.
    expect(code).not_to_have_js_property("naturalWidth", 0)
    page.reload()
    expect(page.get_by_role("tab", name="Tunnel")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="People").click()
    page.get_by_role("button", name="Invite somebody").click()
    page.get_by_role("dialog").get_by_label("Name").fill("ben")
    page.get_by_role("button", name="Make the invitation").click()
    page.get_by_role("heading", name="A link for ben").wait_for()
    away, here = page.get_by_role("dialog").locator("fc-copy code").all_inner_texts()
    assert away == here.replace(here.partition("/setup")[0], "https://cameras.invalid")
    close(page)
    page.get_by_role("tab", name="Tunnel").click()
    page.get_by_role("button", name="Stop").click()
    expect(panel).to_contain_text("No tunnel")


def test_who_sees_what_is_open_to_all_can_log_in_for_more(start: Start, open_page: Open, tmp_path: Path) -> None:
    file = tmp_path / "framecast.toml"
    camera = 'url = "mock:?fps=5&size=320x240"'
    file.write_text(f'[cameras.door]\n{camera}\n[cameras.street]\n{camera}\npublic = ["watch"]\n')
    server = start("serve", "--config", str(file))
    owned(server, open_page)
    page = open_page(server.url, expected=REFUSED).page
    wait_live(page, 1)
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("region", name="Menu")).to_contain_text("Not logged in")
    page.get_by_role("button", name="Log in").click()
    log_in(page, "anna")
    wait_live(page, 2)


def test_the_menu_takes_the_keys_while_it_is_open(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    page.locator("#state", has_text="Live").wait_for()
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Menu")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Cameras", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Menu")).to_be_hidden()
    assert page.url.endswith("/cameras/door")
    page.keyboard.press("Escape")
    page.wait_for_url(server.url + "/")


def test_a_browser_without_popovers_has_the_menu_too(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    page.add_init_script("delete HTMLElement.prototype.hidePopover")
    page.goto(server.url + "/cameras/door")
    page.locator("#state", has_text="Live").wait_for()
    menu = page.get_by_role("region", name="Menu")
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    assert page.url.endswith("/cameras/door")
    page.get_by_role("button", name="Menu").click()
    page.locator("h1").click()
    expect(menu).to_be_hidden()


def test_the_keyboard_stays_where_it_was_when_a_list_changes(server: Process, open_page: Open) -> None:
    page = owned(server, open_page)
    page.get_by_role("tab", name="People").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Tokens")).to_be_focused()
    page.get_by_role("button", name="Create a token").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    page.keyboard.type("kitchen")
    # A device sends to one camera, so none is chosen for it.
    assert page.get_by_label("Only these").is_checked()
    page.get_by_role("radio", name="Watch A program").check()
    assert page.get_by_label("All cameras, those").is_checked()
    page.get_by_role("radio", name="Send A device").check()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Choose at least one camera")
    page.get_by_role("dialog").get_by_label("door", exact=True).check()
    page.get_by_role("radio", name="Operate").check()
    assert page.get_by_label("Only these").is_checked(), "what somebody chose stays"
    page.get_by_role("radio", name="Send A device").check()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The token kitchen").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Revoke: kitchen")).to_be_visible()
    expect(page.get_by_role("button", name="Create a token")).to_be_focused()
    assert re.search(r"sends\s*·\s*door", entry(page, "kitchen"))


def look_over(page: Page) -> None:
    """At three sizes, by day and by night: everything fits, has a name, can be hit and can be read."""
    for size in (PHONE, TABLET, DESK):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.wait_for_function(FITS)
        assert page.evaluate(UNNAMED) == [], size
        assert size is not PHONE or page.evaluate(SMALL) == []
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate(FAINT) == [], scheme


def test_everything_can_be_read_and_hit_at_every_size(server: Process, open_page: Open) -> None:
    page = owned(server, open_page, name="somebody with a very long name of 48 characters")
    for path in ("", "docs", "mjpeg", "cameras/door", "setup#code", "access"):
        page.goto(f"{server.url}/{path}")
        page.locator("h1").first.wait_for(state="attached")
        look_over(page)
    page.get_by_role("tab").first.wait_for()
    for tab in page.get_by_role("tab").all():
        tab.click()
        look_over(page)
    page.get_by_role("tab", name="People").click()
    page.get_by_role("button", name="Invite somebody").click()
    look_over(page)
    # And that is seen where it is not so.
    page.evaluate("() => { document.querySelector('dialog label').style.color = '#d0d0d0'; }")
    assert len(page.evaluate(FAINT)) == 1
