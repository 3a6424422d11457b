"""What is looked for in a camera's pictures, as one sets it up on its page: zones, settings, a live look."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from framecast.vision import labels
from tests.vision import tinymodel
from tests.vision.scenes import scene
from tests.web.conftest import PHONE, Open, Process, serving
from tests.web.looking import FAINT, FITS, SMALL, UNNAMED

CAMERA = "/api/v1/cameras/door"
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that sees bright squares."""
    folder = tmp_path_factory.mktemp("detection")
    tinymodel.write(folder / "data" / "models" / "tiny.onnx")
    with serving(folder, "--camera", "door=push:") as process:
        yield process


def push(server: Process, page: Page, left_px: int) -> None:
    """One picture, with a square that begins so far from its left."""
    assert page.request.post(server.url + CAMERA + "/frames", data=scene(left_px, 60), headers=JPEG).ok


def show(server: Process, open_page: Open, **options: Any) -> Page:
    """The tab, of a camera that has a picture, in whose shape all is drawn."""
    page: Page = open_page(server.url + "/cameras/door", **options).page
    push(server, page, 30)
    page.wait_for_function("() => document.querySelector('#player').stats?.width === 192")
    page.get_by_role("tab", name="Detection").click()
    return page


def get(server: Process, page: Page, rest: str = "") -> Any:
    """What the server says of the camera."""
    return page.request.get(server.url + CAMERA + rest).json()


def wait(page: Page, done: Callable[[], bool]) -> None:
    """Until it is so, some 60 s at most."""
    for _ in range(600):
        if done():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never was")


class Canvas:
    """The picture as a hand knows it: points are fractions."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where that is in the window."""
        box = self._page.locator(".zones").bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, *points: tuple[float, float]) -> None:
        """Press at the first, and let go at the last."""
        mouse = self._page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point))
        mouse.up()

    def click(self, x: float, y: float) -> None:
        """Press and let go."""
        self._page.mouse.click(*self.at(x, y))

    def tap(self, x: float, y: float) -> None:
        """With a finger."""
        self._page.touchscreen.tap(*self.at(x, y))


def near(shape: dict[str, Any], *points: tuple[float, float]) -> bool:
    """Whether a zone has these corners, as exactly as a hand draws."""
    drawn: list[list[float]] = shape["points"]
    return len(drawn) == len(points) and all(
        abs(x - wanted_x) < 0.02 and abs(y - wanted_y) < 0.02
        for (x, y), (wanted_x, wanted_y) in zip(drawn, points, strict=True)
    )


