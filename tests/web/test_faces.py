"""The page of people whom the cameras know by their faces: who is enrolled, renamed, forgotten, and who is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from framecast.service.store.people import PeopleStore
from framecast.service.store.state import State
from framecast.vision.faces.people import Sample, Stranger
from tests.vision.faces.portraits import astronaut, hopper_close, jpeg
from tests.vision.scenes import scene
from tests.web.conftest import PHONE, TABLET, Open, Process, Start, serving
from tests.web.looking import FAINT, FITS, SMALL, UNNAMED
from tests.web.test_access import make_token

PEOPLE = "/api/v1/people"


OVERFULL = """
() => [...document.querySelectorAll("button")]
  .filter((each) => each.scrollWidth > each.clientWidth)
  .map((each) => each.innerText)
"""
"""Buttons whose words do not fit into them."""


def seed_strangers(data: Path, count: int) -> None:
    """Unknown faces that a camera saw."""
    vector = bytes(512)
    sample = Sample(scene(60, 40), "nothing", vector)
    with State.open(data) as state:
        store = PeopleStore(state.database)
        numbers = range(1, count + 1)
        store.keep_news(
            [Stranger(number, "door", (sample,)) for number in numbers], (), dict.fromkeys(numbers, (3, "door"))
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that knows faces by dlib, and has seen three that it does not know."""
    folder = tmp_path_factory.mktemp("faces")
    seed_strangers(folder / "data", 3)
    config = folder / "framecast.toml"
    config.write_text('[vision]\nfaces = "dlib"\n[cameras.door]\nurl = "push:"\n')
    with serving(folder, "--config", str(config)) as process:
        yield process


