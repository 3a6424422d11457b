"""The page of what happened over hours, in Chromium, over a data folder that remembers a week."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.conftest import PHONE, Open, Process, Start
from tests.web.looking import FITS
from tests.web.seeding import seed
from tests.web.test_access import make_token

SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
CAMERAS = ("--camera", "door=mock:?fps=20", "--camera", "yard=push:")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that remembers a week of two cameras."""
    folder = tmp_path_factory.mktemp("week")
    seed(folder / "data", "door", "yard")
    process = Process(folder, "serve", "--port", "0", "--data", str(folder / "data"), *CAMERAS)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def docs(server: Process, chromium: Browser) -> Iterator[Page]:
    """Any page of the server; modules are imported from there."""
    page = chromium.new_page()
    page.goto(server.url + "/docs")
    yield page
    page.close()


def drawn(page: Page, title: str) -> Any:
    """A chart, once it is drawn."""
    chart = page.get_by_role("slider", name=title)
    chart.locator(".chart-line[d*=L], .chart-bars rect").first.wait_for(state="attached")
    return chart


def test_a_camera_is_shown_over_a_day(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/analytics").page
    expect(page.locator("#course-name")).to_have_text("door")
    expect(page.get_by_role("radio", name="24 hours")).to_be_checked()
    rows = page.locator("#cameras tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(re.compile(r"door99\.\d+ %\d+\.\d fps0\.\d ms"))
    for title in ("Frame rate", "Through the server", "Lost pictures", "Reconnects", "Viewers", "Traffic"):
        drawn(page, title)
    assert page.locator("fc-chart").count() == 6
    rate = drawn(page, "Frame rate").locator(".chart-line").get_attribute("d")
    assert 200 < rate.count("L") < 290, "steps of five minutes"
    assert rate.count("M") == 2, "the hour of which nothing is known is a gap"
    assert 1 <= drawn(page, "Frame rate").locator(".chart-down").count() <= 2, "the outage is marked, and nothing else"
    assert page.evaluate(FITS)


def test_another_range_and_camera_are_remembered_in_the_address(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/analytics").page
    drawn(page, "Frame rate")
    page.get_by_role("radio", name="1 hour").check()
    expect(page).to_have_url(re.compile(r"camera=door&hours=1$"))
    page.get_by_role("button", name="yard").click()
    expect(page.locator("#course-name")).to_have_text("yard")
    expect(page).to_have_url(re.compile(r"camera=yard&hours=1$"))
    assert drawn(page, "Frame rate").locator(".chart-line").get_attribute("d").count("L") <= 60
    page.reload()
    expect(page.locator("#course-name")).to_have_text("yard")
    expect(page.get_by_role("radio", name="1 hour")).to_be_checked()
    page.get_by_role("link", name="Watch yard").click()
    expect(page).to_have_url(re.compile(r"/cameras/yard$"))


def test_the_keyboard_reaches_everything(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/analytics?hours=6").page
    chart = drawn(page, "Frame rate")
    page.keyboard.press("j")
    expect(page.locator("#course-name")).to_have_text("yard")
    page.keyboard.press("4")
    expect(page.get_by_role("radio", name="7 days")).to_be_checked()
    page.keyboard.press("2")
    expect(page).to_have_url(re.compile(r"camera=yard&hours=6$"))
    chart.focus()
    page.keyboard.press("Home")
    expect(chart).to_have_attribute("aria-valuenow", "0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("PageDown")
    expect(chart).to_have_attribute("aria-valuenow", "11")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"\d\d:\d\d.*: \d+\.\d fps"))
    other = page.get_by_role("slider", name="Viewers")
    expect(other.locator(".chart-cursor")).to_have_attribute("visibility", "visible")
    expect(other.locator(".chart-now")).to_have_text(re.compile(r": at most \d+, on average \d"))
    page.keyboard.press("Tab")
    expect(chart.locator(".chart-now")).to_have_text(re.compile(r"fps to \d+"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next camera")


def test_pointing_marks_the_moment_in_all_plots(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/analytics").page
    drawn(page, "Frame rate").hover()
    for title in ("Frame rate", "Traffic"):
        expect(drawn(page, title).locator(".chart-cursor")).to_have_attribute("visibility", "visible")


def test_on_a_phone_nothing_sticks_out(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/analytics", size=PHONE, dark=True).page
    drawn(page, "Traffic")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(FITS), scheme
        small = page.evaluate(
            """() => [...document.querySelectorAll("main button, main label, main a")]
              .filter((each) => each.offsetParent && each.getBoundingClientRect().height < 44).length"""
        )
        assert small == 0, f"all can be hit with a thumb, {scheme}"


def test_a_young_server_says_that_nothing_is_known_yet(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=push:")
    page = open_page(server.url + "/analytics").page
    expect(page.locator("#course-name")).to_have_text("door")
    expect(page.get_by_role("radio", name="1 hour")).to_be_checked()
    expect(page.get_by_role("slider", name="Frame rate")).to_have_attribute(
        "aria-valuetext", re.compile("Nothing in this time|0 fps")
    )
    page.get_by_role("radio", name="24 hours").check()
    expect(page).to_have_url(re.compile("hours=24$"))


def test_without_a_camera_it_says_what_to_do(start: Start, open_page: Open) -> None:
    server = start("serve")
    page = open_page(server.url + "/analytics").page
    page.get_by_role("heading", name="No camera yet").wait_for()
    page.get_by_role("link", name="Add a camera").click()
    expect(page).to_have_url(server.url + "/")


def test_it_asks_for_a_key_where_one_is_needed(start: Start, open_page: Open, tmp_path: Path) -> None:
    secret = make_token(tmp_path / "data", "hall", "watch")
    server = start("serve", *CAMERAS, data=tmp_path / "data")
    page = open_page(server.url + "/analytics").page
    page.locator("#instead .panel h1").wait_for()
    expect(page.locator("#page")).to_be_hidden()
    page.evaluate(
        """key => fetch("api/v1/session", {
          method: "POST", body: JSON.stringify({ key }), headers: { "Content-Type": "application/json" },
        })""",
        secret,
    )
    page.reload()
    expect(page.locator("#course-name")).to_have_text("door")


def test_it_says_that_the_server_is_gone_and_comes_back(start: Start, open_page: Open, tmp_path: Path) -> None:
    server = start("serve", *CAMERAS)
    page = open_page(server.url + "/analytics", expected=("Failed to load", "ERR_CONNECTION")).page
    expect(page.locator("#course-name")).to_have_text("door")
    page.route("**/api/v1/history**", lambda route: route.abort("connectionrefused"))
    page.get_by_role("radio", name="7 days").check()
    expect(page.locator("#gone-text")).to_have_text("Server gone. What is shown is older.")
    page.unroute("**/api/v1/history**")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#gone")).to_be_hidden()


def test_opened_without_a_server_it_says_so_and_comes_back(server: Process, open_page: Open) -> None:
    watched = open_page(server.url + "/docs", expected=("Failed to load", "ERR_CONNECTION"))
    page = watched.page
    page.route("**/api/v1/**", lambda route: route.abort("connectionrefused"))
    page.goto(server.url + "/analytics")
    page.get_by_role("heading", name="The server does not answer").wait_for()
    page.unroute("**/api/v1/**")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#course-name")).to_have_text("door")


def test_a_name_that_is_markup_is_text(start: Start, open_page: Open, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title=1><b>&amp;"
    config = tmp_path / "framecast.toml"
    config.write_text(f"[cameras.door]\nurl = 'push:'\nname = '{name}'\n")
    page = open_page(start("serve", "--config", str(config)).url + "/analytics").page
    expect(page.locator("#course-name")).to_have_text(name)
    expect(page.locator("#cameras button")).to_have_text(name)
    assert page.locator("main img, main b").count() == 0


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.3, 0.5), (1, 1), (3, 5), (24.9, 25), (25, 25), (26, 50), (19_300_000, 20_000_000)]
)
def test_scales_end_at_round_numbers(docs: Page, value: float, top: float) -> None:
    assert docs.evaluate("async (v) => (await import('./static/js/timeaxis.js')).niceTop(v)", value) == top


@pytest.mark.parametrize(
    ("holder", "shown"),
    [("desk", "desk"), ("user:anna", "anna"), ("link:desk", "link of desk"), ("link:user:anna", "link of anna")],
)
def test_holders_are_called_by_what_people_know(docs: Page, holder: str, shown: str) -> None:
    assert docs.evaluate("async (name) => (await import('./static/js/session.js')).nameOf({ name })", holder) == shown


def test_marks_stand_at_the_local_clocks_round_times(docs: Page) -> None:
    found = docs.evaluate(
        """async () => {
          const { ticks, stretches, nearest } = await import('./static/js/timeaxis.js');
          const day = ticks(1000_000, 1000_000 + 86_400, 6, 5.5 * 3600);
          return [day.stepS, day.times.map((t) => (t + 5.5 * 3600) % day.stepS), day.times.length,
            stretches([0, 60, 180, 240, 300], [1, 2, 3, null, 5], 60), nearest([0, 60, 120], 100, 60)];
        }"""
    )
    assert found == [6 * 3600, [0] * found[2], 4, [[0, 1], [2], [4]], 1]


def test_a_cameras_page_says_who_watches_it(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "data"
    watch, operate = make_token(data, "kitchen", "watch"), make_token(data, "desk", "operate")
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240", data=data)

    def enter(key: str) -> Page:
        page = open_page(server.url + "/docs").page
        page.request.post(server.url + "/api/v1/session", data={"key": key}, headers={"Origin": server.url})
        page.goto(server.url + "/cameras/door")
        return page

    readers = enter(operate).locator("#readers")
    expect(readers).to_contain_text(re.compile(r"desk127\.0\.0\.1.*\d [kM]?B"))
    numbered = enter(watch).locator("#readers")
    expect(numbered).to_contain_text(re.compile(r"no\. \d+"))
    expect(numbered).not_to_contain_text("desk")
    expect(numbered).not_to_contain_text("127.0.0.1")
