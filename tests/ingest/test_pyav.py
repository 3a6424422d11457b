"""Sources through FFmpeg, against real files and a small RTSP camera on a real socket."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from framecast.core.clock import SYSTEM
from framecast.core.errors import BadStatus, ConfigError, DeviceError, Misuse, ProtocolError, Stalled, Unreachable

av = pytest.importorskip("av")

from framecast.ingest import avoutlet  # noqa: E402
from framecast.ingest.avoutlet import PICTURES, Outlet, Unit  # noqa: E402
from framecast.ingest.avsession import Timeline  # noqa: E402
from framecast.ingest.pyav import AvSource  # noqa: E402

from .rtsp_peer import RtspCamera, h264_media, jpeg_media  # noqa: E402

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unhurried")]


class FakeFeed:
    """Keeps what a source says."""

    def __init__(self) -> None:
        self.clock = SYSTEM
        self.next_frame_id = 0
        self.said: list[tuple[str, str]] = []
        self.pictures: list[bytes] = []
        self.stamps_s: list[float] = []
        self.received_ns: list[int] = []
        self.faults: Counter[str] = Counter()
        self.wants_pictures = True
        self.codes: list[bool] = []
        self.units: list[Unit] = []
        self.unit_stamps_s: list[float] = []
        self.pictures_of: list[int] = []
        self.sounds: list[tuple[bytes, int, int, float]] = []
        self._news = asyncio.Event()

    def connected(self, dialect: str, address: str = "") -> None:
        self.said.append((dialect, address))

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
        assert stamp_s is not None
        assert received_ns is not None
        self.pictures.append(payload)
        self.stamps_s.append(stamp_s)
        self.received_ns.append(received_ns)
        self._news.set()
        return True

    def codes_itself(self, yes: bool) -> None:
        self.codes.append(yes)

    def access_unit(
        self,
        payload: bytes,
        *,
        key: bool,
        width_px: int,
        height_px: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> int:
        assert stamp_s is not None
        self.units.append(Unit(payload, key, width_px, height_px))
        self.unit_stamps_s.append(stamp_s)
        self._received_ns = received_ns
        self._news.set()
        return 1000 + len(self.units)

    def picture_of(self, frame_id: int, payload: bytes) -> None:
        self.pictures_of.append(frame_id)
        self.jpeg(payload, stamp_s=self.unit_stamps_s[frame_id - 1001], received_ns=self._received_ns)

    def sound(
        self,
        payload: bytes,
        *,
        sample_rate_hz: int,
        channels: int,
        stamp_s: float | None = None,
        received_ns: int | None = None,
    ) -> None:
        assert stamp_s is not None
        self.sounds.append((payload, sample_rate_hz, channels, stamp_s))
        self._news.set()

    async def news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def alive(self) -> None: ...

    def quirk(self, code: str) -> None: ...

    def fault(self, cause: str) -> None:
        self.faults[cause] += 1

    async def has(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.pictures) < count:
                await self.news()


async def pictures_of(source: AvSource, count: int) -> FakeFeed:
    """What the feed has after ``count`` pictures; the source is cancelled then."""
    feed = FakeFeed()
    task = asyncio.create_task(source.run(feed))
    waiting = asyncio.create_task(feed.has(count))
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    waiting.cancel()
    for result in await asyncio.gather(task, waiting, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    return feed


def frames(count: int, width: int = 160, height: int = 120) -> list[np.ndarray]:
    """Grey, brighter from frame to frame, so that a picture tells its number: ``level // 8``."""
    return [np.full((height, width, 3), 20 + 8 * number, np.uint8) for number in range(count)]


def number_of(jpeg: bytes) -> int:
    return round((float(simplejpeg.decode_jpeg(jpeg, "GRAY").mean()) - 20) / 8)


def jpegs(count: int, quality: int = 75) -> list[bytes]:
    return [simplejpeg.encode_jpeg(pixels, quality, "RGB", "420") for pixels in frames(count)]


def video_file(
    path: Path, count: int = 5, fps: int = 25, codec: str = "mpeg4", options: dict[str, str] | None = None
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.bit_rate = 2_000_000
        for pixels in frames(count):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def mjpeg_file(path: Path, payloads: list[bytes], fps: int = 25) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        for number, payload in enumerate(payloads):
            packet = av.Packet(payload)
            packet.stream, packet.time_base = stream, Fraction(1, fps)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)
    return path