def photo(name: str, picture: bytes) -> FilePayload:
    """A file as somebody picks it."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": picture}


def people(server: Process, page: Page) -> Any:
    """Who is known."""
    return page.request.get(server.url + PEOPLE).json()["people"]


def forget_all(server: Process, page: Page) -> None:
    """As the server was, for the tests that share it."""
    for each in people(server, page):
        assert page.request.delete(f"{server.url}{PEOPLE}/{each['id']}").ok


def test_somebody_is_enrolled_by_files_and_by_a_live_picture(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/people", expected=("422", "400")).page
    expect(page.locator("#page")).to_contain_text("Nobody yet.")
    page.get_by_role("button", name="Add somebody").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Eileen Collins")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose at least one photo.")
    # One without a face, which is refused by its name, and one with.
    dialog.get_by_label("Photos from this device").set_input_files(
        [photo("wall.jpg", scene(60, 40, size=(320, 240))), photo("eileen.jpg", jpeg(astronaut()))]
    )
    expect(dialog.locator(".face")).to_have_count(2)
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("wall.jpg: ")
    expect(dialog.locator(".face")).to_have_count(1)
    dialog.get_by_role("button", name="Close").click()
    person = page.locator(".person")
    expect(person).to_contain_text(re.compile("Eileen Collins.*1 photo · not seen yet", re.DOTALL))
    page.wait_for_function("() => document.querySelector('.person img')?.naturalWidth > 0")
    # What a camera sees now: the very picture that was looked at.
    posted = page.request.post(
        f"{server.url}/api/v1/cameras/door/frames", data=jpeg(hopper_close()), headers={"Content-Type": "image/jpeg"}
    )
    assert posted.ok
    page.keyboard.press("a")
    dialog.get_by_label("Name").fill("Grace")
    dialog.get_by_role("button", name="Take a picture").click()
    page.wait_for_function("() => document.querySelector('.enrol-picture')?.naturalWidth > 0")
    dialog.get_by_role("button", name="Use this picture").click()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".person")).to_have_count(2)
    page.get_by_role("button", name="Rename: Grace").click()
    dialog.get_by_label("Name").fill("Grace Hopper")
    dialog.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    # A second photo can be taken away again; the last one can't.
    page.get_by_role("button", name="Add a photo: Grace Hopper").click()
    dialog.get_by_label("Photos from this device").set_input_files([photo("again.jpg", jpeg(hopper_close()))])
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Remove photo 2: Grace Hopper").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Remove photo")).to_have_count(0)
    assert [(each["name"], len(each["photos"])) for each in people(server, page)] == [
        ("Eileen Collins", 1),
        ("Grace Hopper", 1),
    ]
    # Forgetting asks.
    page.get_by_role("button", name="Forget: Eileen Collins").click()
    dialog.get_by_role("button", name="Cancel").click()
    assert len(people(server, page)) == 2
    page.get_by_role("button", name="Forget: Eileen Collins").click()
    dialog.get_by_role("button", name="Forget").click()
    expect(page.locator(".person")).to_have_count(1)
    assert [each["name"] for each in people(server, page)] == ["Grace Hopper"]
    forget_all(server, page)


def test_who_changes_his_mind_while_it_is_sent_leaves_nobody_behind(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/people").page
    page.get_by_role("button", name="Add somebody").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Nobody")
    dialog.get_by_label("Photos from this device").set_input_files([photo("face.jpg", scene(60, 40))])
    dialog.get_by_role("img", name="face.jpg").wait_for()
    held: list[Route] = []
    page.route("**" + PEOPLE, lambda route: route.continue_() if held else held.append(route))
    dialog.get_by_role("button", name="Add", exact=True).click()
    while not held:
        page.wait_for_timeout(50)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        held[0].continue_()
    assert people(server, page) == []


ADDRESSES = """
() => {
  window.addresses = new Set();
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (what) => {
    const address = createObjectURL.call(URL, what);
    window.addresses.add(address);
    return address;
  };
  URL.revokeObjectURL = (address) => {
    window.addresses.delete(address);
    revokeObjectURL.call(URL, address);
  };
}
"""
"""Keeps the addresses of pictures that were made and not let go."""


def test_a_picture_that_comes_late_is_not_shown_as_another_cameras(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=push:", "--camera", "yard=push:")
    page = open_page(server.url + "/people").page
    page.evaluate(ADDRESSES)
    page.get_by_role("button", name="Add somebody").click()
    dialog = page.get_by_role("dialog")
    held: list[Route] = []
    page.route("**/snapshot.jpg?*", lambda route: held.append(route))
    dialog.get_by_role("button", name="Take a picture").click()
    dialog.get_by_label("Camera", exact=True).select_option("yard")
    while len(held) < 2:
        page.wait_for_timeout(50)
    shown = dialog.get_by_alt_text("What the camera sees")
    widths = {"door": 320, "yard": 640}
    for route in reversed(held):
        camera = route.request.url.split("/")[-2]
        with page.expect_response("**/snapshot.jpg?*"):
            route.fulfill(body=jpeg(np.zeros((240, widths[camera], 3), np.uint8)), content_type="image/jpeg")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        expect(shown).to_have_js_property("naturalWidth", widths["yard"])
    # The other camera's picture is not offered while none of this one has come.
    dialog.get_by_label("Camera", exact=True).select_option("door")
    expect(shown).to_be_hidden()
    expect(dialog.get_by_role("button", name="Use this picture")).to_be_disabled()
    while len(held) < 3:
        page.wait_for_timeout(50)
    with page.expect_response("**/snapshot.jpg?*"):
        held[2].fulfill(body=jpeg(np.zeros((240, 320, 3), np.uint8)), content_type="image/jpeg")
    dialog.get_by_role("button", name="Use this picture").click()
    dialog.get_by_role("button", name="Close").click()
    page.wait_for_function("() => window.addresses.size === 0")


SLOW = """
() => {
  const real = window.createImageBitmap;
  const ready = new Promise((release) => (window.release = release));
  window.createImageBitmap = async (file, options) => {
    if (file.name === "slow.jpg") await ready;
    return real(file, options);
  };
}
"""
"""A large photo, which takes its time to be made smaller."""


def test_photos_that_are_not_ready_yet_are_sent_too(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/people").page
    page.get_by_role("button", name="Add somebody").wait_for()
    page.evaluate(SLOW)
    sent: list[str] = []
    page.route("**" + PEOPLE, lambda route: route.fulfill(json={"id": "eva", "name": "Eva"}))
    page.route("**/people/eva/photos", lambda route: (sent.append(route.request.url), route.fulfill(status=204)))
    page.get_by_role("button", name="Add somebody").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Eva")
    files = [photo(name, scene(60, 40)) for name in ("quick.jpg", "slow.jpg")]
    dialog.get_by_label("Photos from this device").set_input_files(files)
    dialog.get_by_role("img", name="quick.jpg").wait_for()
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    page.evaluate("() => window.release()")
    page.get_by_text("2 photos of Eva are known now.").wait_for()
    assert len(sent) == 2


def test_photos_that_find_no_room_are_told_of_before_the_others_are_sent(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/people").page
    page.get_by_role("button", name="Add somebody").wait_for()
    page.evaluate(SLOW)
    sent: list[str] = []
    page.route("**" + PEOPLE, lambda route: route.fulfill(json={"id": "eva", "name": "Eva"}))
    page.route("**/people/eva/photos", lambda route: (sent.append(route.request.url), route.fulfill(status=204)))
    page.get_by_role("button", name="Add somebody").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Eva")
    picture = scene(60, 40)
    files = [photo("slow.jpg", picture), photo("note.txt", b"no picture"), photo("page.html", b"none either")]
    files += [photo(f"{number}.jpg", picture) for number in range(22)]
    dialog.get_by_label("Photos from this device").set_input_files(files)
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.evaluate("() => window.release()")
    expect(dialog.get_by_role("alert")).to_have_text(
        "note.txt can't be read as a picture. JPEG and PNG can."
        "page.html can't be read as a picture. JPEG and PNG can."
        "Of a person 20 photos are kept at most: 3 photos left out."
    )
    assert sent == []
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("20 photos of Eva are known now.").wait_for()
    assert len(sent) == 20


def test_an_unknown_face_is_named_once_however_often_it_is_pressed(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/people", expected=("503",)).page
    asked: list[Route] = []
    page.route("**/people/unknown/*", lambda route: asked.append(route))
    card = page.locator(".stranger").first
    card.get_by_role("combobox").fill("Postman")
    card.get_by_role("button", name="Save").dblclick()
    card.get_by_role("button", name="Nobody I know").click()
    while not asked:
        page.wait_for_timeout(50)
    page.evaluate("() => fetch('api/v1/session')")
    assert [route.request.method for route in asked] == ["POST"]
    asked[0].fulfill(status=503, json={"error": {"code": "busy", "message": "It is busy."}})
    expect(card.get_by_role("alert")).to_contain_text("busy")
    card.get_by_role("button", name="Nobody I know").click()
    while len(asked) < 2:
        page.wait_for_timeout(50)
    assert asked[1].request.method == "DELETE"
    asked[1].fulfill(status=204)


def test_an_unknown_face_is_given_a_name(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/people#unknown").page
    strangers = page.locator(".stranger")
    expect(strangers).to_have_count(3)
    expect(strangers.first).to_contain_text("seen 3 times")
    page.wait_for_function("() => document.querySelector('.stranger img').naturalWidth === 192")
    strangers.first.get_by_role("combobox").fill("Postman")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Postman")).to_be_visible()
    expect(strangers).to_have_count(2)
    # He is seen from another side: it is the same person, with both photos.
    strangers.first.get_by_role("combobox").fill("Postman")
    strangers.first.get_by_role("button", name="Save").click()
    expect(page.locator(".person", has_text="Postman")).to_contain_text("2 photos")
    page.get_by_role("button", name="Nobody I know").click()
    expect(page.locator("#unknown")).to_contain_text("No unknown face was seen.")
    forget_all(server, page)


def test_a_name_that_is_typed_stays_while_the_list_is_renewed(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "data"
    seed_strangers(data, 3)
    server = start("serve", data=data)
    page = open_page(server.url + "/people").page
    first, last = (page.get_by_label(f"Name of unknown face {number}") for number in (1, 3))
    last.focus()
    assert page.request.delete(f"{server.url}{PEOPLE}/unknown/2").ok
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".stranger")).to_have_count(2)
    expect(last).to_be_focused()
    page.keyboard.type("anna")
    # One is named while the other's name is being typed.
    first.fill("Zoe")
    first.press("Enter")
    expect(page.locator(".stranger")).to_have_count(1)
    expect(last).to_have_value("anna")
    expect(last).to_be_focused()


def test_on_a_phone_and_a_tablet_nothing_sticks_out(server: Process, open_page: Open) -> None:
    for size in (PHONE, TABLET):
        page = open_page(server.url + "/people", size=size, dark=size is PHONE).page
        page.locator("#unknown").wait_for()
        for opened in (False, True):
            if opened:
                page.get_by_role("button", name="Add somebody").click()
                page.locator("dialog[open] .stack > .field").first.wait_for()
                # Each field is as wide as the dialog, and no button is written over.
                widths = page.locator("dialog .stack > .field").evaluate_all(
                    "all => all.map((each) => each.offsetWidth)"
                )
                assert len(set(widths)) == 1
                assert page.evaluate(OVERFULL) == []
            assert page.evaluate(FITS)
            assert page.evaluate(FAINT) == page.evaluate(UNNAMED) == []
            assert page.evaluate(SMALL) == [] or size is TABLET


def test_who_may_operate_sees_and_who_owns_changes(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "data"
    seed_strangers(data, 1)
    secret = make_token(data, "desk", "operate")
    page = open_page(start("serve", data=data).url + "/people").page
    page.get_by_label("Token", exact=True).fill(secret)
    page.keyboard.press("Enter")
    expect(page.locator(".stranger")).to_contain_text("seen 3 times")
    assert page.get_by_role("button", name="Add somebody").count() == 0
    assert page.locator(".stranger input").count() == 0