def test_zones_are_drawn_with_the_mouse(server: Process, open_page: Open) -> None:
    page = show(server, open_page)
    page.get_by_role("button", name="Draw zones").click()
    expect(page.get_by_role("button", name="Draw a zone")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Draw zones")).to_be_focused()
    page.keyboard.press("Enter")
    canvas = Canvas(page)
    # A rectangle by one drag; a triangle by its corners; a line.
    page.get_by_role("button", name="Draw a zone").click()
    canvas.drag((0.1, 0.5), (0.2, 0.6), (0.4, 0.9))
    page.get_by_label("Name of zone 1").fill("porch")
    page.get_by_role("button", name="Draw a zone").click()
    for corner in ((0.6, 0.1), (0.9, 0.1), (0.75, 0.5), (0.6, 0.1)):
        canvas.click(*corner)
    page.get_by_label("Name of zone 2").fill("porch")
    page.get_by_role("button", name="Draw a line").click()
    canvas.drag((0.5, 0.9), (0.5, 0.5), (0.5, 0.1))
    page.get_by_label("Name of line 3").fill("gate")
    # Seen from its first end, its right is at the right of the picture.
    right, left = (page.locator(".zone-side", has_text=side).bounding_box() for side in "RL")
    assert right and left and right["x"] > left["x"]
    page.get_by_role("button", name="Save zones").click()
    expect(page.get_by_text("Not saved.")).to_contain_text("Two are called “porch”")
    page.get_by_label("Name of zone 2").fill("drive")
    page.get_by_role("button", name="Save zones").click()
    page.get_by_text("Zones saved.").wait_for()
    porch, drive, gate = get(server, page, "/zones")["zones"]
    assert (porch["name"], drive["name"], gate["name"], gate["kind"]) == ("porch", "drive", "gate", "line")
    assert near(porch, (0.1, 0.5), (0.4, 0.5), (0.4, 0.9), (0.1, 0.9))
    assert near(drive, (0.6, 0.1), (0.9, 0.1), (0.75, 0.5))
    assert near(gate, (0.5, 0.9), (0.5, 0.1))
    expect(page.locator(".zone-layer .zone-shape")).to_have_count(3)
    # A corner moves by its handle, a new one comes out of an edge, the whole by its middle; what leaves is put off.
    page.get_by_role("button", name="Edit zones").click()
    canvas.drag((0.1, 0.5), (0.05, 0.4), (0.05, 0.4))
    canvas.drag((0.25, 0.9), (0.25, 0.95), (0.25, 0.95))
    canvas.drag((0.75, 0.2), (0.75, 0.4), (0.75, 0.4))
    page.get_by_role("button", name="Remove line 3").click()
    page.get_by_role("button", name="Save zones").click()
    page.get_by_role("button", name="Edit zones").wait_for()
    porch, drive = get(server, page, "/zones")["zones"]
    assert near(porch, (0.05, 0.4), (0.4, 0.5), (0.4, 0.9), (0.25, 0.95), (0.1, 0.9))
    assert near(drive, (0.6, 0.3), (0.9, 0.3), (0.75, 0.7))
    # Another tab leaves what is drawn to come back to; what is thrown away leaves all as it was.
    page.get_by_role("button", name="Edit zones").click()
    page.get_by_role("button", name="Remove zone 1").click()
    page.get_by_role("tab", name="Numbers").click()
    expect(page.locator(".zones")).to_be_hidden()
    expect(page.locator(".zone-layer")).to_have_count(0)
    page.get_by_role("tab", name="Detection").click()
    expect(page.locator(".zones .zone-shape")).to_have_count(1)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".zone-layer .zone-shape")).to_have_count(2)
    page.request.put(server.url + CAMERA + "/zones", data={"zones": []})


def test_zones_are_drawn_by_touch_and_by_keyboard(server: Process, open_page: Open) -> None:
    page = show(server, open_page, size=PHONE)
    page.get_by_role("button", name="Draw zones").tap()
    canvas = Canvas(page)
    page.get_by_role("button", name="Draw a zone").tap()
    for corner in ((0.2, 0.3), (0.8, 0.3), (0.8, 0.8)):
        canvas.tap(*corner)
    page.get_by_role("button", name="Close the zone").tap()
    # Without drawing: one in the middle, whose corners follow the arrow keys.
    page.get_by_role("button", name="Draw a line").press("Enter")
    end = page.get_by_role("slider", name="End 1 of line 1")
    end.focus()
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    expect(end).to_be_focused()
    corner = page.get_by_role("slider", name="Corner 1 of zone 1")
    corner.focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("slider")).to_have_count(5)
    page.get_by_role("button", name="Save zones").tap()
    page.get_by_text("Zones saved.").wait_for()
    zone, line = get(server, page, "/zones")["zones"]
    assert near(zone, (0.2, 0.3), (0.8, 0.3), (0.8, 0.8)), "a zone keeps its last three corners"
    assert near(line, (0.3, 0.45), (0.7, 0.5))
    # Esc ends the drawing, and not the page.
    page.get_by_role("button", name="Edit zones").tap()
    page.get_by_role("button", name="Draw a zone").tap()
    canvas.tap(0.5, 0.5)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Draw a zone")).to_be_visible()
    assert page.url == server.url + "/cameras/door"
    page.get_by_role("button", name="Cancel").tap()
    assert page.evaluate(FITS)
    assert page.evaluate(FAINT) == page.evaluate(UNNAMED) == page.evaluate(SMALL) == []
    page.request.put(server.url + CAMERA + "/zones", data={"zones": []})


