"""Viewers on bad links, with real sockets through a link that carries so much and no more."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.service.serving import serving
from tests.service.watching import mjpeg
from tests.support.adaptive import CUT_BYTES_PER_S, cut_link
from tests.support.throttle import throttled

pytestmark = pytest.mark.anyio

CAMERA = "mock:?fps=30&size=640x480"


@pytest.mark.parametrize("form", ["jpeg", "h264", "mp4"])
async def test_a_link_cut_to_300_kbit_keeps_a_young_picture_and_comes_back(tmp_path: Path, form: str) -> None:
    async with serving(tmp_path, {"cam": CAMERA}) as server, cut_link(server.port, form) as seen:
        slow, fast = seen.slow, seen.fast
        drops = {viewer.number: viewer.drops for viewer in server.camera().stream.viewers.values()}
        assert slow.level(seen.cut) == "source"
        assert slow.age_s(seen.cut + 5, seen.back) < 1.0, slow.levels
        assert slow.whole_after_s(seen.back) < 15, slow.levels
        assert all(reason for _, _, reason in slow.levels)
        assert slow.ids == sorted(slow.ids), "never back"
        assert [level for _, level, _ in fast.levels] == ["source"], fast.levels
        assert drops[min(drops)] == 0, "its neighbour lost nothing"
        assert fast.age_s(seen.cut, seen.end) < 1.0


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
        (reader,) = (await server.json("GET", "/api/v1/cameras/cam/stats"))["readers"]
        assert reader["quality"]["asked"] == "auto"
        assert reader["quality"]["level"] in ("medium", "low", "lower", "least")
        assert "the connection carries" in reader["quality"]["reason"]
        assert reader["rendition"] != "video"
        link.cut(0)
        await watch(20, "source")
        assert levels[-1] == "source", levels
        assert ids == sorted(set(ids)), "never back, nothing twice"
        assert mine.choice is not None and mine.rendition == "video"
