"""The player in pages of other sites, and in pages that are not secure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.web.conftest import PATIENCE_MS, Open, Process, Start, serving
from tests.web.playing import place, shown, stats, wait_said
from tests.web.test_access import make_token

SYNTHETIC = "mock:?fps=15&size=640x480&audio=1"


@pytest.fixture(scope="module")
def site() -> Iterator[ThreadingHTTPServer]:
    """Somebody else's site: answers every path with its attribute ``page``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = server.page.encode()  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.page = ""  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def configured(folder: Path, config: str) -> list[str]:
    """Options for a server with one camera and this configuration."""
    file = folder / "framecast.toml"
    file.write_text(f'{config}\n[cameras.door]\nurl = "{SYNTHETIC}"\nallow_query_key = true\n')
    return ["--config", str(file)]


@pytest.fixture(scope="module")
def guarded(site: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, str]]:
    """A server that lets that site's pages in, and a token to watch with; nothing changes it."""
    folder = tmp_path_factory.mktemp("guarded")
    token = make_token(folder / "data", "page", "watch")
    options = configured(folder, f"[server]\nallowed_origins = {json.dumps([address(site)])}")
    with serving(folder, *options) as process:
        yield process, token


def address(site: ThreadingHTTPServer) -> str:
    """Where somebody else's site is."""
    return f"http://127.0.0.1:{site.server_port}"


@pytest.mark.parametrize("path", ["webcodecs", "webrtc", "mse", "jpeg", "img"])
def test_a_page_of_another_site_plays_with_a_token(
    guarded: tuple[Process, str], site: ThreadingHTTPServer, chromium: Browser, path: str
) -> None:
    server, token = guarded
    origin = address(site)
    site.page = (  # type: ignore[attr-defined]
        f'<!doctype html><script type="module" src="{server.url}/static/js/player.js"></script>'
        f'<framecast-player src="{server.url}" camera="door" key="{token}" path="{path}"></framecast-player>'
        "<script>window.player = document.querySelector('framecast-player')</script>"
    )
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.goto(origin)
    page.wait_for_function("(path) => window.player.stats?.path === path", arg=path)
    if path != "img":
        shown(page, 10)
    assert page.evaluate("async () => (await window.player.snapshot()).type") == "image/jpeg"
    # Nobody else is asked for anything.
    assert asked == {urlsplit(origin).netloc, urlsplit(server.url).netloc}
    page.close()


def test_says_that_a_token_is_missing(
    guarded: tuple[Process, str], site: ThreadingHTTPServer, chromium: Browser
) -> None:
    server, _ = guarded
    site.page = (  # type: ignore[attr-defined]
        f'<!doctype html><script type="module" src="{server.url}/static/js/player.js"></script>'
        f'<framecast-player src="{server.url}" camera="door"></framecast-player>'
    )
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address(site))
    page.get_by_text("No permission").wait_for()
    page.close()


def test_a_page_that_is_not_secure_plays_and_says_what_is_off(start: Start, open_page: Open, tmp_path: Path) -> None:
    server = start("serve", *configured(tmp_path, '[server]\nallowed_hosts = ["camera.test"]'))
    url = server.url.replace("127.0.0.1", "camera.test")
    page = open_page(url + "/docs").page
    assert not page.evaluate("() => isSecureContext")
    place(page, url, camera="door")
    shown(page, 10)
    page.wait_for_function("() => ['webrtc', 'mse'].includes(window.player.stats?.path)")
    numbers = stats(page)
    assert {
        "path": "webcodecs",
        "title": "WebCodecs",
        "why": "It needs a secure page (HTTPS or localhost).",
    } in numbers["failures"]
    page.get_by_role("button", name="Numbers").click()
    player = page.locator("framecast-player")
    expect(player).to_contain_text("since this page came over plain HTTP: WebCodecs")
    expect(player).to_contain_text("framecast tls init")
    page.get_by_role("button", name="Talking needs a secure page").click(force=True)
    wait_said(page, "Talking needs a secure page")
