"""What tests ask a page."""

from __future__ import annotations

from playwright.sync_api import Page

FINGERPRINT = """
(canvas) => {
  const copy = document.createElement("canvas");
  copy.width = copy.height = 32;
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0, 32, 32);
  return Array.from(pen.getImageData(0, 0, 32, 32).data).join();
}
"""
LIVE = "count => document.querySelectorAll('fc-tile[data-state=live]:not([hidden])').length === count"
FITS = "() => document.documentElement.scrollWidth <= innerWidth"


def wait_live(page: Page, count: int) -> None:
    """Until exactly ``count`` tiles are live."""
    page.wait_for_function(LIVE, arg=count)


def wait_moving(page: Page, selector: str = "fc-tile canvas") -> None:
    """Until the picture on every canvas has changed, seen as 32 x 32 pixels."""
    page.wait_for_function(
        f"""(selector) => {{
          const look = {FINGERPRINT};
          const all = [...document.querySelectorAll(selector)];
          window.seen ??= new Map(all.map((canvas) => [canvas, look(canvas)]));
          return all.length > 0 && all.every((canvas) => look(canvas) !== window.seen.get(canvas));
        }}""",
        arg=selector,
        polling=100,
    )


def state_of(page: Page, name: str) -> str | None:
    """The state that the tile of this name shows."""
    return page.locator("fc-tile", has_text=name).get_attribute("data-state")


def wait_state(page: Page, name: str, state: str) -> None:
    """Until the tile of this name shows this state."""
    page.locator(f"fc-tile[data-state={state}]", has_text=name).wait_for()
