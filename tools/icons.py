"""Draws the icons of the installable page from ``icon.svg``, by Chromium: ``.venv/bin/python tools/icons.py``.

What comes out is committed, since the pages have no build step; ``tests/web/test_installable.py`` sees that it is of
the present drawing.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
STATIC = Path(__file__).parent.parent / "src" / "framecast" / "web" / "static"
GROUND = "#14161a"
FULL = 1.0
SAFE = 0.78
"""Of a maskable icon a circle of 80 % of its width is sure to be seen; Apple rounds the corners by itself."""

ICONS = {
    "icon-192.png": (192, FULL),
    "icon-512.png": (512, FULL),
    "maskable-512.png": (512, SAFE),
    "apple-touch.png": (180, 0.9),
}
"""Each file's side in pixels, and how much of it the drawing takes; what is not full lies on the drawing's ground."""


def draw(browser: Browser, side_px: int, part: float) -> bytes:
    """One icon as a PNG."""
    page = browser.new_page(viewport={"width": side_px, "height": side_px})
    ground = "transparent" if part == FULL else GROUND
    inner_px = side_px * part
    page.set_content(
        f"<style>html{{background:{ground}}}body{{margin:0;display:grid;place-items:center;height:100vh}}"
        f"svg{{display:block;width:{inner_px}px;height:{inner_px}px}}</style>" + (STATIC / "icon.svg").read_text()
    )
    picture = page.screenshot(omit_background=part == FULL)
    page.close()
    return picture


def main() -> None:
    folder = STATIC / "icons"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (side_px, part) in ICONS.items():
            (folder / name).write_bytes(draw(browser, side_px, part))
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
