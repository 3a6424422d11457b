"""Pulling from fake devices: sound pictures all come through, broken ones never do."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from framecast.core.errors import DeviceError
from framecast.ingest.http_pull import HttpPull
from framecast.mock import stamp
from framecast.mock.device import FakeDevice
from framecast.mock.dialects import TABLE
from framecast.mock.faults import Verdict
from framecast.wire.jpeg import Inspector, JpegError, verify_scan

from .camera import RememberingFeed, until

pytestmark = pytest.mark.anyio

DIALECTS = [dialect.name for dialect in TABLE if not dialect.pushes]
FRAMES = 25


class CheckingFeed(RememberingFeed):
    """As the reader's gate: only whole pictures count. Keeps their ids."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[int] = []
        self._inspector = Inspector()

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
        try:
            _, picture = self._inspector.inspect(payload)
            verify_scan(picture)
        except JpegError as error:
            self.faults[error.fault.value] += 1
            return False
        found = stamp.read(picture)
        assert found is not None
        self.ids.append(found.frame_id)
        return super().jpeg(picture, stamp_s=stamp_s)


async def pull(device: FakeDevice, feed: CheckingFeed, frames: int = FRAMES, url: str = "") -> None:
    """Read until the device has sent so many frames, and all of them have had time to arrive."""
    source = HttpPull(url or device.url, interval_s=0.01)
    task = asyncio.create_task(source.run(feed))
    sent = device.written.frames
    try:
        await until(lambda: device.written.frames >= sent + frames or task.done())
        good = device.ids(Verdict.GOOD)[-1:]
        await until(lambda: not good or good[0] in feed.ids or task.done())
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
    for error in results:
        assert error is None or isinstance(error, asyncio.CancelledError | DeviceError), repr(error)


def check(device: FakeDevice, feed: CheckingFeed) -> None:
    """All sound frames up to the last one that came, each once, and not one broken one."""
    assert feed.ids, (feed.faults, feed.quirks)
    good = [number for number in device.ids(Verdict.GOOD) if number <= feed.ids[-1]]
    bad = set(device.ids(Verdict.BAD))
    assert not bad & set(feed.ids)
    assert not set(good) - set(feed.ids)
    assert feed.ids == sorted(set(feed.ids))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_frame_of_every_dialect(dialect: str) -> None:
    feed = CheckingFeed()
    async with FakeDevice(dialect, fps=100) as device:
        await pull(device, feed)
        check(device, feed)
    assert not feed.faults
    assert len(feed.dialects) == 1


FAULTS = [
    "truncate=0.3",
    "corrupt-scan=0.3",
    "not-jpeg=0.3",
    "huge=0.3",
    "padding",
    "exif-thumbnail",
    "bogus-exif",
    "no-content-length",
    "no-content-length=0.5",
    "wrong-content-length=0.3",
    "length-wrap",
    "no-timestamp",
    "doubled-boundary",
    "boundary-dashes",
    "header-case",
    "no-space",
    "lf-only",
    "text-part=0.3",
]


@pytest.mark.parametrize("dialect", ["espressif", "esphome", "tasmota", "tasmota-old", "m5stack"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault(dialect: str, fault: str) -> None:
    feed = CheckingFeed()
    async with FakeDevice(dialect, [fault], fps=150, size_px=(320, 240)) as device:
        await pull(device, feed)
        check(device, feed)


@pytest.mark.parametrize("fault", ["truncate=0.5", "not-jpeg=0.5", "padding", "corrupt-scan=0.5", "no-content-length"])
async def test_faults_of_stills(fault: str) -> None:
    feed = CheckingFeed()
    async with FakeDevice("espressif", [fault], fps=100, size_px=(320, 240)) as device:
        await pull(device, feed, 20, f"{device.base_url}/capture")
        check(device, feed)
    assert feed.dialects == ["Espressif CameraWebServer (JPEG, polled)"]


@pytest.mark.parametrize("fault", ["auth=me:secret", "auth-digest=me:secret"])
async def test_logins(fault: str) -> None:
    feed = CheckingFeed()
    async with FakeDevice("espressif", [fault], fps=100) as device:
        await pull(device, feed, url=device.url.replace("//", "//me:secret@"))
        check(device, feed)


async def test_a_thin_link() -> None:
    feed = CheckingFeed()
    async with FakeDevice("easytarget", ["slow=300000"], fps=30, size_px=(320, 240)) as device:
        await pull(device, feed, 15)
        check(device, feed)


async def test_a_hang_ends_with_the_reader() -> None:
    feed = CheckingFeed()
    async with FakeDevice("espressif", fps=100) as device:
        task = asyncio.create_task(HttpPull(device.url).run(feed))
        await until(lambda: len(feed.ids) > 5)
        device.hang()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_reboot_ends_the_stream_and_the_next_one_goes_on() -> None:
    feed = CheckingFeed()
    async with FakeDevice("espressif", fps=100) as device:
        source = HttpPull(device.url)
        task = asyncio.create_task(source.run(feed))
        await until(lambda: len(feed.ids) > 5)
        await device.reboot()
        await task
        before = feed.stamps[-1]
        task = asyncio.create_task(source.run(feed))
        count = len(feed.ids)
        await until(lambda: len(feed.ids) > count + 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert before is not None
    assert feed.stamps[-1] is not None
    assert feed.stamps[-1] < before
    assert feed.ids == sorted(set(feed.ids))


async def test_pictures_that_a_firmware_kept_over_a_reconnect_are_not_shown_again() -> None:
    feed = CheckingFeed()
    async with FakeDevice("m5stack", fps=100) as device:
        source = HttpPull(device.url)
        kept = 0
        for _ in range(3):
            again = device.ids()[-2:]  # what it sent last it sends once more; the reader may have been gone by then
            kept += len(set(again) & set(feed.ids))
            task = asyncio.create_task(source.run(feed))
            count = len(feed.ids)
            await until(lambda count=count: len(feed.ids) > count + 5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await until(lambda: device.clients == 0)
    assert feed.ids == sorted(set(feed.ids))
    assert feed.faults["duplicate"] == kept > 0


async def test_every_dialect_after_another_on_one_port() -> None:
    feed = CheckingFeed()
    port = 0
    source: HttpPull | None = None
    first = 1
    for dialect in DIALECTS:
        async with FakeDevice(dialect, fps=100, port=port, first_frame_id=first) as device:
            port = device.port
            source = source or HttpPull(f"127.0.0.1:{port}", interval_s=0.01)
            task = asyncio.create_task(source.run(feed))
            count = len(feed.ids)
            await until(lambda count=count, task=task: len(feed.ids) > count + 5 or task.done())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            first = feed.ids[-1] + 100
    assert len(Counter(feed.dialects)) == len(DIALECTS) - 1
