"""Pictures with boxes in them: looked at once, drawn once, for all who watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from framecast.core.rendition import DETECTIONS
from framecast.process.outlines import PERSON, UNKNOWN
from framecast.process.pixels import Pixels
from tests.vision import tinymodel

from .serving import Server, serving, until
from .watching import Page, mjpeg

pytestmark = pytest.mark.anyio

SIZE = (320, 240)
SQUARE = (80, 60, 160, 180)
"""Left, top, right, bottom of what the tiny model takes for a person."""


def scene(number: int) -> bytes:
    """A picture with a person in it that no other number gives."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
    left, top, right, bottom = SQUARE
    pixels[top:bottom, left:right] = tinymodel.WHITE
    pixels[-20:, number % 20 * 10 : number % 20 * 10 + 10] = 90
    jpeg: bytes = simplejpeg.encode_jpeg(pixels, 90, "RGB")
    return jpeg


def share(picture: bytes, colour: tuple[int, int, int], rows: slice, columns: slice) -> float:
    """How much of a part of a picture has a colour, as nearly as JPEG keeps it."""
    pixels: Pixels = simplejpeg.decode_jpeg(picture, "RGB")
    height, width = pixels.shape[:2]
    assert (width, height) == SIZE
    part = pixels[rows, columns].astype(int)
    return float((abs(part - colour).max(axis=2) < 90).any(axis=1).mean())


def is_boxed(picture: bytes) -> bool:
    """Whether there is a line along the left edge of the square, and none elsewhere."""
    left, top, _, bottom = SQUARE
    rows = slice(top + 10, bottom - 10)
    beside = share(picture, PERSON, rows, slice(left - 40, left - 20))
    return share(picture, PERSON, rows, slice(left - 6, left + 6)) > 0.9 and beside == 0


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server with a camera that is pushed to, and the tiny model, which a busy machine may take long to open."""
    monkeypatch.setattr("framecast.process.seen.FIRST_LOOK_S", 60.0)
    monkeypatch.setattr("framecast.service.api.watch.SNAPSHOT_WAIT_S", 60.0)
    tinymodel.write(tmp_path / "data" / "models" / "tiny.onnx")
    async with serving(tmp_path, options={"vision.fps": 30, "vision.model": "tiny"}) as running:
        yield running


async def push_until(server: Server, done: asyncio.Event) -> None:
    """Push a picture 20 times a second."""
    number = 0
    while not done.is_set():
        number += 1
        await server.push(scene(number))
        await asyncio.sleep(0.05)


@pytest.fixture
async def camera(server: Server) -> AsyncIterator[Server]:
    """The same, and it moves."""
    done = asyncio.Event()
    pushing = asyncio.create_task(push_until(server, done))
    yield server
    done.set()
    await pushing


@pytest.mark.parametrize("path", ["/stream/detect", "/api/v1/cameras/cam/stream.mjpeg?overlay=detections,frame-id"])
async def test_all_viewers_get_the_same_boxes_from_one_encode(camera: Server, path: str) -> None:
    pictures: dict[int, set[bytes]] = {}
    async with mjpeg(camera.port, path) as one, mjpeg(camera.port, path) as other:
        for viewer in (one, other):
            for _ in range(12):
                part = await viewer.part()
                pictures.setdefault(part.frame_id, set()).add(part.picture)
        # Each picture at most once, whoever watches.
        assert 0 < camera.service.encodes() <= camera.camera().stream.published
    assert all(len(same) == 1 for same in pictures.values())
    assert is_boxed(pictures[min(pictures)].pop())
    await until(lambda: not camera.camera().stream.viewers)


async def test_a_snapshot_waits_for_what_is_seen_in_it(server: Server) -> None:
    await server.push(scene(1))
    async with server.client.get(server.url + "/api/v1/cameras/cam/snapshot.jpg?overlay=detections") as answer:
        assert answer.status == 200
        assert is_boxed(await answer.read())
    assert server.camera().stream.refused == {}


async def test_a_page_may_have_them_in_its_jpegs_and_know_them_beside(camera: Server) -> None:
    async with Page.opened(camera.client, camera.url) as page:
        await page.hear("hello")
        await page.say(type="detections", cameras=["cam"])
        look = await page.hear("detections")
        (thing,) = look["things"]
        assert thing["label"] == "person"
        assert thing["box"] == pytest.approx([0.25, 0.25, 0.25, 0.5], abs=0.04)
        await page.subscribe("cam", overlay="detections")
        async with asyncio.timeout(20):
            while True:
                message = await page.see()
                await page.ack(message)
                if is_boxed(message.payload):
                    break
        await page.say(type="detections", cameras=[])
        await page.say(type="unsubscribe", cameras=["cam"])
        await until(lambda: not camera.camera().stream.viewers)
        await page.say(type="detections", cameras=["gone"])
        assert (await page.hear("error"))["code"] == "not_found"
        await page.say(type="detections", cameras="cam")
        assert (await page.hear("error"))["code"] == "bad_value"


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_page_that_goes_or_wants_no_more_lets_the_detector_rest(server: Server, leaves: bool) -> None:
    await server.push(scene(1))
    track = server.camera().stream.track(DETECTIONS)
    async with Page.opened(server.client, server.url) as page:
        await page.say(type="detections", cameras=["cam", "cam"])
        await page.hear("detections")
        assert track.wanted
        if not leaves:
            await page.say(type="detections", cameras=[])
            await until(lambda: not track.wanted)
    await until(lambda: not track.wanted)


async def test_a_page_hears_of_no_camera_that_it_may_not_watch(tmp_path: Path) -> None:
    cameras = {"mine": "push:", "other": "push:"}
    async with serving(tmp_path, cameras, options={"vision.enabled": False}) as server:
        await server.owner()
        headers = await server.user("somebody", cameras=["mine"])
        async with Page.opened(server.client, server.url, headers=headers) as page:
            await page.say(type="detections", cameras=["other", "mine"])
            refusal = await page.hear("error")
            assert (refusal["code"], refusal["camera"]) == ("not_found", "other")
            await page.settle()
            assert server.camera("mine").stream.track(DETECTIONS).wanted
            assert not server.camera("other").stream.track(DETECTIONS).wanted


async def test_a_server_without_a_model_says_so_in_the_picture(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"vision.enabled": False}) as server:
        await server.push(scene(1))
        async with mjpeg(server.port, "/stream/detect") as viewer:
            part = await viewer.part()
            assert share(part.picture, UNKNOWN, slice(-8, -2), slice(-60, -1)) == 1.0
            assert not is_boxed(part.picture)
