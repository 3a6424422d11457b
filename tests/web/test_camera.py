"""The page of one camera."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import PHONE, Open, Process, Start, serving
from tests.web.looking import wait_live, wait_moving
from tests.web.test_access import REFUSED, make_token

SYNTHETIC = "mock:?fps=10&size=640x480"
MASKED = {"rotate": 180, "masks": [[0.0, 0.0, 0.5, 0.5]]}


CAMERAS = ("--camera", f"door={SYNTHETIC}", "--camera", "yard=mock:?fps=5&size=320x240")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Two synthetic cameras, shared by the tests that change nothing."""
    with serving(tmp_path_factory.mktemp("camera"), *CAMERAS) as process:
        yield process


@pytest.fixture
def own(start: Start) -> Process:
    """The same, for a test that changes them."""
    return start("serve", *CAMERAS)


def camera(page: Page, server: Process, name: str = "door") -> dict[str, Any]:
    """What the API says about a camera."""
    answer = page.request.get(f"{server.url}/api/v1/cameras/{name}")
    assert answer.ok, answer.text()
    described: dict[str, Any] = answer.json()
    return described


def wait_open(page: Page) -> None:
    """Until the picture is live and moving."""
    page.locator("#state", has_text="Live").wait_for()
    wait_moving(page, "#player")


def test_shows_the_picture_and_its_numbers(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    wait_open(page)
    figures, facts = page.locator("#figures"), page.locator("#facts")
    expect(figures).to_contain_text(re.compile(r"Frame rate\s*(9|10)\.\d fps"))
    expect(figures).to_contain_text(re.compile(r"Latency\s*\d+ ms"))
    expect(figures).to_contain_text(re.compile(r"From the camera\s*[\d.]+ .?bit/s"))
    expect(facts).to_contain_text(re.compile(r"To this page\s*[\d.]+ fps, [\d.]+ .?bit/s"))
    expect(facts).to_contain_text("640 × 480")
    expect(page.locator("#readers")).to_contain_text("page")
    assert page.locator("fc-plot").count() == 3
    for plot in page.locator("fc-plot").all():
        expect(plot).to_have_attribute("aria-label", re.compile(r"now .* in \d+ seconds?$"))
    page.wait_for_function("() => document.getElementById('player').stats?.width === 640")


def test_saves_a_snapshot(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    wait_open(page)
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename.startswith("door-")
    assert Path(download.value.path()).read_bytes()[:2] == b"\xff\xd8"


def test_renames_and_turns(own: Process, open_page: Open) -> None:
    page = open_page(own.url + "/cameras/door").page
    wait_open(page)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Name", exact=True).fill("Front door")
    page.keyboard.press("Tab")
    expect(page.get_by_role("heading", level=1)).to_have_text("Front door")
    page.get_by_label("Turn the picture").select_option("90")
    page.wait_for_function("() => document.getElementById('player').stats?.width === 480")
    described = camera(page, own)
    assert described["name"] == "Front door"
    assert described["transform"]["rotate"] == 90


def test_a_mask_drawn_on_the_picture_blackens_it_for_everybody(own: Process, open_page: Open) -> None:
    page = open_page(own.url + "/cameras/door").page
    wait_open(page)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Edit masks").click()
    expect(page.get_by_role("button", name="Add a mask")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Edit masks")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Remove mask 1").press("Enter")
    expect(page.get_by_role("button", name="Add a mask")).to_be_focused()
    box = page.locator(".masks").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.75, steps=4)
    page.mouse.up()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Height").fill("40")
    page.get_by_role("button", name="Save masks").click()
    page.get_by_text("Masks saved.").wait_for()
    (mask,) = camera(page, own)["transform"]["masks"]
    assert mask == pytest.approx([0.26, 0.25, 0.5, 0.4], abs=0.01)
    middle = """() => {
      const copy = document.createElement('canvas');
      copy.width = copy.height = 64;
      const pen = copy.getContext('2d');
      pen.drawImage(document.getElementById('player').surface, 0, 0, 64, 64);
      return Math.max(...pen.getImageData(28, 28, 4, 4).data.filter((_, index) => index % 4 < 3)) < 12;
    }"""
    page.wait_for_function(middle, polling=100)
    # Turned, the same part of the scene stays hidden.
    page.get_by_label("Mirror the picture").select_option("horizontal")
    page.get_by_text("Saved.", exact=True).wait_for()
    (mirrored,) = camera(page, own)["transform"]["masks"]
    assert mirrored == pytest.approx([0.24, 0.25, 0.5, 0.4], abs=0.01)


def test_masks_that_are_not_saved_are_not_lost_unasked(own: Process, open_page: Open) -> None:
    page = open_page(own.url + "/cameras/door").page
    wait_open(page)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Edit masks").click()
    page.get_by_role("button", name="Add a mask").click()
    page.get_by_role("tab", name="Numbers").click()
    expect(page.locator(".mask")).to_be_hidden()
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="All cameras").first.click()
    page.get_by_role("tab", name="Settings").click()
    assert asked == ["beforeunload"]
    expect(page.locator(".mask")).to_be_visible()
    turn = page.get_by_label("Turn the picture", exact=True)
    turn.select_option("180")
    page.get_by_role("dialog", name="Turn the picture?").get_by_role("button", name="Cancel").click()
    expect(turn).to_have_value("0")
    page.get_by_role("button", name="Save masks").click()
    page.get_by_text("Masks saved.").wait_for()
    assert camera(page, own)["transform"]["masks"] == [[0.4, 0.4, 0.2, 0.2]]
    page.get_by_role("link", name="All cameras").first.click()
    page.wait_for_url(own.url + "/")