def without_tables(jpeg: bytes) -> bytes:
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        if jpeg[at + 1] != 0xC4:
            kept += jpeg[at:end]
        at = end
    return kept + jpeg[at:]


# Files.


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("clip.avi", "mpeg4", None),
        ("clip.mp4", "libx264", {"bf": "2", "g": "12"}),
        ("reordered.avi", "libx264", {"bf": "2", "g": "12"}),
        ("clip.mkv", "libx264", {"bf": "0"}),
        ("clip.webm", "libvpx", {"deadline": "realtime"}),
    ],
)
async def test_a_file_plays_in_order_at_its_pace_and_begins_again(
    tmp_path: Path, name: str, codec: str, options: dict[str, str] | None
) -> None:
    path = video_file(tmp_path / name, count=10, fps=50, codec=codec, options=options)
    feed = await pictures_of(AvSource(f"file:{path}"), 24)
    assert [number_of(jpeg) for jpeg in feed.pictures[:20]] == [*range(10), *range(10)]
    assert all(after > before for before, after in pairwise(feed.stamps_s))
    assert feed.stamps_s[19] - feed.stamps_s[0] == pytest.approx(19 / 50, abs=0.002)
    late_s = [ns / 1e9 - s for ns, s in zip(feed.received_ns, feed.stamps_s, strict=True)]
    assert min(late_s) > -0.001, "none before its time"
    assert min(late_s) < 0.2, "as soon as the machine lets it"
    ((dialect, address),) = feed.said
    assert dialect.startswith("Video file (")
    assert dialect.endswith(" 160x120)")
    assert address == str(path)


async def test_motion_jpeg_passes_untouched(tmp_path: Path) -> None:
    payloads = jpegs(6)
    feed = await pictures_of(AvSource(f"file:{mjpeg_file(tmp_path / 'clip.avi', payloads)}"), 8)
    assert feed.pictures[:8] == [*payloads, *payloads[:2]]


async def test_motion_jpeg_without_tables_gets_them(tmp_path: Path) -> None:
    payloads = jpegs(3)
    path = mjpeg_file(tmp_path / "clip.avi", [without_tables(each) for each in payloads])
    feed = await pictures_of(AvSource(f"file:{path}"), 3)
    for made, payload in zip(feed.pictures, payloads, strict=False):
        assert (simplejpeg.decode_jpeg(made) == simplejpeg.decode_jpeg(payload)).all()


async def test_fps_thins_evenly(tmp_path: Path) -> None:
    path = video_file(tmp_path / "clip.avi", count=20, fps=50)
    feed = await pictures_of(AvSource(f"file:{path}", fps=10), 5)
    steps = [after - before for before, after in pairwise(feed.stamps_s)]
    assert steps == pytest.approx([0.1] * len(steps), abs=0.021)


async def test_quality_is_that_of_the_encoder(tmp_path: Path) -> None:
    path = video_file(tmp_path / "clip.avi")
    fine = await pictures_of(AvSource(f"file:{path}", quality=95), 1)
    coarse = await pictures_of(AvSource(f"file:{path}", quality=20), 1)
    assert len(coarse.pictures[0]) < len(fine.pictures[0])


