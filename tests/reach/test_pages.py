"""The pages in Chromium, through a real nginx with TLS and HTTP/2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from framecast.web import PAGES
from tests.reach.proxy import Buffering, Proxy, certificate, nginx
from tests.web.conftest import ARGUMENTS, CHROMIUM, DESK, PATIENCE_MS, Process
from tests.web.playing import place, shown, wait_said
from tests.web.test_access import make_token

HELD = "A proxy holds pictures back"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    pin = f"--ignore-certificate-errors-spki-list={certificate().pin()}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, pin])
        yield browser
        browser.close()


class Visit:
    """A browser that has come through a proxy, and what went wrong there."""

    def __init__(self, browser: Browser, proxy: Proxy) -> None:
        self.proxy = proxy
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._context = browser.new_context(viewport=DESK)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url.replace("wss:", "https:")))

    def log_in(self, secret: str) -> None:
        """As a page of our own does it."""
        self.page.goto(self.proxy.url + "/docs")
        status = self.page.evaluate(
            """(key) => fetch("api/v1/session", {method: "POST", body: JSON.stringify({key})}).then((a) => a.status)""",
            secret,
        )
        assert status == 200

    def close(self) -> None:
        """End it."""
        self._context.close()


@contextmanager
def visiting(
    browser: Browser, folder: Path, *, prefix: str = "", buffering: Buffering = "as deployed", sockets: bool = True
) -> Iterator[Visit]:
    """A server with a camera, nginx in front of it, and a browser that has logged in."""
    options = ["--data", str(folder / "data"), "--config", str(folder / "framecast.toml")]
    (folder / "framecast.toml").write_text(
        f'[server]\nport = 0\ntrusted_proxies = ["127.0.0.1"]\nbase_path = "{prefix}"\n'
        '[cameras.cam]\nurl = "mock:?fps=15&size=320x240"\n[cameras.door]\nurl = "push:"\n'
    )
    secret = make_token(folder / "data", "all", "watch", "operate")
    process = Process(folder, "serve", *options)
    try:
        port = int(process.url.rpartition(":")[2])
        with nginx(folder, port, prefix=prefix, buffering=buffering, sockets=sockets) as proxy:
            visit = Visit(browser, proxy)
            try:
                visit.log_in(secret)
                yield visit
            finally:
                visit.close()
    finally:
        process.stop()


def picture_moves(page: Page) -> None:
    """Two different pictures are shown, one after the other."""
    first, second = shown(page, 2)
    assert first["frame"] != second["frame"]


def path_of(page: Page, path: str) -> None:
    """Wait until the player uses this path."""
    page.wait_for_function("(path) => window.player.stats?.path === path", arg=path)


def held_back(page: Page, root: str) -> bool:
    """What the page has found out about the way to the server at this relative address."""
    found: bool = page.evaluate(
        """async (root) => {
            const { serverAt } = await import(new URL(root + "static/js/player/server.js", location.href));
            return serverAt().heldBack();
        }""",
        root,
    )
    return found


def test_the_pages_work_below_a_path(chromium: Browser, tmp_path: Path) -> None:
    prefix = "/cams"
    with visiting(chromium, tmp_path, prefix=prefix) as visit:
        page, url = visit.page, visit.proxy.url
        refused: list[str] = []
        page.on("response", lambda told: refused.append(told.url) if told.status >= 400 else None)
        page.goto(url + "/")
        page.wait_for_function("""() => document.querySelector("framecast-player")?.state === "live" """)
        assert page.evaluate("() => performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        page.get_by_role("link", name="cam", exact=False).first.click()
        page.wait_for_url(f"{url}/cameras/cam")
        page.evaluate("() => { window.player = document.querySelector('framecast-player'); }")
        picture_moves(page)
        assert page.evaluate("() => isSecureContext")
        page.get_by_role("link", name="All cameras").click()
        page.wait_for_url(f"{url}/")
        page.goto(f"{url}/mjpeg?camera=cam")
        expect(page.locator("#fps")).not_to_have_text("–")
        manifest = page.evaluate(
            """async () => {
                const at = document.querySelector("link[rel=manifest]").href;
                const told = await (await fetch(at)).json();
                const icons = await Promise.all(told.icons.map(({ src }) => fetch(new URL(src, at))));
                const found = icons.every(({ ok }) => ok);
                return [new URL(told.start_url, at).href, new URL(told.scope, at).href, found];
            }"""
        )
        assert manifest == [url + "/", url + "/", True]
        assert page.evaluate("() => navigator.serviceWorker.ready.then(({ scope }) => scope)") == url + "/"
        page.goto(url + "/docs")
        expect(page.locator("#routes")).to_contain_text("/api/v1/cameras")
        for path in PAGES:
            page.goto(url + path.replace("{id}", "cam"))
            page.wait_for_function("() => document.body.innerText.trim().length > 0")
        assert refused == []
        page.goto(url + "/no/such/page")
        page.get_by_role("link", name="All cameras").click()
        page.wait_for_url(f"{url}/")
        assert [error for error in visit.errors if "404" not in error] == []
        assert all(request.startswith((url + "/", "blob:", "data:")) for request in visit.requests), visit.requests
        (cookie,) = visit.page.context.cookies()
        assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == (prefix + "/", True, True)


def test_a_setting_is_changed_and_a_camera_added_through_the_proxy(chromium: Browser, tmp_path: Path) -> None:
    with visiting(chromium, tmp_path, prefix="/cams") as visit:
        answers = visit.page.evaluate(
            """async () => {
                const send = (method, path, body) => fetch(path, {
                  method, body: JSON.stringify(body), headers: {"Content-Type": "application/json"},
                });
                const changed = await send("PATCH", "api/v1/cameras/cam", {name: "Yard"});
                const added = await send("POST", "api/v1/cameras", {id: "new", url: "push:"});
                const found = await fetch(added.headers.get("Location"));
                return [changed.status, added.status, found.status];
            }"""
        )
        assert answers == [200, 201, 200]


def test_buffering_is_noticed_said_and_gone_around(chromium: Browser, tmp_path: Path) -> None:
    with visiting(chromium, tmp_path, buffering="forced") as visit:
        page = visit.page
        page.goto(visit.proxy.url + "/cameras/cam")
        expect(page.locator("#facts")).to_contain_text(HELD)
        expect(page.locator("#fault-count")).to_have_text("1")
        page.get_by_role("tab", name="Health").click()
        expect(page.locator("#panel-faults")).to_contain_text("proxy_buffering off")
        page.get_by_role("tab", name="Use it").click()
        expect(page.locator("#panel-embed")).to_contain_text(HELD)
        page.evaluate("() => { window.player = document.querySelector('framecast-player'); }")
        picture_moves(page)

        page.goto(visit.proxy.url + "/docs")
        place(page, visit.proxy.url, camera="cam", path="img")
        path_of(page, "jpeg")
        wait_said(page, "Using the WebSocket instead")
        picture_moves(page)
        why = page.evaluate("() => window.player.stats.failures.find(({ path }) => path === 'img').why")
        assert HELD in why


def test_nothing_is_said_where_nothing_is_held_back(chromium: Browser, tmp_path: Path) -> None:
    with visiting(chromium, tmp_path, buffering="nginx's default") as visit:
        page = visit.page
        page.goto(visit.proxy.url + "/cameras/cam")
        expect(page.locator("#facts")).to_contain_text("Frames")
        assert not held_back(page, "../")
        assert HELD not in page.locator("body").inner_text()
        page.goto(visit.proxy.url + "/docs")
        place(page, visit.proxy.url, camera="cam", path="img")
        path_of(page, "img")
        assert not held_back(page, "./")
        assert page.evaluate("() => window.player.stats.failures") == []


def test_a_proxy_without_sockets(chromium: Browser, tmp_path: Path) -> None:
    with visiting(chromium, tmp_path, sockets=False) as visit:
        page = visit.page
        page.goto(visit.proxy.url + "/docs")
        place(page, visit.proxy.url, camera="cam", path="jpeg mse", retry="1")
        path_of(page, "mse")
        picture_moves(page)
        failures: list[dict[str, Any]] = page.evaluate("() => window.player.stats.failures")
        assert any("lets no WebSocket through" in failure["why"] for failure in failures)
        page.goto(visit.proxy.url + "/")
        expect(page.locator("#panel")).to_contain_text("lets no WebSocket through")
        expect(page.locator("#gone-text")).to_contain_text("No WebSocket gets through")
        page.goto(visit.proxy.url + "/cameras/cam")
        page.get_by_role("tab", name="Health").click()
        expect(page.locator("#panel-faults")).to_contain_text("headers Upgrade and Connection")
        page.goto(visit.proxy.url + "/mjpeg?camera=cam")
        expect(page.locator("#note-why")).to_contain_text("lets no WebSocket through")
