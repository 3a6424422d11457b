"""What a device takes away for a while, as for a call, and gives back: the picture, the sound, the microphone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Process, serving
from tests.web.playing import be_patient, place, wait_path, wait_said
from tests.web.test_sound import CONTEXTS
from tests.web.test_talking import CLOSED, COUNT, wait_state

SYNTHETIC = "mock:?fps=15&size=320x240&audio=1"
# Longer than a test takes: no path that was left is tried again.
NEVER_S = "300"
HELD = "This device holds the microphone up."
NOBODY = "No device is listening."
# As a telephone does when it rings: what was begun stands still, and may not be begun again before its end.
INTERRUPT = """
async () => {
  const context = window.contexts.at(-1);
  context.resume = () => Promise.reject(new DOMException("A call is being taken", "InvalidStateError"));
  await context.suspend();
}
"""
FOLLOW = """
() => {
  const { createMediaStreamSource } = AudioContext.prototype;
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    window.followed = true;
    return createMediaStreamSource.call(this, stream);
  };
}
"""
"""Tells when the microphone is listened to, and so is what becomes of it."""
GIVE_BACK = "() => { delete window.contexts.at(-1).resume; }"
PAUSE = """
() => {
  const { surface } = window.player;
  surface.play = () => Promise.reject(new DOMException("A call is being taken", "AbortError"));
  return new Promise((done) => {
    surface.addEventListener("pause", done, { once: true });
    surface.pause();
  });
}
"""
MUTE = """
(muted) => {
  const [track] = window.tracks;
  Object.defineProperty(track, "muted", { value: muted, configurable: true });
  track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One synthetic camera with sound; no device listens to it."""
    with serving(tmp_path_factory.mktemp("interruptions"), "--camera", f"door={SYNTHETIC}") as process:
        yield process


@pytest.fixture
def page(server: Process, open_page: Open) -> Page:
    """A page to put players into, which counts its microphones and what plays its sound."""
    page = open_page(server.url + "/docs").page
    page.evaluate(f"() => {{ {COUNT} }}")
    page.evaluate(CONTEXTS)
    be_patient(page)
    return page


def talking(server: Process, page: Page) -> None:
    """Somebody talks by a player, and no device listens."""
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    page.evaluate(FOLLOW)
    page.evaluate("() => window.player.startTalking()")
    wait_state(page, "talking")
    page.get_by_text(NOBODY).wait_for()
    page.wait_for_function("() => window.contexts.length === 1 && window.contexts[0].state === 'running'")
    page.wait_for_function("() => window.followed")


@pytest.mark.parametrize("path", ["webrtc", "mse", "hls"])
def test_a_video_that_the_device_has_paused_goes_on(server: Process, page: Page, path: str) -> None:
    place(page, server.url, camera="door", path=path, retry=NEVER_S)
    wait_path(page, path)
    page.evaluate(PAUSE)
    page.evaluate("() => { delete window.player.surface.play; }")
    page.wait_for_function("() => window.player.surface?.paused === false")
    frames = page.evaluate("() => window.player.stats.frames")
    page.wait_for_function("(before) => window.player.stats?.frames > before", arg=frames)
    assert page.evaluate("() => window.paths") == [path]


def test_a_video_that_may_go_on_without_its_sound_alone_does(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="webrtc", retry=NEVER_S)
    wait_path(page, "webrtc")
    page.locator("[part~=sound]").click()
    page.wait_for_function("() => window.player.surface?.muted === false && window.player.surface?.paused === false")
    page.evaluate(
        """() => {
          const { surface } = window.player;
          surface.play = () => Promise.reject(new DOMException("Not by itself", "NotAllowedError"));
          surface.pause();
        }"""
    )
    wait_said(page, "The browser lets no page sound by itself.")
    page.wait_for_function("() => window.player.muted && window.player.surface?.paused === false")


def test_the_level_of_a_video_is_not_told_while_the_device_holds_it_up(server: Process, page: Page) -> None:
    page.evaluate("() => (window.levels = 0)")
    place(page, server.url, camera="door", path="webrtc")
    wait_path(page, "webrtc")
    page.evaluate("() => window.player.addEventListener('level', () => (window.levels += 1))")
    page.locator("[part~=sound]").click()
    page.wait_for_function("() => window.levels > 0")
    page.evaluate(INTERRUPT)
    page.wait_for_function("() => window.player.stats?.sound === 'On, held up by this device'")
    page.evaluate(GIVE_BACK)
    page.wait_for_function("() => window.contexts.at(-1).state === 'running'")
    page.wait_for_function("() => window.player.stats?.sound === 'On'")


def test_says_that_nothing_is_heard_while_the_microphone_is_held_up(server: Process, page: Page) -> None:
    talking(server, page)
    page.evaluate(MUTE, True)
    page.get_by_text(HELD).wait_for()
    page.evaluate(MUTE, False)
    page.get_by_text(NOBODY).wait_for()
    page.evaluate("() => window.player.stopTalking()")
    expect(page.get_by_text(NOBODY)).to_have_count(0)
    # What comes from the microphone that was closed says nothing more.
    page.evaluate(MUTE, True)
    expect(page.get_by_text(HELD)).to_have_count(0)


def test_one_is_heard_again_once_the_device_gives_the_microphone_back(server: Process, page: Page) -> None:
    talking(server, page)
    page.evaluate(INTERRUPT)
    page.get_by_text(HELD).wait_for()
    page.evaluate(GIVE_BACK)
    page.wait_for_function("() => window.contexts[0].state === 'running'")
    page.get_by_text(NOBODY).wait_for()
    page.evaluate("() => window.player.stopTalking()")
    page.wait_for_function("() => window.contexts[0].state === 'closed'")


def test_talking_ends_with_a_microphone_that_is_gone(server: Process, page: Page) -> None:
    talking(server, page)
    page.evaluate("() => window.tracks[0].dispatchEvent(new Event('ended'))")
    wait_said(page, "No talking. The microphone is gone.")
    wait_state(page, "")
    page.wait_for_function(CLOSED)
