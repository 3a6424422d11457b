"""The page of events in Chromium: what was seen, filters, links, rules, and what happens while it is open."""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Page, Route, expect

from framecast.service.store.events import Event
from tests.vision import tinymodel
from tests.vision.scenes import scene
from tests.web.conftest import PHONE, TABLET, Open, Process, Start, serving
from tests.web.looking import FAINT, FITS, HIDE, SMALL, UNNAMED
from tests.web.seeding import seed_events
from tests.web.test_access import make_token

DAY_S = 86_400
SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
CAMERAS = ("--camera", "door=push:", "--camera", "yard=push:")


def past(age_s: float, camera: str, kind: str, lasted_s: float = 12, **more: Any) -> Event:
    """Something that began so long ago."""
    start_s = time.time() - age_s
    return Event("", camera, "gone", kind, start_s, start_s + lasted_s, start_s, **{"score": 0.87, **more})


def days_ago(days: int) -> float:
    """Seconds since noon of that day: whatever the time is, it is a day of its own."""
    now = time.localtime()
    noon_s = time.mktime((now.tm_year, now.tm_mon, now.tm_mday - days, 12, 0, 0, 0, 0, -1))
    return time.time() - noon_s


@pytest.fixture(scope="module")
def ids() -> list[str]:
    """Ids of the events of the past, the newest first."""
    return []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> Iterator[Process]:
    """A server that remembers some events, and sees bright squares."""
    folder = tmp_path_factory.mktemp("events")
    tinymodel.write(folder / "data" / "models" / "tiny.onnx")
    events = [
        past(days_ago(1), "door", "object", label="person", zone="porch", box=(0.3, 0.25, 0.2, 0.3), rule_name="Porch"),
        past(days_ago(1) + 60, "yard", "face", names=("unknown",), label="person", groups=(3,)),
        past(days_ago(2), "door", "face", names=("Grace Hopper",), label="person", quiet=True),
        past(days_ago(3), "yard", "offline", lasted_s=900, score=0.0),
        *(past(days_ago(9) + age, "yard", "motion") for age in range(60)),
    ]
    ids.extend(seed_events(folder / "data", *events))
    with serving(folder, *CAMERAS) as process:
        yield process


