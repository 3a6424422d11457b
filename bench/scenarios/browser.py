"""Chromium's <img>: from the drawing of a picture to the canvas, at several rates."""

from __future__ import annotations

from playwright.sync_api import sync_playwright
from tests.support.img import BLOCKCODE, SHOWN_BY_IMG

from bench.parts import Pace, Product
from bench.results import Measure, Result, middle

RATES = (1, 2, 5, 10, 15, 30)
TARGET_MS = 30.0
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def run(pace: Pace) -> Result:
    """Target: a median of at most 30 ms at every rate, by the block code in the picture."""
    result = Result("browser", pace.quick)
    cameras = {f"c{fps}": f"mock:?fps={fps}" for fps in RATES}
    with Product(cameras) as product, sync_playwright() as playwright:
        base = product.viewer_url().partition("/api/")[0]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(bypass_csp=True)  # our own policy keeps made-up modules out
        page.goto(base + "/healthz")
        for fps in RATES:
            milliseconds = (4_000 if pace.quick else 10_000) if fps > 2 else 10_000
            path = f"/api/v1/cameras/c{fps}/stream.mjpeg"
            shown = page.evaluate(SHOWN_BY_IMG, [BLOCKCODE.read_text(), path, milliseconds])
            ages_ms = [age_ms for _, age_ms in shown[1:]]
            result.raw[str(fps)] = ages_ms
            median_ms = middle(ages_ms) if ages_ms else float("inf")
            result.measures.append(
                Measure(
                    f"Chromium <img>, {fps} fps: picture drawn to canvas, median",
                    f"{median_ms:.0f} ms",
                    f"{1000 / fps:.0f} ms an interval",
                    "",
                    f"≤ {TARGET_MS:.0f} ms",
                    median_ms <= TARGET_MS,
                )
            )
        browser.close()
    return result
