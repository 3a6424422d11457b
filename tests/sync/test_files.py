"""Flash and click of a film stay together, whose H.264 is passed on untouched."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.service.serving import serving
from tests.support.clapviewers import VIEWERS
from tests.sync.test_claps import FLASHES, film

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 12.0
"""Three times through the film."""
MOST_S = 0.040


async def test_every_output_has_both_at_once(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    await asyncio.to_thread(film, path, 0.0, rate=48_000, channels=2, codec="aac", form="mp4")
    async with serving(tmp_path, {"door": f"file:{path}"}) as server:
        seen = await asyncio.gather(*(view(server.url, "door", SECONDS) for view in VIEWERS.values()))
    for name, witness in zip(VIEWERS, seen, strict=True):
        print(f"{name}: {witness.report()}")
    for name, witness in zip(VIEWERS, seen, strict=True):
        offsets = witness.offsets()
        assert len(offsets) >= len(FLASHES), name
        assert max(map(abs, offsets)) <= MOST_S, name
