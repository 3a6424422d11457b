"""What tests ask a page."""

from __future__ import annotations

from playwright.sync_api import Page

FINGERPRINT = """
(shown) => {
  const picture = shown.surface === undefined ? shown : shown.surface;
  if (!picture) return null;
  const copy = document.createElement("canvas");
  copy.width = copy.height = 32;
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0, 32, 32);
  return Array.from(pen.getImageData(0, 0, 32, 32).data).join();
}
"""
LIVE = "count => document.querySelectorAll('fc-tile[data-state=live]:not([hidden])').length === count"
FITS = "() => document.documentElement.scrollWidth <= innerWidth"


def wait_live(page: Page, count: int) -> None:
    """Until exactly ``count`` tiles are live."""
    page.wait_for_function(LIVE, arg=count)


def wait_moving(page: Page, selector: str = "fc-tile framecast-player") -> None:
    """Until the picture of every canvas or player has changed, seen as 32 x 32 pixels."""
    page.wait_for_function(
        f"""(selector) => {{
          const look = {FINGERPRINT};
          const all = [...document.querySelectorAll(selector)];
          window.seen ??= new Map(all.map((shown) => [shown, look(shown)]));
          const moved = (now, before) => now !== null && now !== before;
          return all.length > 0 && all.every((shown) => moved(look(shown), window.seen.get(shown)));
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
