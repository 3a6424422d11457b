"""What a mock device does wrong with its sound is counted as its table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from framecast.mock.device import FakeDevice
from framecast.mock.faults import KINDS, Kind
from framecast.mock.microphone import SoundOptions
from tests.service.serving import serving, until

pytestmark = pytest.mark.anyio

COUNTED = [kind for kind in KINDS if kind.sound and kind.code]


@pytest.mark.parametrize("dialect", ["post-raw", "websocket"])
@pytest.mark.parametrize("kind", COUNTED, ids=lambda kind: kind.name)
async def test_each_fault_is_counted(tmp_path: Path, kind: Kind, dialect: str) -> None:
    scheme, path = ("ws", "publish") if dialect == "websocket" else ("http", "frames")
    async with serving(tmp_path, {"door": "push:"}) as server:
        microphone = server.camera("door").sound.microphone
        name = kind.code.removeprefix("audio_")

        def count() -> int:
            return microphone.refused[name] + int(getattr(microphone, name, 0))

        async with FakeDevice(
            dialect,
            [f"{kind.name}=0.3"],
            fps=5,
            to=f"{scheme}://127.0.0.1:{server.port}/api/v1/cameras/door/{path}",
            audio=SoundOptions(24_000, 2),
        ):
            await until(lambda: count() >= 2)
            # The rest goes on.
            published = microphone.published
            await until(lambda: microphone.published > published + 3)
