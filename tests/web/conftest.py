"""The pages in Debian's Chromium, against the real server in a process of its own.

Every page is watched: an error on its console, a breach of the content security policy or a request to another origin
fails the test that caused it, whatever else it was about.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

CHROMIUM = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
"""The engine without the window around it, which costs more than most tests; where there is none, with it."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that is not localhost, and so no secure page.
    "--host-resolver-rules=MAP camera.test 127.0.0.1",
    # A microphone that beeps, and nobody who has to allow it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
DESK: ViewportSize = {"width": 1440, "height": 900}
TABLET: ViewportSize = {"width": 820, "height": 1180}
PHONE: ViewportSize = {"width": 390, "height": 844}
# What comes at all may come late on a busy machine; only a test that fails waits for so long.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
GONE = ("net::ERR_", "WebSocket connection", "status of 503")
"""What stands on a page's console when its server goes, which refuses what is asked of it in its last moments."""

Start = Callable[..., "Process"]
Open = Callable[..., "Watched"]


class Process:
    """A running `framecast` command that says where it listens.

    Attributes:
        url: The first address it named, without the final slash.
        data: Its data folder.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.data = folder / "data"
        self._serves = arguments[0] in ("serve", "demo")
        self._log = folder / "log.txt"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "framecast", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = [word for word in line.split() if word.startswith("http://")]
            if words:
                self.url = words[0].rstrip("/")
                return
        raise AssertionError(self._log.read_text())

    def line_with(self, part: str) -> str:
        """The next line it prints that has this in it."""
        assert self._process.stdout is not None
        return next(line.strip() for line in self._process.stdout if part in line)

    def stop(self) -> None:
        """End it: a server has to do so cleanly, a device just loses its power. Safe to call twice."""
        if self._serves:
            self._process.terminate()
        else:
            self._process.kill()
        status = self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        assert not self._serves or status == 0, self._log.read_text()


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Process]:
    """`framecast serve` in this folder: for tests that share it, since they change nothing."""
    process = Process(folder, "serve", "--port", "0", "--data", str(folder / "data"), *options)
    try:
        yield process
    finally:
        process.stop()


NEWER = "/js/newer.js"


class Watched:
    """A page of which everything that must not happen is kept.

    Attributes:
        page: Playwright's.
        errors: What it did wrong so far.
        sockets: Addresses of the WebSockets it opened.
    """

    def __init__(self, context: BrowserContext, origin: str, expected: tuple[str, ...]) -> None:
        self.errors: list[str] = []
        self.sockets: list[str] = []
        self._origin = urlsplit(origin).netloc
        self._expected = expected
        self.page: Page = context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._on_request)
        self.page.on("websocket", lambda socket: self.sockets.append(socket.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type != "error" or any(part in message.text for part in self._expected):
            return
        # A page asks now and then whether the server has a newer one, be it just at the end of a test.
        if "net::ERR_" in message.text and message.location["url"].endswith(NEWER):
            return
        self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        if request.url.startswith(("data:", "blob:")):
            return
        if urlsplit(request.url).netloc != self._origin:
            self.errors.append(f"request to {request.url}")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless; it ends with this package, since there can be one driver at a time."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `framecast serve` or another command; all are stopped at the end."""
    started: list[Process] = []

    def run(command: str, *arguments: str, data: Path | None = None) -> Process:
        folder = tmp_path / f"{command}{len(started)}"
        folder.mkdir()
        if command in ("serve", "demo"):
            arguments = ("--port", "0", "--data", str(data or folder / "data"), *arguments)
        started.append(Process(folder, command, *arguments))
        return started[-1]

    yield run
    for process in started:
        process.stop()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`framecast demo`, shared by the tests of a module that change nothing."""
    folder = tmp_path_factory.mktemp("demo")
    process = Process(folder, "demo", "--port", "0", "--data", str(folder / "data"), "--no-m5-ports")
    yield process
    process.stop()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Opens a watched page; ``expected`` names console errors that belong to the test.

    The service worker stays away unless a test asks for ``workers``: what it keeps costs each of them some 80 requests.
    """
    opened: list[Watched] = []
    contexts: list[BrowserContext] = []

    def show(
        url: str,
        *,
        size: ViewportSize = DESK,
        expected: tuple[str, ...] = (),
        dark: bool = False,
        scale: float = 1,
        workers: bool = False,
    ) -> Watched:
        context = chromium.new_context(
            viewport=size,
            color_scheme="dark" if dark else "light",
            has_touch=size is PHONE,
            device_scale_factor=scale,
            accept_downloads=True,
            service_workers="allow" if workers else "block",
        )
        contexts.append(context)
        watched = Watched(context, url, expected)
        opened.append(watched)
        watched.page.set_default_timeout(PATIENCE_MS)
        watched.page.goto(url)
        return watched

    yield show
    for context in contexts:
        context.close()
    for watched in opened:
        assert watched.errors == []
