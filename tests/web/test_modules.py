"""The parts of the pages that are pure arithmetic, run where they run: in the browser."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from framecast.ingest import codes
from framecast.wire import media
from tests.web.conftest import Process


@pytest.fixture(scope="module")
def page(demo: Process, chromium: Browser) -> Iterator[Page]:
    """Any page of the server; modules are imported from there."""
    page = chromium.new_page()
    page.goto(demo.url + "/docs")
    yield page
    page.close()


def call(page: Page, module: str, function: str, *arguments: Any) -> Any:
    """The result of one exported function."""
    return page.evaluate(
        """async ([module, name, given]) => {
          const all = await import(new URL(`static/js/${module}`, location.href));
          return all[name](...given);
        }""",
        [module, function, list(arguments)],
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9, 12, 16, 25, 50])
@pytest.mark.parametrize("size", [(1408, 824), (3808, 2064), (736, 948), (374, 760), (812, 300)])
@pytest.mark.parametrize("aspect", [4 / 3, 16 / 9])
def test_tiles_fill_the_window_and_never_overflow_it(
    page: Page, count: int, size: tuple[int, int], aspect: float
) -> None:
    plan = call(page, "layout.js", "plan", count, *size, aspect)
    columns, tile_px = plan["columns"], plan["tilePx"]
    assert columns >= 1
    assert columns * tile_px + (columns - 1) * 8 <= size[0]
    assert tile_px >= 170
    if count == 1:
        assert tile_px / aspect > size[1] * 0.8 or tile_px > size[0] * 0.9


@pytest.mark.parametrize(
    ("shown", "source", "asked"),
    [
        (300, 640, 320),
        (384, 640, 480),
        (385, 640, 0),  # more than 60 %: the original costs the server nothing
        (300, 320, 0),
        (700, 1920, 800),
        (2000, 4000, 0),  # above the ladder
        (300, 0, 0),  # not known yet
    ],
)
def test_asks_for_a_smaller_picture_only_where_it_pays(page: Page, shown: int, source: int, asked: int) -> None:
    assert call(page, "layout.js", "renditionWidth", shown, source) == asked


@pytest.mark.parametrize(
    ("lates", "delay_ms", "group"),
    [
        ({}, 0, []),
        ({"alone": 40}, 0, []),
        ({"a": 20, "b": 60}, 63, ["a", "b"]),
        ({"a": 20, "b": 60, "far": 400}, 63, ["a", "b"]),
        ({"a": 20, "far": 400}, 0, []),
        ({"a": 20, "b": 60, "new": None}, 63, ["a", "b"]),
    ],
)
def test_cameras_agree_on_one_delay(
    page: Page, lates: dict[str, float | None], delay_ms: float, group: list[str]
) -> None:
    agreed = page.evaluate(
        """async (lates) => {
          const { agree } = await import(new URL('static/js/playout.js', location.href));
          const { delayMs, keys } = agree(new Map(Object.entries(lates)));
          return [delayMs, [...keys].sort()];
        }""",
        lates,
    )
    assert agreed == [delay_ms, group]


def test_frames_of_one_instant_are_shown_together(page: Page) -> None:
    waits = page.evaluate(
        """async () => {
          const { Playout } = await import(new URL('static/js/playout.js', location.href));
          const clock = { at: 1_790_000_000_000, now() { return this.at; } };
          const playout = new Playout(clock);
          const delays = new Map([["near", 10], ["far", 90], ["lost", 900]]);
          for (const key of delays.keys()) playout.join(key);
          const shown = {};
          for (let frame = 0; frame < 20; frame++) {
            // The group is reviewed by the browser's own clock, twice a second.
            await new Promise((done) => setTimeout(done, 40));
            clock.at += 100;
            for (const [key, delay] of delays) {
              const captured = clock.at - delay;
              const wait = playout.schedule(key, captured);
              shown[key] = clock.at + Math.max(wait, 0) - captured;
            }
          }
          playout.leave("far");
          await new Promise((done) => setTimeout(done, 600));
          const alone = playout.schedule("near", clock.at - 10);
          return { ...shown, size: playout.size, alone };
        }"""
    )
    # Both 93 ms after their capture; the one that is far behind as it comes; one alone waits for nothing.
    assert waits["near"] == pytest.approx(93, abs=1)
    assert waits["far"] == pytest.approx(93, abs=1)
    assert waits["lost"] == 900
    assert waits["alone"] == 0


CLOCKED = """const { ServerClock } = await import(new URL('static/js/clock.js', location.href));
const clock = new ServerClock();
const ahead = () => clock.now() - performance.now();"""


def test_a_clock_that_parted_is_believed_at_once(page: Page) -> None:
    offsets = page.evaluate(
        "async () => {"
        + CLOCKED
        + """
          clock.sample(0, 2, 1_001e6);
          const before = ahead();
          clock.sample(5_000, 5_040, 6_020e6);
          const same = ahead();
          // The computer slept for 20 s, and this side's clock stood still.
          clock.sample(10_000, 10_040, 31_020e6);
          return [before, same, ahead(), clock.rttMs];
        }"""
    )
    assert offsets == pytest.approx([1000, 1000, 21_000, 40], abs=0.5)


@pytest.mark.parametrize("jump_ms", [20_000, -20_000])
def test_pictures_go_on_though_the_clocks_parted(page: Page, jump_ms: int) -> None:
    """First this side's clock is wrong, and then it is known: no picture waits for either."""
    waits = page.evaluate(
        """async (jumpMs) => {
          const { Playout } = await import(new URL('static/js/playout.js', location.href));
          const clock = { at: 1_790_000_000_000, partings: 0, now() { return this.at; } };
          const playout = new Playout(clock);
          playout.join("near");
          playout.join("far");
          const waits = [];
          let aheadMs = 0;
          const show = async (frames) => {
            for (let frame = 0; frame < frames; frame += 1) {
              await new Promise((done) => setTimeout(done, 40));
              clock.at += 40;
              for (const [key, delay] of [["near", 10], ["far", 60]]) {
                waits.push(playout.schedule(key, clock.at + aheadMs - delay));
              }
            }
          };
          await show(15);
          aheadMs = jumpMs;
          await show(15);
          clock.at += aheadMs;
          clock.partings += 1;
          aheadMs = 0;
          await show(15);
          return waits;
        }""",
        jump_ms,
    )
    assert max(waits) < 200
    assert waits[-2:] == pytest.approx([53, 3], abs=1)


