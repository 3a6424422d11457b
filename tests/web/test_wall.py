"""The wall: every camera at once, over one socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.web.conftest import DESK, GONE, PHONE, Open, Process, Start, serving
from tests.web.looking import FITS, HIDE, wait_live, wait_moving, wait_state

SYNTHETIC = "mock:?fps=5&size=320x240"
TABLET: ViewportSize = {"width": 768, "height": 1024}


def synthetic(count: int) -> list[str]:
    """Options for so many synthetic cameras."""
    return [option for each in range(1, count + 1) for option in ("--camera", f"cam{each}={SYNTHETIC}")]


def test_shows_every_camera_live_over_one_socket(demo: Process, open_page: Open) -> None:
    watched = open_page(demo.url)
    wait_live(watched.page, 3)
    wait_moving(watched.page)
    assert len(watched.sockets) == 1
    tile = watched.page.locator("fc-tile").first
    for number in (" fps", " ms", " viewer"):
        tile.get_by_text(number).wait_for()


def test_plays_cameras_in_step(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url).page
    wait_live(page, 3)
    page.wait_for_function("() => /^3 in step, \\d+ ms$/.test(document.getElementById('step').textContent)")


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Twelve cameras, the first with large pictures, shared by tests that change nothing."""
    with serving(tmp_path_factory.mktemp("twelve"), "--camera", "big=mock:?fps=5&size=1280x960", *synthetic(11)) as own:
        yield own


def test_twelve_cameras_fit_a_desk(twelve: Process, open_page: Open) -> None:
    page = open_page(twelve.url).page
    wait_live(page, 12)
    wait_moving(page)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


LAST_IS_320 = "() => [...document.querySelectorAll('fc-tile')].at(-1).player.surface?.width === 320"


def test_a_small_tile_asks_for_a_small_picture(twelve: Process, open_page: Open) -> None:
    watched = open_page(twelve.url)
    wait_live(watched.page, 12)
    watched.page.wait_for_function("() => document.querySelector('fc-tile').player.surface?.width === 320", polling=200)
    # The small cameras are as narrow as their tiles: the originals, which cost the server nothing.
    watched.page.wait_for_function(LAST_IS_320)


@pytest.mark.parametrize("sizes", [(PHONE,), (DESK, TABLET)], ids=["phone", "desk and tablet"])
@pytest.mark.parametrize("page_of", ["/", "/cameras/garden", "/mjpeg", "/docs"])
def test_never_scrolls_sideways(demo: Process, open_page: Open, sizes: tuple[ViewportSize, ...], page_of: str) -> None:
    page = open_page(demo.url + page_of, size=sizes[0], dark=PHONE in sizes).page
    page.wait_for_load_state("load")
    if page_of == "/":
        wait_live(page, 3)
    for size in sizes:
        page.set_viewport_size(size)
        # The wall lays its tiles out anew once it has heard of the window.
        page.wait_for_function(FITS)
        for tab in page.locator("[role=tab]").all() if page_of == "/cameras/garden" else []:
            tab.click()
            assert page.evaluate(FITS), size
        assert page.evaluate(FITS), size


def test_a_long_name_takes_nothing_from_the_figures(start: Start, open_page: Open) -> None:
    name = "A very long name of a camera that stands behind the shed"
    server = start("serve", "--camera", f"door={SYNTHETIC}", "--camera", f"yard={SYNTHETIC}")
    page = open_page(server.url).page
    assert page.request.patch(f"{server.url}/api/v1/cameras/door", data={"name": name}).ok
    wait_live(page, 2)
    tile = page.locator("fc-tile").filter(has_text=name)
    expect(tile.locator(".figure").last).to_have_text("1 viewer")
    page.evaluate("() => (document.getElementById('wall').style.cssText += '--tile: 430px')")
    figures = tile.locator(".tile-figures")
    over = "(element) => element.getBoundingClientRect().right - element.parentElement.getBoundingClientRect().right"
    assert figures.evaluate(over) <= 0
    assert figures.evaluate("(element) => element.scrollWidth - element.clientWidth") == 0
    assert tile.locator(".tile-name").evaluate("(element) => element.scrollWidth > element.clientWidth")