def test_the_keyboard_keeps_its_place_while_zones_are_edited(server: Process, open_page: Open) -> None:
    page = show(server, open_page)
    page.get_by_role("button", name="Draw zones").press("Enter")
    page.get_by_role("button", name="Draw a zone").press("Enter")
    page.get_by_role("button", name="Remove zone 1").press("Enter")
    expect(page.get_by_role("button", name="Draw a zone")).to_be_focused()
    page.get_by_role("button", name="Cancel").press("Enter")
    expect(page.get_by_role("button", name="Draw zones")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Draw a zone").press("Enter")
    page.get_by_role("button", name="Save zones").press("Enter")
    page.get_by_text("Zones saved.").wait_for()
    expect(page.get_by_role("button", name="Edit zones")).to_be_focused()
    page.request.put(server.url + CAMERA + "/zones", data={"zones": []})


def test_zones_drawn_before_the_picture_was_turned_are_not_saved_unasked(server: Process, open_page: Open) -> None:
    page = show(server, open_page)
    page.get_by_role("button", name="Draw zones").press("Enter")
    page.get_by_role("button", name="Draw a zone").press("Enter")
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Mirror the picture").select_option("horizontal")
    page.get_by_text("Saved.", exact=True).wait_for()
    page.get_by_role("tab", name="Detection").click()
    page.get_by_role("button", name="Save zones").click()
    page.get_by_role("dialog", name="Replace the zones?").get_by_role("button", name="Cancel").click()
    assert get(server, page, "/zones")["zones"] == []
    page.request.patch(server.url + CAMERA, data={"mirror": "none"})


def test_zones_that_changed_elsewhere_are_not_replaced_unasked(server: Process, open_page: Open) -> None:
    page = show(server, open_page)
    page.get_by_role("button", name="Draw zones").wait_for()
    points = [[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]]
    theirs = [{"name": "theirs", "kind": "zone", "points": points}]
    later = [*theirs, {"name": "later", "kind": "line", "points": points[:2]}]
    page.request.put(server.url + CAMERA + "/zones", data={"zones": theirs})
    # What was drawn in another tab since this one was opened is there to go on with.
    page.get_by_role("button", name="Draw zones").click()
    expect(page.get_by_label("Name of zone 1")).to_have_value("theirs")
    page.get_by_label("Name of zone 1").fill("mine")
    page.request.put(server.url + CAMERA + "/zones", data={"zones": later})
    page.get_by_role("button", name="Save zones").click()
    question = page.get_by_role("dialog", name="Replace the zones?")
    question.get_by_role("button", name="Cancel").click()
    assert get(server, page, "/zones")["zones"] == later
    page.get_by_role("button", name="Save zones").click()
    question.get_by_role("button", name="Replace").click()
    page.get_by_text("Zones saved.").wait_for()
    assert [each["name"] for each in get(server, page, "/zones")["zones"]] == ["mine"]
    page.request.put(server.url + CAMERA + "/zones", data={"zones": []})


def test_zones_that_come_late_end_no_editing(server: Process, open_page: Open) -> None:
    page = show(server, open_page)
    page.get_by_role("button", name="Draw zones").wait_for()
    held: list[Route] = []
    page.route("**/zones", lambda route: route.continue_() if held else held.append(route))
    page.get_by_role("tab", name="Numbers").click()
    page.get_by_role("tab", name="Detection").click()
    while not held:
        page.wait_for_timeout(50)
    # Away and back once more: this time the answer is quick.
    page.get_by_role("tab", name="Numbers").click()
    page.get_by_role("tab", name="Detection").click()
    page.get_by_role("button", name="Draw zones").click()
    page.get_by_role("button", name="Draw a zone").press("Enter")
    with page.expect_response("**/zones"):
        held[0].continue_()
    expect(page.get_by_label("Name of zone 1")).to_be_visible()
    expect(page.locator(".zones")).to_have_count(1)


def test_zones_stay_in_their_place_when_the_picture_is_turned(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door").page
    drawn = [
        {"name": "porch", "kind": "zone", "points": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]]},
        {"name": "gate", "kind": "line", "points": [[0.5, 0.9], [0.5, 0.1]]},
    ]
    page.request.put(server.url + CAMERA + "/zones", data={"zones": drawn})
    page.get_by_role("heading", name="door").wait_for()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Turn the picture").select_option("90")
    wait(page, lambda: near(get(server, page, "/zones")["zones"][0], (0.8, 0.1), (0.8, 0.4), (0.4, 0.4)))
    assert near(get(server, page, "/zones")["zones"][1], (0.1, 0.5), (0.9, 0.5))
    page.get_by_label("Mirror the picture").select_option("horizontal")
    wait(page, lambda: near(get(server, page, "/zones")["zones"][0], (0.2, 0.1), (0.2, 0.4), (0.6, 0.4)))
    assert near(get(server, page, "/zones")["zones"][1], (0.1, 0.5), (0.9, 0.5)), "left stays left"
    page.get_by_label("Turn the picture").select_option("0")
    page.get_by_label("Mirror the picture").select_option("none")
    wait(page, lambda: get(server, page, "/zones")["zones"] == drawn)
    page.request.put(server.url + CAMERA + "/zones", data={"zones": []})


