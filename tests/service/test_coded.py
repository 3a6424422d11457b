"""Coded video over HTTP and the M5Stack port, as real players read it."""

from __future__ import annotations

import asyncio
import io
from itertools import pairwise
from pathlib import Path

import av
import pytest

from framecast.core.packet import Packet
from framecast.core.rendition import H264
from framecast.output import transport
from framecast.service.api import coded
from framecast.wire import blockcode
from tests.service.serving import Server, jpeg, serving, until
from tests.service.test_m5 import m5

pytestmark = pytest.mark.anyio

CAMERA = "mock:?fps=20&size=320x240"


def played(source: object, count: int, **options: object) -> list[tuple[int, float]]:
    """The first pictures of a stream: the id in the picture, and when it is shown in seconds."""
    with av.open(source, **options) as container:  # type: ignore[call-overload]
        found: list[tuple[int, float]] = []
        for frame in container.decode(video=0):
            code = blockcode.read(frame.to_ndarray(format="bgr24"))
            assert code is not None, "the code can be read in every picture"
            found.append((code.frame_id, float(frame.time)))
            if len(found) == count:
                break
    return found


class Encoded:
    """A sink that keeps the ids of what was encoded."""

    bulk = False

    def __init__(self, server: Server, camera_id: str = "cam") -> None:
        self.ids: list[int] = []
        self.pts_ns: dict[int, int] = {}
        server.camera(camera_id).stream.track(H264).attach(self)

    def push(self, packet: Packet) -> None:
        self.ids.append(packet.frame_id)
        self.pts_ns[packet.frame_id] = packet.pts_ns

    def clear(self) -> None: ...

    def were_shown(self, pictures: list[tuple[int, float]]) -> bool:
        """Whether these are pictures that were encoded, without a gap."""
        ids = [each for each, _ in pictures]
        start = self.ids.index(ids[0])
        return ids == self.ids[start : start + len(ids)]


async def play(server: Server, path: str, count: int) -> list[tuple[int, float]]:
    return await asyncio.to_thread(played, f"http://127.0.0.1:{server.port}{path}", count)


async def test_mp4_plays_and_misses_no_picture(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        encoded = Encoded(server)
        pictures = await play(server, "/api/v1/cameras/cam/stream.mp4", 30)
        assert encoded.were_shown(pictures)
        for (earlier, shown_s), (later, next_s) in pairwise(pictures):
            captured_s = (encoded.pts_ns[later] - encoded.pts_ns[earlier]) / 1e9
            assert next_s - shown_s == pytest.approx(captured_s, abs=0.001)
        await until(lambda: not server.camera().stream.viewers)


async def test_viewers_of_the_same_mp4_share_one_encode(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        encoded = Encoded(server)
        runs = await asyncio.gather(*(play(server, "/api/v1/cameras/cam/stream.mp4", 20) for _ in range(4)))
        assert all(encoded.were_shown(run) for run in runs)
        assert len(encoded.ids) == len(set(encoded.ids)), "each picture was encoded once"
        made = [name for name in server.camera().stream.renditions if name.startswith("h264")]
        assert made == ["h264"]


async def test_a_smaller_mp4(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        url = f"http://127.0.0.1:{server.port}/api/v1/cameras/cam/stream.mp4?width=160&fps=5"

        def size() -> tuple[int, int]:
            with av.open(url) as container:
                frame = next(container.decode(video=0))
                return frame.width, frame.height

        assert await asyncio.to_thread(size) == (160, 120)


@pytest.mark.parametrize("query", ["width=1", "fps=0", "fps=2.5", "quality=101", "sound=2"])
async def test_what_makes_no_sense_is_refused(tmp_path: Path, query: str) -> None:
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        await server.json("GET", f"/api/v1/cameras/cam/stream.mp4?{query}", status=400)


async def test_the_file_ends_well_where_the_pictures_change_their_size(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        async with server.client.get(f"{server.url}/api/v1/cameras/cam/stream.mp4") as response:
            begun = await asyncio.wait_for(response.content.readexactly(5000), 20)
            await server.json("PATCH", "/api/v1/cameras/cam", json={"rotate": 90})
            body = begun + await asyncio.wait_for(response.content.read(), 20)
        assert await asyncio.to_thread(played, io.BytesIO(body), 1000)
        await until(lambda: not server.camera().stream.viewers)


async def test_who_reads_nothing_is_not_waited_for_when_the_file_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "FAREWELL_S", 0.05)
    async with serving(tmp_path) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /api/v1/cameras/cam/stream.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        viewers = server.camera().stream.viewers
        number = 0
        async with asyncio.timeout(30):
            while not any(viewer.behind for viewer in viewers.values()):
                number += 1
                await server.push(jpeg(number, (640, 480), noise=True))
            while viewers:
                number += 1
                await server.push(jpeg(number % 200, (320, 240)))
                await asyncio.sleep(0.01)
        writer.transport.abort()


async def test_m5_viewers_get_a_transport_stream(tmp_path: Path) -> None:
    async with m5(tmp_path) as (server, _, viewer_url):
        await server.json("PATCH", "/api/v1/cameras/other", json={"url": CAMERA})
        encoded = Encoded(server, "other")
        async with server.client.ws_connect(viewer_url + "/other") as viewer:
            stream = b""
            messages = 0
            while messages < 40:
                message = await viewer.receive(timeout=10)
                assert isinstance(message.data, bytes)
                assert len(message.data) % 188 == 0
                assert message.data[0] == 0x47
                stream += message.data
                messages += 1
        pictures = await asyncio.to_thread(played, io.BytesIO(stream), 35, format="mpegts")
        assert encoded.were_shown(pictures)


async def test_without_ffmpegs_libraries_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coded, "can_encode", lambda: False)
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        words = await server.error("GET", "/api/v1/cameras/cam/stream.mp4", 501, "media_missing")
        assert "framecast[media]" in words


async def test_a_camera_that_is_broken_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coded, "START_WAIT_S", 0.2)
    async with serving(tmp_path, {"cam": "http://127.0.0.1:9/stream"}) as server:
        message = await server.error("GET", "/api/v1/cameras/cam/stream.mp4", 503, "no_frame")
        assert message.startswith("No picture came in time")
        await until(lambda: not server.camera().stream.wanted)


async def test_names_of_levels_that_are_none(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        for name in ("verylow", "auto"):
            message = await server.error("GET", f"/api/v1/cameras/cam/stream.mp4?quality={name}", 400, "bad_value")
            assert message.endswith("one of source, high, medium, low")
