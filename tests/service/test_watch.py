"""MJPEG and snapshots, byte for byte."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageFile

from framecast.core.rendition import QUALITIES
from framecast.mock.device import FakeDevice
from framecast.service.access.rights import CONTROL
from framecast.service.api import query, watch
from tests.service.serving import Server, jpeg, serving, until
from tests.service.watching import EARLY, PATIENCE_S, STREAM, MjpegViewer, Page, mjpeg, stood_still

pytestmark = pytest.mark.anyio

SNAPSHOT = "/api/v1/cameras/cam/snapshot.jpg"


# MJPEG


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_parts_are_what_is_pinned(server: Server, version: str) -> None:
    first = await server.push(jpeg(1))
    async with mjpeg(server.port, version=version) as viewer:
        assert viewer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        assert viewer.headers["cache-control"] == "no-store, no-transform"
        assert viewer.headers["x-accel-buffering"] == "no"
        assert viewer.headers["x-content-type-options"] == "nosniff"
        assert viewer.chunked is (version == "1.1")
        assert "content-length" not in viewer.headers
        part = await viewer.part()
        assert (part.picture, part.frame_id) == (jpeg(1), first["frame_id"])
        for number in range(2, 5):
            began_s = time.time()
            sent = await server.push(jpeg(number))
            part = await viewer.other()
            assert (part.picture, part.frame_id) == (jpeg(number), sent["frame_id"])
            assert began_s - 2 < float(part.timestamp) < time.time() + 2
            assert sent["clients"] == 1


async def test_a_camera_without_a_picture_answers_and_waits(server: Server) -> None:
    async with mjpeg(server.port) as viewer:
        assert viewer.status == 200
        with pytest.raises(TimeoutError):
            await viewer.part(0.4)
    async with mjpeg(server.port) as viewer:
        sent = await server.push(jpeg(1))
        assert (await viewer.part()).frame_id == sent["frame_id"]


async def test_the_heartbeat_is_the_last_part_again(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"stream.heartbeat_interval_s": 0.5}) as server:
        await server.push(jpeg(1))
        async with mjpeg(server.port) as viewer, stood_still() as lost_s:
            await viewer.part()
            clock = asyncio.get_running_loop().time
            began = clock()
            await server.push(jpeg(2))
            part = await viewer.other()
            assert await viewer.part() == part
            took_s = clock() - began
            assert 0.24 < took_s < 0.45 + sum(lost_s)
            assert await viewer.part() == part
            took_s = clock() - began
            assert 0.65 < took_s < 1.0 + sum(lost_s)
            await server.push(jpeg(3))
            assert (await viewer.other()).picture == jpeg(3)


@pytest.mark.parametrize(
    ("headers", "target", "advances"),
    [
        ("Sec-Fetch-Dest: image\r\n", STREAM, True),
        ("Accept: image/avif,image/webp,image/*;q=0.8\r\n", STREAM, True),
        ("Accept: image/webp,*/*\r\n", STREAM, True),
        ("Accept: */*\r\n", STREAM, False),
        ("Sec-Fetch-Dest: empty\r\nAccept: */*\r\n", STREAM, False),
        ("", STREAM, False),
        ("Sec-Fetch-Dest: image\r\n", STREAM + "?advance=0", False),
        ("", STREAM + "?advance=1", True),
    ],
)
async def test_browsers_get_the_next_headers_early(server: Server, headers: str, target: str, advances: bool) -> None:
    await server.push(jpeg(1))
    async with mjpeg(server.port, target, headers=headers, advance=advances) as viewer:
        first = await viewer.part()
        assert (first.picture, first.frame_id > 0) == (jpeg(1), True)
        await server.push(jpeg(2))
        second = await viewer.other()
        assert (second.picture, second.frame_id > 0) == (jpeg(2), not advances)


async def test_early_headers_over_http_1_0(server: Server) -> None:
    await server.push(jpeg(1))
    async with mjpeg(server.port, STREAM + "?advance=1", version="1.0", advance=True) as viewer:
        await viewer.part()
        await server.push(jpeg(2))
        tail = b"\r\n--frame\r\n" + EARLY
        async with asyncio.timeout(PATIENCE_S):
            while (data := await viewer._reader.readuntil(tail)) == jpeg(1) + tail:
                pass  # again, where the machine was slow
        assert data == jpeg(2) + tail


OUT_OF_RANGE = [
    *("fps=0", "fps=-1", "fps=241", "fps=nan", "fps=inf", "fps=x", "fps=", "fps=1e400", "fps=%00"),
    *("width=0", "width=15", "width=7681", "width=-3", "width=1.5", "width=x", "width=٣٢٠", "width=" + "9" * 5000),
    *("quality=0", "quality=101", "quality=x", "quality=-1"),
    *("max_bytes=0", "max_bytes=999", "max_bytes=99999999999", "max_bytes=x"),
    *("overlay=x", "overlay=frame-id,x", "overlay=detections,x", "overlay=" + "a" * 200),
    *("advance=2", "advance=true", "advance="),
]


@pytest.mark.parametrize("target", [STREAM, SNAPSHOT])
async def test_values_out_of_range_are_refused(server: Server, target: str) -> None:
    await server.push(jpeg(1))
    for text in OUT_OF_RANGE:
        if target == SNAPSHOT and text.startswith(("fps", "advance")):
            continue
        await server.error("GET", f"{target}?{text}", 400)
    assert server.camera().stream.viewers == {}


async def test_fps_thins_evenly(server: Server) -> None:
    await server.push(jpeg(0))
    async with mjpeg(server.port) as whole, mjpeg(server.port, STREAM + "?fps=10") as thinned:
        sent = []
        for number in range(20):
            sent.append((await server.push(jpeg(number)))["frame_id"])
            await asyncio.sleep(0.05)
        parts = [await whole.other() for _ in range(21)]
        assert [part.frame_id for part in parts] == [sent[0] - 1, *sent]
        at_s = {part.frame_id: float(part.timestamp) for part in parts}
        few: list[int] = []
        while not few or few[-1] < sent[-3]:
            few.append((await thinned.other()).frame_id)
        # Those that were left out came within a tenth of a second or so of one that was not, however busy the machine.
        assert len(few) <= 10 * (at_s[few[-1]] - at_s[few[0]]) + 3
        for before, after in itertools.pairwise(few):
            assert after > before
            assert all(at_s[each] - at_s[before] < 0.15 for each in range(before + 1, after))


async def test_renditions_are_made_once_for_all_who_ask(server: Server) -> None:
    await server.push(jpeg(0, (640, 480)))
    async with (
        mjpeg(server.port, STREAM + "?width=320") as one,
        mjpeg(server.port, STREAM + "?width=320") as two,
        mjpeg(server.port) as plain,
    ):
        await one.part()
        await two.part()
        await plain.part()
        before = server.service.encodes()
        sent = await server.push(jpeg(1, (640, 480)))
        parts = [await viewer.other() for viewer in (one, two, plain)]
        assert {part.frame_id for part in parts} == {sent["frame_id"]}
        assert parts[0] == parts[1]
        assert simplejpeg.decode_jpeg_header(parts[0].picture)[:2] == (240, 320)
        assert parts[2].picture == jpeg(1, (640, 480))
        assert server.service.encodes() == before + 1


async def test_there_are_at_most_eight_renditions(server: Server) -> None:
    await server.push(jpeg(0, (640, 480)))
    async with asyncio.timeout(20):
        contexts = [mjpeg(server.port, f"{STREAM}?quality={quality}") for quality in QUALITIES[:8]]
        viewers = [await context.__aenter__() for context in contexts]
        assert all(viewer.status == 200 for viewer in viewers)
        message = await server.error("GET", STREAM + "?width=160", 503, "limit_reached")
        assert "ask for one of" in message
        for context in contexts:
            await context.__aexit__(None, None, None)


async def test_head_asks_for_nothing_to_be_watched(server: Server) -> None:
    for target in (STREAM, SNAPSHOT):
        if target == SNAPSHOT:
            await server.push(jpeg(1))
        async with server.client.head(server.url + target) as response:
            assert response.status == 200
            assert await response.read() == b""
    await until(lambda: not server.camera().stream.viewers)
    await server.json("GET", "/healthz")


async def test_a_viewer_who_goes_is_forgotten(server: Server) -> None:
    await server.push(jpeg(1))
    async with mjpeg(server.port) as viewer:
        await viewer.part()
        assert len(server.camera().stream.viewers) == 1
    await until(lambda: not server.camera().stream.viewers)
    await until(lambda: not server.camera().output.fanouts)


async def test_a_removed_camera_ends_its_viewers(server: Server) -> None:
    await server.json("POST", "/api/v1/cameras", json={"id": "gone", "url": "push:"}, status=201)
    async with mjpeg(server.port, "/api/v1/cameras/gone/stream.mjpeg") as viewer:
        await server.json("DELETE", "/api/v1/cameras/gone", status=204)
        await viewer.ended()
    await server.error("GET", "/api/v1/cameras/gone/stream.mjpeg", 404, "not_found")


# Everybody sees the same


async def test_twenty_viewers_see_the_same_frames(tmp_path: Path) -> None:
    async with FakeDevice("espressif", fps=20) as device:
        async with serving(tmp_path, {"cam": device.url}) as server:

            async def watch_mjpeg(seen: dict[int, bytes]) -> None:
                async with mjpeg(server.port) as viewer:
                    while not enough.is_set():
                        part = await viewer.part()
                        seen[part.frame_id] = part.picture

            async def watch_page(seen: dict[int, bytes]) -> None:
                async with Page.opened(server.client, server.url) as page:
                    await page.subscribe("cam", credit=10)
                    while not enough.is_set():
                        message = await page.see()
                        seen[message.frame_id] = message.payload
                        await page.ack(message)

            def shared() -> set[int]:
                return set.intersection(*map(set, everything))

            enough = asyncio.Event()
            everything: list[dict[int, bytes]] = [{} for _ in range(20)]
            async with asyncio.TaskGroup() as tasks:
                for number, seen in enumerate(everything):
                    tasks.create_task(watch_mjpeg(seen) if number % 2 else watch_page(seen))
                await until(lambda: len(shared()) >= 15)
                enough.set()
            for each in everything:
                assert list(each) == sorted(each)
            for frame_id in shared():
                assert len({seen[frame_id] for seen in everything}) == 1
        assert device.connections == 1, "one reader"


async def test_a_late_joiner_starts_within_one_frame(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=2) as device,
        serving(tmp_path, {"cam": device.url}) as server,
        mjpeg(server.port) as first,
    ):
        seen = (await first.part()).frame_id
        device.hang()  # so that nobody can begin with the next frame
        for _ in range(3):
            async with mjpeg(server.port) as late:
                part = await late.part()
            assert part.frame_id >= seen
            async with Page.opened(server.client, server.url) as page:
                await page.subscribe("cam")
                assert (await page.see()).frame_id >= part.frame_id
        assert device.connections == 1, "it was not asked again"


# Cameras that come and go under their viewers


async def crowd(server: Server, count: int) -> list[tuple[MjpegViewer, asyncio.Task[None], list[int]]]:
    """Viewers that note every new id they see, until they are cancelled."""

    async def watch(viewers: asyncio.Queue[MjpegViewer], ids: list[int]) -> None:
        async with mjpeg(server.port) as viewer:
            viewers.put_nowait(viewer)
            while True:
                part = await viewer.part(30)
                if not ids or part.frame_id != ids[-1]:
                    ids.append(part.frame_id)

    everybody = []
    for _ in range(count):
        queue: asyncio.Queue[MjpegViewer] = asyncio.Queue()
        ids: list[int] = []
        task = asyncio.create_task(watch(queue, ids))
        everybody.append((await queue.get(), task, ids))
    return everybody


async def disperse(everybody: list[tuple[MjpegViewer, asyncio.Task[None], list[int]]]) -> None:
    """End them; each has to have been connected until now."""
    assert not any(task.done() for _, task, _ in everybody), "somebody lost the connection"
    for _, task, _ in everybody:
        task.cancel()
    await asyncio.gather(*(task for _, task, _ in everybody), return_exceptions=True)


async def test_a_restart_a_hang_and_another_dialect_cost_nobody_the_connection(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=20) as device,
        serving(tmp_path, {"cam": {"url": device.url, "stall_timeout_s": 5}}) as server,
    ):
        everybody = await crowd(server, 50)

        async def everybody_goes_on() -> None:
            marks = [len(ids) for _, _, ids in everybody]
            await until(lambda: all(len(ids) > mark + 3 for mark, (_, _, ids) in zip(marks, everybody, strict=True)))

        await everybody_goes_on()
        epoch = server.camera().stream.epoch
        await device.reboot()
        await everybody_goes_on()
        assert server.camera().stream.epoch > epoch
        device.hang()
        await until(lambda: server.camera().stream.state == "stalled")
        await server.json("POST", "/api/v1/cameras/cam/restart")
        device.recover()
        await everybody_goes_on()
        port = device.port
        await device.leave(0)
        device.drop()
        async with FakeDevice("tasmota", fps=20) as other:
            await server.json("PATCH", "/api/v1/cameras/cam", status=403, json={"url": other.url})
            await server.service.administration.change_camera("cam", {"url": other.url}, CONTROL)
            await everybody_goes_on()
            assert "asmota" in server.camera().reader.dialect
        assert port == device.port
        ids = everybody[0][2]
        assert ids == sorted(ids)
        await disperse(everybody)


async def test_turning_and_masking_leave_viewers_where_they_are(tmp_path: Path) -> None:
    async with (
        FakeDevice("espressif", fps=20, size_px=(320, 240)) as device,
        serving(tmp_path, {"cam": device.url}) as server,
    ):
        async with mjpeg(server.port) as viewer:
            await viewer.part()

            async def size() -> tuple[int, int]:
                height, width = simplejpeg.decode_jpeg_header((await viewer.part()).picture)[:2]
                return width, height

            await server.json("PATCH", "/api/v1/cameras/cam", json={"rotate": 90})
            async with asyncio.timeout(5):
                while await size() != (240, 320):
                    pass
            await server.json("PATCH", "/api/v1/cameras/cam", json={"rotate": 0, "masks": [[0, 0, 1, 1]]})
            async with asyncio.timeout(5):
                while await size() != (320, 240):
                    pass
            picture = simplejpeg.decode_jpeg((await viewer.part()).picture)
            assert np.max(picture) < 20, "all is masked"
            await server.json("PATCH", "/api/v1/cameras/cam", json={"masks": []})
            async with asyncio.timeout(5):
                while np.max(simplejpeg.decode_jpeg((await viewer.part()).picture)) < 100:
                    pass
        answer = await server.json("GET", "/api/v1/cameras/cam")
        assert answer["transform"] == {"rotate": 0, "mirror": "none", "masks": []}


@pytest.mark.parametrize("masks", [[], [[0, 0, 0.5, 1]]], ids=["open", "masked"])
async def test_a_probe_does_not_show_what_a_mask_hides(tmp_path: Path, masks: list[list[float]]) -> None:
    async with (
        FakeDevice("espressif", fps=20) as device,
        serving(tmp_path, {"cam": {"url": device.url, "masks": masks}}, options={"network.allow_loopback": True}) as at,
    ):
        async with at.client.post(at.url + "/api/v1/probe", json={"camera": "cam"}) as answer:
            lines = [json.loads(line) async for line in answer.content]
        assert lines[-1]["result"]["ok"]
        assert (lines[-1]["result"]["preview"] is None) is bool(masks)


@pytest.mark.parametrize("removed", [False, True])
async def test_a_probe_does_not_show_what_is_masked_while_it_lasts(tmp_path: Path, removed: bool) -> None:
    async with (
        FakeDevice("espressif", fps=20) as device,
        serving(tmp_path, {"cam": {"url": device.url}}, options={"network.allow_loopback": True}) as at,
        at.client.post(at.url + "/api/v1/probe", json={"camera": "cam"}) as answer,
    ):
        await answer.content.readline()
        await at.json("PATCH", "/api/v1/cameras/cam", json={"masks": [[0, 0, 1, 1]]})
        if removed:
            await at.json("DELETE", "/api/v1/cameras/cam", status=204)
        *_, last = [json.loads(line) async for line in answer.content]
        assert last["result"]["ok"]
        assert last["result"]["preview"] is None


async def test_once_a_mask_is_set_nobody_sees_an_earlier_picture(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"stream.heartbeat_interval_s": 0.5}) as server:
        first = await server.push(jpeg(1))
        async with mjpeg(server.port) as viewer, mjpeg(server.port, STREAM + "?width=160") as small:
            for each in (viewer, small):
                assert (await each.part()).frame_id == first["frame_id"]
            await server.json("PATCH", "/api/v1/cameras/cam", json={"masks": [[0, 0, 1, 1]]})
            seen = []
            async with mjpeg(server.port) as late, Page.opened(server.client, server.url) as page:
                await page.subscribe("cam")
                for each in (viewer, small, late):
                    while (part := await each.part()).frame_id == first["frame_id"]:
                        assert each is not late  # the others may have one on the way, from before the change
                    # By heartbeats, too, it is the one before as it is masked now.
                    seen += [part, await each.part()]
                async with server.client.get(server.url + SNAPSHOT) as response:
                    assert response.headers["X-Frame-Id"] != str(first["frame_id"])
                    pictures = [await response.read(), (await page.see()).payload]
                sent = await server.push(jpeg(2))
                for each in (viewer, small, late):
                    while (part := await each.part()).frame_id != sent["frame_id"]:
                        seen.append(part)
                    seen.append(part)
            for picture in (*(part.picture for part in seen), *pictures):
                assert np.max(simplejpeg.decode_jpeg(picture)) < 20


# Small displays


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_an_esp32_display_gets_pictures_that_decode(server: Server, version: str) -> None:
    """Its loop reads lines of the stream as it comes, chunk sizes among them, and N bytes after the length's line."""
    await server.push(jpeg(0, (320, 240)))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20)
    try:
        writer.write(f"GET {STREAM} HTTP/{version}\r\nHost: 127.0.0.1\r\n\r\n".encode())
        for number in range(1, 5):
            async with asyncio.timeout(5):
                while not (match := re.match(rb"Content-Length: (\d+)\r\n", await reader.readline())):
                    pass
                data = await reader.readexactly(int(match[1]))
            assert data.startswith(b"\r\n\xff\xd8"), "the blank line is among them"
            assert simplejpeg.decode_jpeg(data[2:], strict=False).shape == (240, 320, 3)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
                Image.open(io.BytesIO(data[2:])).load()
            await server.push(jpeg(number, (320, 240)))
    finally:
        writer.close()
        await writer.wait_closed()


