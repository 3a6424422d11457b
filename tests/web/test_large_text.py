"""Text at twice its size, as a browser can be told to show it: nothing is cut, and nothing lies on something else."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.web.conftest import PHONE, Open, Start
from tests.web.looking import FITS
from tests.web.test_long_names import OVERFLOWING

TWICE = """
const larger = new CSSStyleSheet();
larger.replaceSync("html { font-size: 30px }");
document.adoptedStyleSheets = [larger];
"""
LOW = """
() => [...document.querySelectorAll(".tile-name")].map((each) => each.scrollHeight - each.clientHeight)
"""
"""How much of a name its line cuts off, in px."""
BROKEN = """
() => [...document.querySelectorAll(".tab")]
  .filter((tab) => {
    const words = document.createRange();
    words.selectNodeContents(tab);
    return new Set([...words.getClientRects()].map((line) => line.top)).size > 1;
  })
  .map((tab) => tab.textContent)
"""
"""Tabs whose word takes two lines."""
LETTERS = """
() => document.querySelector(".sums-name").closest("th").clientWidth
  / parseFloat(getComputedStyle(document.body).fontSize)
"""
"""How wide a column of names is, in the text's own measure."""
FILLED = "() => document.querySelectorAll('#figures dd').length === 4"


def fits(page: Page) -> None:
    """Nothing of it has to be looked for sideways."""
    assert page.evaluate(FITS), page.url


def test_text_of_twice_the_size_can_be_read(start: Start, open_page: Open) -> None:
    cameras = [f"--camera=cam{number}=mock:?fps=5&size=320x240" for number in range(5)]
    server = start("serve", *cameras)
    page = open_page(server.url + "/setup", size=PHONE).page
    page.add_init_script(TWICE)
    page.goto(server.url)
    page.locator("fc-tile .age:not(:empty)").first.wait_for()
    assert max(page.evaluate(LOW)) <= 0
    assert page.evaluate(OVERFLOWING, ".tile-figures") == []
    fits(page)
    page.goto(server.url + "/cameras/cam0")
    page.wait_for_function(FILLED)
    assert page.evaluate(OVERFLOWING, "#figures > div") == []
    assert page.evaluate(BROKEN) == []
    fits(page)
    page.goto(server.url + "/analytics")
    page.get_by_role("button", name="cam0").wait_for()
    # Beside its figures, which can be moved sideways, a name keeps room for a word.
    assert page.evaluate(LETTERS) > 6
    fits(page)
