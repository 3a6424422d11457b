"""The sound of a player: on when asked for, silent when not, and what is said where neither can be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.conftest import Open, Process, Watched, serving
from tests.web.playing import hinder_webrtc, place, wait_path

SYNTHETIC = "mock:?fps=15&size=320x240&audio=1"
HEAR = "() => window.player.addEventListener('level', ({ detail }) => (window.level = detail.level))"
# A player whose page unmutes it as soon as it shows pictures, and tells what came of it.
BY_ITSELF = """
addEventListener("load", async () => {
  await import(new URL("static/js/player.js", document.baseURI));
  const player = document.createElement("framecast-player");
  player.setAttribute("camera", "door");
  player.setAttribute("path", "PATH");
  player.style.width = "640px";
  document.body.prepend(player);
  const heard = [];
  const told = [];
  const message = player.shadowRoot.querySelector(".said");
  new MutationObserver(() => told.push(message.textContent)).observe(message, { childList: true });
  let quick = 0;
  player.addEventListener("pathchange", () => player.surface && setTimeout(() => (player.muted = false), 500),
    { once: true });
  player.addEventListener("soundchange", ({ detail }) => heard.push(detail.muted));
  player.addEventListener("stats", ({ detail }) => {
    quick = heard.length > 1 && detail.fps > 5 ? quick + 1 : 0;
    if (quick !== 2) return;
    const { hasBeenActive: active } = navigator.userActivation;
    const said = told.filter(Boolean).join(" ");
    console.log(JSON.stringify({ active, heard, said, muted: player.muted, quiet: player.surface.muted ?? true }));
  });
});
"""
SOUND = """
async () => {
  const { Sound } = await import(new URL("static/js/player/sound.js", location.href));
  const real = performance.now.bind(performance);
  const said = [];
  let aheadMs = 0;
  performance.now = () => real() + aheadMs;
  const options = { metered: false, level() {}, refused() {}, said: (text) => said.push(text) };
  const sound = new Sound({ ...options, clock: null, playout: { need() {} } });
  const video = Object.assign(document.createElement("video"), { captureStream: undefined });
  const pass = (ms) => (aheadMs += ms);
  BODY;
  sound.close();
  return said;
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One synthetic camera with sound."""
    with serving(tmp_path_factory.mktemp("sound"), "--camera", f"door={SYNTHETIC}") as process:
        yield process


@pytest.fixture
def watched(server: Process, open_page: Open) -> Watched:
    """A page to put players into."""
    return open_page(server.url + "/docs", expected=("ERR_FAILED",))


@pytest.fixture
def page(watched: Watched) -> Page:
    """The same, as the test drives it."""
    return watched.page


@pytest.mark.parametrize("path", ["webrtc", "mse"])
def test_sound_off_is_silent_at_once(server: Process, page: Page, path: str) -> None:
    place(page, server.url, camera="door", path=path)
    wait_path(page, path)
    page.locator("[part~=sound]").click()
    page.wait_for_function("() => window.player.surface?.muted === false")
    assert page.evaluate(
        """() => {
          const { player } = window;
          const { surface } = player;
          const heard = [surface.muted];
          for (const muted of [true, false, true]) {
            player.muted = muted;
            heard.push(surface.muted);
          }
          return heard;
        }"""
    ) == [False, True, False, True]


def test_sound_begins_while_a_better_path_is_tried(server: Process, page: Page) -> None:
    hinder_webrtc(page, given_up_s=0)
    place(page, server.url, camera="door", path="webrtc jpeg", retry="2")
    wait_path(page, "jpeg")
    # It is tried for as long as this test takes.
    hinder_webrtc(page, given_up_s=300)
    page.evaluate(HEAR)
    page.wait_for_function("() => window.player.stats?.trying === 'WebRTC'")
    page.locator("[part~=sound]").click()
    page.wait_for_function("() => window.level > 0.05")


def test_another_path_follows_where_the_best_can_not_be_begun_with_sound(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="webrtc jpeg")
    wait_path(page, "webrtc")

    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.abort()
        else:
            route.continue_()

    page.route(re.compile("/whep"), refuse)
    page.evaluate(HEAR)
    page.locator("[part~=sound]").click()
    page.wait_for_function("() => window.level > 0.05")
    wait_path(page, "jpeg")


@pytest.mark.parametrize("path", ["jpeg", "webcodecs", "mse", "webrtc"])
def test_says_that_no_page_may_sound_by_itself_and_stays_silent(server: Process, page: Page, path: str) -> None:
    page.add_init_script(BY_ITSELF.replace("PATH", path))
    with page.expect_console_message(lambda message: message.text.startswith("{")) as told:
        page.reload()
    found: dict[str, Any] = json.loads(told.value.text)
    assert found.pop("said").startswith("The browser lets no page sound by itself")
    assert found == {"active": False, "heard": [False, True], "muted": True, "quiet": True}
    page.locator("[part~=sound]").click()
    expect(page.locator("[part~=sound]")).to_have_attribute("aria-pressed", "true")


NO_SOUND = "This camera sends no sound. If it has a microphone, put its address into Settings, “Address of its sound”."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sound.turn(true); pass(5000); sound.look(true); sound.look(true)", [NO_SOUND]),
        ("sound.turn(true); sound.look(true)", []),
        # How loud its <video> is can't be known.
        ("sound.turn(true); sound.follow(video); pass(5000); sound.look(true)", []),
        # It comes into view again, with a path that has only just begun.
        ("sound.turn(true); sound.follow(null); pass(9000); sound.follow(null); sound.look(true)", []),
    ],
)
def test_says_that_none_comes_only_where_that_is_known(page: Page, body: str, said: list[str]) -> None:
    assert page.evaluate(SOUND.replace("BODY", body)) == said


CONTEXTS = """
() => {
  window.contexts = [];
  const Real = window.AudioContext;
  window.AudioContext = class extends Real {
    constructor(options) {
      super(options);
      window.contexts.push(this);
    }
  };
}
"""
INTERRUPT = """
async () => {
  const [context] = window.contexts;
  context.resume = () => Promise.reject(new DOMException("A call is being taken", "InvalidStateError"));
  await context.suspend();
}
"""


def test_sound_goes_on_after_the_device_has_interrupted_it(server: Process, page: Page) -> None:
    page.evaluate(CONTEXTS)
    place(page, server.url, camera="door", path="jpeg")
    wait_path(page, "jpeg")
    page.locator("[part~=sound]").click()
    page.wait_for_function("() => /^PCM/.test(window.player.stats?.sound)")
    # As a telephone does when it rings: what was begun stands still, and may not be begun again before its end.
    page.evaluate(INTERRUPT)
    page.wait_for_function("() => /^On, held/.test(window.player.stats?.sound)")
    page.evaluate("() => { delete window.contexts[0].resume; }")
    page.wait_for_function("() => window.contexts[0].state === 'running' && /^PCM/.test(window.player.stats?.sound)")
    page.locator("[part~=sound]").click()
    page.wait_for_function("() => window.contexts[0].state === 'closed'")