# Snapshots


async def test_a_snapshot_is_the_newest_picture_with_its_age(server: Server) -> None:
    message = await server.error("GET", SNAPSHOT + "?max_age=1", 503, "no_frame")
    assert message.startswith("No frame available yet")
    began_s = time.time()
    sent = await server.push(jpeg(1))
    async with server.client.get(server.url + SNAPSHOT) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert await response.read() == jpeg(1)
        headers = response.headers
        assert headers["X-Frame-Id"] == str(sent["frame_id"])
        assert began_s - 2 < float(headers["X-Timestamp"]) < time.time() + 2
        assert re.fullmatch(r"\d+\.\d{3}", headers["X-Frame-Age"])
        assert headers["Cache-Control"] == "no-store"
    for shown in (headers["ETag"], f'"x", {headers["ETag"]}', "W/" + headers["ETag"], "*"):
        async with server.client.get(server.url + SNAPSHOT, headers={"If-None-Match": shown}) as response:
            assert (response.status, await response.read()) == (304, b"")
            assert response.headers["ETag"] == headers["ETag"]
    await server.push(jpeg(2))
    async with server.client.get(server.url + SNAPSHOT, headers={"If-None-Match": headers["ETag"]}) as response:
        assert (response.status, await response.read()) == (200, jpeg(2))


