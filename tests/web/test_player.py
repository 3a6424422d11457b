"""<framecast-player>: each path shows the moving picture, and one follows another when it fails."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.web.conftest import GONE, PATIENCE_MS, Open, Process, Start, Watched, serving
from tests.web.playing import be_patient, place, shown, stats, wait_path

SYNTHETIC = "mock:?fps=15&size=640x480&audio=1"
PATHS = ("webcodecs", "webrtc", "mse", "jpeg", "hls", "img")
TIMED = ("webcodecs", "webrtc", "mse", "jpeg")
FRAMES = 20
INTERVAL_MS = 1000 / 15
# What stands on the console of a WebRTC session when another server comes, which knows it not.
OF_BEFORE = "status of 404"
SOCKET = re.compile(r"/api/v1/ws$")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One synthetic camera with sound, shared by the tests that change nothing."""
    with serving(tmp_path_factory.mktemp("player"), "--camera", f"door={SYNTHETIC}") as process:
        yield process


@pytest.fixture
def watched(server: Process, open_page: Open) -> Watched:
    """A page under the policy of our own pages, to put players into."""
    return open_page(server.url + "/docs")


@pytest.fixture
def page(watched: Watched) -> Page:
    """The same, as the test drives it."""
    return watched.page


def mostly_near(seen: list[dict[str, Any]]) -> bool:
    """Whether what the player said of most pictures is when they were drawn, or the one before was."""
    near = [abs(each["capturedMs"] - each["timeMs"]) < 1.5 * INTERVAL_MS for each in seen]
    return sum(near) > len(near) / 2


@pytest.mark.parametrize("path", PATHS)
def test_each_path_shows_the_moving_picture(server: Process, page: Page, path: str) -> None:
    place(page, server.url, camera="door", path=path)
    seen = shown(page, FRAMES)
    ids = [each["frame"] for each in seen]
    assert ids == sorted(ids)
    # On a machine that stands still for a moment the server may choose a smaller one for a while.
    page.wait_for_function("() => window.player.stats?.fps > 0 && window.player.stats?.width === 640")
    numbers = stats(page)
    assert numbers["path"] == path
    assert numbers["height"] == 480
    assert numbers["codec"].startswith("JPEG" if path in ("jpeg", "img") else "H.264")
    if path in TIMED:
        # It says of a picture when it was taken, and that is what stands in the picture, or in the one before: a
        # <video> is told of a picture after it can be seen.
        ends = time.monotonic() + PATIENCE_MS / 2000
        while not mostly_near(seen[5:]):
            # A busy machine tells of it later still: it comes to rest, and what is wrong stays so.
            assert time.monotonic() < ends, seen
            seen = shown(page, FRAMES)
        assert numbers["latencyMs"] > 0


@pytest.mark.parametrize("path", TIMED)
def test_sounds_when_asked(server: Process, page: Page, path: str) -> None:
    place(page, server.url, camera="door", path=path)
    wait_path(page, path)
    assert page.evaluate("() => window.player.muted")
    page.evaluate("() => window.player.addEventListener('level', ({ detail }) => (window.level = detail.level))")
    page.get_by_role("button", name="Sound", exact=True).click()
    page.wait_for_function("() => window.level > 0.05")
    page.wait_for_function("() => /^On$|^PCM 16 kHz mono, \\d+ ms/.test(window.player.stats?.sound)")
    expect(page.get_by_role("meter")).to_be_visible()
    shown(page, 5)
    page.get_by_role("button", name="Sound", exact=True).click()
    page.wait_for_function("() => window.player.stats?.sound === ''")


