"""H.264 of a camera that sent one picture and then nothing, as a doorbell does: who comes later sees it, too."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest

from framecast.core.keyed import YOUNG_S
from framecast.core.repeat import SILENT_S
from tests.service.serving import Server, jpeg, serving, until
from tests.support.whep import local_address, watcher

pytestmark = pytest.mark.anyio

PICTURE = jpeg(7, (96, 64))


def age_s(server: Server) -> float:
    """Of the camera's newest picture."""
    stream = server.camera().stream
    assert stream.video.latest is not None
    return (stream.clock.now_ns() - stream.video.latest.received_ns) / 1e9


@pytest.fixture
async def still(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    """A server whose camera sent a picture a while ago."""
    async with serving(tmp_path) as server:
        await server.push(PICTURE)
        await until(lambda: age_s(server) > max(YOUNG_S, SILENT_S))
        yield server


async def test_mp4_begins_for_whoever_comes_and_shows_that_picture(still: Server) -> None:
    path = "/api/v1/cameras/cam/stream.mp4"
    async with still.client.get(still.url + path) as first, asyncio.timeout(30):
        begun = await first.content.read(100)
        assert begun[4:8] == b"ftyp"
        async with still.client.get(still.url + path) as second:
            assert (await second.content.read(100))[:8] == begun[:8]
        body = b""
        while b"mdat" not in body:
            body += await first.content.read(10_000)
    shown, sent = decoded(begun + body), decoded(PICTURE)
    assert shown.shape == sent.shape
    assert np.abs(shown.astype(int) - sent).mean() < 8


def decoded(file: bytes) -> np.ndarray:
    """The first picture of a file."""
    with av.open(io.BytesIO(file)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.mark.skipif(not local_address(), reason="WebRTC needs an address that is not loopback")
async def test_a_webrtc_viewer_gets_it_as_often_as_it_asks(still: Server) -> None:
    url = f"{still.url}/api/v1/cameras/cam/whep"
    async with watcher() as first, watcher() as second:
        for viewer in (first, second):
            await viewer.watch(still.client, url)
            video = viewer.connection.getReceivers()[0]
            await until(video.getSynchronizationSources)
            await viewer.want_key()
            frame = await viewer.frame()  # aiortc shows a picture once the next has begun
            assert (frame.width, frame.height) == (96, 64)
