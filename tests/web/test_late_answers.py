"""Answers that come late, in another order, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, WebSocketRoute, expect

from tests.web.conftest import Open, Process, Start
from tests.web.test_people import owned

DOOR = "mock:?fps=5&size=320x240"


@pytest.fixture
def server(start: Start) -> Process:
    """One camera."""
    return start("serve", "--camera", f"door={DOOR}")


def test_the_log_says_once_what_happened_once(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/access#sessions").page
    for name in ("Front door", "Back door"):
        assert page.request.patch(f"{server.url}/api/v1/cameras/door", data={"name": name}).ok
    there = len(page.request.get(f"{server.url}/api/v1/audit").json()["entries"])
    assert there >= 2
    held: list[Route] = []
    page.route("**/api/v1/audit?*", lambda route: route.continue_() if held else held.append(route))
    page.get_by_role("tab", name="Log", exact=True).click()
    page.keyboard.press("r")
    rows = page.get_by_role("region", name="Log").locator("tbody tr")
    expect(rows).to_have_count(there)
    with page.expect_response("**/api/v1/audit?*"):
        held[0].continue_()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(rows).to_have_count(there)


def test_what_one_may_do_stays_offered_when_no_answer_comes(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door", expected=("ERR_FAILED",)).page
    page.get_by_role("tab", name="Settings").wait_for()
    page.route("**/api/v1/session", lambda route: route.abort())
    page.evaluate("async () => (await import('../static/js/session.js')).markRights()")
    expect(page.get_by_role("tab", name="Settings")).to_be_visible()


def test_nothing_is_changed_of_a_camera_that_is_not_known_yet(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    held: list[Callable[[], None]] = []

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()
        upstream.on_message(lambda message: held.append(lambda: route.send(message)))

    page.route_web_socket(re.compile("/api/v1/ws$"), relay)
    page.goto(server.url + "/cameras/door")
    page.get_by_role("tab", name="Settings").click()
    panel = page.get_by_role("tabpanel", name="Settings")
    expect(panel.get_by_role("button", name="Remove this camera")).to_be_disabled()
    expect(panel.get_by_label("Name")).to_be_disabled()
    while not held:
        page.wait_for_timeout(50)
    for release in held:
        release()
    expect(panel.get_by_label("Name")).to_have_value("door")
    panel.get_by_role("button", name="Remove this camera").click()
    page.get_by_role("dialog", name="Remove door?").wait_for()


def test_an_open_menu_keeps_the_focus_when_its_rights_are_told_again(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    first = page.get_by_role("link", name="Cameras", exact=True)
    expect(first).to_be_focused()
    page.evaluate("async () => (await import('./static/js/session.js')).markRights()")
    expect(first).to_be_focused()


def test_an_open_menu_keeps_the_focus_when_other_rights_are_told(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    told = page.request.get(f"{server.url}/api/v1/session").json()
    tell = "async () => (await import('./static/js/session.js')).markRights()"

    def become(**fields: object) -> None:
        page.unroute("**/api/v1/session")
        page.route("**/api/v1/session", lambda route: route.fulfill(json={**told, **fields}))
        page.evaluate(tell)

    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    events = page.get_by_role("link", name="Events", exact=True)
    expect(events).to_be_focused()
    become(open=False, kind="user", name="user:ann", role="viewer", rights=["watch"])
    page.get_by_role("button", name="Log out", exact=True).wait_for()
    expect(events).to_be_focused()
    become(open=False, kind="none", name="", rights=[])
    events.wait_for(state="hidden")
    expect(page.get_by_role("button", name="Menu")).to_be_focused()


def test_a_camera_that_was_removed_and_added_again_is_shown(server: Process, open_page: Open) -> None:
    cameras = f"{server.url}/api/v1/cameras"
    page = open_page(server.url + "/docs", expected=("404",)).page
    added = {"id": "yard", "url": DOOR}
    assert page.request.post(cameras, data=added).ok
    page.goto(server.url + "/cameras/yard")
    page.locator("#state", has_text="Live").wait_for()
    held: list[Route] = []
    page.route("**/yard/stats", lambda route: held.append(route))
    while not held:
        page.wait_for_timeout(50)
    answer = held[0].fetch()
    assert page.request.delete(f"{cameras}/yard").ok
    page.get_by_role("heading", name="No such camera").wait_for()
    with page.expect_response("**/yard/stats"):
        held[0].fulfill(response=answer)
    page.unroute_all(behavior="ignoreErrors")
    assert page.request.post(cameras, data=added).ok
    page.locator("#state", has_text="Live").wait_for()


def test_a_failure_is_said_once_while_it_lasts(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs", expected=("ERR_FAILED",)).page
    sinks = "**/api/v1/events/sinks"
    page.route(sinks, lambda route: route.abort())
    page.goto(server.url + "/events#sinks")
    page.get_by_role("button", name="Try again").focus()
    for _ in range(2):
        with page.expect_event("requestfailed"):
            pass
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    page.unroute(sinks)
    page.get_by_role("button", name="Add a webhook").wait_for()


HANGING = """
async () => {
  const { Dashboard } = await import("../static/js/socket.js");
  const { socketUrl } = await import("../static/js/api.js");
  let tries = 0;
  const session = (signal) =>
    new Promise((_, fail) => signal?.addEventListener("abort", () => fail(new DOMException("", "AbortError"))));
  const address = (path) => socketUrl((tries += 1) === 1 ? "nowhere" : path);
  const socket = new Dashboard({ socketUrl: address, session });
  return new Promise((done) => {
    socket.addEventListener("status", () => socket.status === "open" && (socket.close(), done(socket.blocked)));
    setTimeout(() => done("never"), 30_000);
    socket.start();
  });
}
"""
LATE = """
async () => {
  const { Dashboard } = await import("../static/js/socket.js");
  const { socketUrl } = await import("../static/js/api.js");
  const answers = [];
  let tries = 0;
  const until = async (done) => {
    while (!done()) await new Promise(requestAnimationFrame);
  };
  const socket = new Dashboard({
    socketUrl: (path) => socketUrl((tries += 1) < 3 ? "nowhere" : path),
    session: () => new Promise((answer, fail) => answers.push({ answer, fail })),
  });
  socket.start();
  await until(() => answers.length === 1);
  answers[0].fail(new Error("gone"));
  await until(() => answers.length === 2);
  socket.retry();
  await until(() => socket.status === "open");
  answers[1].answer({ rights: ["watch"] });
  await new Promise(requestAnimationFrame);
  const found = [socket.status, socket.blocked];
  socket.close();
  return found;
}
"""


def test_a_question_that_nobody_answers_does_not_keep_the_socket_closed(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door", expected=("WebSocket connection",)).page
    assert page.evaluate(HANGING) is False


def test_an_answer_about_an_attempt_before_says_nothing_of_the_socket(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/cameras/door", expected=("WebSocket connection",)).page
    assert page.evaluate(LATE) == ["open", False]


def test_nobody_asks_for_the_tunnel_once_its_tab_is_left(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    page.clock.install()
    held: list[Route] = []
    page.route("**/api/v1/tunnel", lambda route: held.append(route))
    page.goto(server.url + "/access#tunnel")
    while not held:
        page.wait_for_timeout(50)
    # Again while it still is on its way: that makes no second one who asks.
    page.keyboard.press("r")
    while len(held) < 2:
        page.wait_for_timeout(50)
    for route in held[:2]:
        with page.expect_response("**/api/v1/tunnel"):
            route.continue_()
    page.get_by_role("button", name="Start a tunnel").wait_for()
    page.clock.run_for(2_500)
    while len(held) < 3:
        page.wait_for_timeout(50)
    page.get_by_role("tab", name="Sessions").click()
    page.get_by_text("Nobody is logged in.").wait_for()
    assert len(held) == 3
    with page.expect_response("**/api/v1/tunnel"):
        held[2].continue_()
    page.evaluate("() => fetch('api/v1/session')")
    page.clock.run_for(10_000)
    page.evaluate("() => fetch('api/v1/session')")
    assert len(held) == 3


def test_a_rule_offers_what_is_drawn_on_the_cameras_it_is_for(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=push:", "--camera", "yard=push:")
    page = open_page(server.url + "/events#rules").page
    held: list[Route] = []
    page.route("**/zones", lambda route: held.append(route))
    page.get_by_role("button", name="Add a rule").click()
    while len(held) < 2:
        page.wait_for_timeout(50)
    dialog = page.get_by_role("dialog")
    # Chosen while there is none: what is drawn on all of them is asked for once more.
    dialog.get_by_label("Only these").check()
    while len(held) < 4:
        page.wait_for_timeout(50)
    dialog.get_by_label("yard").check()
    while len(held) < 5:
        page.wait_for_timeout(50)
    names = {"door": "porch", "yard": "gate"}
    for route in reversed(held):
        camera = route.request.url.split("/")[-2]
        with page.expect_response("**/zones"):
            route.fulfill(json={"zones": [{"kind": "zone", "name": names[camera]}]})
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(dialog.get_by_label("Where in the picture").locator("option")).to_have_text(["Anywhere", "gate"])


def test_everybodys_sessions_are_not_shown_as_ones_own(server: Process, open_page: Open) -> None:
    page = owned(server, open_page)
    page.get_by_role("tab", name="Sessions").click()
    toggle = page.get_by_role("button", name="Show everybody's")
    toggle.wait_for()
    held: list[Route] = []
    page.route("**/api/v1/sessions*", lambda route: held.append(route))
    toggle.click()
    toggle.click()
    while len(held) < 2:
        page.wait_for_timeout(50)
    mine = held[1].fetch().json()["sessions"]
    others = [{**each, "id": "other", "current": False, "holder": "user:bert"} for each in mine]
    rows = page.locator("#panel-sessions .entry")
    for route, sessions in ((held[1], mine), (held[0], mine + others)):
        with page.expect_response("**/api/v1/sessions*"):
            route.fulfill(json={"sessions": sessions})
        page.evaluate("() => new Promise(requestAnimationFrame)")
        expect(rows).to_have_count(len(mine))
    expect(page.get_by_text("Browsers in which you are logged in.")).to_be_visible()


def test_a_rule_is_shown_as_it_was_switched_last(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/docs").page
    rule = {"name": "Anything", "cameras": [], "kind": "motion", "enabled": True}
    assert page.request.post(server.url + "/api/v1/rules", data=rule).ok
    page.goto(server.url + "/events#rules")
    switch = page.get_by_role("switch", name="Anything is on")
    switch.wait_for()
    asked: list[str] = []
    held: list[Route] = []
    page.route("**/api/v1/rules", lambda route: held.append(route))
    page.route("**/api/v1/rules/*", lambda route: (asked.append(route.request.post_data or ""), route.continue_()))
    for enabled in (False, True):
        switch.set_checked(enabled)
        while len(held) < 1 + enabled:
            page.wait_for_timeout(50)
    before = {**held[1].fetch().json()}
    before["rules"] = [{**each, "enabled": False} for each in before["rules"]]
    with page.expect_response("**/api/v1/rules"):
        held[1].continue_()
    with page.expect_response("**/api/v1/rules"):
        held[0].fulfill(json=before)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(switch).to_be_checked()
    expect(page.locator(".rule .entry-tag")).to_have_count(0)
    assert ["true" in each for each in asked] == [False, True]


@pytest.mark.parametrize(
    ("tab", "listing", "change"),
    [
        ("people", "users", {"name": "bert", "role": "viewer"}),
        ("tokens", "tokens", {"name": "bert", "rights": ["watch"]}),
    ],
)
def test_the_list_that_was_asked_for_last_is_shown(
    server: Process, open_page: Open, tab: str, listing: str, change: dict[str, object]
) -> None:
    page = owned(server, open_page)
    page.get_by_role("tab", name="Sessions").click()
    held: list[Route] = []
    page.route(f"**/api/v1/{listing}", lambda route: held.append(route))
    page.get_by_role("tab", name=tab.capitalize()).click()
    while not held:
        page.wait_for_timeout(50)
    before = held[0].fetch()
    headers = {"Origin": server.url}
    assert page.request.post(f"{server.url}/api/v1/{listing}", data=change, headers=headers).ok
    page.keyboard.press("r")
    while len(held) < 2:
        page.wait_for_timeout(50)
    entry = page.locator(f"#panel-{tab} .entry-title", has_text="bert")
    with page.expect_response(f"**/api/v1/{listing}"):
        held[1].continue_()
    entry.wait_for()
    with page.expect_response(f"**/api/v1/{listing}"):
        held[0].fulfill(response=before)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(entry).to_have_count(1)
