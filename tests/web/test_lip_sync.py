"""Flash and click are together in Chromium: the picture on the screen, the sound as the browser puts it out.

Where the page plays sound by itself (beside WebCodecs and JPEG) what goes to the output is tapped, and so is what a
<video> plays of MSE. With WebRTC the browser says which moment of the sender's clock it plays of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import pytest
from playwright.sync_api import Browser, Page

from tests.support.claps import Witness
from tests.web.conftest import Process
from tests.web.playing import place, wait_path

SECONDS = 9.0
MOST_S = 0.040

TAP = """
window.clicks = [];
const connect = AudioNode.prototype.connect;
const worklet = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[samples]]) {
    const at = samples ? samples.findIndex((sample) => Math.abs(sample) > 0.3) : -1;
    if (at >= 0) this.port.postMessage((currentFrame + at) / sampleRate);
    return true;
  }
})`;
window.tap = async (node) => {
  const { context } = node;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
  connect.call(node, tap);
  tap.port.onmessage = ({ data }) => {
    const { contextTime, performanceTime } = context.getOutputTimestamp();
    window.clicks.push(performanceTime + (data - contextTime) * 1000);
  };
};
AudioNode.prototype.connect = function (to, ...rest) {
  if (to === this.context.destination) window.tap(this);
  return connect.call(this, to, ...rest);
};
window.tapVideo = (video) => {
  const context = new AudioContext();
  return window.tap(context.createMediaStreamSource(video.captureStream()));
};
window.connections = [];
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    window.connections.push(this);
  }
};
"""
WATCH = """
async (milliseconds) => {
  const small = new OffscreenCanvas(4, 4).getContext("2d", { willReadFrequently: true });
  const flashes = [];
  let white = false;
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    await new Promise(requestAnimationFrame);
    // After everybody who paints at this refresh.
    const painted = performance.now();
    await new Promise((resolve) => setTimeout(resolve));
    const shown = window.player.surface;
    const [width, height] = [shown.videoWidth || shown.width, shown.videoHeight || shown.height];
    small.drawImage(shown, width * 0.3, height * 0.3, width * 0.4, height * 0.4, 0, 0, 4, 4);
    const bright = small.getImageData(0, 0, 4, 4).data.reduce((sum, value) => sum + value, 0) / 64 > 230;
    if (bright && !white) flashes.push(painted);
    white = bright;
  }
  return { flashes, clicks: window.clicks };
}
"""


PLAYED = """
async ([settle, milliseconds]) => {
  const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));
  await wait(settle);
  const apart = [];
  for (const end = performance.now() + milliseconds; performance.now() < end; await wait(500)) {
    const played = {};
    for (const stats of (await window.connections.at(-1).getStats()).values()) {
      if (stats.type === "inbound-rtp") played[stats.kind] = stats.estimatedPlayoutTimestamp;
    }
    if (played.video && played.audio) apart.push(played.video - played.audio);
  }
  return apart;
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One camera that claps."""
    folder = tmp_path_factory.mktemp("claps")
    camera = "door=mock:?fps=15&size=320x240&audio=1&clock_ppm=200"
    process = Process(folder, "serve", "--port", "0", "--data", str(folder / "data"), "--camera", camera)
    yield process
    process.stop()


@pytest.fixture
def page(chromium: Browser, server: Process) -> Iterator[Page]:
    """A page whose sound is tapped; our policy would not let a worklet in."""
    context = chromium.new_context(bypass_csp=True)
    context.add_init_script(TAP)
    page = context.new_page()
    page.goto(server.url + "/docs")
    yield page
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["webcodecs", "jpeg", "mse"])
def test_the_page_shows_the_flash_when_it_plays_the_click(server: Process, page: Page, path: str) -> None:
    place(page, server.url, camera="door", path=path)
    wait_path(page, path)
    page.get_by_role("button", name="Sound", exact=True).click()
    page.wait_for_function("() => window.player.stats?.sound.match(/^On$|^PCM/)")
    if path == "mse":
        page.evaluate("() => window.tapVideo(window.player.surface)")
    seen = page.evaluate(WATCH, SECONDS * 1000)
    witness = Witness(*([at_ms / 1000 for at_ms in seen[name]] for name in ("flashes", "clicks")))
    print(f"{path}: {witness.report()} {[round(offset * 1000) for offset in witness.offsets()]}")
    offsets = witness.offsets()
    assert len(offsets) >= SECONDS - 4
    assert abs(median(offsets)) <= MOST_S


@pytest.mark.slow
def test_webrtc_plays_both_of_one_moment(server: Process, page: Page) -> None:
    place(page, server.url, camera="door", path="webrtc")
    wait_path(page, "webrtc")
    page.get_by_role("button", name="Sound", exact=True).click()
    page.wait_for_function("() => window.player.stats?.sound.match(/^On$/)")
    apart_ms = page.evaluate(PLAYED, [4_000, 6_000])
    print(f"webrtc: {[round(each) for each in apart_ms]}")
    assert len(apart_ms) >= 8
    assert abs(median(apart_ms)) <= MOST_S * 1000
