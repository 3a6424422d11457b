"""Talking to a camera: the microphone is open while the key or the button is held, and not a moment longer."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Process, serving
from tests.web.playing import place, wait_path, wait_said

SYNTHETIC = "mock:?fps=10&size=320x240"
# Keeps every track that a page was given; each waits until the page lets it in.
COUNT = """
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.tracks = [];
  window.gate = Promise.resolve();
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const { gate } = window;
    const stream = await ask(wanted);
    await gate;
    window.tracks.push(...stream.getTracks());
    return stream;
  };
"""
CLOSED = "() => window.tracks.length > 0 && window.tracks.every((track) => track.readyState === 'ended')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One synthetic camera; no device listens to it."""
    with serving(tmp_path_factory.mktemp("talking"), "--camera", f"door={SYNTHETIC}") as process:
        yield process


@pytest.fixture
def page(server: Process, open_page: Open) -> Page:
    """A page with one player, which counts the microphones."""
    page = open_page(server.url + "/docs").page
    page.evaluate(f"() => {{ {COUNT} }}")
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    return page


def wait_state(page: Page, state: str) -> None:
    """Until the player talks, asks or does neither."""
    page.wait_for_function("(state) => window.player.talking.state === state", arg=state)


@pytest.mark.parametrize(
    "end",
    [
        "document.body.dispatchEvent(new KeyboardEvent('keyup', { key: 't', code: 'KeyT', bubbles: true }))",
        "player.dispatchEvent(new KeyboardEvent('keyup', { key: 'T', code: 'KeyT', shiftKey: true, bubbles: true }))",
        "window.dispatchEvent(new Event('blur'))",
        "document.dispatchEvent(new Event('visibilitychange'))",
    ],
)
def test_the_microphone_closes_with_the_key_wherever_the_focus_went(page: Page, end: str) -> None:
    page.locator("framecast-player").focus()
    page.keyboard.down("t")
    wait_state(page, "talking")
    page.evaluate(f"() => {{ {end}; }}")
    wait_state(page, "")
    page.wait_for_function(CLOSED)


def test_another_key_ends_no_talking(page: Page) -> None:
    page.locator("framecast-player").focus()
    page.keyboard.down("t")
    wait_state(page, "talking")
    page.keyboard.press("Shift")
    assert page.evaluate("() => window.player.talking.state") == "talking"
    page.keyboard.up("t")
    wait_state(page, "")


def test_the_key_of_a_cameras_page_ends_it_too(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    page.evaluate(f"() => {{ {COUNT}; window.player = document.getElementById('player'); }}")
    page.wait_for_function("() => window.player.state === 'live'")
    assert page.evaluate("() => document.activeElement === document.body")
    page.keyboard.down("t")
    wait_state(page, "talking")
    page.keyboard.up("t")
    wait_state(page, "")
    page.wait_for_function(CLOSED)


def test_no_microphone_is_left_open_when_one_lets_go_while_it_is_asked_for(page: Page) -> None:
    page.evaluate(
        """async () => {
          let open;
          window.gate = new Promise((resolve) => (open = resolve));
          window.player.startTalking();
          window.player.stopTalking();
          window.player.startTalking();
          open();
        }"""
    )
    page.wait_for_function("() => window.tracks.length === 2")
    wait_state(page, "talking")
    page.evaluate("() => window.player.stopTalking()")
    page.wait_for_function(CLOSED)
    assert page.evaluate("() => window.player.talking.state") == ""


def test_the_microphone_closes_when_the_server_hangs_up_on_one_who_waits(page: Page) -> None:
    # Somebody else has the floor, and then the server closes.
    page.evaluate(
        """() => {
          const real = window.WebSocket;
          window.WebSocket = class extends real {
            constructor(...given) {
              super(...given);
              if (/talk$/.test(this.url)) window.talk = this;
            }
          };
          const other = new real(window.player.server.socketUrl("api/v1/cameras/door/talk"));
          return new Promise((resolve) => {
            other.onopen = () => other.send('{"do":"talk"}');
            other.onmessage = ({ data }) => JSON.parse(data).state === "yours" && resolve();
          });
        }"""
    )
    page.evaluate("() => window.player.startTalking()")
    wait_said(page, "is talking.")
    page.wait_for_function("() => window.tracks.length === 1")
    page.evaluate("() => window.talk.close()")
    wait_state(page, "")
    page.wait_for_function(CLOSED)


def test_says_whether_anybody_hears(server: Process, page: Page) -> None:
    talk = page.get_by_role("button", name="Hold to talk")
    page.evaluate("() => window.player.startTalking()")
    page.get_by_text("No device is listening.").wait_for()
    expect(talk).to_have_class(re.compile("unheard"))
    with urllib.request.urlopen(f"{server.url}/api/v1/cameras/door/speaker", timeout=60):
        page.get_by_text("You are heard").wait_for()
        expect(talk).not_to_have_class(re.compile("unheard"))
    page.get_by_text("No device is listening.").wait_for()
    page.evaluate("() => window.player.stopTalking()")
    expect(page.get_by_text("No device is listening.")).to_have_count(0)


def test_says_so_for_as_long_as_one_talks(page: Page) -> None:
    page.clock.install()
    page.evaluate("() => window.player.startTalking()")
    page.get_by_text("No device is listening.").wait_for()
    page.clock.fast_forward(120_000)
    expect(page.get_by_text("No device is listening.")).to_have_count(1)
    page.evaluate("() => window.player.stopTalking()")
