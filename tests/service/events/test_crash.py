"""A whole server that sees, is killed in the middle of it, and starts again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.service.events.test_api import Listener
from tests.vision import tinymodel
from tests.vision.scenes import scene

pytestmark = pytest.mark.anyio

READY = b"Framecast is ready at "


class Killable:
    """A server of its own process."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, client: aiohttp.ClientSession) -> None:
        self.process = process
        self.url = url
        self.client = client

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """What is answered."""
        async with self.client.request(method, self.url + path, **options) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    @asynccontextmanager
    async def listening(self, last: str) -> AsyncIterator[Listener]:
        """Hear what was told after this number."""
        headers = {"Last-Event-ID": last}
        async with self.client.get(f"{self.url}/api/v1/events/stream", headers=headers) as answer:
            yield Listener(answer)

    async def show(self) -> None:
        """Push pictures of somebody who walks, until cancelled."""
        number = 0
        while True:
            number += 1
            body = scene(number * 4 % 120, 40, 48)
            with suppress(aiohttp.ClientError):
                headers = {"Content-Type": "image/jpeg"}
                async with self.client.post(f"{self.url}/api/v1/cameras/door/frames", data=body, headers=headers):
                    pass
            await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End it at once, with nothing said."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Killable]:
    """One with the tiny model and a camera that is pushed to."""
    command = [sys.executable, "-m", "framecast", "serve", "--port", "0", "--data", str(folder / "data")]
    process = await asyncio.create_subprocess_exec(
        *command, "--camera", "door=push:", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while not (line := await process.stdout.readline()).startswith(READY):
                assert line, "it ended"
        async with aiohttp.ClientSession() as client:
            yield Killable(process, line[len(READY) :].decode().strip().rstrip("/"), client)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_nothing_that_was_told_is_lost_when_it_is_killed(tmp_path: Path) -> None:
    tinymodel.write(tmp_path / "data" / "models" / "tiny.onnx")
    heard: list[tuple[int, bytes]] = []
    async with server(tmp_path) as running:
        walking = asyncio.create_task(running.show())
        async with running.listening("0") as listener:
            for number in range(12):
                # Each rule begins an event by itself, as long as somebody is there.
                rule = {"kind": "object", "labels": ["person"], "name": f"rule {number}", "cooldown_s": 0}
                await running.json("POST", "/api/v1/rules", json=rule)
            while len(heard) < 12:
                number, said, body = await listener.next()
                assert said["event"]["label"] == "person"
                heard.append((number, body))
                if len(heard) == 7:
                    await running.kill()  # some are on their way
                    break
            with suppress(AssertionError, aiohttp.ClientError, TimeoutError):
                while True:
                    number, _, body = await listener.next()
                    heard.append((number, body))
        walking.cancel()
    assert len(heard) >= 7
    async with server(tmp_path) as running:
        async with running.listening("0") as listener:
            again = [await listener.next() for _ in heard]
        assert [(number, body) for number, _, body in again] == heard
        ids = {json.loads(body)["event"]["event_id"] for _, body in heard}
        kept = (await running.json("GET", "/api/v1/events"))["events"]
        assert ids <= {each["event_id"] for each in kept}
        assert all(each["end"] is not None for each in kept), "what was under way is closed"
        for each in kept:
            async with running.client.get(running.url + each["picture"]) as answer:
                assert (await answer.read()).startswith(b"\xff\xd8")
        async with running.listening(str(heard[-1][0])) as listener:
            number, said, _ = await listener.next()
            assert number > heard[-1][0]
            # And it goes on: the rules hold still.
            walking = asyncio.create_task(running.show())
            while said["event"]["event_id"] in {each["event_id"] for each in kept}:
                number, said, _ = await listener.next()
            assert said["phase"] == "start"
            walking.cancel()
