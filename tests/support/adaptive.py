"""Two pages that watch one camera, one of them over a link that is cut for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from framecast.wire import media
from tests.service.serving import until
from tests.service.watching import Page
from tests.support.throttle import throttled

CUT_BYTES_PER_S = 37_500
"""300 kbit/s."""


class Watcher:
    """A page that acknowledges what it gets as the player does, and keeps account of it.

    Attributes:
        shown: (when, frame id, its age in seconds) of each picture.
        levels: (when, level, reason) of each `form` message.
    """

    def __init__(self, page: Page, wish: Mapping[str, Any]) -> None:
        self.shown: list[tuple[float, int, float]] = []
        self.levels: list[tuple[float, str, str]] = []
        self._page = page
        self._wish = wish

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._page.subscribe("cam", **self._wish)
        while True:
            message = await self._page.see(30)
            for text in self._page.texts:
                if text["type"] == "form":
                    quality = text["quality"]
                    self.levels.append((time.monotonic(), quality["level"], quality["reason"]))
            self._page.texts.clear()
            if message.kind is media.Kind.PADDING or message.init:
                continue
            await self._page.ack(message)
            age_s = (time.time_ns() - message.pts_ns) / 1e9
            self.shown.append((time.monotonic(), message.frame_id, age_s))

    def age_s(self, since: float, until: float) -> float:
        """The oldest that what was on the screen ever was in this time."""
        shown = [each for each in self.shown if each[0] <= until]
        oldest = 0.0
        for (at, _, age), (following, *_) in zip(shown, [*shown[1:], (until, 0, 0.0)], strict=True):
            if following >= since:
                oldest = max(oldest, age + following - at)
        return oldest

    def level(self, at: float) -> str:
        """The level it was on at a time."""
        return next((level for since, level, _ in reversed(self.levels) if since <= at), "")

    def whole_after_s(self, back: float) -> float:
        """How long after the link's return it was at full quality again; infinite if it never was."""
        return next((at - back for at, level, _ in self.levels if at > back and level == "source"), float("inf"))

    @property
    def ids(self) -> list[int]:
        """Frame ids, in the order in which they came."""
        return [frame_id for _, frame_id, _ in self.shown]


@dataclass(frozen=True)
class Cut:
    """What became of two pages, one of whose links was cut.

    Attributes:
        slow: The one whose link was cut.
        fast: Its neighbour.
        cut: When the link was cut.
        back: When it was back.
        end: When they went.
    """

    slow: Watcher
    fast: Watcher
    cut: float
    back: float
    end: float


@asynccontextmanager
async def cut_link(
    port: int, form: str, *, before_s: float = 2.0, after_s: float = 15.0, together: asyncio.Barrier | None = None
) -> AsyncIterator[Cut]:
    """Watch the camera ``cam`` of a server; the pages are still there when this is handed over.

    Args:
        before_s: How long before the link is cut for ten seconds.
        after_s: How long to wait, at most, until the one whose link was cut is whole again.
        together: Where all are waited for before any stops to watch.
    """
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        throttled(port) as link,
        Page.opened(client, f"http://127.0.0.1:{link.port}") as slow_page,
        Page.opened(client, f"http://127.0.0.1:{port}") as fast_page,
    ):
        slow = Watcher(slow_page, {"form": form, "quality": "auto"})
        fast = Watcher(fast_page, {"form": form, "quality": "auto", "credit": 30})
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(fast.run())]
            await asyncio.sleep(1)
            running.append(tasks.create_task(slow.run()))
            await asyncio.sleep(before_s)
            cut = time.monotonic()
            link.cut(CUT_BYTES_PER_S)
            await asyncio.sleep(10)
            back = time.monotonic()
            link.cut(0)
            with suppress(TimeoutError):
                async with asyncio.timeout(after_s):
                    await until(lambda: slow.whole_after_s(back) < after_s, after_s + 1)
            await asyncio.sleep(0.5)
            if together is not None:
                await together.wait()
            for task in running:
                task.cancel()
        yield Cut(slow, fast, cut, back, time.monotonic())
