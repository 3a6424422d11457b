"""HLS as players get it: from a real server, by ffmpeg, ffprobe and by hand."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest

from framecast.core.packet import Packet
from framecast.core.rendition import H264
from framecast.output.hls import playlists as hls
from framecast.output.hls.segments import START_S, START_SEGMENTS
from framecast.wire import blockcode
from tests.service.serving import Server, jpeg, serving, until

pytestmark = pytest.mark.anyio

HLS = "/api/v1/cameras/cam/hls/"
FPS, WIDTH, HEIGHT = 20, 160, 96
MOCK = f"mock:?fps={FPS}&size={WIDTH}x{HEIGHT}&audio=1"
RELOADED = re.compile(rb"\[mov.*\] Found duplicated MOOV Atom. Skipped it\n|\s+Last message repeated \d+ times\n")
"""What ffmpeg says of any live HLS with init segments: it reads them again with every playlist."""


class Heard:
    """Remembers what was encoded."""

    bulk = False

    def __init__(self) -> None:
        self.times: dict[int, int] = {}

    def push(self, packet: Packet) -> None:
        self.times[packet.frame_id] = packet.pts_ns

    def clear(self) -> None:
        """Nothing to forget."""


@pytest.fixture
async def live(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    """A server whose camera has pictures and sound."""
    async with serving(tmp_path, {"cam": MOCK}) as server:
        yield server


async def run(*command: str) -> tuple[bytes, bytes]:
    """What a program that has to end well writes."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, err
    return out, err


async def text(server: Server, name: str, status: int = 200) -> str:
    async with server.client.get(server.url + HLS + name) as response:
        body = await response.text()
        assert response.status == status, body
        return body


def lines(playlist: str, tag: str) -> list[str]:
    return [line.removeprefix(tag) for line in playlist.splitlines() if line.startswith(tag)]


def uris(playlist: str) -> list[str]:
    """Everything a playlist names, in order, but what it only hints at."""
    named = "\n".join(line for line in playlist.splitlines() if "HINT" not in line)
    return [one or other for one, other in re.findall(r'URI="([^"]+)"|^([^#\s].*)$', named, re.MULTILINE)]


async def test_ffmpeg_and_ffprobe_read_it_live(live: Server) -> None:
    """Both containers decoded, and the times of one, all at the same time."""
    heard = Heard()
    live.camera().stream.track(H264).attach(heard)
    async with asyncio.TaskGroup() as tasks:
        for container in ("ts", "mp4"):
            tasks.create_task(ffmpeg_decodes_each_picture(live, heard, container))
        tasks.create_task(ffprobe_reads_the_times_of_the_pictures(live, heard))


