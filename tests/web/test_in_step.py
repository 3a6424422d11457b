"""Tiles show the same instant: read from the pictures themselves."""

from __future__ import annotations

import time
from pathlib import Path

from tests.web.conftest import PATIENCE_MS, Open, Process
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
    const codes = players.map(({ surface: canvas }) => canvas && window.readCode(canvas, canvas.width, canvas.height));
    if (codes.every(Boolean)) seen.push(codes.map((code) => code.timeMs));
    await new Promise((done) => setTimeout(done, 20));
  }
  return seen;
}
"""


def in_step(sample: list[float]) -> bool:
    """Whether no tile could have shown its next picture, too.

    One that shows the newest picture captured before the common instant would have shown the next one if that had been
    captured before it.
    """
    newest = max(sample)
    return all(shown + interval > newest - SLACK_MS for shown, interval in zip(sample, INTERVALS_MS, strict=True))


def test_no_tile_lags_by_more_than_its_own_interval(demo: Process, open_page: Open) -> None:
    page = open_page(demo.url).page
    wait_live(page, 3)
    page.wait_for_function("() => /^3 in step/.test(document.getElementById('step').textContent)")
    page.evaluate("() => {" + READER.replace("export ", "") + "; window.readCode = readBlockCodeFrom; }")
    ends = time.monotonic() + PATIENCE_MS / 2000
    while sum(map(in_step, samples := page.evaluate(SAMPLE, SAMPLES))) < 0.8 * SAMPLES:
        # A busy machine falls out of step and comes back to it; what is wrong stays so.
        assert time.monotonic() < ends, samples
