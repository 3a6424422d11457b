"""Viewers on bad links, with real sockets through a link that carries so much and no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import serving, until
from tests.service.watching import Page, mjpeg
from tests.support.throttle import throttled

pytestmark = pytest.mark.anyio

CUT_BYTES_PER_S = 37_500
"""300 kbit/s."""
CAMERA = "mock:?fps=30&size=640x480"


class Watcher:
    """A page that acknowledges what it gets as the player does, and keeps account of it.

    Attributes:
        shown: (when, frame id, its age in seconds, width) of each picture.
        levels: (when, level, reason) of each `form` message.
    """

    def __init__(self, page: Page, wish: Mapping[str, Any]) -> None:
        self.shown: list[tuple[float, int, float, int]] = []
        self.levels: list[tuple[float, str, str]] = []
        self.keys: list[bool] = []
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
            if message.kind == 5 or message.init:
                continue
            await self._page.ack(message)
            age_s = (time.time_ns() - message.pts_ns) / 1e9
            self.shown.append((time.monotonic(), message.frame_id, age_s, message.width_px))
            self.keys.append(message.key)

    def age(self, since: float, until: float) -> float:
        """The oldest that what was on the screen ever was in this time."""
        times = [(at, age) for at, _, age, _ in self.shown if at <= until]
        oldest = 0.0
        for (at, age), (following, _) in zip(times, [*times[1:], (until, 0.0)], strict=True):
            if following >= since:
                oldest = max(oldest, age + following - at)
        return oldest

    def level(self, at: float) -> str:
        """The level it was on at a time."""
        return next((level for since, level, _ in reversed(self.levels) if since <= at), "")


@pytest.mark.parametrize("form", ["jpeg", "h264", "mp4"])
async def test_a_link_cut_to_300_kbit_keeps_a_young_picture_and_comes_back(tmp_path: Path, form: str) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(tmp_path, {"cam": CAMERA}))
        link = await stack.enter_async_context(throttled(server.port))
        slow = Watcher(
            await stack.enter_async_context(Page.opened(server.client, f"http://127.0.0.1:{link.port}")),
            {"form": form, "quality": "auto"},
        )
        fast = Watcher(
            await stack.enter_async_context(Page.opened(server.client, server.url)),
            {"form": form, "quality": "auto", "credit": 30},
        )
        tasks = [asyncio.ensure_future(fast.run())]
        try:
            await until(lambda: fast.shown)
            tasks.append(asyncio.ensure_future(slow.run()))
            await asyncio.sleep(3)
            cut = time.monotonic()
            link.cut(CUT_BYTES_PER_S)
            await asyncio.sleep(10)
            back = time.monotonic()
            link.cut(0)
            await asyncio.sleep(15)
            end = time.monotonic()
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        drops = {viewer.number: viewer.drops for viewer in server.camera().stream.viewers.values()}
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results
    assert slow.level(cut) == "source"
    assert slow.age(cut + 5, back) < 1.0
    assert slow.level(end) == "source", slow.levels
    assert all(reason for _, _, reason in slow.levels)
    ids = [frame_id for _, frame_id, _, _ in slow.shown]
    assert ids == sorted(ids), "never back"
    assert [level for _, level, _ in fast.levels] == ["source"], fast.levels
    assert drops[min(drops)] == 0, "its neighbour lost nothing"
    assert fast.age(cut, end) < 0.5


async def test_mjpeg_follows_its_connection_without_being_told(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, {"cam": CAMERA}) as server,
        throttled(server.port) as link,
        mjpeg(link.port, "/api/v1/cameras/cam/stream.mjpeg?quality=auto") as viewer,
    ):
        (mine,) = server.camera().stream.viewers.values()
        ids: list[int] = []
        ages: list[tuple[float, float]] = []
        levels: list[str] = []

        async def watch(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                part = await viewer.part(30)
                if part.frame_id in ids[-1:]:
                    continue  # the heartbeat
                ids.append(part.frame_id)
                ages.append((time.monotonic(), time.time() - float(part.timestamp)))
                assert mine.choice is not None
                if mine.choice.level not in levels[-1:]:
                    levels.append(mine.choice.level)

        await watch(3)
        assert levels == ["source"]
        link.cut(CUT_BYTES_PER_S)
        await watch(5)
        settled = len(ages)
        await watch(5)
        assert max(age for _, age in ages[settled:]) < 2.0, "the link holds some, and the proxy"
        (reader,) = (await server.json("GET", "/api/v1/cameras/cam/stats"))["readers"]
        assert reader["quality"]["asked"] == "auto"
        assert reader["quality"]["level"] in ("medium", "low", "lower", "least")
        assert "the connection carries" in reader["quality"]["reason"]
        assert reader["rendition"] != "video"
        link.cut(0)
        await watch(20)
        assert levels[-1] == "source", levels
        assert ids == sorted(set(ids)), "never back, nothing twice"
        assert mine.choice is not None and mine.rendition == "video"
