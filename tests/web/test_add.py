"""Adding a camera by its address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.conftest import PHONE, Open, Process, Start
from tests.web.looking import FITS, wait_live


@pytest.fixture
def server(start: Start, tmp_path: Path) -> Process:
    """A server without cameras that may read those of this machine."""
    config = tmp_path / "framecast.toml"
    config.write_text("[network]\nallow_loopback = true\n")
    return start("serve", "--config", str(config))


def press_add(page: Page) -> None:
    """Open the dialog by its key, once the page knows that one may add cameras."""
    page.get_by_role("button", name="Add camera").wait_for()
    page.keyboard.press("a")


def look(page: Page, address: str) -> None:
    """Open the dialog and probe an address."""
    press_add(page)
    page.get_by_label("Address of the camera").fill(address)
    page.keyboard.press("Enter")


def test_probes_shows_and_adds(start: Start, server: Process, open_page: Open) -> None:
    device = start("mock-camera", "--listen", "0", "--fps", "10")
    page = open_page(server.url).page
    page.get_by_role("heading", name="No camera yet").wait_for()
    look(page, device.url)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".facts")).to_contain_text("Espressif CameraWebServer")
    expect(dialog.locator(".facts")).to_contain_text("640 × 480")
    expect(dialog.locator(".problems")).to_be_visible()
    assert dialog.locator(".step").count() >= 2
    expect(dialog.get_by_alt_text("Picture from this camera")).to_have_js_property("naturalWidth", 640)
    dialog.get_by_label("Name").fill("Hühner & Haus")
    expect(dialog.get_by_label("Id, for")).to_have_value("huhner-haus")
    dialog.get_by_role("button", name="Add", exact=True).click()
    wait_live(page, 1)
    assert page.locator("fc-tile").get_by_text("Hühner & Haus").is_visible()


def test_the_login_in_an_address_goes_along_to_the_place_that_is_found(
    start: Start, server: Process, open_page: Open
) -> None:
    device = start("mock-camera", "--listen", "0", "--fps", "10", "--fault", "auth=me:s3cret")
    page = open_page(server.url).page
    page.get_by_role("heading", name="No camera yet").wait_for()
    look(page, device.url.replace("//", "//me:s3cret@").replace("/stream", ""))
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".facts")).to_contain_text("/stream")
    expect(dialog).not_to_contain_text("s3cret")
    dialog.get_by_label("Name").fill("Locked")
    dialog.get_by_role("button", name="Add", exact=True).click()
    wait_live(page, 1)


def test_the_example_in_the_field_can_be_read_by_night(server: Process, open_page: Open) -> None:
    page = open_page(server.url, dark=True).page
    page.get_by_role("button", name="Add a camera").click()
    expect(page.get_by_label("Address of the camera")).to_be_focused()
    colour = "(element, part) => getComputedStyle(element, part).color"
    example = page.get_by_label("Address of the camera").evaluate(colour, "::placeholder")
    assert example == page.locator("#add-hint").evaluate(colour), "what is quiet, and is held to a contrast"


def test_says_what_is_wrong_and_adds_all_the_same(server: Process, open_page: Open) -> None:
    page = open_page(server.url).page
    page.get_by_role("heading", name="No camera yet").wait_for()
    look(page, "http://127.0.0.1:9/stream")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".step-bad").first).to_be_visible()
    dialog.get_by_label("Name").fill("Switched off")
    dialog.get_by_role("button", name="Add anyway").click()
    tile = page.locator("fc-tile", has_text="Switched off")
    tile.wait_for()
    page.wait_for_function("() => ['offline', 'failed'].includes(document.querySelector('fc-tile').dataset.state)")


def test_an_address_that_is_not_allowed_is_refused_in_words(start: Start, open_page: Open) -> None:
    page = open_page(start("serve").url).page
    page.get_by_role("heading", name="No camera yet").wait_for()
    look(page, "http://169.254.169.254/latest")
    expect(page.get_by_role("dialog").locator(".step-bad, .problem-error").first).to_be_visible()


def test_a_synthetic_camera_in_three_steps_on_a_phone(server: Process, open_page: Open) -> None:
    page = open_page(server.url, size=PHONE).page
    page.get_by_role("button", name="Add a camera").click()
    page.get_by_text("No camera at hand").last.click()
    assert page.evaluate(FITS)
    page.get_by_role("button", name="Add a synthetic camera").click()
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    wait_live(page, 1)


def test_a_camera_that_pushes_gets_its_commands(server: Process, open_page: Open) -> None:
    page = open_page(server.url).page
    page.get_by_role("button", name="Add a camera").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The device sends by itself").click()
    dialog.get_by_role("button", name="Add a camera that sends").click()
    dialog.get_by_label("Name").fill("Door bell")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_contain_text(f"framecast mock-camera --to {server.url}/api/v1/cameras/door-bell/frames")
    expect(dialog).to_contain_text(f"{server.url.replace('http', 'ws')}/api/v1/cameras/door-bell/publish")


def test_an_id_that_is_taken_is_asked_for_again(server: Process, open_page: Open) -> None:
    page = open_page(server.url, expected=("409",)).page
    page.request.post(f"{server.url}/api/v1/cameras", data={"id": "synthetic", "url": "mock:?fps=5"})
    wait_live(page, 1)
    press_add(page)
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("No camera at hand").click()
    dialog.get_by_role("button", name="Add a synthetic camera").click()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("There is already a camera with this id")
    dialog.get_by_label("Id, for").fill("Not An Id")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("small letters")
    dialog.get_by_label("Id, for").fill("second")
    dialog.get_by_role("button", name="Add", exact=True).click()
    wait_live(page, 2)


def test_what_a_look_finds_later_is_not_put_in_place_of_what_was_chosen(server: Process, open_page: Open) -> None:
    page = open_page(server.url).page
    page.get_by_role("heading", name="No camera yet").wait_for()
    held: list[Route] = []
    page.route("**/api/v1/probe", lambda route: held.append(route))
    look(page, "192.168.1.20")
    while not held:
        page.wait_for_timeout(50)
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The device sends by itself").click()
    dialog.get_by_role("button", name="Add a camera that sends").click()
    found = {"ok": False, "url": "http://192.168.1.20:81/stream", "problems": []}
    held[0].fulfill(body=json.dumps({"result": found}))
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(dialog.get_by_role("button", name="Look")).to_be_visible()
    expect(dialog.locator(".step")).to_have_count(0)
    expect(dialog.get_by_label("Id, for")).to_have_value("doorbell")
    dialog.get_by_role("button", name="Add", exact=True).click()
    dialog.get_by_role("heading", name="Doorbell waits for pictures").wait_for()