async def test_the_first_snapshot_says_when_to_come_again(server: Server) -> None:
    async with server.client.get(server.url + SNAPSHOT) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")


async def test_a_snapshot_may_not_be_too_old(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SNAPSHOT_WAIT_S", 0.2)
    await server.push(jpeg(1))
    await asyncio.sleep(0.3)
    assert "max_age" in await server.error("GET", SNAPSHOT + "?max_age=0.1", 503, "no_frame")
    async with server.client.get(server.url + SNAPSHOT + "?max_age=30") as response:
        assert await response.read() == jpeg(1)
    for text in ("-1", "x", "nan", "1e9", ""):
        await server.error("GET", f"{SNAPSHOT}?max_age={text}", 400, "bad_value")


async def test_a_snapshot_wakes_a_sleeping_camera(tmp_path: Path) -> None:
    async with FakeDevice("espressif", fps=20) as device, serving(tmp_path, {"cam": device.url}) as server:
        assert device.connections == 0
        async with server.client.get(server.url + SNAPSHOT) as response:
            assert response.status == 200
        assert device.connections == 1


async def test_snapshots_for_displays_with_little_memory(server: Server) -> None:
    await server.push(jpeg(3, (640, 480), noise=True))
    async with server.client.get(server.url + SNAPSHOT + "?max_bytes=20000") as response:
        assert response.status == 200
        assert len(await response.read()) <= 20_000
    async with server.client.get(server.url + SNAPSHOT + "?width=320") as response:
        assert simplejpeg.decode_jpeg_header(await response.read())[:2] == (240, 320)
        etag = response.headers["ETag"]
    async with server.client.get(server.url + SNAPSHOT, headers={"If-None-Match": etag}) as response:
        assert response.status == 200, "another form of the picture has another tag"


def test_every_parameter_is_described() -> None:
    assert set(query.WATCH) == {"fps", "width", "quality", "overlay", "max_bytes"}
