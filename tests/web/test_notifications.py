"""Notifications: what the service worker shows of what is pushed, and where a press on it leads."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Worker

from tests.web.conftest import Open, Process, serving
from tests.web.test_installable import wait_kept

ID = "01KATQ6V1ZK3M9GJ7T0N5C8XWB"
TOLD = {
    "event_id": ID,
    "camera": "door",
    "title": "Front door",
    "text": "Anna in porch",
    "at": 1_790_000_000.5,
    "path": f"events#{ID}",
    "picture": f"/api/v1/events/{ID}/picture.jpg",
}
CENTRE = """
() => {
  self.shown = new Map();
  self.registration.showNotification = async (title, options) => {
    shown.set(options.tag ?? shown.size, { title, ...options, close() { shown.delete(options.tag); } });
  };
}
"""
"""In place of the system's notification centre, which a headless browser doesn't have."""
LOST = """
() => {
  WindowClient.prototype.navigate = async () => { throw new TypeError("This page is another worker's."); };
  self.clients.openWindow = async (address) => { self.opened = address; };
}
"""
"""A page that this worker cannot lead anywhere; and in place of a window, which none may open whom nobody pressed."""
SHOWN = "() => [...self.shown.values()].map(({ close, ...rest }) => rest)"
PRESS = """
(tag) => {
  const event = new ExtendableEvent("notificationclick");
  event.notification = self.shown.get(tag);
  self.dispatchEvent(event);
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One without cameras."""
    with serving(tmp_path_factory.mktemp("notifications")) as process:
        yield process


def push(page: Page, server: Process, data: str) -> None:
    """Deliver a message as the browser's push service does."""
    session = page.context.new_cdp_session(page)
    found: list[dict[str, Any]] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda said: found.extend(said["registrations"]))
    session.send("ServiceWorker.enable")
    while not found:
        page.wait_for_timeout(20)
    message = {"origin": server.url, "registrationId": found[0]["registrationId"], "data": data}
    session.send("ServiceWorker.deliverPushMessage", message)
    session.detach()


def wait_shown(page: Page, *titles: str) -> list[dict[str, Any]]:
    """The notifications that are shown, once they have these titles."""
    (worker,) = page.context.service_workers
    deadline = time.monotonic() + 20
    while True:
        shown: list[dict[str, Any]] = worker.evaluate(SHOWN)
        if sorted(each["title"] for each in shown) == sorted(titles):
            return shown
        assert time.monotonic() < deadline, shown
        page.wait_for_timeout(20)


def page_of(server: Process, open_page: Open) -> tuple[Page, Worker]:
    """A page with its service worker, which shows nothing to anybody."""
    page = open_page(server.url + "/access", expected=("404",), workers=True).page
    wait_kept(page)
    (worker,) = page.context.service_workers
    worker.evaluate(CENTRE)
    return page, worker


def test_what_is_pushed_is_shown_and_leads_to_its_event(server: Process, open_page: Open) -> None:
    page, worker = page_of(server, open_page)
    push(page, server, json.dumps(TOLD))
    (shown,) = wait_shown(page, "Front door")
    assert (shown["body"], shown["tag"], shown["timestamp"]) == ("Anna in porch", ID, 1_790_000_000_500)
    assert shown["icon"] == server.url + "/static/icons/icon-192.png"
    assert shown["image"] == f"{server.url}/api/v1/events/{ID}/picture.jpg"
    # Again, as a server that was killed may: it takes the place of the first.
    push(page, server, json.dumps(TOLD))
    # Something must be shown whatever comes, or the browser ends the subscription.
    push(page, server, "what is this")
    wait_shown(page, "Front door", "Framecast")
    worker.evaluate(PRESS, ID)
    page.wait_for_url(f"{server.url}/events#{ID}")
    wait_shown(page, "Framecast")


def test_a_press_leads_to_pages_of_this_server_only(server: Process, open_page: Open) -> None:
    page, worker = page_of(server, open_page)
    for path in ("https://example.org/", "//example.org/", "javascript:alert(1)"):
        push(page, server, json.dumps({**TOLD, "path": path}))
        wait_shown(page, "Front door")
        with page.expect_navigation() as led:
            worker.evaluate(PRESS, ID)
        assert led.value.url.startswith(server.url + "/")


def test_a_press_opens_a_page_where_the_one_that_is_there_cannot_be_led(server: Process, open_page: Open) -> None:
    page, worker = page_of(server, open_page)
    worker.evaluate(LOST)
    push(page, server, json.dumps(TOLD))
    wait_shown(page, "Front door")
    worker.evaluate(PRESS, ID)
    deadline = time.monotonic() + 20
    while worker.evaluate("() => self.opened") != f"{server.url}/events#{ID}":
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)
