"""Flash and click are together at real viewers, from a real device, over real sockets."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
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
from tests.support.clapviewers import VIEWERS, m5stack
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 7.0
MOST_S = 0.040
PUSHING = {
    "doorbell": "/api/v1/devices/doorbell/camera-stream",
    "post-raw": "/api/v1/cameras/post-raw/frames",
    "websocket": "/api/v1/cameras/websocket/publish",
}
UNSTAMPED = ("websocket",)
"""The time of its pictures is that of their arrival, which a busy machine may put off for one or another."""


@pytest.mark.parametrize("dialect", ["espressif", *PUSHING])
async def test_every_output_has_both_at_once(dialect: str, tmp_path: Path) -> None:
    """One device, with a viewer at each output, all at the same time."""
    options: dict[str, Any] = {"fps": 15, "audio": SoundOptions(), "clock_ppm": 200}
    options |= {"pictures": Synthetic(320, 240, fps=15), "device_id": dialect}
    ports = {"compat.m5_device_port": free_port(), "compat.m5_viewer_port": free_port()}
    async with AsyncExitStack() as stack:
        # Players sit in threads, and the server needs one now and then.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16))
        camera: Any = "push:"
        if dialect not in PUSHING:
            device = await stack.enter_async_context(FakeDevice(dialect, **options))
            camera = {"url": device.url, "audio_url": device.base_url + device.dialect.sounds[0]}
        server = await stack.enter_async_context(serving(tmp_path, {dialect: camera}, options=ports))
        if dialect in PUSHING:
            to = f"{DIALECTS[dialect].scheme}://127.0.0.1:{server.port}{PUSHING[dialect]}"
            await stack.enter_async_context(FakeDevice(dialect, to=to, **options))
        viewers = VIEWERS | {"M5Stack MPEG-TS": m5stack(f"ws://127.0.0.1:{ports['compat.m5_viewer_port']}")}
        seen = await asyncio.gather(*(view(server.url, dialect, SECONDS) for view in viewers.values()))
    witnesses = dict(zip(viewers, seen, strict=True))
    for name, witness in witnesses.items():
        print(f"{name}: {witness.report()}")
    for name, witness in witnesses.items():
        offsets = witness.offsets()
        assert len(offsets) >= SECONDS - 4, name
        measured = [median(offsets)] if dialect in UNSTAMPED else offsets
        assert max(map(abs, measured)) <= MOST_S, name
