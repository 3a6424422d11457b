"""Boxes drawn over the picture: where the thing is, at any size, and only while they are wanted."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from framecast.process import outlines
from framecast.wire.detections import Look, Thing, pack
from tests.vision import tinymodel
from tests.web.conftest import PATIENCE_MS, PHONE, Open, Process, Start, serving
from tests.web.looking import wait_live, wait_moving
from tests.web.playing import place, wait_path

PUSHER = Path(__file__).parent / "moving_square.py"
PERSON = (0x4D, 0xC3, 0xFF)
THINGS = "framecast-player .thing"

HIDE_WORDS = """
() => document.querySelector("framecast-player").shadowRoot.querySelectorAll(".thing span").forEach((words) => {
  words.hidden = true;
})
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with the tiny model and two cameras that show a white square before something that moves."""
    folder = tmp_path_factory.mktemp("boxes")
    tinymodel.write(folder / "data" / "models" / "tiny.onnx")
    (folder / "server.toml").write_text('[vision]\nmodel = "tiny"\nfps = 10\n')
    options = ("--config", str(folder / "server.toml"), "--camera", "door=push:", "--camera", "yard=push:")
    with serving(folder, *options) as process:
        pusher = subprocess.Popen([sys.executable, str(PUSHER), process.url, "door", "yard"])
        yield process
        pusher.kill()
        pusher.wait()


def wait_placed(page: Page, px: float, scale: float = 1) -> None:
    """Until the line lies along the edge of the white square, to within so many px of the page.

    A busy machine may have no young look for a moment, or the page an old size.
    """
    ends = time.monotonic() + PATIENCE_MS / 2000
    while (misplaced := misplaced_px(page, scale)) >= px:
        assert time.monotonic() < ends, misplaced


def misplaced_px(page: Page, scale: float) -> float:
    """How far the line is from the edge of the white square, as they are on the screen, at the worst side."""
    page.locator(THINGS).first.wait_for()
    page.evaluate(HIDE_WORDS)
    picture = page.locator("framecast-player .picture").first.screenshot()
    screen = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int)
    white = np.argwhere((screen > 225).all(axis=2))
    if not len(white):
        return inf
    (top, left), (bottom, right) = white.min(axis=0), white.max(axis=0)
    row, column = (top + bottom) // 2, (left + right) // 2
    line = (abs(screen - PERSON) < 12).all(axis=2)
    across, down = np.flatnonzero(line[row]), np.flatnonzero(line[:, column])
    if not len(across) or not len(down):
        return inf
    sides = zip((across[0], across[-1], down[0], down[-1]), (left, right, top, bottom), strict=True)
    return max(abs(float(line) - float(edge)) for line, edge in sides) / scale


@pytest.mark.parametrize("path", ["jpeg", "webcodecs", "mse", "webrtc", "img"])
def test_a_box_lies_around_the_thing_on_each_path(server: Process, open_page: Open, path: str) -> None:
    page = open_page(server.url + "/docs").page
    place(page, server.url, camera="door", path=path, boxes="on")
    wait_path(page, path)
    wait_placed(page, 12)
    expect(page.locator(f"{THINGS} span")).to_have_text("person 90%")


def test_a_box_follows_the_picture_past_bars_into_full_screen_and_to_sharper_screens(
    server: Process, open_page: Open
) -> None:
    page = open_page(server.url + "/docs", scale=2).page
    place(page, server.url, camera="door", path="jpeg", boxes="on")
    wait_path(page, "jpeg")
    for width, height in ((900, 300), (300, 700)):
        page.evaluate(
            "([width, height]) => Object.assign(window.player.style, { width: `${width}px`, height: `${height}px` })",
            [width, height],
        )
        wait_placed(page, 8, 2)
    page.locator("framecast-player").focus()
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === window.player")
    wait_placed(page, 12, 2)


def test_boxes_are_switched_by_key_and_button_remembered_and_gone_while_nothing_is_live(
    server: Process, open_page: Open
) -> None:
    page = open_page(server.url + "/cameras/door").page
    things, button = page.locator(THINGS), page.get_by_role("button", name="Boxes", exact=True)
    wait_moving(page, "framecast-player")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(things).to_have_count(0)
    page.keyboard.press("d")
    expect(things).to_have_count(1)
    expect(button).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(things).to_be_visible()
    page.evaluate("() => document.querySelector('framecast-player').stop()")
    expect(things).to_be_hidden()
    page.evaluate("() => document.querySelector('framecast-player').start()")
    expect(things).to_be_visible()
    # The wall has what was chosen here.
    page.goto(server.url)
    wait_live(page, 2)
    expect(things).to_have_count(2)
    expect(page.get_by_role("button", name="Boxes around what is seen")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("d")
    expect(things).to_have_count(0)
    page.get_by_role("button", name="Boxes around what is seen").click()
    expect(things).to_have_count(2)
    page.keyboard.press("d")
    page.goto(server.url + "/cameras/door")
    wait_moving(page, "framecast-player")
    expect(things).to_have_count(0)


def test_on_a_phone_the_bar_has_a_line_and_one_row_of_buttons(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door", size=PHONE).page
    wait_moving(page, "framecast-player")
    rows = page.evaluate(
        """() => {
          const bar = document.querySelector("framecast-player").shadowRoot.querySelector(".bar");
          const shown = [...bar.querySelectorAll("button, select")].filter((each) => each.checkVisibility());
          return shown.map((each) => Math.round(each.getBoundingClientRect().top));
        }"""
    )
    assert len(set(rows)) == 2
    assert rows.count(min(rows)) == 1


THING_CASES = [
    Thing("person", 0.873, (0.2, 0.2, 0.4, 0.6), 1),
    Thing("person", 0.9, (0, 0, 1, 1), 1, "Ada"),
    Thing("person", 0.9, (0, 0, 1, 1), 1, "unknown", 3),
    Thing("face", 0.9, (0.3, 0.25, 0.1, 0.1)),
    Thing("face", 0.9, (0.8, 0.25, 0.1, 0.1), name="unknown"),
    Thing("dog", 0.5, (0, 0, 1, 1)),
    Thing("traffic light", 0.505, (0, 0, 1, 1)),
]


@pytest.fixture
def module(server: Process, open_page: Open) -> Page:
    """A page of the server, to call the player's parts in."""
    return open_page(server.url + "/docs").page


