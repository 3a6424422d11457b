"""Viewers on bad links, with real sockets through a link that carries so much and no more."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.service.serving import Server, serving
from tests.service.watching import mjpeg
from tests.support.adaptive import CUT_BYTES_PER_S, cut_link
from tests.support.throttle import throttled

pytestmark = pytest.mark.anyio

CAMERA = "mock:?fps=30&size=640x480"
FORMS = ("jpeg", "h264", "mp4")


async def test_links_cut_to_300_kbit_keep_young_pictures_and_come_back(tmp_path: Path) -> None:
    """Each form over a link of its own, all at the same time: most of it is waiting."""
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        watched = asyncio.Barrier(len(FORMS))
        async with asyncio.TaskGroup() as tasks:
            for form in FORMS:
                tasks.create_task(page_follows_its_link(server, form, watched))
            tasks.create_task(mjpeg_follows_its_connection_without_being_told(server))


async def page_follows_its_link(server: Server, form: str, watched: asyncio.Barrier) -> None:
    async with cut_link(server.port, form, together=watched) as seen:
        slow, fast = seen.slow, seen.fast
        viewers = server.camera().stream.viewers.values()
        drops = {viewer.number: viewer.drops for viewer in viewers if viewer.kind == "websocket"}
        assert slow.level(seen.cut) == "source", form
        assert slow.age_s(seen.cut + 5, seen.back) < 1.0, (form, slow.levels)
        assert slow.whole_after_s(seen.back) < 15, (form, slow.levels)
        assert all(reason for _, _, reason in slow.levels), form
        assert slow.ids == sorted(slow.ids), f"{form}: never back"
        assert [level for _, level, _ in fast.levels] == ["source"], (form, fast.levels)
        # Those on good links came first.
        assert [drops[number] for number in sorted(drops)[: len(FORMS)]] == [0] * len(FORMS), "neighbours lost nothing"
        assert fast.age_s(seen.cut, seen.end) < 1.0, form


async def mjpeg_follows_its_connection_without_being_told(server: Server) -> None:
    async with (
        throttled(server.port) as link,
        mjpeg(link.port, "/api/v1/cameras/cam/stream.mjpeg?quality=auto") as viewer,
    ):
        (mine,) = (one for one in server.camera().stream.viewers.values() if one.kind == "mjpeg")
        ids: list[int] = []
        ages: list[tuple[float, float]] = []
        levels: list[str] = []

        async def watch(seconds: float, until: str = "") -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end and (not until or levels[-1] != until):
                part = await viewer.part(30)
                if part.frame_id in ids[-1:]:
                    continue  # the heartbeat
                ids.append(part.frame_id)
                ages.append((time.monotonic(), time.time() - float(part.timestamp)))
                assert mine.choice is not None
                if mine.choice.level not in levels[-1:]:
                    levels.append(mine.choice.level)

        await watch(2)
        assert levels == ["source"]
        link.cut(CUT_BYTES_PER_S)
        await watch(5)
        settled = len(ages)
        await watch(5)
        assert max(age for _, age in ages[settled:]) < 2.0, "the link holds some, and the proxy"
        readers = (await server.json("GET", "/api/v1/cameras/cam/stats"))["readers"]
        (reader,) = (one for one in readers if one["kind"] == "mjpeg")
        assert reader["quality"]["asked"] == "auto"
        assert reader["quality"]["level"] in ("medium", "low", "lower", "least")
        assert "the connection carries" in reader["quality"]["reason"].lower()
        assert reader["rendition"] != "video"
        link.cut(0)
        await watch(20, "source")
        assert levels[-1] == "source", levels
        assert ids == sorted(set(ids)), "never back, nothing twice"
        assert mine.choice is not None and mine.rendition == "video"