def test_a_tile_keeps_its_size_and_its_last_picture_when_the_device_dies(start: Start, open_page: Open) -> None:
    device = start("mock-camera", "--listen", "0", "--fps", "5", "--size", "320x240")
    server = start("serve", "--camera", f"door={device.url}", "--camera", f"other={SYNTHETIC}")
    page = open_page(server.url).page
    wait_live(page, 2)
    wait_moving(page)
    box = page.locator("fc-tile").first.bounding_box()
    device.stop()
    page.wait_for_function(
        "() => ['offline', 'connecting', 'stalled'].includes(document.querySelector('fc-tile').dataset.state)"
    )
    page.locator("fc-tile").first.get_by_text("Last picture").wait_for()
    assert page.locator("fc-tile").first.bounding_box() == box
    assert page.evaluate("() => document.querySelector('fc-tile').player.surface?.width") == 320
    wait_state(page, "other", "live")


def test_says_that_the_server_is_gone_and_returns_by_itself(start: Start, open_page: Open, tmp_path: Path) -> None:
    first = start("serve", *synthetic(2), data=tmp_path / "state")
    port = first.url.rsplit(":", 1)[1]
    watched = open_page(first.url, expected=GONE)
    page = watched.page
    wait_live(page, 2)
    wait_moving(page)
    page.evaluate("window.stays = true")
    alone = open_page(first.url + "/cameras/cam1", expected=GONE).page
    expect(alone.locator("#figures")).to_contain_text("fps")
    first.stop()
    page.get_by_text("Server gone").wait_for()
    page.get_by_text("Last picture").first.wait_for()
    expect(alone.locator("#figures")).not_to_contain_text("fps")
    start("serve", "--port", port, *synthetic(2), data=tmp_path / "state")
    wait_live(page, 2)
    wait_moving(page)
    assert page.evaluate("window.stays")
    assert not page.get_by_text("Server gone").is_visible()


def test_an_empty_server_says_what_to_do(start: Start, open_page: Open) -> None:
    server = start("serve")
    page = open_page(server.url).page
    page.get_by_role("heading", name="No camera yet").wait_for()
    expect(page.get_by_text("framecast demo")).to_be_visible()
    page.get_by_role("button", name="Add a camera").click()
    assert page.get_by_role("dialog", name="Add a camera").is_visible()


NOBODY = """
async () => {
  const { cameras } = await (await fetch("api/v1/cameras")).json();
  return cameras.every((camera) => camera.viewers === 0);
}
"""


def test_a_hidden_page_asks_for_nothing(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url).page
    wait_live(page, 3)
    page.evaluate(HIDE, True)
    page.wait_for_function(NOBODY, polling=200)
    page.evaluate(HIDE, False)
    wait_moving(page)


def test_a_tile_out_of_view_asks_for_nothing(start: Start, open_page: Open) -> None:
    server = start("serve", *synthetic(6))
    page = open_page(server.url, size={"width": 640, "height": 400}).page
    page.keyboard.press("+")
    page.evaluate("() => document.getElementById('larger').click()")
    wait_state(page, "cam1", "live")
    page.wait_for_function("() => document.querySelector('fc-tile').clientWidth > 500")
    watching = "async () => (await (await fetch('api/v1/cameras')).json()).cameras.map((camera) => camera.viewers)"
    page.wait_for_function(f"async () => JSON.stringify(await ({watching})()) === '[1,1,0,0,0,0]'", polling=200)
    page.locator("fc-tile").last.scroll_into_view_if_needed()
    page.wait_for_function(f"async () => JSON.stringify(await ({watching})()) === '[0,0,0,0,1,1]'", polling=200)


def test_everything_by_keyboard(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url).page
    wait_live(page, 3)
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keyboard").is_visible()
    page.keyboard.press("Escape")
    focused = "() => document.activeElement.closest('fc-tile')?.camera.name"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "Garden"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "Front door"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == "Garden"
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename == "garden.jpg"
    page.keyboard.press("a")
    assert page.get_by_role("dialog", name="Add a camera").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cameras/*")
    page.locator("#state", has_text="Live").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_url(demo.url + "/")
