"""What <framecast-player> says of its picture is so: frozen, stopped, unchanging, failed."""

from __future__ import annotations

import io
import threading
import urllib.request
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Process
from tests.web.playing import be_patient, hinder_webrtc, place, stats, wait_path, wait_said

SYNTHETIC = "mock:?fps=15&size=640x480"
SCENE_INTERVAL_S = 0.1
# Longer than the silence after which any other path is left.
LONG_S = 4
# Longer than a test takes, so that nothing that failed is tried again meanwhile.
NEVER_S = "300"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A synthetic camera, and one to which pictures are posted."""
    folder = tmp_path_factory.mktemp("word")
    cameras = ("--camera", f"door={SYNTHETIC}", "--camera", "still=push:")
    process = Process(folder, "serve", "--port", "0", "--data", str(folder / "data"), *cameras)
    yield process
    process.stop()


@pytest.fixture
def page(server: Process, open_page: Open) -> Page:
    """A page under the policy of our own pages, to put players into."""
    page = open_page(server.url + "/docs").page
    be_patient(page)
    return page


@pytest.fixture
def unchanging(server: Process) -> Iterator[None]:
    """Posts new pictures of a scene in which nothing changes: each with other bytes, and the same pixels."""
    encoded = io.BytesIO()
    Image.new("RGB", (320, 240), (20, 20, 24)).save(encoded, "JPEG")
    jpeg = encoded.getvalue()
    ended = threading.Event()

    def post() -> None:
        number = 0
        while not ended.wait(SCENE_INTERVAL_S):
            number += 1
            comment = b"\xff\xfe\x00\x0a%08d" % number
            address = f"{server.url}/api/v1/cameras/still/frames"
            headers = {"Content-Type": "image/jpeg"}
            body = jpeg[:2] + comment + jpeg[2:]
            urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=60).close()

    thread = threading.Thread(target=post)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_a_picture_that_stands_still_is_greyed_and_says_why(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="webcodecs", retry=NEVER_S)
    wait_path(page, "webcodecs")
    picture = page.locator("framecast-player .picture")
    expect(picture).not_to_have_class("picture not-live")
    page.evaluate(
        "() => (VideoDecoder.prototype.decode = () => { throw new DOMException('broken', 'EncodingError'); })"
    )
    page.get_by_text("No picture", exact=True).wait_for()
    expect(picture).to_have_class("picture not-live")
    expect(picture).to_contain_text("WebCodecs: ")
    expect(picture).to_contain_text("Last picture")


def test_a_path_that_only_goes_silent_is_greyed_while_the_next_is_tried(server: Process, page: Page) -> None:
    hinder_webrtc(page, given_up_s=int(NEVER_S))
    place(page, server.url, camera="door", path="jpeg webrtc", retry=NEVER_S)
    wait_path(page, "jpeg")
    page.evaluate("() => (window.createImageBitmap = () => new Promise(() => {}))")
    page.get_by_text("Trying WebRTC.").wait_for()
    picture = page.locator("framecast-player .picture")
    expect(picture).to_contain_text("No new picture")
    expect(picture).to_have_class("picture not-live")


def test_what_was_stopped_says_so(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    page.evaluate("() => window.player.stop()")
    page.locator("framecast-player[state=paused]").get_by_text("Stopped").wait_for()
    expect(page.locator("framecast-player")).not_to_contain_text("Connecting")
    page.evaluate("() => window.player.start()")
    page.locator("framecast-player[state=live]").wait_for()


@pytest.mark.usefixtures("unchanging")
def test_an_unchanging_scene_ends_no_img(server: Process, page: Page) -> None:
    place(page, server.url, camera="still", path="img")
    wait_path(page, "img")
    page.evaluate("seconds => new Promise((done) => setTimeout(done, seconds * 1000))", LONG_S)
    assert stats(page)["path"] == "img"
    assert stats(page)["failures"] == []
    expect(page.locator("framecast-player .picture")).to_have_class("picture")
    assert page.evaluate("() => window.paths") == ["img"]


def test_a_path_that_fails_is_not_tried_again_at_each_return_to_view(server: Process, page: Page) -> None:
    hinder_webrtc(page, given_up_s=0)
    place(page, server.url, camera="door", path="webrtc jpeg", retry=NEVER_S)
    page.evaluate("() => (window.player.style.marginBottom = '6000px')")
    wait_path(page, "jpeg")
    # A WebRTC that is being tried beside it would say so.
    page.evaluate("() => scrollTo(0, 5000)")
    wait_path(page, "")
    page.evaluate("() => scrollTo(0, 0)")
    page.wait_for_function("() => window.player.stats?.path === 'jpeg' || window.player.stats?.trying === 'WebRTC'")
    assert stats(page)["trying"] == ""
    assert [failure["path"] for failure in stats(page)["failures"]] == ["webrtc"]


def test_of_several_sightings_the_last_counts(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    page.evaluate(
        """() => {
          window.IntersectionObserver = class {
            constructor(told) { window.told = told; }
            observe() {}
            disconnect() {}
          };
        }"""
    )
    place(page, server.url, camera="door", path="jpeg")
    page.evaluate("() => window.told([{ isIntersecting: false }, { isIntersecting: true }])")
    wait_path(page, "jpeg")


def test_both_sound_and_volume_stay_when_the_camera_changes(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    page.evaluate("() => { Object.assign(window.player, { muted: false, volume: 0.3, camera: 'still' }); }")
    assert page.evaluate("() => [window.player.muted, window.player.volume]") == [False, 0.3]


def test_a_player_that_was_removed_leaves_nothing_behind(server: Process, page: Page) -> None:
    page.evaluate(
        """() => {
          window.counted = { listeners: 0, contexts: 0 };
          for (const [method, step] of [["addEventListener", 1], ["removeEventListener", -1]]) {
            const usual = document[method].bind(document);
            document[method] = (type, act, options) => {
              if (type === "visibilitychange") window.counted.listeners += step;
              options?.signal?.addEventListener("abort", () => (window.counted.listeners -= 1));
              return usual(type, act, options);
            };
          }
          const Usual = window.AudioContext;
          window.AudioContext = class extends Usual {
            constructor(options) { super(options); window.counted.contexts += 1; }
          };
        }"""
    )
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    before = page.evaluate("() => window.counted.listeners")
    page.evaluate(
        """() => {
          for (let times = 0; times < 20; times += 1) {
            window.player.remove();
            document.body.prepend(window.player);
          }
        }"""
    )
    assert page.evaluate("() => window.counted.listeners") == before
    page.evaluate("() => { window.player.remove(); window.player.muted = false; }")
    assert page.evaluate("() => window.counted.contexts") == 0


@pytest.mark.parametrize("path", ["webrtc", "jpeg"])
def test_a_window_of_its_own_closes_by_the_button_that_opened_it(server: Process, page: Page, path: str) -> None:
    place(page, server.url, camera="door", path=path)
    wait_path(page, path)
    button = page.locator("[part~=pip]")
    button.click()
    page.wait_for_function("() => window.player.windowOpen && document.pictureInPictureElement !== null")
    button.click()
    page.wait_for_function("() => document.pictureInPictureElement === null")
    assert page.evaluate("() => window.player.windowOpen") is False


def test_a_window_that_is_refused_ends_what_it_would_have_shown(server: Process, page: Page) -> None:
    page.evaluate(
        """() => {
          HTMLVideoElement.prototype.requestPictureInPicture = async function () {
            window.tracks = this.srcObject.getTracks();
            throw new Error("not now");
          };
        }"""
    )
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    page.evaluate("() => window.player.togglePictureInPicture()")
    wait_said(page, "not now")
    assert page.evaluate("() => window.tracks.map(({ readyState }) => readyState)") == ["ended"]


def test_full_screen_that_is_refused_is_told(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="jpeg")
    page.evaluate("() => (Element.prototype.requestFullscreen = async () => { throw new TypeError('Permissions'); })")
    page.get_by_role("button", name="Full screen").click()
    wait_said(page, "No full screen here.")
