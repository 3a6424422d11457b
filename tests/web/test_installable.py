"""The pages as an app: what a browser asks for before it installs them, and what they do without a server."""

from __future__ import annotations

import io
import json
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from framecast import web
from tests.web.conftest import GONE, Open, Process, Start, serving
from tests.web.looking import wait_live

ICONS = runpy.run_path(str(Path(__file__).parent.parent.parent / "tools" / "icons.py"))
CAMERA = ("--camera", "door=mock:?fps=5&size=320x240")
KEPT = """
async () => {
  const all = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) all.push(new URL(request.url).pathname);
  }
  return all;
}
"""


def wait_kept(page: Page) -> None:
    """Until the service worker has kept what it keeps, and answers for this page."""
    page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One synthetic camera, shared by the tests that change nothing."""
    with serving(tmp_path_factory.mktemp("installable"), *CAMERA) as process:
        yield process


def phone_of(server: Process, open_page: Open) -> Page:
    """The wall, whose service worker has taken over."""
    page = open_page(server.url, expected=GONE, workers=True).page
    wait_live(page, 1)
    wait_kept(page)
    return page


@pytest.fixture
def phone(server: Process, open_page: Open) -> Page:
    """The same, of the server that is shared."""
    return phone_of(server, open_page)


def test_a_browser_would_install_it(phone: Page) -> None:
    session = phone.context.new_cdp_session(phone)
    # "in-incognito": Playwright's contexts are private windows, in which nothing is ever installed.
    errors = {error["errorId"] for error in session.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert errors <= {"in-incognito"}
    manifest: dict[str, Any] = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"].endswith("/static/app.webmanifest")
    said = json.loads(manifest["data"])
    assert said["display"] == "standalone"
    for icon in said["icons"]:
        answer = phone.request.get(manifest["url"].rsplit("/", 1)[0] + "/" + icon["src"])
        assert (answer.status, answer.headers["content-type"]) == (200, icon["type"])
        if icon["type"] == "image/png":
            assert "{}x{}".format(*Image.open(io.BytesIO(answer.body())).size) == icon["sizes"]
    assert {icon.get("purpose", "any") for icon in said["icons"]} == {"any", "maskable"}


def test_opens_without_the_server_and_returns_with_it(start: Start, open_page: Open) -> None:
    server = start("serve", *CAMERA)
    phone = phone_of(server, open_page)
    server.stop()
    phone.reload()
    expect(phone.get_by_role("heading", name="The server does not answer")).to_be_visible()
    expect(phone.locator("#gone-text")).to_contain_text("Server gone. Trying again in")
    for path in ("/cameras/door", "/cameras/any-other", "/docs", "/mjpeg?camera=door"):
        phone.goto(server.url + path)
        expect(phone.locator("link[rel=manifest]")).to_have_count(1)
    # What is no page of ours is no page without the server either.
    other = phone.context.new_page()
    with pytest.raises(Exception, match="ERR_"):
        other.goto(server.url + "/api/v1/cameras")
    other.close()
    # It comes back by itself.
    phone.goto(server.url)
    expect(phone.get_by_role("heading", name="The server does not answer")).to_be_visible()
    port = server.url.rsplit(":", 1)[1]
    start("serve", "--port", port, *CAMERA)
    wait_live(phone, 1)
    # What one may do was not known before.
    expect(phone.get_by_role("button", name="Add camera")).to_be_visible()


def updated(server: Process, folder: Path) -> Process:
    """The next release in its place, on the same port: one of its modules asks another for what that had not before."""
    server.stop()
    copy = folder / "framecast"  # found before the one that is installed
    shutil.copytree(web.FOLDER.parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    modules = copy / "web" / "static" / "js"
    with (modules / "dom.js").open("a") as dom:
        dom.write('export const edition = "next";\n')
    with (modules / "wall.js").open("a") as wall:
        wall.write('import { edition } from "./dom.js";\ndocument.documentElement.dataset.edition = edition;\n')
    port = server.url.rsplit(":", 1)[1]
    return Process(folder, "serve", "--port", port, "--data", str(folder / "data"), *CAMERA)


def test_a_page_after_an_update_gets_no_file_of_before(start: Start, open_page: Open, tmp_path: Path) -> None:
    server = start("serve", *CAMERA)
    phone = phone_of(server, open_page)
    late: list[Route] = []
    phone.context.route("**/static/js/dom.js", lambda route: late.append(route))
    (tmp_path / "next").mkdir()
    new = updated(server, tmp_path / "next")
    try:
        phone.goto(new.url, wait_until="commit")
        while not late:
            phone.wait_for_timeout(50)
        # Longer than a file that is kept waits for the server's.
        phone.wait_for_timeout(4_000)
        assert phone.locator("fc-tile").count() == 0
        phone.context.unroute("**/static/js/dom.js")
        phone.locator("html[data-edition=next]").wait_for()
        wait_live(phone, 1)
    finally:
        new.stop()


def wait_asked(page: Page, times: int) -> None:
    """Until the page has asked so often, its own file among it, which version it is of and which the server has."""
    asked = "performance.getEntriesByType('resource').filter(({ name }) => /newer\\.js$/.test(name))"
    page.wait_for_function(f"(times) => {asked}.length >= times", arg=times)


def test_a_page_that_stays_open_offers_the_next_version(start: Start, open_page: Open, tmp_path: Path) -> None:
    server = start("serve", *CAMERA)
    page = open_page(server.url, expected=GONE).page
    wait_asked(page, 3)
    word = page.get_by_text("The server has a new version of this page.")
    # The same one, begun anew.
    server.stop()
    page.locator("html[data-server=gone]").wait_for()
    again = start("serve", "--port", server.url.rsplit(":", 1)[1], *CAMERA)
    page.locator("html[data-server=open]").wait_for()
    wait_asked(page, 4)
    page.evaluate("() => fetch('api/v1/session')")
    expect(word).to_have_count(0)
    (tmp_path / "next").mkdir()
    new = updated(again, tmp_path / "next")
    try:
        word.wait_for()
        # It goes by itself; the menu has it still.
        page.get_by_role("button", name="Dismiss").click()
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("button", name="Reload for the new version").click()
        page.locator("html[data-edition=next]").wait_for()
        wait_live(page, 1)
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("button", name="Reload for the new version")).to_have_count(0)
    finally:
        new.stop()


def test_a_page_that_was_kept_offers_the_next_version(start: Start, open_page: Open, tmp_path: Path) -> None:
    server = start("serve", *CAMERA)
    phone = phone_of(server, open_page)
    server.stop()
    # The wall: other pages are loaded anew by themselves once the server is back.
    phone.goto(server.url)
    expect(phone.get_by_role("heading", name="The server does not answer")).to_be_visible()
    wait_asked(phone, 2)
    (tmp_path / "next").mkdir()
    new = updated(server, tmp_path / "next")
    try:
        phone.get_by_role("button", name="Reload", exact=True).click()
        phone.locator("html[data-edition=next]").wait_for()
        phone.get_by_role("button", name="Menu").click()
        expect(phone.get_by_role("button", name="Reload for the new version")).to_have_count(0)
    finally:
        new.stop()


def test_below_a_path_it_answers_for_that_path_alone(start: Start, open_page: Open, tmp_path: Path) -> None:
    file = tmp_path / "framecast.toml"
    file.write_text('[server]\nbase_path = "/cams"\n')
    server = start("serve", "--config", str(file), *CAMERA)
    page = open_page(server.url + "/cams/", workers=True).page
    wait_live(page, 1)
    wait_kept(page)
    assert page.evaluate("async () => (await navigator.serviceWorker.ready).scope") == server.url + "/cams/"
    kept = page.evaluate(KEPT)
    assert kept and all(path.startswith("/cams/") for path in kept)


def test_keeps_nothing_that_needs_a_right(server: Process, phone: Page) -> None:
    phone.goto(server.url + "/cameras/door")
    phone.locator("#state", has_text="Live").wait_for()
    phone.request.get(server.url + "/api/v1/cameras")
    kept = phone.evaluate(KEPT)
    pages = {path.replace("{id}", "any") for path in web.PAGES}
    files = {f"/{path}" for path in web.load() if path.startswith("static/")}
    assert set(kept) == pages | files
    assert len(kept) == len(set(kept))


def test_every_change_of_a_file_is_a_new_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = web.load()
    for path, asset in before.items():
        if path != web.WORKER:
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(asset.body)
    (tmp_path / web.WORKER).write_bytes((web.FOLDER / web.WORKER).read_bytes())
    monkeypatch.setattr(web, "FOLDER", tmp_path)
    assert web.load() == before
    (tmp_path / "static" / "css" / "tokens.css").write_text("/* another */")
    assert web.load()[web.WORKER].etag != before[web.WORKER].etag


@pytest.mark.parametrize("name", ICONS["ICONS"])
def test_icons_are_of_the_present_drawing(chromium: Browser, name: str) -> None:
    side_px, part = ICONS["ICONS"][name]
    drawn = Image.open(io.BytesIO(ICONS["draw"](chromium, side_px, part))).convert("RGBA")
    kept = Image.open(io.BytesIO(web.load()[f"static/icons/{name}"].body)).convert("RGBA")
    assert kept.size == drawn.size == (side_px, side_px)
    difference = np.abs(np.asarray(kept, dtype=np.int16) - np.asarray(drawn, dtype=np.int16))
    assert difference.mean() < 1
