"""What tests ask a page."""

from __future__ import annotations

from playwright.sync_api import Page, TimeoutError

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
UNNAMED = """
() => [...document.querySelectorAll("button, input, select, a[href]")]
  .filter((each) => each.checkVisibility())
  .filter((each) => !(each.getAttribute("aria-label") || each.innerText?.trim() || each.labels?.length))
  .map((each) => each.outerHTML)
"""
"""What has no name for those who hear the page."""
SMALL = """
() => [...document.querySelectorAll("button, select, a[href], input:not([type=checkbox], [type=radio])")]
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 44)
  .map((each) => each.outerHTML)
"""
"""What a finger may miss."""
FAINT = """
() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [red, green, blue] = color.map((part) => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [red, green, blue, solid = 1] = numbers(getComputedStyle(each).backgroundColor);
      if (solid === 1) return [red, green, blue];
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const each of document.querySelectorAll("body *")) {
    const written = [...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!written || !each.checkVisibility() || each.closest("option, :disabled, framecast-player, .stage")) continue;
    const [one, other] = [light(numbers(getComputedStyle(each).color).slice(0, 3)), light(ground(each))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) faint.push(`${each.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return faint;
}
"""
"""What is hard to read on its ground: WCAG 2, AA."""
FITS = "() => document.documentElement.scrollWidth <= innerWidth"
HIDE = """
(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""
"""As if the page went behind another one, or came back from there."""


def wait_live(page: Page, count: int) -> None:
    """Until exactly ``count`` tiles are live."""
    try:
        page.wait_for_function(LIVE, arg=count)
    except TimeoutError:
        states = "() => [...document.querySelectorAll('fc-tile')].map(({ dataset }) => dataset.state)"
        raise AssertionError(page.evaluate(states), page.locator("body").inner_text()) from None


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
