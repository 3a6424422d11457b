"""The player's bar: by keyboard, by voice and on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import PHONE, Open, Process, serving
from tests.web.playing import place, wait_path

SYNTHETIC = "mock:?fps=15&size=640x480&audio=1"
# A bit longer than after the last that was done a bar rests.
REST_MS = 3_500
LABEL = "() => window.player.shadowRoot.activeElement?.getAttribute('aria-label') ?? null"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One synthetic camera with sound and a name."""
    with serving(tmp_path_factory.mktemp("bar"), "--camera", f"door={SYNTHETIC}") as process:
        yield process


@pytest.fixture
def page(server: Process, open_page: Open) -> Page:
    """A page under the policy of our own pages, with a player that plays."""
    page = open_page(server.url + "/docs").page
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    return page


def test_a_bar_that_rests_keeps_the_focus(page: Page) -> None:
    page.clock.install()
    page.locator("framecast-player").focus()
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === window.player")
    page.get_by_role("button", name="Save a snapshot").click()
    frame = page.locator("framecast-player .player")
    page.clock.run_for(REST_MS)
    expect(frame).to_have_class("player resting")
    # It would rest again. A clock can be stopped ahead only, and this one goes on until then.
    page.clock.pause_at(page.evaluate("() => Date.now() / 1000 + 10"))
    assert page.evaluate(LABEL) == "Save a snapshot"
    expect(page.locator("framecast-player .bar")).to_have_css("opacity", "0")
    page.keyboard.press("i")
    expect(frame).to_have_class("player")
    expect(page.locator("framecast-player .bar")).to_have_css("opacity", "1")


def test_a_bar_that_the_keyboard_is_in_does_not_rest(page: Page) -> None:
    page.clock.install()
    page.locator("framecast-player").focus()
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === window.player")
    page.keyboard.press("Tab")
    assert page.evaluate(LABEL) == "Sound"
    page.clock.run_for(REST_MS)
    expect(page.locator("framecast-player .player")).to_have_class("player")


def test_the_age_is_no_news(page: Page) -> None:
    page.evaluate("() => window.player.stop()")
    page.get_by_text("Last picture").wait_for()
    for status in page.locator("framecast-player").get_by_role("status").all():
        expect(status).not_to_contain_text("Last picture")


def test_names_what_it_is(page: Page) -> None:
    player = page.get_by_role("group", name="door", exact=True)
    expect(player).to_have_attribute("camera", "door")
    sound = page.get_by_role("button", name="Sound", exact=True)
    expect(sound).to_have_attribute("aria-pressed", "false")
    sound.click()
    expect(sound).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("meter")).to_have_attribute("aria-valuemax", "1")


def test_a_page_may_name_it(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    named = {"camera": "door", "path": "jpeg", "role": "region", "aria-label": "The gate"}
    place(page, server.url, **named)
    wait_path(page, "jpeg")
    page.get_by_role("region", name="The gate").wait_for()


def test_talks_by_a_click_that_no_pointer_made(page: Page) -> None:
    talk = page.get_by_role("button", name="Hold to talk")
    talk.evaluate("(button) => button.click()")
    expect(talk).to_have_attribute("aria-pressed", "true")
    talk.evaluate("(button) => button.click()")
    expect(talk).to_have_attribute("aria-pressed", "false")
    # A pointer's own click, which follows its release, begins nothing.
    talk.hover()
    page.mouse.down()
    expect(talk).to_have_attribute("aria-pressed", "true")
    page.mouse.up()
    expect(talk).to_have_attribute("aria-pressed", "false")


def test_on_a_phone_nothing_moves_when_the_sound_ends(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs", size=PHONE).page
    place(page, server.url, camera="door", path="jpeg")
    page.evaluate("() => (window.player.style.width = '100%')")
    wait_path(page, "jpeg")
    sound = page.get_by_role("button", name="Sound")
    meter = page.get_by_role("meter")
    expect(meter).to_be_hidden()
    silent = sound.bounding_box()
    sound.click()
    expect(meter).to_be_visible()
    assert sound.bounding_box() == silent
