"""Pages that stay open, or were opened too early: what they say is still so, and they come back by themselves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Open, Process, Start, serving
from tests.web.looking import HIDE
from tests.web.seeding import seed_events
from tests.web.test_events import past
from tests.web.test_faces import seed_strangers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Open to this machine; it has seen two faces that it does not know."""
    folder: Path = tmp_path_factory.mktemp("staying")
    seed_strangers(folder / "data", 2)
    with serving(folder, "--camera", "door=push:") as process:
        yield process


def opened(server: Process, open_page: Open) -> Page:
    """A page whose time the test decides."""
    page = open_page(server.url + "/docs", expected=("ERR_FAILED", "503")).page
    page.clock.install()
    return page


def test_how_long_ago_something_was_delivered_grows_with_the_time(server: Process, open_page: Open) -> None:
    page = opened(server, open_page)
    sink = {"sink": "webhook-1", "label": "bell", "kind": "webhook", "state": "", "waiting": 0, "given_up": 0}
    answer = {"sinks": [{**sink, "last": time.time() - 4, "last_error": "", "retry_in_s": None}]}
    page.route("**/api/v1/events/sinks", lambda route: route.fulfill(json=answer))
    page.goto(server.url + "/events#sinks")
    page.get_by_text(re.compile("last delivered .* s ago")).wait_for()
    page.get_by_role("button", name="Test: bell").focus()
    page.clock.run_for(200_000)
    page.get_by_text(re.compile("last delivered [34] min ago")).wait_for()
    expect(page.get_by_role("button", name="Test: bell")).to_be_focused()


def test_what_is_due_is_tried_now_and_not_in_no_time(server: Process, open_page: Open) -> None:
    page = opened(server, open_page)
    sink = {"sink": "webhook-1", "label": "bell", "kind": "webhook", "state": "failing", "waiting": 2, "given_up": 0}
    answer = {"sinks": [{**sink, "last": None, "last_error": "no connection", "retry_in_s": 0.0}]}
    page.route("**/api/v1/events/sinks", lambda route: route.fulfill(json=answer))
    page.goto(server.url + "/events#sinks")
    page.get_by_text("last error: no connection · tried again now", exact=False).wait_for()


def test_how_long_ago_a_face_was_seen_grows_with_the_time(server: Process, open_page: Open) -> None:
    page = opened(server, open_page)
    page.goto(server.url + "/people")
    card = page.locator(".stranger").first
    expect(card).to_contain_text("seen 3 times")
    page.clock.run_for(600_000)
    expect(card).to_contain_text(re.compile("last 1[0-9] min ago"))


def test_names_that_are_known_are_offered_from_one_list(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/people").page
    field = page.get_by_label("Name of unknown face 1")
    field.wait_for()
    assert page.locator("datalist").count() == 1
    assert field.evaluate("(field) => field.list === document.querySelector('datalist')")


@pytest.mark.parametrize(
    ("path", "asked", "there"),
    [
        ("/access#tunnel", "session", "Start a tunnel"),
        ("/people", "session", "Add somebody"),
        ("/events#rules", "session", "Add a rule"),
        ("/events#rules", "cameras", "Add a rule"),
    ],
)
def test_a_page_that_was_opened_without_the_server_returns_with_it(
    server: Process, open_page: Open, path: str, asked: str, there: str
) -> None:
    page = open_page(server.url + "/docs", expected=("ERR_FAILED",)).page
    page.route(f"**/api/v1/{asked}", lambda route: route.abort())
    page.goto(server.url + path)
    page.get_by_role("heading", name="The server does not answer").wait_for()
    page.unroute(f"**/api/v1/{asked}")
    page.get_by_role("button", name=there).wait_for()


def test_what_may_have_changed_is_looked_up_when_somebody_returns(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/access#tokens").page
    page.get_by_text("No tokens yet.").wait_for()
    page.evaluate(HIDE, True)
    tokens = {"tokens": [{"name": "bell", "rights": ["watch"], "cameras": None, "created": 1.0, "last_used": None}]}
    tokens["tokens"][0]["revoked"] = None
    page.route("**/api/v1/tokens", lambda route: route.fulfill(json=tokens))
    page.evaluate(HIDE, False)
    page.locator("#panel-tokens .entry-title", has_text="bell").wait_for()


def test_the_log_keeps_the_focus_where_it_is_loaded_again(server: Process, open_page: Open) -> None:
    page = open_page(server.url + "/access#log").page
    page.get_by_role("button", name="Reload").focus()
    with page.expect_response("**/api/v1/audit?*"):
        page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Reload")).to_be_focused()


def test_an_event_is_of_the_camera_as_it_is_called_now(start: Start, open_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "data"
    seed_events(data, past(60, "door", "motion"))
    server = start("serve", "--camera", "door=push:", data=data)
    page = open_page(server.url + "/events").page
    card = page.locator(".event")
    expect(card).to_contain_text("door")
    with page.expect_request("**/api/v1/events/stream"):
        page.evaluate(HIDE, True)
        assert page.request.patch(f"{server.url}/api/v1/cameras/door", data={"name": "Front door"}).ok
        page.evaluate(HIDE, False)
    expect(card).to_contain_text("Front door")
    expect(page.get_by_label("Camera", exact=True)).to_contain_text("Front door")


def test_a_message_stays_while_somebody_is_about_to_answer_it(server: Process, open_page: Open) -> None:
    page = opened(server, open_page)
    page.evaluate(
        """async () => {
          const { toast } = await import(new URL("static/js/toast.js", location.href));
          for (const text of ["Undo", "Other"]) toast(text, { action: { text, run: () => (window.done = text) } });
        }"""
    )
    page.get_by_role("button", name="Undo").focus()
    page.clock.run_for(30_000)
    expect(page.locator(".toast")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("() => window.done") == "Undo"
    expect(page.locator(".toast")).to_have_count(0)
