"""Flash and click are together on the camera's own tracks, for ten minutes, however the device counts its time."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.support.claps import Witness, watch_tracks
from tests.sync.house import House, Tap, Way, bare, doorbell, house, pulled, stamped
from tests.sync.virtual import Arrival, Device, Network

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


@pytest.mark.slow
@pytest.mark.parametrize(("way", "ppm"), [(stamped, 200), (doorbell, -200), (pulled, 200)])
async def test_ten_minutes(way: Way, ppm: float) -> None:
    device = Device(TEN_MINUTES_S, ppm=ppm, fps=5)
    witness = await witnessed(device, way)
    offsets = witness.offsets()
    print(f"{way.__name__} {ppm}: {witness.report()}")
    assert len(offsets) >= 590 and len(witness.flashes) == len(device.instants)
    assert max(map(abs, offsets)) <= MOST_S


@pytest.mark.parametrize("way", [stamped, doorbell, pulled], ids=lambda way: way.__name__)
@pytest.mark.parametrize("rate_hz", [15_625, 15_920, 16_250])
async def test_a_rate_that_is_not_the_declared_one(way: Way, rate_hz: int) -> None:
    device = Device(40, fps=5, rate_hz=rate_hz)

    def lying(camera: House, arrival: Arrival) -> None:
        camera.form["sample_rate_hz"] = 16_000
        way(camera, arrival)

    witness = await witnessed(device, lying)
    offsets = witness.offsets()
    print(f"{way.__name__} {rate_hz}: {witness.report()}")
    assert len(offsets) >= 38
    assert max(map(abs, offsets)) <= MOST_S


@pytest.mark.parametrize("way", [stamped, doorbell], ids=lambda way: way.__name__)
async def test_chunks_that_are_lost_doubled_and_late(way: Way) -> None:
    device = Device(180, ppm=200, fps=5, trouble=0.02)
    witness = await witnessed(device, way)
    offsets = witness.offsets()
    print(f"{way.__name__}: {witness.report()}")
    # A clap in a chunk that was lost is not heard.
    assert len(offsets) >= 160
    assert max(map(abs, offsets)) <= MOST_S


@pytest.mark.parametrize("way", [stamped, doorbell, pulled], ids=lambda way: way.__name__)
async def test_a_device_that_starts_again(way: Way) -> None:
    before, after = Device(90, ppm=200, fps=5), Device(90, ppm=-100, fps=5, uptime_s=1.7, seed=2)
    witness = Witness()
    async with house() as camera:
        tap = Tap(partial(watch_tracks, witness))
        camera.stream.video.attach(tap)
        camera.stream.audio.attach(tap)
        await camera.play(before, way)
        camera.clock.advance(2.5)
        await camera.play(after, way)
    offsets = witness.offsets()
    print(f"{way.__name__}: {witness.report()}")
    assert len(witness.flashes) == len(before.instants) + len(after.instants)
    assert len(offsets) >= len(witness.flashes) - 2
    assert max(map(abs, offsets)) <= MOST_S


async def test_where_nobody_says_anything_it_is_as_even_as_the_network() -> None:
    device = Device(120, ppm=200, fps=10, network=Network(stalls=0))
    witness = await witnessed(device, bare)
    print(witness.report())
    assert len(witness.offsets()) >= 115
    assert abs(np.median(witness.offsets())) <= MOST_S
