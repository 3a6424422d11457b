"""What somebody says on a page is what the device's speaker plays, bit for bit."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from framecast.mock.device import FakeDevice
from tests.service.serving import serving, until

pytestmark = pytest.mark.anyio

PUSHED = {
    "doorbell": ("http", "/api/v1/devices/doorbell/camera-stream"),
    "post-raw": ("http", "/api/v1/cameras/door/frames"),
    "websocket": ("ws", "/api/v1/cameras/door/publish"),
}


async def test_a_device_that_is_asked_hears_it_too(tmp_path: Path) -> None:
    said = np.random.default_rng(8).integers(-32_768, 32_767, 640, dtype="<i2").tobytes()
    file = tmp_path / "heard.wav"
    async with serving(tmp_path, {"porch": "push:"}) as server:
        url = f"{server.url}/api/v1/cameras/porch/speaker"
        async with FakeDevice("tasmota", speaker=file, speaker_url=url) as device:
            assert device.speaker is not None
            speaker = device.speaker
            await until(lambda: len(server.camera("porch").sound.speakers))
            async with server.client.ws_connect(f"{server.url}/api/v1/cameras/porch/talk") as page:
                await page.send_bytes(said)
                await until(lambda: speaker.size_bytes == len(said))
    with wave.open(str(file)) as heard:
        assert heard.readframes(640) == said


@pytest.mark.parametrize("dialect", PUSHED)
async def test_the_device_hears_what_was_said(tmp_path: Path, dialect: str) -> None:
    scheme, path = PUSHED[dialect]
    said = np.random.default_rng(7).integers(-32_768, 32_767, (25, 640), dtype="<i2")
    file = tmp_path / "heard.wav"
    async with (
        serving(tmp_path, {"door": "push:"}) as server,
        FakeDevice(
            dialect, fps=20, to=f"{scheme}://127.0.0.1:{server.port}{path}", device_id="door", speaker=file
        ) as device,
    ):
        assert device.speaker is not None
        speaker, sound = device.speaker, server.camera("door").sound
        await until(lambda: server.camera("door").stream.published and (scheme == "ws" or len(sound.speakers)))
        async with server.client.ws_connect(f"{server.url}/api/v1/cameras/door/talk") as page:
            for number, piece in enumerate(said):
                await page.send_bytes(piece.tobytes())
                await until(lambda number=number: speaker.size_bytes == (number + 1) * 1_280)
    with wave.open(str(file)) as heard:
        assert (heard.getframerate(), heard.getnchannels(), heard.getsampwidth()) == (16_000, 1, 2)
        assert heard.readframes(said.size) == said.tobytes()