def test_boxes_beside_the_picture_say_what_boxes_in_it_say(module: Page) -> None:
    told = json.loads(pack(Look(1, 1, 1, tuple(THING_CASES[:1] + THING_CASES[3:5]))))["things"]
    same = json.loads(pack(Look(1, 1, 1, tuple(THING_CASES))))["things"]
    said = module.evaluate(
        """async ([things, group]) => {
          const { colour, words, speaks } = await import(new URL("static/js/player/outlines.js", location.href));
          return [things.map((thing) => [words(thing), colour(thing)]), group.map((thing) => speaks(thing, group))];
        }""",
        [same, told],
    )
    drawn = [[outlines.words(each), "#{:02x}{:02x}{:02x}".format(*outlines.colour(each))] for each in unpacked(same)]
    group = unpacked(told)
    assert said == [drawn, [outlines.speaks(each, group) for each in group]]
    assert said[1] == [True, False, True]


def unpacked(things: list[dict[str, Any]]) -> list[Thing]:
    """As they come over the wire, rounded."""
    return [Thing(**{**each, "box": tuple(each["box"])}) for each in things]


def test_a_look_waits_for_its_picture_and_holds_for_a_while(module: Page) -> None:
    cases: list[tuple[list[float], float, float | None]] = [
        ([], 1000, None),
        ([1000], 1000, 1000),
        ([1000], 990, None),  # its picture is held back
        ([1000, 1200], 1199.8, 1200),  # a capture time that went through clocks
        ([1000, 1200, 1400], 1300, 1200),
        ([1000], 2000, 1000),
        ([1000], 2100, None),
        ([1000, 3000], 6900, 3000),  # rare looks hold for two of their intervals
        ([1000, 3000], 7100, None),
    ]
    shown = module.evaluate(
        """async (cases) => {
          const { Looks } = await import(new URL("static/js/player/looks.js", location.href));
          const begin = 1_790_000_000_000;
          const told = (ms, epoch) => ({ pts_ns: `${(begin + ms) * 1e6}`, epoch, things: [] });
          return cases.map(([looks, shown]) => {
            const held = new Looks();
            for (const at of looks) held.push(told(at, 1));
            const look = held.at(begin + shown);
            // A camera that began anew has nothing to do with what was seen before.
            held.push(told(9_000, 2));
            return [look && look.capturedMs - begin, held.at(begin + shown)];
          });
        }""",
        cases,
    )
    assert shown == [[expected, None] for _, _, expected in cases]


def test_what_moves_is_drawn_where_it_will_be(module: Page) -> None:
    drifts = module.evaluate(
        """async () => {
          const { Looks, driftOf } = await import(new URL("static/js/player/looks.js", location.href));
          const begin = 1_790_000_000_000;
          const held = new Looks();
          const person = (x, track) => ({ label: "person", track, seen: true, box: [x, 0.2, 0.1, 0.3] });
          held.push({ pts_ns: `${begin * 1e6}`, epoch: 1, things: [person(0.1, 1)] });
          held.push({ pts_ns: `${(begin + 200) * 1e6}`, epoch: 1, things: [person(0.14, 1), person(0.7, 2)] });
          const look = held.at(begin + 200);
          return [300, 700, 1200].map((ms) => look.things.map((thing) => driftOf(look, thing, begin + ms)[0]));
        }"""
    )
    assert drifts == [pytest.approx([0.02, 0]), pytest.approx([0.1, 0]), pytest.approx([0.1, 0])]


def test_why_there_are_no_boxes_is_said(start: Start, open_page: Open, tmp_path: Path) -> None:
    why = re.compile("detection is switched off", re.IGNORECASE)
    (tmp_path / "blind.toml").write_text("[vision]\nenabled = false\n")
    blind = start("serve", "--camera", "door=mock:?fps=10", "--config", str(tmp_path / "blind.toml"))
    page = open_page(blind.url + "/cameras/door").page
    wait_moving(page, "framecast-player")
    page.keyboard.press("d")
    expect(page.locator("framecast-player .said")).to_contain_text(why)
    page.goto(blind.url)
    expect(page.locator(".toast")).to_contain_text(why)
