"""Tiles show the same instant: read from the pictures themselves."""

from __future__ import annotations

from pathlib import Path

from tests.web.conftest import Open, Process
from tests.web.looking import wait_live

READER = (Path(__file__).parent.parent / "support" / "blockcode.js").read_text()
# Of garden, door and robot, in the order of the tiles.
INTERVALS_MS = (1000 / 25, 1000 / 5, 1000 / 15)
SLACK_MS = 40.0
SAMPLES = 60

SAMPLE = """
async (samples) => {
  const seen = [];
  const players = [...document.querySelectorAll("fc-tile framecast-player")];
  while (seen.length < samples) {
    await new Promise(requestAnimationFrame);
    const codes = players.map(({ surface: canvas }) => window.readCode(canvas, canvas.width, canvas.height));
    if (codes.every(Boolean)) seen.push(codes.map((code) => code.timeMs));
    await new Promise((done) => setTimeout(done, 20));
  }
  return seen;
}
"""


def test_no_tile_lags_by_more_than_its_own_interval(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url).page
    wait_live(page, 3)
    page.wait_for_function("() => /^3 in step/.test(document.getElementById('step').textContent)")
    page.evaluate("() => {" + READER.replace("export ", "") + "; window.readCode = readBlockCodeFrom; }")
    samples = page.evaluate(SAMPLE, SAMPLES)
    in_step = 0
    for sample in samples:
        # A tile that shows the newest picture captured before the common instant would have shown the next one
        # if that had been captured before it, too.
        newest = max(sample)
        in_step += all(
            shown + interval > newest - SLACK_MS for shown, interval in zip(sample, INTERVALS_MS, strict=True)
        )
    assert in_step >= 0.8 * len(samples), samples