async def ffmpeg_decodes_each_picture(live: Server, heard: Heard, container: str) -> None:
    out, err = await run(
        *("ffmpeg", "-v", "warning", "-xerror", "-t", "5", "-i", f"{live.url}{HLS}index.m3u8?container={container}"),
        *("-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "rawvideo", "-pix_fmt", "gray", "-"),
        *("-map", "0:a", "-f", "null", "-"),
    )
    planes = np.frombuffer(out, np.uint8).reshape(-1, HEIGHT, WIDTH)
    ids = [code.frame_id for code in map(blockcode.read, planes) if code is not None]
    sent = sorted(heard.times)
    assert len(ids) == len(planes) >= 4 * FPS, container
    assert ids == sent[sent.index(ids[0]) :][: len(ids)], container
    assert RELOADED.sub(b"", err) == b"", container
    assert container == "mp4" or err == b""


async def ffprobe_reads_the_times_of_the_pictures(live: Server, heard: Heard) -> None:
    out, err = await run(
        *("ffprobe", "-v", "warning", "-read_intervals", "%+4", "-show_packets", "-show_streams", "-of", "json"),
        live.url + HLS + "index.m3u8",
    )
    assert err == b""
    found = json.loads(out)
    assert [stream["codec_name"] for stream in found["streams"]] == ["h264", "aac"]
    video = [packet for packet in found["packets"] if packet["codec_type"] == "video"]
    sound = [packet["pts"] for packet in found["packets"] if packet["codec_type"] == "audio"]
    sent = {pts_ns * 9 // 100_000 % 2**33 for pts_ns in heard.times.values()}
    assert len(video) >= 3 * FPS
    assert {packet["pts"] % 2**33 for packet in video} <= sent
    assert "K" in video[0]["flags"]
    steps = {after - at for at, after in pairwise(sound)}
    assert len(sound) > 50
    assert max(steps) - min(steps) <= 1


async def test_the_playlists(live: Server) -> None:
    index = await text(live, "index.m3u8")
    (variant,) = lines(index, "#EXT-X-STREAM-INF:")
    assert re.search(r'CODECS="avc1\.42[0-9A-F]{4},mp4a\.40\.2",RESOLUTION=160x96', variant)
    assert index.splitlines()[-1] == "stream.m3u8"
    first = await text(live, "stream.m3u8")
    told_s = [float(lasts.rstrip(",")) for lasts in lines(first, "#EXTINF:")]
    assert is_enough(told_s) and not is_enough(told_s[:-1])
    (sequence,) = lines(first, "#EXT-X-MEDIA-SEQUENCE:")
    assert abs(int(sequence) - live.camera().stream.clock.now_ns() / 1e9) < 60
    for uri in uris(first):
        async with live.client.get(urljoin(live.url + HLS, uri)) as response:
            assert response.status == 200
            assert response.content_type == "video/mp2t"
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            body = await response.read()
            assert len(body) % 188 == 0
    (viewer,) = live.camera().stream.viewers.values()
    assert (viewer.kind, viewer.rendition) == ("hls", "h264")
    assert viewer.sent > 0


def is_enough(lengths_s: list[float]) -> bool:
    """Whether players can begin with these segments."""
    return len(lengths_s) >= START_SEGMENTS or sum(lengths_s) >= START_S


def with_parts(names: list[str]) -> tuple[str, list[str]]:
    """The first segment whose parts are listed, and they: a camera that came to a stop twice has some without."""
    for segment in names:
        if segment.startswith("seg-"):
            parts = [name for name in names if name.startswith(f"part-{segment.split('-')[1]}-")]
            if parts:
                return segment, parts
    return "", []


async def test_parts_make_the_segment(live: Server) -> None:
    segment = ""
    async with asyncio.timeout(30):
        while not segment:
            names = uris(await text(live, "stream.m3u8?container=mp4"))
            segment, parts = with_parts(names)
    assert names[0].startswith("init-")
    bodies = {}
    for name in names:
        assert name.endswith("?container=mp4")
        async with live.client.get(live.url + HLS + name) as response:
            assert (response.status, response.content_type) == (200, "video/mp4")
            bodies[name] = await response.read()
    assert b"".join(bodies[name] for name in parts) == bodies[segment]


async def test_who_asks_for_what_comes_next_waits_for_it(live: Server) -> None:
    await text(live, "stream.m3u8")
    camera = live.service.hls.get("cam", live_key())
    assert camera is not None
    segmenter, listed = camera.segmenter, False
    async with asyncio.timeout(60):
        while not listed:
            newest = segmenter.newest
            playlist = await text(live, f"stream.m3u8?_HLS_msn={newest}&_HLS_part=1")
            listed = f"part-{newest}-1-" in playlist
            # On a busy machine the camera may come to a stop, at which segments end early, and parts become longer.
            (cut,) = (each for each in (*segmenter.segments, segmenter.open) if each and each.sequence == newest)
            assert listed or len(cut.parts) < 2 or cut.part_target_s != segmenter.part_target_s
        playlist = await text(live, f"stream.m3u8?_HLS_msn={newest}")
        assert f"seg-{newest}-" in playlist
        status = 0
        while status != 200:
            (hint,) = re.findall(r'PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', playlist)
            if segmenter.find(hint) is None:  # else the machine was late
                async with live.client.get(live.url + HLS + hint) as response:
                    body, status = await response.read(), response.status
                    assert status == 200 or segmenter.find(hint) is None
            playlist = await text(live, "stream.m3u8")
        assert len(body) % 188 == 0
    async with live.client.get(f"{live.url}{HLS}stream.m3u8?_HLS_msn={newest}&_HLS_part=0") as response:
        assert response.headers["Cache-Control"] == "public, max-age=3"


def live_key() -> Any:
    return (H264, True, "ts")


@pytest.mark.parametrize(
    ("path", "status", "code", "words"),
    [
        ("stream.m3u8?_HLS_part=1", 400, "bad_request", "_HLS_msn"),
        ("stream.m3u8?_HLS_msn=x", 400, "bad_request", "whole number"),
        ("stream.m3u8?_HLS_msn=99999999999", 400, "bad_request", "too far ahead"),
        ("stream.m3u8?container=mkv", 400, "bad_request", "ts, mp4"),
        ("stream.m3u8?width=1", 400, "", "width"),
        ("seg-1-abc.ts", 404, "not_found", "index.m3u8"),
        ("part-1-1-abc.ts", 404, "not_found", "index.m3u8"),
        ("../../../etc/passwd", 404, "not_found", ""),
        ("a/b/c", 404, "not_found", ""),
    ],
)
async def test_what_can_not_be_had(server: Server, path: str, status: int, code: str, words: str) -> None:
    assert words in await server.error("GET", HLS + path, status, code)


async def test_a_camera_that_sends_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls, "START_WAIT_S", 0.05)
    for name in ("index.m3u8", "stream.m3u8"):
        async with server.client.get(server.url + HLS + name) as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "2"
            assert (await response.json())["error"]["code"] == "no_frame"
    assert len(server.camera().stream.viewers) == 1


async def test_it_ends_when_nobody_asks(live: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await text(live, "stream.m3u8")
    stream = live.camera().stream
    running = live.service.hls.get("cam", live_key())
    assert running is not None
    running.expire()
    assert len(stream.viewers) == 1
    monkeypatch.setattr(hls, "GRACE_S", -1.0)
    running.expire()
    assert running.closed
    assert not stream.viewers
    assert live.service.hls.get("cam", live_key()) is None
    assert not live.service.transport_stream(live.camera()).track.wanted
    segment = next(iter(running.segmenter.segments))
    await live.error("GET", f"{HLS}seg-{segment.sequence}-x.ts", 404)


async def test_who_waits_is_told_when_the_camera_goes(server: Server) -> None:
    asking = asyncio.ensure_future(server.error("GET", HLS + "index.m3u8", 404, "not_found"))
    await until(lambda: server.camera().stream.viewers)
    await server.service.cameras.remove("cam")
    assert "removed" in await asking


async def test_a_camera_with_all_its_viewers(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": {"url": "push:"}}, options={"limits.max_viewers_per_camera": 1}) as server:
        async with server.client.get(f"{server.url}/api/v1/cameras/cam/stream.mjpeg"):
            await until(lambda: server.camera().stream.viewers)
            await server.error("GET", HLS + "index.m3u8", 503, "limit_reached")
        assert server.service.hls.get("cam", live_key()) is None


async def test_behind_a_token_nothing_is_for_everybody(tmp_path: Path) -> None:
    cameras = {"cam": {"url": MOCK, "allow_query_key": True}, "open": {"url": MOCK, "public": ["watch"]}}
    async with serving(tmp_path, cameras, tokens=True) as server:
        made = await server.service.desk.create_token({"name": "me", "rights": ["watch"]})
        await server.error("GET", HLS + "index.m3u8", 401)
        key = made["secret"]
        index = await text(server, f"index.m3u8?key={key}")
        assert index.splitlines()[-1] == f"stream.m3u8?key={key}"
        async with server.client.get(f"{server.url}{HLS}stream.m3u8?key={key}") as response:
            assert response.headers["Cache-Control"] == "private, no-cache"
            playlist = await response.text()
        for uri in uris(playlist)[-2:]:
            await server.error("GET", HLS + uri.partition("?")[0], 401)
            async with server.client.get(server.url + HLS + uri) as response:
                assert response.status == 200
                assert response.headers["Cache-Control"].startswith("private, ")
        async with server.client.get(f"{server.url}/api/v1/cameras/open/hls/stream.m3u8") as response:
            assert response.headers["Cache-Control"] == "public, max-age=0, s-maxage=1"


async def test_without_sound_and_smaller(live: Server) -> None:
    index = await text(live, "index.m3u8?sound=0&width=100")
    assert "mp4a" not in index
    assert index.splitlines()[-1] == "stream.m3u8?width=100&sound=0"
    for container in ("ts", "mp4"):
        options = ("-show_entries", "stream=codec_type", "-of", "csv=p=0", "-read_intervals", "%+1")
        url = f"{live.url}{HLS}index.m3u8?sound=0&container={container}"
        out, err = await run("ffprobe", "-v", "warning", *options, url)
        assert (set(out.split()), RELOADED.sub(b"", err)) == ({b"video"}, b"")


async def test_pictures_of_another_size_begin_a_new_part_of_the_list(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        stop = asyncio.Event()
        size = (96, 64)

        async def device() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                await server.push(jpeg(number % 200, size))
                await asyncio.sleep(0.05)

        pushing = asyncio.ensure_future(device())
        try:
            await text(server, "stream.m3u8?container=mp4")
            size = (128, 96)
            running = next(iter(server.service.hls._running.values()))
            await until(lambda: len({cut.init for cut in running.segmenter.segments}) == 2)
            playlist = await text(server, "stream.m3u8?container=mp4")
        finally:
            stop.set()
            await pushing
        inits = [uri for uri in uris(playlist) if uri.startswith("init-")]
        assert len(inits) == len(set(inits)) == 2
        # Where pictures came late there may be more of them elsewhere.
        assert f'#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="{inits[1]}"' in playlist


async def test_a_mask_takes_back_what_was_there(live: Server) -> None:
    before: list[str] = []
    for container in ("ts", "mp4"):
        playlist = await text(live, f"stream.m3u8?container={container}")
        before += [uri for uri in uris(playlist) if not uri.startswith("init-")]
    masks = [[0.0, 0.0, 0.5, 1.0]]
    await live.json("PATCH", "/api/v1/cameras/cam", json={"masks": masks})
    for uri in before:
        await live.error("GET", HLS + uri, 404, "not_found")
    for container in ("ts", "mp4"):
        playlist = await text(live, f"stream.m3u8?container={container}")
        assert not set(uris(playlist)) & set(before)
        # Where pictures came late there may be more further down.
        assert re.split(r"#EXTINF:|#EXT-X-PART:", playlist)[0].count("#EXT-X-DISCONTINUITY\n") == 1


@pytest.mark.slow
async def test_a_camera_that_codes_by_itself_is_cut_where_its_key_pictures_are(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    await run(
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=10", "-f", "lavfi", "-i", "sine"),
        *("-t", "20", "-c:v", "libx264", "-preset", "ultrafast", "-g", "40", "-bf", "0", "-c:a", "aac", str(film)),
    )
    async with serving(tmp_path, {"cam": f"file:{film}"}) as server:
        out, err = await run(
            *(
                "ffprobe",
                "-v",
                "warning",
                "-read_intervals",
                "%+6",
                "-show_entries",
                "stream=codec_name",
                "-of",
                "json",
            ),
            server.url + HLS + "index.m3u8",
        )
        assert err == b""
        assert [stream["codec_name"] for stream in json.loads(out)["streams"]] == ["h264", "aac"]
        playlist = await text(server, "stream.m3u8")
        assert lines(playlist, "#EXT-X-TARGETDURATION:") == ["4"]
        assert {round(float(lasts.rstrip(",")), 1) for lasts in lines(playlist, "#EXTINF:")} == {4.0}
        assert "#EXT-X-DISCONTINUITY\n" not in playlist
        assert server.service.encodes() == 0
