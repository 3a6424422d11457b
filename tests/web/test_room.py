"""Room for what is long: names of 64 characters, many states, and why something is not offered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.web.conftest import PHONE, Open, Process, Start, serving
from tests.web.looking import FITS, SMALL

LONG = "North-east corner of the old greenhouse behind the second garage"
CUT = "(element) => element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Cameras in four states, one of them with a name as long as names may be; nothing changes it."""
    folder = tmp_path_factory.mktemp("room")
    file = folder / "framecast.toml"
    file.write_text(
        '[server]\nallowed_hosts = ["camera.test"]\n'
        f'[cameras.long]\nname = "{LONG}"\nurl = "mock:?fps=5&size=320x240"\n'
        '[cameras.off]\nurl = "http://127.0.0.1:9/stream"\n[cameras.sent]\nurl = "push:"\n'
    )
    with serving(folder, "--config", str(file)) as process:
        yield process


def test_a_long_name_leaves_a_phone_its_picture(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/long", size=PHONE).page
    expect(page.locator("#state")).to_have_text("Live")
    expect(page.locator("h1")).to_have_text(LONG)
    head = page.locator("header").bounding_box()
    assert head is not None and head["height"] < 80
    menu, back = page.get_by_role("button", name="Menu"), page.get_by_role("link", name="All cameras")
    for each in (menu, back):
        box = each.bounding_box()
        assert box is not None and box["y"] + box["height"] <= head["height"] and box["height"] >= 44
    assert page.evaluate(FITS)
    assert page.evaluate(SMALL) == []


def test_no_state_is_cut_from_the_sum_of_all(server: Process, open_page: Open) -> None:
    page = open_page(server.url, size={"width": 700, "height": 900}).page
    summary = page.locator("#summary")
    expect(summary).to_contain_text("1 live")
    expect(summary).to_contain_text("1 offline")
    expect(summary).to_contain_text("1 waiting")
    assert not summary.evaluate(CUT)
    assert page.evaluate(FITS)
    # And that is seen where it is not so.
    page.evaluate("() => { document.querySelector('.head').style.flexWrap = 'nowrap'; }")
    assert summary.evaluate(CUT)


def test_the_canvas_page_s_choice_of_cameras_has_a_line_of_its_own_on_a_phone(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/mjpeg", size=PHONE).page
    expect(page.locator("#choice")).to_be_enabled()
    head = page.locator("header").bounding_box()
    assert head is not None and head["height"] < 120
    page.get_by_role("button", name="Disconnect").click()
    word, next_one = page.locator("#connection").bounding_box(), page.locator("#fps").bounding_box()
    assert word is not None and next_one is not None
    assert word["x"] + word["width"] < next_one["x"]


def test_an_address_that_leads_nowhere_has_a_way_back_for_a_finger(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/a/b", size=PHONE, expected=("status of 404",)).page
    page.get_by_role("heading", name="Nothing here").wait_for()
    assert page.evaluate(SMALL) == []


def test_the_menu_says_why_nothing_is_installed(server: Process, open_page: Open) -> None:
    menu = "Browsers install only what comes by HTTPS"
    page = open_page(server.url + "/docs").page
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("region", name="Menu")).not_to_contain_text(menu)
    page = open_page(server.url.replace("127.0.0.1", "camera.test") + "/docs").page
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("region", name="Menu")).to_contain_text(menu)


def test_where_there_is_no_camera_none_is_chosen(start: Start, open_page: Open) -> None:
    page = open_page(start("serve").url + "/mjpeg").page
    expect(page.locator("#note-title")).to_have_text("No camera yet")
    expect(page.get_by_label("Camera")).to_be_hidden()


def test_the_tunnel_s_dialog_says_what_each_provider_wants(start: Start, open_page: Open) -> None:
    page = open_page(start("serve").url + "/access").page
    page.get_by_role("tab", name="Tunnel").click()
    page.get_by_role("button", name="Start a tunnel").click()
    provider = page.get_by_label("Provider")
    assert "asks for the token" in page.locator(f"#{provider.get_attribute('aria-describedby')}").inner_text()