def text64(value: bytes) -> str:
    """As browsers write bytes."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def titles(page: Page) -> list[str]:
    """What the cards say, in their order."""
    return page.locator(".event-title").all_inner_texts()


def push(server: Process, page: Page, left_px: int) -> None:
    """One picture of the door, with a square that begins so far from its left."""
    body, kind = scene(left_px, 60), {"Content-Type": "image/jpeg"}
    assert page.request.post(f"{server.url}/api/v1/cameras/door/frames", data=body, headers=kind).ok


def until(done: Callable[[], bool], step: Callable[[int], None]) -> None:
    """Takes steps until it is done, some 60 s at most."""
    for number in range(600):
        if done():
            return
        step(number)
        time.sleep(0.1)
    raise AssertionError("it never was")


def test_what_was_seen_stands_there_by_day_with_its_picture(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/events").page
    expect(page.locator(".event-sum")).to_have_text("48 events so far")
    assert titles(page)[:4] == ["Person in porch", "Unknown face", "Grace Hopper", "Camera offline"]
    assert page.locator(".event-day h2").first.inner_text() == "Yesterday"
    assert page.locator(".event-day").count() == 4
    first = page.locator(".event").first
    expect(first).to_contain_text(re.compile(r"door\s*12:00:00.*, 12 s"))
    page.wait_for_function("() => document.querySelector('.event img').naturalWidth === 192")
    expect(page.locator(".event").nth(3)).to_contain_text("No picture")
    expect(page.locator(".event").nth(3)).to_contain_text("15 min")
    page.get_by_role("button", name="Older events").click()
    expect(page.locator(".event-sum")).to_have_text("64 events")
    assert page.locator(".event").count() == 64
    expect(page.get_by_role("button", name="Older events")).to_be_hidden()


def test_an_old_event_that_ended_while_nobody_looked_is_not_going_on(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/events", expected=("404",)).page
    page.locator(".event").first.wait_for()

    def while_it_went_on(route: Route) -> None:
        answer = route.fetch().json()
        answer["events"][-1]["end"] = None
        answer["events"][-2].update(event_id=f"{answer['events'][-1]['event_id']}0", end=None)  # was deleted since
        route.fulfill(json=answer)

    page.route("**/api/v1/events?*before=*", while_it_went_on)
    page.get_by_role("button", name="Older events").click()
    expect(page.locator(".event-sum")).to_have_text("64 events, 2 going on")
    page.evaluate(HIDE, True)
    page.evaluate(HIDE, False)
    expect(page.locator(".event-sum")).to_have_text("63 events")


def test_one_can_go_back_as_far_as_there_are_events(start: Start, open_page: Open, tmp_path: Path) -> None:
    seed_events(tmp_path / "data", *(past(100 + 60 * age, "yard", "motion", score=0.0) for age in range(530)))
    server = start("serve", *CAMERAS, data=tmp_path / "data")
    page = open_page(server.url + "/events").page
    older, said = page.get_by_role("button", name="Older events"), page.locator(".event-sum")
    for count in range(48, 528, 48):
        expect(said).to_have_text(f"{count} events so far")
        older.click()
    expect(said).to_have_text("528 events so far")
    older.click()
    expect(said).to_have_text("530 events")


def test_older_ones_come_though_the_newest_are_looked_up_meanwhile(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/events", expected=("404",)).page
    expect(page.locator(".event-sum")).to_have_text("48 events so far")
    held: list[Route] = []
    page.route("**/api/v1/events?*before=*", lambda route: held.append(route))
    page.get_by_role("button", name="Older events").click()
    while not held:
        page.wait_for_timeout(50)
    with page.expect_response("**/api/v1/events?*"):
        page.evaluate(HIDE, True)
        page.evaluate(HIDE, False)
    held[0].continue_()
    expect(page.locator(".event-sum")).to_have_text("64 events")


def test_who_went_on_is_not_led_back_by_a_late_answer(server: Process, open_page: Open, ids: list[str]) -> None:
    page = open_page(server.url + "/events", expected=("404",)).page
    page.locator(".event").first.wait_for()
    held: list[Route] = []
    page.route(f"**/events/{ids[-1]}", lambda route: held.append(route))
    page.evaluate("id => (location.hash = id)", ids[-1])
    while not held:
        page.wait_for_timeout(50)
    page.evaluate("id => (location.hash = id)", ids[1])
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Unknown face")
    with page.expect_response(f"**/events/{ids[-1]}"):
        held[0].continue_()
    expect(dialog.get_by_role("heading")).to_have_text("Unknown face")
    # What leads to none closes what stood there in its place.
    page.evaluate("id => (location.hash = id)", "0" * 26)
    expect(dialog.get_by_role("heading")).to_have_text("No such event")
    page.evaluate("() => (location.hash = '')")
    expect(dialog).to_have_count(0)


def test_what_was_deleted_elsewhere_is_deleted(start: Start, open_page: Open, tmp_path: Path) -> None:
    (event_id,) = seed_events(tmp_path / "data", past(100, "yard", "motion", score=0.0))
    server = start("serve", *CAMERAS, data=tmp_path / "data")
    page = open_page(f"{server.url}/events#{event_id}", expected=("404",)).page
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    assert page.request.delete(f"{server.url}/api/v1/events/{event_id}").ok
    page.get_by_role("dialog", name="Delete this event?").get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted.", exact=True).wait_for()
    page.get_by_role("heading", name="Nothing happened yet").wait_for()


def test_yesterday_is_no_longer_called_so_the_day_after(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs", expected=("ERR_FAILED",)).page
    page.clock.install()
    page.goto(server.url + "/events")
    day = page.locator(".event-day", has_text="Person in porch").last.locator("h2")
    expect(day).to_have_text("Yesterday")
    # Nothing happens, and nothing is heard, for a day.
    page.route("**/api/v1/events?*", lambda route: route.abort())
    page.clock.fast_forward(DAY_S * 1000)
    expect(day).not_to_have_text("Yesterday")


def test_a_key_pressed_as_an_event_is_closed_opens_no_other(server: Process, open_page: Open, ids: list[str]) -> None:
    page = open_page(f"{server.url}/events#{ids[1]}").page
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("a stranger")
    # Until the next picture of the page the focus is where it was.
    dialog.get_by_role("button", name="Close").evaluate(
        """button => {
          button.closest("dialog").close();
          button.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true }));
        }"""
    )
    expect(page).to_have_url(f"{server.url}/events")
    expect(page.locator(".event").first).to_be_focused()
    expect(dialog).to_be_hidden()


def test_filters_leave_out_and_are_remembered_in_the_address(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/events").page
    page.locator(".event").first.wait_for()
    page.get_by_label("Camera", exact=True).select_option("door")
    expect(page.locator(".event-sum")).to_have_text("2 events")
    page.get_by_label("Kind", exact=True).select_option("face")
    expect(page.locator(".event-sum")).to_have_text("1 event")
    expect(page.locator(".event-title")).to_have_text(["Grace Hopper"])
    page.reload()
    expect(page.locator(".event-sum")).to_have_text("1 event")
    expect(page.get_by_label("Camera", exact=True)).to_have_value("door")
    page.get_by_label("Camera", exact=True).select_option("")
    page.get_by_label("Kind", exact=True).select_option("")
    page.get_by_label("Person", exact=True).select_option("unknown")
    expect(page.locator(".event-sum")).to_have_text("1 event")
    expect(page.locator(".event-title")).to_have_text(["Unknown face"])
    page.get_by_label("Person", exact=True).select_option("")
    page.get_by_label("Time", exact=True).select_option("day")
    page.get_by_label("Day", exact=True).fill(time.strftime("%Y-%m-%d", time.localtime(time.time() - days_ago(2))))
    expect(page.locator(".event-sum")).to_have_text("1 event")
    expect(page.locator(".event-title")).to_have_text(["Grace Hopper"])
    page.get_by_label("Time", exact=True).select_option("1")
    page.get_by_role("heading", name="No event fits").wait_for()
    page.get_by_role("button", name="Show all events").click()
    expect(page.locator(".event-sum")).to_have_text("48 events so far")
    assert page.url == server.url + "/events"


def test_a_link_opens_one_event_and_keys_go_through_them(server: Process, open_page: Open, ids: list[str]) -> None:
    page = open_page(f"{server.url}/events#{ids[1]}").page
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("a stranger")
    expect(dialog.get_by_role("link", name="Who is this?")).to_have_attribute("href", server.url + "/people#unknown")
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(f"{server.url}/events#{ids[0]}")
    expect(dialog).to_contain_text("87 %")
    expect(dialog).to_contain_text("Porch")
    expect(dialog.get_by_role("button", name="Newer event")).to_be_disabled()
    # The frame lies where the event says, on the picture and not on the bars beside it.
    page.wait_for_function("() => document.querySelector('.event-large img')?.complete")
    frame, place = dialog.locator(".event-box").bounding_box(), dialog.locator(".event-large").bounding_box()
    assert frame and place
    width_px = place["height"] * 4 / 3
    assert frame["x"] == pytest.approx(place["x"] + (place["width"] - width_px) / 2 + 0.3 * width_px, abs=2)
    assert frame["height"] == pytest.approx(0.3 * place["height"], abs=2)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(dialog).to_contain_text("to nobody: it began in quiet hours")
    page.keyboard.press("Escape")
    expect(page).to_have_url(server.url + "/events")
    # Beyond what is shown, and what is no more.
    page.goto(f"{server.url}/events#{ids[-1]}")
    page.reload()
    expect(dialog.get_by_role("heading", name="Motion")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".event").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/events#{ids[1]}")
    dialog.get_by_role("button", name="Close").click()
    page.keyboard.press("?")
    expect(dialog).to_contain_text("Older event")


def test_an_event_that_is_gone_is_told_from_one_that_is_there(server: Process, open_page: Open) -> None:
    page = open_page(f"{server.url}/events#{'0' * 26}", expected=("404",)).page
    expect(page.get_by_role("dialog")).to_contain_text("It was deleted")
    page.keyboard.press("Escape")
    expect(page).to_have_url(server.url + "/events")


def test_what_happens_now_comes_to_the_top_of_two_browsers(server: Process, open_page: Open) -> None:
    page, other = open_page(server.url + "/events").page, open_page(server.url + "/events").page
    page.get_by_role("tab", name="Rules").click()
    page.get_by_role("heading", name="No rule yet").wait_for()
    page.get_by_role("button", name="Add a rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Only these").check()
    dialog.get_by_label("door").check()
    dialog.get_by_label("At most one event every, s").fill("0")
    dialog.get_by_role("button", name="Add quiet hours").click()
    dialog.get_by_label("Name", exact=True).fill("Somebody is there")
    dialog.get_by_role("button", name="Add", exact=True).click()
    rule = page.locator(".rule")
    expect(rule).to_contain_text("Somebody is there")
    expect(rule).to_contain_text("Person · door · quiet 22:00–07:00")
    kept = page.request.get(server.url + "/api/v1/rules").json()["rules"][0]
    assert (kept["kind"], kept["labels"], kept["cameras"], kept["notify"]) == ("object", ["person"], ["door"], [])
    page.get_by_role("tab", name="Events").click()
    until(
        lambda: all(each.locator(".event[data-state=open]").count() == 1 for each in (page, other)),
        lambda number: push(server, page, 30 + number % 2 * 4),
    )
    for each in (page, other):
        expect(each.locator(".event").first).to_contain_text("Person")
        expect(each.locator(".event").first).to_contain_text("going on")
        each.wait_for_function("() => document.querySelector('.event img').naturalWidth === 192")
    expect(page.locator("#news")).to_have_text("Person, door")
    # It is deleted with a question, and everything of the rule can be taken back.
    other.locator(".event").first.click()
    other.get_by_role("button", name="Delete").click()
    other.get_by_role("button", name="Cancel").click()
    event_id = other.url.partition("#")[2]
    other.get_by_role("button", name="Delete").click()
    other.get_by_role("dialog", name="Delete this event?").get_by_role("button", name="Delete").click()
    expect(other.locator(f".event[data-id='{event_id}']")).to_have_count(0)
    expect(other.locator(".event").first).to_be_focused()
    page.get_by_role("tab", name="Rules").click()
    page.get_by_role("switch", name="Somebody is there is on").uncheck()
    expect(rule).to_contain_text("Off")
    expect(page.get_by_role("switch", name="Somebody is there is on")).to_be_focused()
    page.get_by_role("button", name="Change: Somebody is there").click()
    dialog.get_by_label("What is to be an event").select_option("no_motion")
    expect(dialog.get_by_label("Nothing moves for, s")).to_have_value("600")
    dialog.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Save").click()
    expect(rule).to_contain_text("No motion for 10 min · door")
    expect(rule).not_to_contain_text("quiet")
    # Nobody is told, until everybody is again.
    for told, words in ((False, ["none"]), (True, [])):
        page.get_by_role("button", name="Change: Somebody is there").click()
        for each in ("Phones", "Webhooks", "MQTT"):
            dialog.get_by_role("checkbox", name=each).set_checked(told)
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_have_count(0)
        expect(rule).to_contain_text("tells nobody") if not told else expect(rule).not_to_contain_text("tells")
        assert page.request.get(server.url + "/api/v1/rules").json()["rules"][0]["notify"] == words
    page.get_by_role("button", name="Delete: Somebody is there").click()
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="No rule yet").wait_for()
    expect(page.get_by_role("button", name="Add a rule")).to_be_focused()


def test_on_a_phone_and_a_tablet_nothing_sticks_out(server: Process, open_page: Open, ids: list[str]) -> None:
    page = open_page(server.url + "/events#rules").page
    fields = {"kind": "object", "labels": ["cat", "dog"], "name": "Pets", "quiet": [["22:00", "07:00"]]}
    assert page.request.post(server.url + "/api/v1/rules", data=fields).status == 201
    page.reload()
    words = "No event can come of it now: what is looked for at door is person."
    expect(page.locator(".rule")).to_contain_text(words)
    for size in (PHONE, TABLET):
        page = open_page(f"{server.url}/events", size=size).page
        page.locator(".event").first.wait_for()
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            for tab in ("Deliveries", "Rules", "Events"):
                page.get_by_role("tab", name=tab).click()
                page.locator(f"#panel-{'sinks' if tab == 'Deliveries' else tab.lower()} :first-child").first.wait_for()
                assert page.evaluate(FITS), (tab, scheme)
                assert page.evaluate(FAINT) == [], (tab, scheme)
                assert page.evaluate(UNNAMED) == [], tab
                assert page.evaluate(SMALL) == [] or size is TABLET, tab


PUSH_SERVICE = """
window.made = null;
const keys = { p256dh: "%(p256dh)s", auth: "%(auth)s" };
PushManager.prototype.getSubscription = async () => window.made;
PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
  window.made = {
    endpoint: "https://push.example.org/one",
    options: { applicationServerKey: applicationServerKey.buffer },
    toJSON: () => ({ endpoint: "https://push.example.org/one", expirationTime: null, keys }),
    unsubscribe: async () => ((window.made = null), true),
  };
  return window.made;
};
"""
"""In place of the browser's own, which asks its maker's servers."""


def test_a_device_is_notified_once_it_wants_to_be(start: Start, open_page: Open) -> None:
    server = start("serve", *CAMERAS)
    page = open_page(server.url + "/docs", workers=True).page
    page.context.grant_permissions(["notifications"], origin=server.url)
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    named = {"p256dh": point, "auth": secrets.token_bytes(16)}
    page.add_init_script(PUSH_SERVICE % {name: text64(value) for name, value in named.items()})
    page.goto(server.url + "/events")
    switch = page.get_by_role("switch", name="Notify this device")
    switch.check()
    page.get_by_text("This device is notified from now on.").wait_for()
    (sink,) = page.request.get(server.url + "/api/v1/events/sinks").json()["sinks"]
    assert sink["kind"] == "push"
    key = page.evaluate("() => [...new Uint8Array(window.made.options.applicationServerKey)]")
    assert text64(bytes(key)) == page.request.get(server.url + "/api/v1/push/key").json()["key"]
    page.get_by_role("tab", name="Deliveries").click()
    expect(page.locator("#panel-sinks")).to_contain_text("Notified device")
    page.get_by_role("tab", name="Events").click()
    switch.uncheck()
    page.get_by_text("This device is notified no longer.").wait_for()
    assert page.request.get(server.url + "/api/v1/events/sinks").json()["sinks"] == []
    assert page.evaluate("() => window.made") is None


def test_who_may_watch_one_camera_sees_its_events_alone(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "data"
    events = (past(60, "door", "object", label="person"), past(30, "yard", "object", label="<b>dog</b>"))
    seed_events(data, *events)
    secret = make_token(data, "hall", "watch", cameras=["yard"])
    server = start("serve", *CAMERAS, data=data)
    page = open_page(server.url + "/events", expected=("401", "ERR_INCOMPLETE_CHUNKED_ENCODING")).page
    page.get_by_label("Token", exact=True).fill(secret)
    page.keyboard.press("Enter")
    expect(page.locator(".event-sum")).to_have_text("1 event")
    assert titles(page) == ["<b>dog</b>"], "markup is text"
    assert page.get_by_label("Camera", exact=True).locator("option").all_inner_texts() == ["All cameras", "yard"]
    assert page.get_by_role("tab", name="Rules").count() == 0
    page.locator(".event").click()
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    # Whoever is logged out elsewhere meanwhile is asked who he is.
    assert page.request.delete(server.url + "/api/v1/session", headers={"Origin": server.url}).ok
    page.get_by_label("Token", exact=True).wait_for()
