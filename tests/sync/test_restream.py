"""Flash and click are together where a camera is pushed on to: the ffmpeg command, which writes what comes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.service.serving import serving
from tests.service.test_restream import Listener
from tests.support.claps import watch
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 8.0
MOST_S = 0.040
CAMERA = "mock:?fps=15&size=320x240&audio=1&clock_ppm=200"


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
async def test_the_other_end_has_both_at_once(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}/live/door"
    listener = await Listener.started(url, tmp_path / "got.mkv")
    try:
        async with serving(tmp_path, {"cam": {"url": CAMERA, "restream": [url]}}):
            await asyncio.sleep(SECONDS)  # of real time, which is what is measured
    finally:
        await listener.stop()
    witness = await asyncio.to_thread(watch, str(listener.path))
    offsets = witness.offsets()
    print(f"{scheme}: {witness.report()} {[round(offset * 1e3) for offset in offsets]}")
    assert len(offsets) >= SECONDS - 4
    assert max(map(abs, offsets)) <= MOST_S
