"""The player in Chromium: from the drawing of a picture to its showing, by each path."""

from __future__ import annotations

from playwright.sync_api import Page, sync_playwright
from tests.support.img import BLOCKCODE

from bench.parts import Pace, Product
from bench.results import Measure, Result, middle

FPS = 15
SIZE = "640x480"
OVER_MS = {"webcodecs": 30.0, "jpeg": 30.0, "webrtc": 60.0, "mse": 150.0}
"""Beyond one interval of the camera."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SETTLE_FRAMES = 15
"""Left out: connecting, the first key picture, the first estimate of the clock."""

WATCH = """
async ([source, path, milliseconds]) => {
  const code = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  await import(new URL("static/js/player.js", location.origin + "/"));
  const player = document.createElement("framecast-player");
  for (const [name, value] of Object.entries({ camera: "cam", path, quality: "source" })) {
    player.setAttribute(name, value);
  }
  player.style.width = "640px";
  document.body.replaceChildren(player);
  const seen = new Map();
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    await new Promise(requestAnimationFrame);
    const shown = player.surface;
    const width = shown?.videoWidth || shown?.width;
    const picture = width ? code.readBlockCodeFrom(shown, width, shown.videoHeight || shown.height) : null;
    if (picture && !seen.has(picture.frameId)) {
      seen.set(picture.frameId, performance.timeOrigin + performance.now() - picture.timeMs);
    }
  }
  const { path: played, codec, drops, latencyMs } = player.stats ?? {};
  player.remove();
  return { ages: [...seen.values()], played, codec, drops, latencyMs };
}
"""


def run(pace: Pace) -> Result:
    """Target: a median of one interval and 30 ms for WebCodecs and JPEG, 60 ms for WebRTC, 150 ms for MSE."""
    result = Result("player", pace.quick)
    camera = f"mock:?fps={FPS}&size={SIZE}"
    with Product({"cam": camera}) as product, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(bypass_csp=True)  # our own policy keeps made-up modules out
        page.goto(product.base + "/healthz")
        for path, over_ms in OVER_MS.items():
            result.measures.append(_measure(page, result, path, over_ms, 5_000 if pace.quick else 15_000))
        browser.close()
    result.notes.append("Read from a second canvas on each refresh of the screen, which adds up to 17 ms.")
    return result


def _measure(page: Page, result: Result, path: str, over_ms: float, milliseconds: int) -> Measure:
    seen = page.evaluate(WATCH, [BLOCKCODE.read_text(), path, milliseconds])
    result.raw[path] = seen
    ages_ms = seen["ages"][SETTLE_FRAMES:]
    limit_ms = 1000 / FPS + over_ms
    median_ms = middle(ages_ms) if ages_ms and seen["played"] == path else float("inf")
    return Measure(
        f"player by {path}, {FPS} fps: picture drawn to shown, median",
        f"{median_ms:.0f} ms",
        f"{len(ages_ms)} pictures",
        f"{median_ms / limit_ms:.2f}",
        f"≤ {limit_ms:.0f} ms",
        median_ms <= limit_ms,
    )