def test_the_picture_waits_for_the_sound(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    page.get_by_role("button", name="Sound", exact=True).click()
    page.wait_for_function("() => window.player.hearing.speaker.delayMs > 0")
    page.wait_for_function(
        """() => {
          const { stats, hearing } = window.player;
          return Math.abs(stats.latencyMs - hearing.speaker.delayMs) < 67;
        }"""
    )


def test_falls_back_when_a_form_is_refused_and_says_why(server: Process, watched: Watched) -> None:
    page = watched.page

    def relay(route: WebSocketRoute) -> None:
        behind = route.connect_to_server()

        def from_page(message: str | bytes) -> None:
            if isinstance(message, str) and '"form":"h264"' in message:
                refusal = {"type": "error", "code": "not_available", "message": "No encoder here", "camera": "door"}
                route.send(json.dumps(refusal))
            else:
                behind.send(message)

        route.on_message(from_page)

    page.route_web_socket(SOCKET, relay)
    page.reload()
    place(page, server.url, camera="door", path="webcodecs jpeg")
    wait_path(page, "jpeg")
    shown(page, 5)
    assert {"path": "webcodecs", "title": "WebCodecs", "why": "No encoder here"} in stats(page)["failures"]
    page.get_by_role("button", name="Numbers").click()
    expect(page.locator("framecast-player")).to_contain_text("No encoder here")


def test_a_path_that_stands_still_is_left_and_come_back_to(server: Process, watched: Watched) -> None:
    page = watched.page
    mute = False

    def relay(route: WebSocketRoute) -> None:
        behind = route.connect_to_server()

        def from_server(message: str | bytes) -> None:
            # Kind 1, codec 2: H.264. All else goes through.
            if not (mute and isinstance(message, bytes) and message[1:3] == b"\1\2"):
                route.send(message)

        behind.on_message(from_server)

    page.route_web_socket(SOCKET, relay)
    page.reload()
    be_patient(page)
    place(page, server.url, camera="door", path="webcodecs jpeg", retry="1")
    wait_path(page, "webcodecs")
    mute = True
    wait_path(page, "jpeg")
    assert "stood still" in stats(page)["failures"][0]["why"]
    mute = False
    wait_path(page, "webcodecs")
    shown(page, 5)
    assert page.evaluate("() => window.paths") == ["webcodecs", "jpeg", "webcodecs"]


@pytest.mark.parametrize("path", ["mse", "img", "webrtc"])
def test_plays_where_no_socket_gets_through(server: Process, watched: Watched, path: str) -> None:
    page = watched.page
    page.route_web_socket(SOCKET, lambda route: route.close())
    page.reload()
    place(page, server.url, camera="door", path=f"jpeg {path}")
    wait_path(page, path)
    shown(page, 10)


def test_a_socket_that_gets_through_later_brings_no_second_stream(server: Process, watched: Watched) -> None:
    page = watched.page
    through = False
    came: list[int] = []

    def relay(route: WebSocketRoute) -> None:
        if not through:
            route.close()
            return
        behind = route.connect_to_server()

        def from_server(message: str | bytes) -> None:
            if isinstance(message, bytes):
                came.append(message[1])
            route.send(message)

        behind.on_message(from_server)

    page.route_web_socket(SOCKET, relay)
    page.reload()
    place(page, server.url, camera="door", path="mse")
    wait_path(page, "mse")
    shown(page, 5)
    through = True
    page.evaluate("() => window.player.server.dashboard.retry()")
    page.wait_for_function("() => window.player.stats?.connection === 'open'")
    shown(page, FRAMES)
    assert came == []
    assert page.evaluate("() => window.paths") == ["mse"]


def test_asks_anew_for_a_camera_that_went_and_came_back_at_once(server: Process, watched: Watched) -> None:
    page = watched.page
    asked: list[str] = []
    routes: list[WebSocketRoute] = []

    def relay(route: WebSocketRoute) -> None:
        behind = route.connect_to_server()
        routes.append(route)

        def from_page(message: str | bytes) -> None:
            kind = json.loads(message)["type"]
            if kind in ("subscribe", "detections"):
                asked.append(kind)
            behind.send(message)

        route.on_message(from_page)

    page.route_web_socket(SOCKET, relay)
    page.reload()
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    page.evaluate("() => window.player.server.dashboard.look('door', () => {})")
    while sorted(asked) != ["detections", "subscribe"]:
        page.wait_for_timeout(20)
    asked.clear()
    (camera,) = page.request.get(f"{server.url}/api/v1/cameras").json()["cameras"]
    routes[-1].send(json.dumps({"type": "removed", "id": "door", "number": camera["number"]}))
    routes[-1].send(json.dumps({"type": "camera", "camera": camera}))
    while {"detections", "subscribe"} - set(asked):
        page.wait_for_timeout(20)
    shown(page, 5)


@pytest.mark.parametrize("path", ["webrtc", "img"])
def test_older_browsers_get_what_was_asked_for(server: Process, page: Page, path: str) -> None:
    # Safari has the one from 17 on, the other from 16.4 on.
    page.add_init_script("delete URLSearchParams.prototype.size; delete window.OffscreenCanvas;")
    page.reload()
    place(page, server.url, camera="door", path=path, quality="low")
    wait_path(page, path)
    page.wait_for_function("() => window.player.stats?.width === 320")


def test_each_path_returns_when_the_server_does(start: Start, open_page: Open, tmp_path: Path) -> None:
    first = start("serve", "--camera", f"door={SYNTHETIC}", data=tmp_path / "state")
    pages = {}
    for path in ("webcodecs", "webrtc", "mse", "img"):
        page = pages[path] = open_page(first.url + "/docs", expected=(*GONE, OF_BEFORE)).page
        place(page, first.url, camera="door", path=path)
        wait_path(page, path)
        shown(page, 5)
    first.stop()
    for page in pages.values():
        page.locator("framecast-player[state=gone]").get_by_text("Last picture").wait_for()
    start("serve", "--port", first.url.rsplit(":", 1)[1], "--camera", f"door={SYNTHETIC}", data=tmp_path / "state")
    for path, page in pages.items():
        page.locator("framecast-player[state=live]").wait_for()
        wait_path(page, path)
        shown(page, 10)


def test_a_visitor_talks_to_the_camera(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    talk = page.get_by_role("button", name="Hold to talk")
    with urllib.request.urlopen(f"{server.url}/api/v1/cameras/door/speaker", timeout=60) as speaker:
        talk.hover()
        page.mouse.down()
        page.get_by_text("You are heard").wait_for()
        heard = speaker.read(64_000)
        page.mouse.up()
    assert len(set(heard)) > 10  # the browser's own microphone beeps
    expect(talk).to_have_attribute("aria-pressed", "false")


def test_everything_by_keyboard(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    player = page.locator("framecast-player")
    player.focus()
    page.keyboard.press("m")
    assert not page.evaluate("() => window.player.muted")
    page.keyboard.press("q")
    expect(player).to_have_attribute("quality", "low")
    page.wait_for_function("() => window.player.stats?.width === 320")
    page.keyboard.press("i")
    expect(player).to_contain_text("low was asked for")
    with page.expect_download() as download:
        page.keyboard.press("s")
    assert download.value.suggested_filename.startswith("door-")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === window.player")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")


def test_what_a_page_may_set_and_hears(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="jpeg", controls="none")
    wait_path(page, "jpeg")
    assert page.locator("framecast-player").get_by_role("button").count() == 0
    page.evaluate(
        """() => {
          window.heard = [];
          for (const type of ["statechange", "pathchange", "soundchange", "stats"]) {
            window.player.addEventListener(type, () => window.heard.push(type));
          }
          window.player.muted = false;
          window.player.volume = 0.5;
          window.player.stop();
        }"""
    )
    page.wait_for_function("() => window.heard.includes('soundchange') && window.heard.includes('pathchange')")
    page.evaluate("() => window.player.start()")
    shown(page, 3)
    page.evaluate("() => (window.player.camera = 'nobody')")
    page.get_by_text("No such camera").wait_for()
    page.evaluate("() => window.player.remove()")
    viewers = "async () => (await (await fetch('/api/v1/cameras/door')).json()).viewers === 0"
    page.wait_for_function(viewers, polling=200)
