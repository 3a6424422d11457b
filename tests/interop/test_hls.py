"""Chromium's own HLS player, measured by the block code in the picture."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.interop.conftest import Serving
from tests.support.img import BLOCKCODE

FPS = 15
SECONDS = 5

WATCH = """
async ([source, url, pictures, plays]) => {
  const code = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
  const video = document.createElement("video");
  video.muted = true;
  video.src = url;
  document.body.append(video);
  if (plays === "at once") video.play().catch(() => {});
  else if (plays === "by itself") video.autoplay = true;
  else setTimeout(() => video.play(), 6000);
  const seen = [];
  const look = () => {
    const shown = code.readBlockCodeFrom(video, video.videoWidth, video.videoHeight);
    seen.push([shown ? shown.frameId : null, video.currentTime]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  const end = performance.now() + 60_000;
  const different = () => new Set(seen.map(([id]) => id)).size;
  while (different() < pictures && performance.now() < end) await new Promise((done) => setTimeout(done, 100));
  return {seen, error: video.error?.message ?? null, width: video.videoWidth, height: video.videoHeight};
}
"""


@pytest.mark.parametrize(("container", "plays"), [("ts", "by itself"), ("mp4", "at once"), ("mp4", "later")])
def test_chromium_plays_it_from_a_camera_that_slept(
    serve: type[Serving], chromium: Browser, container: str, plays: str
) -> None:
    server = serve("--camera", f"cam=mock:?fps={FPS}&size=320x240&audio=1")
    page = chromium.new_page(bypass_csp=True)
    page.goto(f"{server.url}/healthz")  # the same origin, or the canvas could not be read
    page.set_content("<body></body>")
    url = f"{server.url}/api/v1/cameras/cam/hls/index.m3u8?container={container}"
    result = page.evaluate(WATCH, [BLOCKCODE.read_text(), url, FPS * 2 * SECONDS, plays])
    assert result["error"] is None
    assert (result["width"], result["height"]) == (320, 240)
    ids = [frame_id for frame_id, _ in result["seen"]]
    assert None not in ids
    assert ids == sorted(ids)
    # Each picture was painted, but for those between two refreshes of a busy screen.
    assert ids[-1] - ids[0] >= FPS * SECONDS
    assert len(set(ids)) >= (ids[-1] - ids[0]) / 2