@pytest.mark.parametrize(("height", "colour"), [(120, (200, 40, 90)), (720, (200, 40, 90)), (120, (16, 235, 16))])
async def test_colours_stay_what_they_are(tmp_path: Path, height: int, colour: tuple[int, int, int]) -> None:
    """Limited range becomes full, and BT.709 of large pictures becomes BT.601."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "4"})
        stream.width, stream.height, stream.pix_fmt = 160, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((height, 160, 3), colour, np.uint8), format="rgb24")
        matrix = "ITU709" if height >= 720 else "ITU601"
        coded = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range="MPEG")
        coded.colorspace = 2
        for packet in [*stream.encode(coded), *stream.encode(None)]:
            container.mux(packet)
    feed = await pictures_of(AvSource(f"file:{path}", quality=95), 1)
    shown = simplejpeg.decode_jpeg(feed.pictures[0], "RGB")[height // 2, 80]
    assert np.abs(shown.astype(int) - colour).max() <= 5


async def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="does not exist"):
        await AvSource(f"file:{tmp_path}/none.avi").run(FakeFeed())


async def test_what_is_no_video_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text.avi").write_text("hello " * 2_000)
    with pytest.raises(ProtocolError, match="nothing that FFmpeg can read"):
        await AvSource(f"file:{tmp_path}/text.avi").run(FakeFeed())


async def test_a_file_can_not_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(DeviceError):
        await AvSource(f"file:{tmp_path}/list.m3u8").run(FakeFeed())


async def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_600), np.int16), layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(ProtocolError, match="holds no pictures"):
        await AvSource(f"file:{path}").run(FakeFeed())


# RTSP.


async def test_rtsp_jpeg_passes_with_the_same_pixels() -> None:
    payloads = jpegs(12)
    async with RtspCamera(jpeg_media(payloads, 160, 120, 75, fps=40)) as camera:
        feed = FakeFeed()
        await AvSource(camera.url).run(feed)
    assert [number_of(jpeg) for jpeg in feed.pictures] == list(range(12))
    for made, payload in zip(feed.pictures, payloads, strict=True):
        assert (simplejpeg.decode_jpeg(made) == simplejpeg.decode_jpeg(payload)).all()
    assert feed.said == [("RTSP (MJPEG 160x120)", f"127.0.0.1:{camera.port}")]


async def test_rtsp_h264_is_decoded_from_the_first_keyframe_on() -> None:
    async with RtspCamera(h264_media(frames(20), fps=40)) as camera:
        feed = FakeFeed()
        await AvSource(camera.url).run(feed)
    numbers = [number_of(jpeg) for jpeg in feed.pictures]
    assert numbers[0] <= 4
    assert numbers == sorted(set(numbers))
    assert numbers[-1] >= 17
    assert feed.said[0][0] == "RTSP (H.264 160x120)"
    assert not feed.faults
    assert all(after > before for before, after in pairwise(feed.stamps_s))
    assert all(stamp <= ns / 1e9 + 0.001 for stamp, ns in zip(feed.stamps_s, feed.received_ns, strict=True))


@pytest.mark.parametrize(
    ("status", "says"), [(401, "user name or password"), (404, "no such stream"), (503, "503|500")]
)
async def test_rtsp_refusals_keep_their_status_and_no_password(status: int, says: str) -> None:
    async with RtspCamera(jpeg_media(jpegs(2), 160, 120, 75, fps=40), status=status) as camera:
        with pytest.raises(BadStatus, match=says) as caught:
            await AvSource(camera.url).run(FakeFeed())
    assert caught.value.status // 100 == status // 100
    assert "secret" not in str(caught.value)


async def test_nobody_there() -> None:
    with pytest.raises(Unreachable, match="refused the connection"):
        await AvSource("rtsp://127.0.0.1:1/live").run(FakeFeed())


async def test_what_came_of_an_attempt_is_told_once_and_never_with_the_password() -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context)))
    source = AvSource("rtsp://viewer:secret@127.0.0.1:1/none")
    for _ in range(3):
        with pytest.raises(Unreachable, match="refused the connection") as refused:
            await source.run(FakeFeed())
        assert "secret" not in str(refused.value)
    del source, refused
    gc.collect()
    await asyncio.sleep(0)
    assert told == []


async def test_a_peer_that_never_answers_is_given_up() -> None:
    async with RtspCamera(jpeg_media(jpegs(2), 160, 120, 75, fps=40), hang_at=0) as camera:
        with pytest.raises(Unreachable, match="did not answer within 1 s"):
            await AvSource(camera.url, timeout_s=0.6).run(FakeFeed())


async def test_a_peer_that_falls_silent_is_given_up() -> None:
    async with RtspCamera(jpeg_media(jpegs(30), 160, 120, 75, fps=40), hang_at=9) as camera:
        feed = FakeFeed()
        with pytest.raises((Stalled, Unreachable)):
            await AvSource(camera.url, timeout_s=2).run(feed)
    assert len(feed.pictures) == 9


@pytest.mark.parametrize("hang_at", [0, 5])
async def test_a_hung_peer_does_not_hold_up_the_end(hang_at: int) -> None:
    async with RtspCamera(jpeg_media(jpegs(30), 160, 120, 75, fps=40), hang_at=hang_at) as camera:
        feed = FakeFeed()
        source = AvSource(camera.url, timeout_s=3)
        task = asyncio.create_task(source.run(feed))
        if hang_at:
            await feed.has(hang_at)
        else:
            async with asyncio.timeout(10):
                await camera.heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source._last is not None
        assert not source._last.done(), "its thread waits for the peer, nobody for the thread"
        assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("framecast-av"))
        # The next run waits for the thread of this one: never two connections to one camera.
        camera.hang_at = None
        again = FakeFeed()
        await source.run(again)
        assert again.pictures
        assert camera.connections == 2


async def test_the_camera_hangs_up_and_the_source_returns() -> None:
    async with RtspCamera(jpeg_media(jpegs(30), 160, 120, 75, fps=40), end_at=6) as camera:
        feed = FakeFeed()
        await AvSource(camera.url).run(feed)
    assert len(feed.pictures) == 6


async def test_an_address_that_is_forbidden_is_never_connected() -> None:
    def check(host: str, ip: str) -> None:
        raise Misuse(f"{host} is at {ip}: cameras on this machine are not allowed")

    async with RtspCamera(jpeg_media(jpegs(2), 160, 120, 75, fps=40)) as camera:
        url = camera.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Misuse, match="localhost is at"):
            await AvSource(url, check_address=check).run(FakeFeed())
        assert camera.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    asked: list[tuple[str, str]] = []

    def only_ipv4(host: str, ip: str) -> None:
        asked.append((host, ip))
        if ":" in ip:
            raise Misuse("not that one")

    async with RtspCamera(jpeg_media(jpegs(3), 160, 120, 75, fps=40)) as camera:
        feed = FakeFeed()
        url = camera.url.replace("127.0.0.1", "localhost")
        await AvSource(url, check_address=only_ipv4).run(feed)
    assert len(feed.pictures) == 3
    assert asked[-1] == ("localhost", "127.0.0.1")
    assert feed.said[0][1] == f"localhost:{camera.port}"


async def test_a_name_that_does_not_exist_is_said_not_to() -> None:
    source = AvSource("rtsp://no-such-camera.invalid/live", check_address=lambda host, ip: None)
    with pytest.raises(Unreachable, match="no such name"):
        await source.run(FakeFeed())


# Local cameras, as far as that goes without one.


async def test_a_missing_local_camera_is_said_to_be_missing() -> None:
    with pytest.raises(Unreachable, match="/dev/video240 does not exist"):
        await AvSource("v4l2:/dev/video240?width=640&height=480").run(FakeFeed())


async def test_a_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(DeviceError, match="/dev/null"):
        await AvSource("v4l2:/dev/null").run(FakeFeed())


# The parts.


async def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "framecast.ingest.avsession", None)
    with pytest.raises(ConfigError, match=r"pip install 'framecast\[media\]'"):
        await AvSource("file:clip.avi").run(FakeFeed())


@pytest.mark.parametrize("arguments", [{"quality": 0}, {"fps": -1}, {"timeout_s": 0}])
def test_arguments_out_of_range_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        AvSource("file:clip.avi", **arguments)  # type: ignore[arg-type]


async def test_a_busy_loop_gets_the_newest_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(avoutlet._PLACES, "picture", PICTURES)
    feed = FakeFeed()
    outlet = Outlet(asyncio.get_running_loop(), feed)
    for number in range(10):
        outlet.picture(b"%d" % number, float(number))
    assert feed.pictures == []
    await feed.has(PICTURES)
    assert feed.pictures == [b"6", b"7", b"8", b"9"]
    assert outlet.drops == 10 - PICTURES
    outlet.picture(b"late", 11.0)
    outlet.close()
    outlet.picture(b"later", 12.0)
    await asyncio.sleep(0)
    assert len(feed.pictures) == PICTURES


def test_media_time_always_rises() -> None:
    timeline = Timeline(0.1, longest_gap_s=5)
    stamps = [3.0, 3.1, 3.1, None, 3.4, 3.3, 0.0, 0.1, 900.0, 900.1, 0.0]
    times = [timeline.at(stamp) for stamp in stamps]
    assert all(after > before for before, after in pairwise(times))
    assert max(after - before for before, after in pairwise(times)) < 0.5
    assert times[:2] == pytest.approx([0.0, 0.1])


def test_a_live_pause_stays_a_pause() -> None:
    timeline = Timeline(0.1)
    assert [timeline.at(stamp) for stamp in (5.0, 5.1, 65.1)] == pytest.approx([0.0, 0.1, 60.1])
