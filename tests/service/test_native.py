"""Cameras that send H.264 themselves, and one encode for the others, through the whole server."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import av
import pytest

from framecast.core.packet import Packet
from framecast.core.rendition import H264, OPUS
from framecast.wire import h264
from tests.ingest.rtsp_peer import RtspCamera, h264_media
from tests.ingest.test_avcoded import PLAIN
from tests.ingest.test_pyav import frames, number_of, video_file
from tests.service.serving import Server, serving, until
from tests.service.watching import Page, mjpeg

pytestmark = pytest.mark.anyio


class Kept:
    """A sink that keeps what comes."""

    bulk = False

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    def push(self, packet: Packet) -> None:
        self.packets.append(packet)

    def clear(self) -> None: ...

    def number_of(self, frame_id: int) -> int:
        """Which picture of the file a packet is, by its distance from a keyframe of ten."""
        index = next(index for index, packet in enumerate(self.packets) if packet.frame_id == frame_id)
        return index % 20


def clip(folder: Path, fps: int = 25, **options: str) -> str:
    return f"file:{video_file(folder / 'clip.mp4', count=20, fps=fps, codec='libx264', options={**PLAIN, **options})}"


async def test_it_goes_out_as_it_came_and_nothing_is_encoded(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": clip(tmp_path)}) as server:
        kept = Kept()
        server.camera().stream.track(H264).attach(kept)
        await until(lambda: len(kept.packets) >= 24)
        assert [packet.key for packet in kept.packets[:24]] == [index % 10 == 0 for index in range(24)]
        assert server.service.encodes() == 0
        assert server.camera().stream.video.latest is None, "no picture is decoded for nobody"
        decoder = av.CodecContext.create("h264", "r")
        shown = [frame for packet in kept.packets[:20] for frame in decoder.decode(av.Packet(packet.payload))]
        assert [round((frame.to_ndarray(format="gray").mean() - 20) / 8) for frame in shown] == list(range(20))


@pytest.mark.parametrize("form", ["h264", "mp4"])
async def test_who_comes_long_after_a_key_picture_begins_with_that_one(tmp_path: Path, form: str) -> None:
    """This camera gives none for the asking, and the next one is seconds away."""
    url = f"file:{video_file(tmp_path / 'clip.mp4', count=28, fps=7, codec='libx264', options={**PLAIN, 'g': '40'})}"
    async with (
        serving(tmp_path, {"cam": url}) as server,
        Page.opened(server.client, server.url) as first,
        Page.opened(server.client, server.url) as second,
    ):
        await first.subscribe("cam", form=form)
        key = await first.see()
        while key.init or not key.key:
            key = await first.see()
        while (seen := await first.see()).frame_id < key.frame_id + 10:
            await first.ack(seen)
        await second.subscribe("cam", form=form)
        begun = await second.see()
        while begun.init:
            begun = await second.see()
        assert (begun.frame_id, begun.key) == (key.frame_id, True)


async def test_the_first_of_a_form_begins_with_the_last_key_picture_too(tmp_path: Path) -> None:
    """The camera is read already, since somebody watches JPEGs."""
    url = f"file:{video_file(tmp_path / 'clip.mp4', count=28, fps=7, codec='libx264', options={**PLAIN, 'g': '28'})}"
    async with serving(tmp_path, {"cam": url}) as server, mjpeg(server.port):
        kept = server.camera().stream.native
        await until(lambda: len(kept.ring) == 8)
        key = kept.ring[0]
        async with server.client.get(server.url + "/api/v1/cameras/cam/stream.mp4?sound=0") as response:
            data = b""
            while data.count(b"moof") < 8:
                data += await response.content.readany()
        assert kept.ring[0] is key, "the next one is seconds away"


async def test_a_viewer_of_jpegs_joins_and_sees_the_same_ids(tmp_path: Path) -> None:
    # So slowly that a busy machine has joined before the next keyframe comes.
    async with serving(tmp_path, {"cam": clip(tmp_path, 5, g="20")}) as server:
        kept, stream = Kept(), server.camera().stream
        stream.track(H264).attach(kept)
        await until(lambda: len(kept.packets) >= 5)
        shown = (await server.json("GET", "/api/v1/cameras/cam"))["video"]
        assert (shown["width"], shown["height"]) == (160, 120)
        assert shown["age_s"] <= (stream.clock.now_ns() - kept.packets[4].pts_ns) / 1e9 + 0.001
        async with mjpeg(server.port) as viewer:
            parts = [await viewer.part() for _ in range(8)]
        assert 5 <= parts[0].frame_id - kept.packets[0].frame_id < 20, "neither an old one, nor the next keyframe"
        for part in parts:
            assert number_of(part.picture) == kept.number_of(part.frame_id)
        await until(lambda: not server.camera().stream.inlet.wanted)


async def test_a_masked_camera_is_coded_anew(tmp_path: Path) -> None:
    camera = {"url": clip(tmp_path), "masks": [[0.0, 0.0, 0.5, 1.0]]}
    async with serving(tmp_path, {"cam": camera}) as server:
        kept = Kept()
        server.camera().stream.track(H264).attach(kept)
        await until(lambda: len(kept.packets) >= 3)
        assert server.service.encodes() >= 3
        decoder = av.CodecContext.create("h264", "r")
        (frame,) = decoder.decode(av.Packet(kept.packets[0].payload))
        assert frame.to_ndarray(format="gray")[:, :70].max() < 24
        await server.json("PATCH", "/api/v1/cameras/cam", json={"masks": []})
        count = len(kept.packets)
        await until(lambda: any(packet.payload in originals(tmp_path) for packet in kept.packets[count:]))


def originals(folder: Path) -> set[bytes]:
    """The file's keyframes, as they are handed on."""
    with av.open(str(folder / "clip.mp4")) as container:
        stream = container.streams.video[0]
        sets, length = h264.parse_avcc(stream.codec_context.extradata or b"")
        return {
            h264.join([sets.sps, *sets.pps]) + h264.from_avcc(bytes(packet), length)
            for packet in container.demux(stream)
            if packet.size and packet.is_keyframe
        }


