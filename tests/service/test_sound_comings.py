"""Devices, listeners, speakers and talkers that come and go leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import tracemalloc

import aiohttp
import pytest

from framecast.wire import pcm
from tests.service.serving import Server, until
from tests.support.raw import connected

pytestmark = pytest.mark.anyio

CAMERA = "/api/v1/cameras/cam"
ROUNDS = 60
GET = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def round_trip(server: Server, number: int) -> None:
    """One of each comes, says or hears something, and goes without a word."""
    camera = server.camera()
    async with contextlib.AsyncExitStack() as stack:
        device = await stack.enter_async_context(server.client.ws_connect(f"{server.url}{CAMERA}/publish"))
        page = await stack.enter_async_context(server.client.ws_connect(f"{server.url}{CAMERA}/talk"))
        for path in ("audio.wav", "audio.pcm", "speaker"):
            _, writer = await stack.enter_async_context(connected(server.port))
            writer.write(GET.format(f"{CAMERA}/{path}").encode())
        await until(lambda: len(camera.sound.listeners) == 2 and len(camera.sound.speakers) == 1)
        heard = camera.sound.microphone.published
        await device.send_bytes(pcm.pack_tag(16_000, 1, number) + bytes(640))
        await until(lambda: camera.sound.microphone.published > heard)
        await page.send_bytes(bytes(640))
        message = await device.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.BINARY
    sound = camera.sound
    await until(lambda: not len(sound.listeners) and not len(sound.speakers) and not sound.talk.taken)
    await until(lambda: not sound.talk.track.wanted and not sound.talk.on_change[1:])


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_nothing_grows(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "framecast")  # what the test itself keeps would grow
    for number in range(10):
        await round_trip(server, number)
    gc.collect()
    tasks, files = len(asyncio.all_tasks()), descriptors()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(ROUNDS):
            await round_trip(server, number)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    await until(lambda: descriptors() <= files)
    # The ring of chunks fills meanwhile, and is most of it; what one connection leaves behind would be more.
    grown_bytes = (after - before) / ROUNDS
    assert grown_bytes < 3_000, grown_bytes
    assert not server.camera().stream.viewers
