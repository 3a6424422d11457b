"""H.264, fragments and sound over the dashboard's socket, and quality by name."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import pytest

from framecast.core.packet import Format
from framecast.core.rendition import Rendition
from framecast.service.api import interest
from framecast.wire import h264, media
from tests.core.fakes import Collector
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import Page

pytestmark = pytest.mark.anyio

CAMERA = "mock:?fps=20&size=320x240"


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with a camera that sends by itself."""
    async with serving(tmp_path, {"cam": CAMERA}) as server:
        yield server


async def pictures(page: Page, count: int) -> list[media.Message]:
    """So many messages, each acknowledged."""
    seen = []
    while len(seen) < count:
        seen.append(await page.see())
        await page.ack(seen[-1])
    return seen


async def test_access_units_begin_with_a_key_picture_and_decode(live: Server) -> None:
    async with Page.opened(live.client, live.url) as page:
        await page.subscribe("cam", form="h264")
        units = await pictures(page, 20)
        form = await page.hear("form")
        number = live.camera().stream.number
        assert (form["id"], form["camera"], form["form"], form["mime"]) == ("cam", number, "h264", "video/h264")
        assert form["quality"] == {"asked": None, "level": None, "width": None, "fps": None, "reason": ""}
        assert units[0].key
        sets = h264.parameter_sets(units[0].payload)
        assert sets is not None and form["codec"] == h264.parse_sps(sets.sps).codec
        assert {(unit.kind, unit.codec, unit.width_px, unit.height_px) for unit in units} == {(1, 2, 320, 240)}
        ids = [unit.frame_id for unit in units]
        assert ids == sorted(set(ids))
        decoder = av.CodecContext.create("h264", "r")
        frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.payload))]
        frames += decoder.decode(None)
        assert len(frames) == len(units)


async def test_a_page_that_can_not_decode_gets_a_key_picture(live: Server) -> None:
    async with Page.opened(live.client, live.url) as page:
        await page.subscribe("cam", form="h264")
        units = await pictures(page, 15)
        await page.say(type="key", camera=units[0].camera)
        await page.settle()
        page.media.clear()
        assert (await page.see()).key


async def test_who_comes_later_begins_with_a_key_picture_of_the_same_encode(live: Server) -> None:
    async with Page.opened(live.client, live.url) as first, Page.opened(live.client, live.url) as second:
        await first.subscribe("cam", form="h264")
        await pictures(first, 40)
        await second.subscribe("cam", form="h264")
        assert (await pictures(second, 1))[0].key
        assert live.camera().stream.renditions == ["h264"]


async def test_fragments_follow_their_initialisation_segment_and_play(live: Server) -> None:
    async with Page.opened(live.client, live.url) as page:
        await page.subscribe("cam", form="mp4", audio=True)
        messages = await pictures(page, 15)
        form = await page.hear("form")
        assert form["mime"].startswith('video/mp4; codecs="avc1.')
        assert form["codec"] in form["mime"]
        init, first, *_ = messages
        assert (init.kind, init.codec, init.init, first.init, first.key) == (4, 4, True, False, True)
        assert abs(first.pts_ns - init.pts_ns) < 1e9, "where media time 0 lies"
        with av.open(io.BytesIO(b"".join(message.payload for message in messages))) as container:
            assert len(list(container.decode(video=0))) == len(messages) - 1


@pytest.mark.parametrize("form", ["jpeg", "h264"])
async def test_sound_comes_beside_the_pictures(live: Server, form: str) -> None:
    async with Page.opened(live.client, live.url) as page:
        await page.subscribe("cam", form=form, audio=True)
        await pictures(page, 2)
        stream = live.camera().stream
        now_ns = stream.clock.now_ns()
        sent = stream.publish_sound(bytes(range(256)) * 8, Format("pcm_s16le", 0, 0, 16_000, 1), now_ns, now_ns)
        message = await page.see()
        while message.kind is not media.Kind.AUDIO:
            await page.ack(message)
            message = await page.see()
        assert (message.codec, message.sample_rate_hz, message.channels) == (3, 16_000, 1)
        assert (message.frame_id, message.pts_ns, message.payload) == (sent.frame_id, now_ns, sent.payload)
        await page.say(type="stats", interval_s=1)
        assert (await page.hear("stats"))["cameras"]["cam"]["mine"]["sound"]["sent"] >= 1
        await page.say(type="unsubscribe", cameras=["cam"])
        await page.settle()
        assert not stream.audio.wanted


