"""Watching over WebRTC, with aiortc's own receiver as the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framecast.output.webrtc import Peer
from framecast.wire import blockcode
from tests.service.serving import Server, serving, until
from tests.support.whep import Watcher, local_address, watcher

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not local_address(), reason="WebRTC needs an address that is not loopback"),
]

WHEP = "/api/v1/cameras/cam/whep"
MOCK = "mock:?fps=25&size=320x240"


@pytest.fixture
async def live(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    async with serving(tmp_path, {"cam": MOCK}) as server:
        yield server


def peers(server: Server) -> list[Peer]:
    return list(server.service.peering.of(server.camera()))


async def ids(viewer: Watcher, count: int) -> list[int]:
    """The frame ids that stand in the next pictures."""
    found = []
    for _ in range(count):
        frame = await viewer.frame()
        code = blockcode.read(frame.to_ndarray(format="gray"))
        assert code is not None
        found.append(code.frame_id)
    return found


async def test_a_viewer_sees_the_pictures_that_were_sent(live: Server) -> None:
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + WHEP)
        seen = await ids(viewer, 25)
        assert seen == sorted(seen)
        assert seen[-1] - seen[0] <= 30
        (reader,) = (await live.json("GET", "/api/v1/cameras/cam/stats"))["readers"]
        assert reader["kind"] == "webrtc"
        assert reader["rendition"] == "h264"
        assert reader["sent"] >= 25
        async with live.client.delete(live.url + viewer.location) as response:
            assert response.status == 200
        await until(lambda: not peers(live))
        assert not live.camera().stream.viewers
