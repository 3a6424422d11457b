"""Flash and click are together at real viewers, from a real device, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from framecast.mock.device import FakeDevice
from framecast.mock.dialects import DIALECTS
from framecast.mock.microphone import SoundOptions
from framecast.mock.picture import Synthetic
from tests.service.serving import serving
from tests.service.test_m5 import free_port
from tests.support.clapviewers import VIEWERS, m5stack

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 7.0
MOST_S = 0.040
PATHS = {
    "doorbell": "/api/v1/devices/doorbell/camera-stream",
    "post-raw": "/api/v1/cameras/door/frames",
    "websocket": "/api/v1/cameras/door/publish",
}
UNSTAMPED = ("websocket",)
"""The time of its pictures is that of their arrival, which a busy machine may put off for one or another."""


@pytest.mark.parametrize("dialect", [*PATHS, "espressif"])
async def test_every_output_has_both_at_once(tmp_path: Path, dialect: str) -> None:
    ports = {"compat.m5_device_port": free_port(), "compat.m5_viewer_port": free_port()}
    viewers = VIEWERS | {"M5Stack MPEG-TS": m5stack(f"ws://127.0.0.1:{ports['compat.m5_viewer_port']}")}
    options: dict[str, Any] = {"fps": 15, "device_id": "door", "audio": SoundOptions(), "clock_ppm": 200}
    options |= {"pictures": Synthetic(320, 240, fps=15)}
    async with AsyncExitStack() as stack:
        if DIALECTS[dialect].pushes:
            server = await stack.enter_async_context(serving(tmp_path, {"door": "push:"}, options=ports))
            to = f"{DIALECTS[dialect].scheme}://127.0.0.1:{server.port}{PATHS[dialect]}"
            await stack.enter_async_context(FakeDevice(dialect, to=to, **options))
        else:
            device = await stack.enter_async_context(FakeDevice(dialect, **options))
            config = {"url": device.url, "audio_url": device.base_url + device.dialect.sounds[0]}
            server = await stack.enter_async_context(serving(tmp_path, {"door": config}, options=ports))
        seen = await asyncio.gather(*(view(server.url, "door", SECONDS) for view in viewers.values()))
    for name, witness in zip(viewers, seen, strict=True):
        print(f"{dialect}, {name}: {witness.report()}")
    for name, witness in zip(viewers, seen, strict=True):
        offsets = witness.offsets()
        assert len(offsets) >= SECONDS - 4, name
        measured = [median(offsets)] if dialect in UNSTAMPED else offsets
        assert max(map(abs, measured)) <= MOST_S, name
