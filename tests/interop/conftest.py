"""Real players against the real server, each a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.web.conftest import CHROMIUM

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Serving:
    """A running `framecast serve`.

    Attributes:
        url: Where it listens, without the final slash.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "framecast", "serve", "--port", "0", "--data", str(folder / "data"), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Framecast is ready at "), self.log.read_text()
        self.url = line.split()[-1].rstrip("/")

    def stop(self) -> None:
        """Ask it to stop, and see that it does well."""
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[type[Serving]]:
    """Starts servers; they are stopped at the end, and have to end with status 0."""
    started: list[Serving] = []

    def start(*arguments: str) -> Serving:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        started.append(Serving(folder, *arguments))
        return started[-1]

    yield start  # type: ignore[misc]
    for serving in started:
        serving.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless; it ends with this package, since there can be one driver at a time."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def chromium(browser: Browser) -> Iterator[Browser]:
    """The same, with no page left over for the next test."""
    yield browser
    for context in browser.contexts:
        context.close()