def test_masks_that_changed_elsewhere_are_not_replaced_unasked(own: Process, open_page: Open) -> None:
    page = open_page(own.url + "/cameras/door").page
    wait_open(page)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Edit masks").click()
    page.get_by_role("button", name="Add a mask").click()
    assert page.request.patch(f"{own.url}/api/v1/cameras/door", data=MASKED).ok
    page.wait_for_function("() => document.querySelector('#set-rotate').value === '180'")
    page.get_by_role("button", name="Save masks").click()
    question = page.get_by_role("dialog", name="Replace the masks?")
    question.get_by_role("button", name="Cancel").click()
    assert camera(page, own)["transform"]["masks"] == MASKED["masks"]
    page.get_by_role("button", name="Save masks").click()
    question.get_by_role("button", name="Replace").click()
    page.get_by_text("Masks saved.").wait_for()
    assert camera(page, own)["transform"]["masks"] == [[0.4, 0.4, 0.2, 0.2]]


def test_restarts_the_reader_when_confirmed(own: Process, open_page: Open) -> None:
    page = open_page(own.url + "/cameras/door").page
    wait_open(page)
    # Whose key is heard once it is known that one may operate the camera.
    page.get_by_role("tab", name="Settings").wait_for()
    page.keyboard.press("r")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Restart the reader").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    page.get_by_text("Restarted.").wait_for()
    page.get_by_role("tab", name="Numbers").click()
    expect(page.locator("#facts")).to_contain_text("2 times, 1 reconnect")


def test_removing_can_be_undone(start: Start, open_page: Open) -> None:
    server = start("serve")
    page = open_page(server.url, expected=("404",)).page
    for name in ("door", "yard"):
        answer = page.request.post(f"{server.url}/api/v1/cameras", data={"id": name, "url": SYNTHETIC})
        assert answer.status == 201, answer.text()
    wait_live(page, 2)

    page.clock.install()

    def remove() -> None:
        page.goto(server.url + "/cameras/yard")
        page.get_by_role("heading", name="yard").wait_for()
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("button", name="Remove this camera").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        page.get_by_text("yard is removed.").wait_for()
        # It goes by itself after 8 s. A clock can be stopped ahead only, and this one goes on until then.
        page.clock.pause_at(page.evaluate("() => Date.now() / 1000 + 4"))
        wait_live(page, 1)

    remove()
    page.get_by_role("button", name="Undo").click()
    page.clock.resume()
    wait_live(page, 2)
    assert camera(page, server, "yard")["state"] == "live"
    remove()
    page.get_by_role("button", name="Dismiss").click()
    page.clock.resume()
    page.wait_for_function("async () => (await fetch('api/v1/cameras/yard')).status === 404", polling=100)


def test_names_what_is_wrong_with_a_device(start: Start, open_page: Open) -> None:
    device = start("mock-camera", "--listen", "0", "--fps", "10", "--fault", "truncate=0.3")
    server = start("serve", "--camera", f"door={device.url}")
    page = open_page(server.url + "/cameras/door").page
    wait_open(page)
    page.get_by_role("tab", name="Health").click()
    panel = page.get_by_role("tabpanel", name="Health")
    expect(panel).to_contain_text("Cut-off pictures")
    expect(panel).to_contain_text("move the camera closer")
    expect(panel).to_contain_text("Time stamps count from the device's start")