async def test_an_rtsp_camera_is_heard_and_seen(tmp_path: Path) -> None:
    async with (
        RtspCamera(h264_media(frames(25) * 6, 25), tone=bytes([0x00, 0x80])) as camera,
        serving(tmp_path, {"cam": camera.url}) as server,
    ):
        seen, heard = Kept(), Kept()
        server.camera().stream.track(H264).attach(seen)
        server.camera().stream.track(OPUS).attach(heard)
        await until(lambda: len(seen.packets) >= 20 and len(heard.packets) >= 20, 10)
        assert server.service.encodes() == 0
        first, last = heard.packets[0], heard.packets[19]
        assert last.pts_ns - first.pts_ns == pytest.approx(19 * 20_000_000, abs=10)
        # Whichever comes later, since its thread got no core, is waited for.
        await until(lambda: abs(heard.packets[-1].pts_ns - seen.packets[-1].pts_ns) < 400_000_000)


async def one_encode(server: Server, viewers: int) -> int:
    """Encodes for each picture with so many viewers of ``stream.mp4``."""
    url = f"{server.url}/api/v1/cameras/cam/stream.mp4"
    async with asyncio.TaskGroup() as group:
        enough = asyncio.Event()

        async def watch() -> None:
            async with server.client.get(url) as response:
                await response.content.readexactly(4_000)
                enough.set()
                await done.wait()

        done = asyncio.Event()
        for _ in range(viewers):
            group.create_task(watch())
        await enough.wait()
        kept = Kept()
        server.camera().stream.track(H264).attach(kept)
        before = server.service.encodes()
        await until(lambda: len(kept.packets) >= 20)
        made = server.service.encodes() - before
        server.camera().stream.track(H264).detach(kept)
        done.set()
    return made - len(kept.packets)


async def test_one_encode_whatever_the_number_of_viewers(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "mock:?fps=30&size=160x120"}) as server:
        assert abs(await one_encode(server, 1)) <= 1
        assert abs(await one_encode(server, 100)) <= 1


async def test_settings_reach_the_encoder(tmp_path: Path) -> None:
    options = {"h264.gop_s": 0.5, "h264.encoder": "software"}
    async with serving(tmp_path, {"cam": "mock:?fps=20&size=160x120"}, options=options) as server:
        kept = Kept()
        server.camera().stream.track(H264).attach(kept)
        await until(lambda: sum(packet.key for packet in kept.packets) >= 4)
    times_ns = [packet.pts_ns for packet in kept.packets]
    slowest_ns = max(after - before for before, after in pairwise(times_ns))
    for before, after in pairwise(index for index, packet in enumerate(kept.packets) if packet.key):
        assert times_ns[after] - times_ns[before] > min(350_000_000, 500_000_000 - slowest_ns), "none too early"
        assert times_ns[after - 1] - times_ns[before] < 500_000_000, "nor too late"