def test_a_picture_that_waits_for_a_clock_that_parted_is_shown(page: Page) -> None:
    shown = page.evaluate(
        """async () => {
          const { Playout } = await import(new URL('static/js/playout.js', location.href));
          const { Screen } = await import(new URL('static/js/screen.js', location.href));
          const clock = { at: 1_790_000_000_000, now() { return this.at; } };
          const playout = new Playout(clock);
          const canvas = document.createElement("canvas");
          const screen = new Screen(canvas, { clock, playout });
          const frame = async (capturedMs) => {
            screen.show({ capturedMs, id: capturedMs }, await createImageBitmap(new ImageData(8, 8)));
          };
          playout.schedule = () => 10;
          await frame(clock.at + 20_000);
          // Until a screen is refreshed, which may take its time; the picture's own would never come.
          const end = performance.now() + 20_000;
          while (!screen.painted && performance.now() < end) await new Promise((done) => setTimeout(done, 20));
          const shown = screen.painted;
          screen.close();
          return shown;
        }"""
    )
    assert shown == 1


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Front door", "front-door"), ("Tür 2!", "tur-2"), ("__x__", "x"), ("…", ""), ("A" * 99, "a" * 63)],
)
def test_ids_are_made_from_names(page: Page, name: str, slug: str) -> None:
    assert call(page, "add.js", "slug", name) == slug


def test_reads_what_the_server_packs(page: Page) -> None:
    header = media.pack_header(
        camera=7, frame_id=2**53 + 1, pts_ns=1_790_000_000_123_456_789, epoch=3, width_px=640, height_px=480
    )
    frame = page.evaluate(
        """async (bytes) => {
          const { unpack } = await import(new URL('static/js/media.js', location.href));
          const frame = unpack(new Uint8Array(bytes).buffer);
          const other = unpack(new Uint8Array([9, ...bytes.slice(1)]).buffer);
          const { camera, width, height, epoch, capturedMs } = frame;
          return [camera, width, height, epoch, String(frame.id), capturedMs, [...frame.payload], other];
        }""",
        list(header + b"jpeg"),
    )
    assert frame == [7, 640, 480, 3, str(2**53 + 1), 1_790_000_000_123.4568, list(b"jpeg"), None]
    assert struct.calcsize("<BBBBHHHHIQq") == len(header)


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        ("duration", 48.4, "48 ms"),
        ("duration", 1234, "1.2 s"),
        ("duration", 12_000, "12 s"),
        ("duration", 180_000, "3 min"),
        ("duration", 7_200_000, "2 h"),
        ("duration", None, "–"),
        ("ago", 400, "1 s ago"),
        ("ago", 12_300, "12 s ago"),
        ("fps", 14.94, "14.9 fps"),
        ("fps", 0, "0 fps"),
        ("fps", 120, "120 fps"),
        ("bytes", 24_100, "24.1 kB"),
        ("bitrate", 2_880_000, "2.9 Mbit/s"),
        ("bitrate", 640_000, "640 kbit/s"),
    ],
)
def test_every_number_has_its_unit(page: Page, function: str, value: float | None, text: str) -> None:
    assert call(page, "format.js", function, value) == text


def test_every_fault_and_quirk_is_explained(page: Page) -> None:
    for code in (*codes.QUIRKS, *codes.FAULTS):
        advice = call(page, "words.js", "advise", code)
        assert "does not know" not in advice["advice"], code