def test_settings_are_saved_and_go_back_to_what_is_usual(server: Process, open_page: Open) -> None:
    page = show(server, open_page)

    def asked() -> Any:
        return get(server, page)["vision"]["asked"]

    usual = asked()
    expect(page.get_by_label("person", exact=True)).to_be_checked()
    page.get_by_label("dog", exact=True).check()
    page.get_by_label("Something else").select_option("umbrella")
    page.get_by_label("How sure it has to be, %").fill("70")
    page.get_by_label("Pictures to look at, a second").fill("2")
    page.keyboard.press("Tab")
    page.get_by_label("Look for faces, too").uncheck()
    own = {"labels": ["dog", "person", "umbrella"], "fps": 2, "threshold": 0.7, "faces": False, "own": True}
    wait(page, lambda: asked() == own)
    page.reload()
    page.get_by_role("tab", name="Detection").click()
    expect(page.get_by_label("umbrella")).to_be_checked()
    page.get_by_role("button", name="As for all cameras").click()
    expect(page.get_by_label("How sure it has to be, %")).to_have_value("50")
    expect(page.get_by_role("button", name="As for all cameras")).to_be_hidden()
    assert asked() == usual


def test_a_live_look_shows_what_it_sees_and_costs_while_it_is_open(server: Process, open_page: Open) -> None:
    page = show(server, open_page)
    panel, numbers = page.locator("#panel-detection"), itertools.count()

    def shown() -> bool:
        """Whether all of it is, of pictures that come: what was seen last is taken for old soon."""
        push(server, page, 30 + next(numbers) % 4 * 12)
        text = panel.inner_text()
        cost = (r"Objects\s*\d+(\.\d)? ms", r"Altogether\s*\d+\.\d % of a core")
        return all(re.search(part, text) for part in (*cost, r"\d things? seen"))

    wait(page, shown)
    assert page.locator("#player").get_attribute("boxes") == "all"
    looks = get(server, page)["vision"]["looks"]
    assert looks > 0
    page.get_by_role("tab", name="Numbers").click()
    assert page.locator("#player").get_attribute("boxes") is None
    wait(page, lambda: get(server, page)["vision"]["state"] == "idle")


def test_the_page_knows_the_labels_that_models_know(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    known = page.evaluate("async () => (await import('./static/js/labels.js')).LABELS")
    assert tuple(known) == labels.COCO
