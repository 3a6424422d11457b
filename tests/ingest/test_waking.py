"""A picture comes in many segments: how often the loop is woken for it, and that nothing is left lying."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from framecast.ingest.http_connection import AWAITS, Connection
from framecast.ingest.http_pull import HttpPull
from tests.data import frame

from .camera import Asked, RememberingFeed, camera, until

pytestmark = pytest.mark.anyio

PICTURE = frame("qvga")
SEGMENT_BYTES = 500
LEARNED = 8
"""Parts after which lengths are believed."""


def part(picture: bytes, length: int | None = None) -> bytes:
    head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {length or len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"


class Device:
    """Sends parts when told to, in small segments."""

    def __init__(self, *, chunked: bool) -> None:
        self.chunked = chunked
        self.ready = asyncio.Event()
        self.finished = asyncio.Event()
        self._writer: asyncio.StreamWriter

    async def answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        framing = "Transfer-Encoding: chunked\r\n" if self.chunked else ""
        writer.write(
            f"HTTP/1.1 200 OK\r\n{framing}Content-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n".encode()
        )
        self._writer = writer
        self.ready.set()
        await self.finished.wait()
        return False

    async def send(self, data: bytes) -> None:
        if self.chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        for at in range(0, len(data), SEGMENT_BYTES):
            self._writer.write(data[at : at + SEGMENT_BYTES])
            await self._writer.drain()
            await asyncio.sleep(0.002)  # so that each segment is one of its own

    async def end(self) -> None:
        """The last chunk; the connection stays open."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()


@pytest.fixture
def wakings(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often connections were given something so far."""
    count = 0
    received = Connection.data_received

    def counted(self: Connection, data: bytes) -> None:
        nonlocal count
        count += 1
        received(self, data)

    monkeypatch.setattr(Connection, "data_received", counted)
    return lambda: count


@pytest.mark.skipif(not AWAITS, reason="the kernel wakes for every segment here")
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_true_length_is_waited_for(wakings: Callable[[], int], chunked: bool) -> None:
    device, feed = Device(chunked=chunked), RememberingFeed()
    async with camera(device.answer) as here:
        task = asyncio.create_task(HttpPull(here.url("/stream")).run(feed))
        await device.ready.wait()
        for number in range(1, LEARNED + 1):
            await device.send(part(PICTURE))
            await feed.until(lambda number=number: len(feed.pictures) == number)  # type: ignore[misc]
        before = wakings()
        await device.send(part(PICTURE))
        await feed.until(lambda: len(feed.pictures) == LEARNED + 1)
        segments = len(part(PICTURE)) // SEGMENT_BYTES
        assert wakings() - before <= segments / 2, "not for each of them"
        task.cancel()
        device.finished.set()


@pytest.mark.parametrize("lie", [-700, 900, 30_000])
async def test_a_length_that_turns_false_loses_nothing(lie: int) -> None:
    device, feed = Device(chunked=False), RememberingFeed()
    async with camera(device.answer) as here:
        task = asyncio.create_task(HttpPull(here.url("/stream")).run(feed))
        await device.ready.wait()
        for _ in range(LEARNED):
            await device.send(part(PICTURE))
        await device.send(part(PICTURE, len(PICTURE) + lie))
        await device.send(part(PICTURE))
        await feed.until(lambda: len(feed.pictures) == LEARNED + 2)
        assert {len(picture) for picture in feed.pictures} == {len(PICTURE)}
        task.cancel()
        device.finished.set()


async def test_an_end_of_a_few_bytes_is_noticed() -> None:
    device, feed = Device(chunked=True), RememberingFeed()
    async with camera(device.answer) as here:
        task = asyncio.create_task(HttpPull(here.url("/stream")).run(feed))
        await device.ready.wait()
        for _ in range(LEARNED):
            await device.send(part(PICTURE))
        await device.end()
        await until(task.done)
        assert len(feed.pictures) == LEARNED
        device.finished.set()