@pytest.mark.parametrize(("form", "codec"), [("jpeg", "mjpeg"), ("h264", "h264")])
async def test_quality_by_name(tmp_path: Path, form: str, codec: str) -> None:
    async with (
        serving(tmp_path, {"cam": "mock:?fps=30&size=640x480"}) as server,
        Page.opened(server.client, server.url) as page,
    ):
        await page.subscribe("cam", form=form, quality="low")
        assert {message.width_px for message in await pictures(page, 6)} == {320}
        expected = {"asked": "low", "level": "low", "width": 320, "fps": 10, "reason": "low was asked for"}
        assert (await page.hear("form"))["quality"] == expected
        (reader,) = (await server.json("GET", "/api/v1/cameras/cam/stats"))["readers"]
        assert reader["quality"] == expected
        assert "320/q40" in reader["rendition"]
        await page.subscribe("cam", form=form, quality="low", width=160, fps=5)
        await page.hear("form")
        page.media.clear()  # on a busy machine there were more of the others
        assert {message.width_px for message in await pictures(page, 2)} == {160}
        (rendition, *_) = (each for each in server.camera().stream.renditions if "160" in each)
        assert rendition.startswith("video" if codec == "mjpeg" else "h264")


async def test_an_mp4_of_a_level(live: Server) -> None:
    async with live.client.get(f"{live.url}/api/v1/cameras/cam/stream.mp4?quality=low") as answer:
        assert answer.status == 200
        await answer.content.readany()
        assert live.camera().stream.renditions[0].startswith("h264/320/q40/10fps")
    await live.error("GET", "/api/v1/cameras/cam/stream.mp4?quality=best", 400, "bad_value")


async def test_auto_begins_with_everything(server: Server) -> None:
    await server.push(jpeg(1))
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", quality="auto")
        await page.see()
        quality = (await page.hear("form"))["quality"]
        assert (quality["asked"], quality["level"], quality["width"]) == ("auto", "source", None)
        assert quality["reason"] == "The connection carries everything so far"


async def test_mjpeg_and_snapshots_know_the_levels(server: Server) -> None:
    await server.push(jpeg(1, (640, 480)))
    for quality, width in (("low", 320), ("source", 640), ("high", 640), ("auto", 640)):
        async with server.client.get(f"{server.url}/api/v1/cameras/cam/snapshot.jpg?quality={quality}") as answer:
            assert answer.status == 200, quality
            body = await answer.read()
        with av.open(io.BytesIO(body), format="mjpeg") as container:
            assert container.streams.video[0].width == width
    for path in ("snapshot.jpg", "stream.mjpeg"):
        words = await server.error("GET", f"/api/v1/cameras/cam/{path}?quality=best", 400, "bad_value")
        assert "auto" in words and "medium" in words


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"form": "avi"}, "bad_value"),
    ({"form": None}, "bad_value"),
    ({"form": ["h264"]}, "bad_value"),
    ({"form": {}}, "bad_value"),
    ({"audio": 1}, "bad_value"),
    ({"audio": "true"}, "bad_value"),
    ({"quality": "best"}, "bad_value"),
    ({"quality": "AUTO"}, "bad_value"),
    ({"quality": "²"}, "bad_value"),
    ({"quality": ""}, "bad_value"),
    ({"quality": 101}, "bad_value"),
    ({"quality": -5}, "bad_value"),
    ({"form": "h264", "credit": 31}, "bad_value"),
    ({"form": "h264", "overlay": "frame-id"}, "not_available"),
    ({"form": "mp4", "max_bytes": 20_000}, "not_available"),
]


@pytest.mark.parametrize(("wish", "code"), NONSENSE, ids=[json.dumps(wish) for wish, _ in NONSENSE])
async def test_nonsense_is_refused(server: Server, wish: dict[str, Any], code: str) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", **wish)
        assert (await page.hear("error"))["code"] == code
        assert not server.camera().stream.viewers


@pytest.mark.parametrize("camera", ["1", 1.0, None, True, [1]])
async def test_a_key_is_asked_for_by_number(server: Server, camera: Any) -> None:
    async with Page.opened(server.client, server.url) as page:
        await page.say(type="key", camera=camera)
        assert (await page.hear("error"))["code"] == "bad_value"
        await page.say(type="key", camera=60_000)
        await page.subscribe("cam")
        await page.say(type="key", camera=server.camera().stream.number)
        await page.settle()
        assert not page.media