def test_embed_snippets_name_the_real_addresses(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    wait_open(page)
    page.get_by_role("tab", name="Use it").click()
    panel = page.get_by_role("tabpanel", name="Use it")
    expect(panel.locator(".snippet").first).to_be_visible()
    text = panel.inner_text()
    stream = f"{server.url}/api/v1/cameras/door/stream.mjpeg"
    assert f'<img src="{stream}" alt="door">' in text
    assert f'<script type="module" src="{server.url}/static/js/player.js"></script>' in text
    assert f'<framecast-player src="{server.url}" camera="door"></framecast-player>' in text
    assert f"vlc {stream}" in text
    assert f"{stream}?width=320&max_bytes=38000" in text
    assert f'cv2.VideoCapture("{stream}")' in text
    assert f"curl -o door.jpg {server.url}/api/v1/cameras/door/snapshot.jpg" in text
    assert "TOKEN" not in text
    page.get_by_role("button", name="Copy VLC").click()
    expect(page.get_by_role("button", name="Copy VLC")).to_have_text("Copied")


def test_embed_snippets_show_a_token_where_one_is_needed(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "state"
    token = make_token(data, "owner", "operate")
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240", "--camera", "bell=push:", data=data)
    page = open_page(server.url + "/cameras/door", expected=REFUSED).page
    page.get_by_label("Token", exact=True).fill(token)
    page.keyboard.press("Enter")
    page.locator("#state", has_text="Live").wait_for()
    page.get_by_role("tab", name="Use it").click()
    panel = page.get_by_role("tabpanel", name="Use it")
    expect(panel).to_contain_text("framecast token create NAME --right watch")
    text = panel.inner_text()
    stream = f"{server.url}/api/v1/cameras/door/stream.mjpeg"
    signed = stream.replace("http://", "http://any:TOKEN@")
    assert f'<img src="{stream}?key=TOKEN" alt="door">' in text
    assert "allow_query_key" in text
    assert f"vlc {signed}" in text
    assert f'cv2.VideoCapture("{signed}")' in text
    assert f"-i {signed} -t 10" in text
    assert "# Username\nany\n# Password\nTOKEN" in text
    still = f"{server.url}/api/v1/cameras/door/snapshot.jpg"
    assert f'curl -H "Authorization: Bearer TOKEN" -o door.jpg {still}' in text
    # Each works as pasted, once it has the token.
    for arguments in (["-H", f"Authorization: Bearer {token}", still], [signed_with(token, still)]):
        got = subprocess.run(["curl", "-sf", *arguments], check=True, capture_output=True).stdout
        assert got[:2] == b"\xff\xd8"
    page.goto(server.url + "/cameras/bell")
    page.get_by_role("tab", name="Use it").click()
    expect(panel).to_contain_text("framecast token create NAME --right publish")
    frames = f"{server.url}/api/v1/cameras/bell/frames"
    expect(panel).to_contain_text(f"framecast mock-camera --to {frames} --token TOKEN")
    expect(panel).to_contain_text('curl -H "Authorization: Bearer TOKEN" -H')


def signed_with(token: str, address: str) -> str:
    """The address with a login, as the pages write it."""
    return address.replace("http://", f"http://any:{token}@")


def test_the_arrow_keys_go_to_the_neighbours(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    wait_open(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/cameras/yard")


def test_a_camera_that_is_not_there(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/nobody").page
    page.get_by_role("heading", name="No such camera").wait_for()
    page.get_by_role("link", name="All cameras").last.click()
    wait_live(page, 2)


def test_on_a_phone_the_picture_stays_while_one_reads_on(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door", size=PHONE).page
    wait_open(page)
    page.get_by_role("heading", name="Viewers").scroll_into_view_if_needed()
    box = page.locator("#player").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, a, select, input:not([type=checkbox])')]
          .filter((each) => each.checkVisibility())
          .filter((each) => each.getBoundingClientRect().height < 44)
          .map((each) => each.outerHTML)"""
    )
    assert small == [], json.dumps(small)


def test_an_arrow_key_takes_away_no_mask_that_is_being_drawn(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Edit masks").click()
    page.get_by_role("button", name="Add a mask").click()
    page.get_by_role("button", name="Save masks").focus()
    page.keyboard.press("ArrowRight")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator(".mask")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/cameras/yard")
