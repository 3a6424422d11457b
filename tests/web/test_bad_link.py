"""<framecast-player> over a link that is cut and comes back: it goes on, smaller, and is whole again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.adaptive import CUT_BYTES_PER_S
from tests.support.throttle import Throttle, throttled
from tests.web.conftest import Open, Start
from tests.web.looking import HIDE
from tests.web.playing import place, shown, wait_path

LEVEL = "() => window.player.stats?.quality?.level"
PATIENCE_MS = 30_000
LOAD = "async () => { window.module = await import('./static/js/socket.js'); }"
CONNECT = """
() => {
  window.socket = new window.module.Dashboard();
  window.said = [];
  window.socket.addEventListener("status", () => window.said.push(window.socket.status));
  window.socket.start();
}
"""


class Link:
    """A `Throttle` in a thread of its own."""

    def __init__(self, throttle: Throttle, loop: asyncio.AbstractEventLoop) -> None:
        self.url = f"http://127.0.0.1:{throttle.port}"
        self._throttle = throttle
        self._loop = loop

    def cut(self, rate: float) -> None:
        """Let so many bytes a second pass from now on; 0 for everything."""
        self._loop.call_soon_threadsafe(self._throttle.cut, rate)

    def lengthen(self, delay_s: float) -> None:
        """Let all that goes to the server take so long from now on."""
        self._throttle.delay_s = delay_s


@contextmanager
def linked(port: int) -> Iterator[Link]:
    """A link in front of a server."""
    ready, end = threading.Event(), threading.Event()
    links: list[Link] = []

    async def serve() -> None:
        async with throttled(port) as throttle:
            links.append(Link(throttle, asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(60)
        yield links[0]
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("path", ["mse", "webcodecs", "jpeg"])
def test_it_goes_on_smaller_and_comes_back(start: Start, open_page: Open, path: str) -> None:
    server = start("serve", "--camera", "door=mock:?fps=15&size=640x480")
    port = int(server.url.rpartition(":")[2])
    with linked(port) as link:
        page = open_page(link.url + "/docs").page
        place(page, link.url, camera="door", path=path)
        wait_path(page, path)
        ids = [each["frame"] for each in shown(page, 10)]
        page.wait_for_function(f"() => ({LEVEL})() === 'source'")
        link.cut(CUT_BYTES_PER_S / 2)
        page.wait_for_function(f"() => !['source', undefined].includes(({LEVEL})())", timeout=PATIENCE_MS)
        ids += [each["frame"] for each in shown(page, 10)]
        assert page.evaluate("() => window.player.stats?.path") == path
        link.cut(0)
        page.wait_for_function(f"() => ({LEVEL})() === 'source'", timeout=PATIENCE_MS)
        ids += [each["frame"] for each in shown(page, 10)]
        assert ids == sorted(ids), "never back"
        assert page.evaluate("() => window.paths") == [path], "it never gave up"


def test_a_long_way_is_no_dead_one(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240")
    with linked(int(server.url.rpartition(":")[2])) as link:
        page = open_page(link.url + "/docs").page
        page.evaluate(LOAD)
        link.lengthen(0.9)  # two satellites, and some
        page.evaluate(CONNECT)
        page.wait_for_function("() => window.socket.clock.rttMs > 800 || window.said.includes('gone')")
        assert page.evaluate("() => window.said") == ["connecting", "open"]


def test_a_socket_that_died_in_sleep_is_found_out_soon(start: Start, open_page: Open) -> None:
    server = start("serve", "--camera", "door=mock:?fps=5&size=320x240")
    with linked(int(server.url.rpartition(":")[2])) as link:
        page = open_page(link.url + "/docs").page
        pongs: list[str | bytes] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda got: "pong" in got and pongs.append(got)))
        page.evaluate(LOAD)
        page.evaluate(CONNECT)
        # To those pings that set the clock. One that came after the link is cut would put off what is waited for.
        while len(pongs) < 5:
            page.wait_for_timeout(50)
        page.evaluate(HIDE, True)
        link.cut(0.001)  # nothing is closed, and nothing comes any more
        page.evaluate(HIDE, False)
        since_ms = page.evaluate("() => performance.now()")
        page.wait_for_function("() => window.said.includes('gone')")
        assert page.evaluate("() => performance.now()") - since_ms < 12_000, "three pings of those 5 s apart"
