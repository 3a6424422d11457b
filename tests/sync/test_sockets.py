"""Flash and click are together at real viewers, from a real device, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import median

import pytest

from framecast.mock.device import FakeDevice
from framecast.mock.microphone import SoundOptions
from framecast.mock.picture import Synthetic
from tests.service.serving import serving
from tests.service.test_m5 import free_port
from tests.support.clapviewers import VIEWERS, m5stack

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 8.0
MOST_S = 0.040
PUSHED = {
    "doorbell": ("http", "/api/v1/devices/doorbell/camera-stream"),
    "post-raw": ("http", "/api/v1/cameras/door/frames"),
    "websocket": ("ws", "/api/v1/cameras/door/publish"),
}


@pytest.mark.parametrize("dialect", PUSHED)
async def test_every_output_has_both_at_once(tmp_path: Path, dialect: str) -> None:
    scheme, path = PUSHED[dialect]
    ports = {"compat.m5_device_port": free_port(), "compat.m5_viewer_port": free_port()}
    viewers = VIEWERS | {"M5Stack MPEG-TS": m5stack(f"ws://127.0.0.1:{ports['compat.m5_viewer_port']}")}
    async with (
        serving(tmp_path, {"door": "push:"}, options=ports) as server,
        FakeDevice(
            dialect,
            fps=15,
            pictures=Synthetic(320, 240, fps=15),
            to=f"{scheme}://127.0.0.1:{server.port}{path}",
            device_id="door",
            audio=SoundOptions(),
            clock_ppm=200,
        ),
    ):
        seen = await asyncio.gather(*(view(server.url, "door", SECONDS) for view in viewers.values()))
    for name, witness in zip(viewers, seen, strict=True):
        print(f"{dialect}, {name}: {witness.report()}")
    for name, witness in zip(viewers, seen, strict=True):
        offsets = witness.offsets()
        assert len(offsets) >= SECONDS - 4, name
        # Without stamps a picture's time is that of its arrival, which a busy machine may put off for one or another.
        measured = [median(offsets)] if dialect == "websocket" else offsets
        assert max(map(abs, measured)) <= MOST_S, name
