"""Links by which people choose a password: what they are told on the way, by the page and by the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Process, Start, serving
from tests.web.test_people import CAMERAS, PASSWORD, REFUSED, close, log_in

BUSY = {"error": {"code": "busy", "message": "Not just now"}}


@pytest.fixture(scope="module")
def annas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that anna owns, shared by tests that do not mind whom the others invited."""
    with serving(tmp_path_factory.mktemp("annas"), *CAMERAS) as server:
        anna = {"name": "anna", "role": "owner", "password": PASSWORD}
        request = Request(server.url + "/api/v1/users", json.dumps(anna).encode(), {"Origin": server.url})
        urlopen(request, timeout=60).close()
        yield server


@pytest.fixture
def owner(annas: Process, open_page: Open) -> Page:
    """Her page of who may do what."""
    page = open_page(annas.url + "/access", expected=REFUSED).page
    log_in(page, "anna")
    page.get_by_role("button", name="Invite somebody").wait_for()
    return page


def invited(server: Process, *arguments: str) -> str:
    """The code of a link that `framecast user create` prints."""
    command = [sys.executable, "-m", "framecast", "user", "create", *arguments, "--data", str(server.data)]
    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=server.data)
    return made.stdout.strip().partition("#")[2]


def test_who_is_invited_as_the_first_owner_keeps_the_name_that_was_given(start: Start, open_page: Open) -> None:
    """Two links wait then: the server's own, and this."""
    server = start("serve", "--host", "0.0.0.0", *CAMERAS)
    url = f"http://127.0.0.1:{server.url.rsplit(':', 1)[1]}"
    page = open_page(f"{url}/setup#{invited(server, 'Anna B. Größe', '--role', 'owner')}", expected=REFUSED).page
    page.get_by_role("heading", name="Choose your password").wait_for()
    expect(page.get_by_label("Your name")).to_have_value("Anna B. Größe")
    expect(page.get_by_label("Your name")).not_to_be_editable()
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Menu, logged in as Anna B. Größe").wait_for()


def test_a_name_that_is_taken_leaves_the_owner_link_good(start: Start, open_page: Open) -> None:
    server = start("serve", "--host", "0.0.0.0", *CAMERAS)
    code = server.line_with("/setup#").split("#")[1]
    invited(server, "anna", "--role", "owner")
    page = open_page(f"http://127.0.0.1:{server.url.rsplit(':', 1)[1]}/setup#{code}", expected=REFUSED).page
    page.get_by_role("heading", name="Become the owner").wait_for()
    page.get_by_label("Your name").fill("Anna")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("take another name")
    page.get_by_label("Your name").fill("Ben")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Menu, logged in as Ben").wait_for()


def test_a_link_made_at_the_server_itself_says_what_to_change_for_others(owner: Page) -> None:
    owner.get_by_role("button", name="Invite somebody").click()
    owner.get_by_role("dialog").get_by_label("Name").fill("ben")
    owner.get_by_role("button", name="Make the invitation").click()
    expect(owner.get_by_role("dialog")).to_contain_text("which is this computer")
    close(owner)


def test_a_list_of_cameras_that_can_not_be_had_is_told_of(owner: Page) -> None:
    owner.route("**/api/v1/cameras", lambda route: route.fulfill(status=409, json=BUSY))
    for tab, button in (("People", "Invite somebody"), ("People", "Change: anna"), ("Tokens", "Create a token")):
        owner.get_by_role("tab", name=tab).click()
        owner.get_by_role("button", name=button).click()
        expect(owner.get_by_role("status")).to_contain_text("Not just now")
        owner.get_by_role("button", name="Dismiss").click()


def test_who_opens_a_server_that_nobody_owns_reads_first_how_to_own_it(start: Start, open_page: Open) -> None:
    server = start("serve", "--host", "0.0.0.0", *CAMERAS)
    page = open_page(f"http://127.0.0.1:{server.url.rsplit(':', 1)[1]}", expected=REFUSED).page
    headings = page.locator("#panel").get_by_role("heading")
    headings.first.wait_for()
    assert headings.all_inner_texts() == ["Nobody owns this server yet", "A token is needed"]


def test_a_limit_to_no_camera_is_asked_about(owner: Page) -> None:
    owner.get_by_role("button", name="Invite somebody").click()
    dialog = owner.get_by_role("dialog")
    dialog.get_by_label("Name").fill("carl")
    dialog.get_by_label("Only these").check()
    dialog.get_by_role("button", name="Make the invitation").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose at least one camera, or all of them.")
