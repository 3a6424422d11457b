"""Flash and click are together on the camera's own tracks, for ten minutes, however the device counts its time."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.support.claps import Witness, watch_tracks
from tests.sync.house import Tap, Way, bare, doorbell, house, pulled, stamped
from tests.sync.virtual import Device, Network

pytestmark = pytest.mark.anyio

TEN_MINUTES_S = 600.0
MOST_S = 0.040


async def witnessed(device: Device, way: Way) -> Witness:
    witness = Witness()
    async with house() as camera:
        tap = Tap(partial(watch_tracks, witness))
        camera.stream.video.attach(tap)
        camera.stream.audio.attach(tap)
        await camera.play(device, way)
    return witness


@pytest.mark.parametrize("way", [stamped, doorbell, pulled], ids=lambda way: way.__name__)
@pytest.mark.parametrize("ppm", [200, -200])
async def test_ten_minutes(way: Way, ppm: float) -> None:
    device = Device(TEN_MINUTES_S, ppm=ppm, fps=5)
    witness = await witnessed(device, way)
    offsets = witness.offsets()
    print(f"{way.__name__} {ppm}: {witness.report()}")
    assert len(offsets) >= 590 and len(witness.flashes) == len(device.instants)
    assert max(map(abs, offsets)) <= MOST_S


async def test_where_nobody_says_anything_it_is_as_even_as_the_network() -> None:
    device = Device(120, ppm=200, fps=10, network=Network(stalls=0))
    witness = await witnessed(device, bare)
    print(witness.report())
    assert len(witness.offsets()) >= 115
    assert abs(np.median(witness.offsets())) <= MOST_S