async def test_without_the_codecs_the_page_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interest, "can_encode", lambda: False)
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", form="h264")
        error = await page.hear("error")
        assert (error["code"], error["camera"]) == ("media_missing", "cam")
        assert "framecast[media]" in error["message"]


async def test_nothing_is_left_of_a_page_that_watched_everything(live: Server) -> None:
    async with Page.opened(live.client, live.url) as page:
        for form in ("h264", "mp4", "jpeg"):
            await page.subscribe("cam", form=form, audio=True, quality="auto")
            await pictures(page, 2)
    stream = live.camera().stream
    await until(lambda: not stream.viewers)
    assert live.service.hub._channels == {}


class Choosing:
    """A controller that has made up its mind."""

    level = 0
    target = 1
    reason = "pictures are late"

    def __init__(self, *_: object, **__: object) -> None:
        self.decided = False

    def review(self, *_: object) -> bool:
        before, self.decided = self.decided, True
        self.level = self.level if before else self.target
        return not before

    def forgo(self, level: int, reason: str) -> None:
        self.level, self.reason = level, reason

    def padding(self, _: float) -> int:
        return 0

    def moved(self, _: float) -> None:
        """It is done."""

    def acked(self, *_: object) -> None:
        """It needs to know nothing."""

    dropped = takes = source = acked


async def test_a_level_that_can_not_be_made_gives_way_to_the_next(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight renditions are being watched; one of them is that of the level below the chosen one."""
    monkeypatch.setattr(interest, "Controller", Choosing)
    monkeypatch.setattr(interest, "REVIEW_S", 0.0)
    stream = server.camera().stream
    for rendition in (Rendition(width_px=640, quality=60), *(Rendition(quality=each) for each in range(1, 8))):
        stream.track(rendition).attach(Collector())
    async with Page.opened(server.client, server.url) as page:
        await page.subscribe("cam", quality="auto")
        await page.hear("form")
        await server.push(jpeg(1, (800, 600)))
        await page.ack(await page.see())
        (viewer,) = stream.viewers.values()
        await until(lambda: viewer.rendition == "video/640/q60")
        await server.push(jpeg(2, (800, 600)))
        assert (await page.see()).width_px == 640
        quality = (await page.hear("form"))["quality"]
        assert quality["level"] == "medium"
        assert quality["reason"] == "Pictures are late; high can't be made now"


@pytest.mark.parametrize("form", ["h264", "mp4"])
async def test_coded_video_goes_over_to_another_level_and_plays_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(Choosing, "target", 3)
    monkeypatch.setattr(interest, "Controller", Choosing)
    async with (
        serving(tmp_path, {"cam": "mock:?fps=20&size=640x480"}) as server,
        Page.opened(server.client, server.url) as page,
    ):
        monkeypatch.setattr(server.camera().stream, "_grace_s", 60.0)  # what it left is there at the end, however late
        await page.subscribe("cam", form=form, quality="auto")
        messages = await pictures(page, 40)
        first, second = await page.hear("form"), await page.hear("form")
        assert [each["quality"]["level"] for each in (first, second)] == ["source", "low"]
        begins = [index for index, each in enumerate(messages) if each.width_px == 320]
        assert {each.width_px for each in messages[: begins[0]]} == {640}
        assert begins == list(range(begins[0], 40)), "one after the other"
        units = [each for each in messages if not each.init]
        ids = [each.frame_id for each in units]
        assert all(after >= before for before, after in itertools.pairwise(ids))
        if form == "h264":
            assert messages[begins[0]].key
            decoder = av.CodecContext.create("h264", "r")
            frames = [frame for each in units for frame in decoder.decode(av.Packet(each.payload))]
            assert {frame.width for frame in frames + decoder.decode(None)} == {640, 320}
        else:
            inits = [index for index, each in enumerate(messages) if each.init]
            assert inits == [0, begins[0]]
            assert messages[begins[0]].pts_ns >= messages[0].pts_ns, "media time 0 of the other one"
            later = b"".join(each.payload for each in messages[begins[0] :])
            with av.open(io.BytesIO(later)) as container:
                assert len(list(container.decode(video=0))) == 40 - begins[0] - 1
        assert server.camera().stream.renditions == ["h264", "h264/320/q40/10fps"]
