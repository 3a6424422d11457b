"""Pictures that pass the gate and that nothing can be made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from framecast.core import stream as streams
from framecast.core.stream import State
from tests.service.serving import jpeg, serving, until
from tests.service.watching import STREAM, mjpeg

pytestmark = pytest.mark.anyio


def damaged(number: int) -> bytes:
    """A picture whose markers are whole and whose scan is nonsense."""
    picture = jpeg(number)
    start = picture.index(b"\xff\xda") + 14
    return picture[:start] + bytes([number % 251]) * 3 + b"\xff\xd9"


async def test_a_masked_camera_whose_pictures_are_damaged_says_so(tmp_path: Path) -> None:
    cameras = {"cam": {"url": "push:", "masks": [[0, 0, 0.5, 0.5]]}}
    async with serving(tmp_path, cameras, options={"stream.verify": "never"}) as server:
        stream = server.camera().stream
        async with mjpeg(server.port) as viewer:
            await server.push(damaged(1))
            await until(lambda: stream.refused["corrupt_scan"] == 1)
            assert stream.state is State.STALLED
            await server.push(damaged(2))
            await until(lambda: stream.refused["corrupt_scan"] == 2)
            shown = await server.json("GET", "/api/v1/cameras/cam")
            assert shown["state"] == "stalled"
            assert "masked" in shown["reason"]

            await server.push(jpeg(3))
            await viewer.part()
            await server.push(jpeg(4))
            await viewer.part()
            shown = await server.json("GET", "/api/v1/cameras/cam")
            assert (shown["state"], shown["reason"]) == ("live", "")


async def test_one_damaged_picture_among_good_ones_is_only_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "UNSHOWN_S", 60.0)  # a busy machine may come to the next picture late
    cameras = {"cam": {"url": "push:", "rotate": 90}}
    async with serving(tmp_path, cameras, options={"stream.verify": "never"}) as server:
        stream = server.camera().stream
        async with mjpeg(server.port) as viewer:
            await server.push(jpeg(1))
            await viewer.part()
            await server.push(damaged(2))
            await until(lambda: stream.refused["corrupt_scan"] == 1)
            assert stream.state is State.LIVE


async def test_a_rendition_that_cannot_be_made_is_counted(tmp_path: Path) -> None:
    never = {"stream.verify": "never"}
    async with serving(tmp_path, options=never) as server, mjpeg(server.port, STREAM + "?overlay=frame-id"):
        await server.push(damaged(1))
        await until(lambda: server.camera().stream.refused["corrupt_scan"] == 1)
        assert server.camera().stream.state is State.LIVE
