"""Talking back over real sockets: one at a time, heard by the device both ways, the microphone muted meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from framecast.core.clock import ManualClock
from framecast.output import talk as floor
from framecast.service.cameras import sound as sounds
from framecast.wire import pcm
from tests.service.serving import Server, serving, until

pytestmark = pytest.mark.anyio

TALK = "/api/v1/cameras/cam/talk"
SPEAKER = "/api/v1/cameras/cam/speaker"
PUBLISH = "/api/v1/cameras/cam/publish"


def words(number: int) -> bytes:
    """20 ms that no other number gives."""
    return random.Random(number).randbytes(640)


@asynccontextmanager
async def page(server: Server, **options: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A page that may talk."""
    async with server.client.ws_connect(server.url + TALK, **options) as socket:
        yield socket


async def told(socket: aiohttp.ClientWebSocketResponse, **wanted: Any) -> dict[str, Any]:
    """The next message in which these fields are so."""
    async with asyncio.timeout(5):
        while True:
            message: dict[str, Any] = await socket.receive_json()
            if all(message.get(name) == value for name, value in wanted.items()):
                return message


@asynccontextmanager
async def speaker(server: Server) -> AsyncIterator[aiohttp.ClientResponse]:
    """A device that plays what comes over HTTP."""
    async with server.client.get(server.url + SPEAKER) as answer:
        assert answer.status == 200
        await until(lambda: len(server.camera().sound.speakers) > 0)
        yield answer


async def test_what_is_said_arrives_intact_both_ways(server: Server) -> None:
    async with (
        speaker(server) as answer,
        server.client.ws_connect(server.url + PUBLISH) as device,
        page(server) as socket,
    ):
        assert {name: answer.headers[name] for name in ("X-Sample-Rate", "X-Channels", "X-Bit-Depth")} == {
            "X-Sample-Rate": "16000",
            "X-Channels": "1",
            "X-Bit-Depth": "16",
        }
        assert await told(socket) == {
            "state": "free",
            "who": "",
            "heard": True,
            "duplex": "half",
            "sample_rate": 16000,
            "channels": 1,
        }
        for number in range(40):
            await socket.send_bytes(words(number))
        await told(socket, state="yours")
        said = b"".join(words(number) for number in range(40))
        assert await answer.content.readexactly(len(said)) == said
        blocks = [pcm.unpack((await device.receive(timeout=5)).data) for _ in range(40)]
        assert b"".join(block.payload for block in blocks) == said
        assert [block.sequence for block in blocks] == list(range(40))
        assert {(block.sample_rate_hz, block.channels) for block in blocks} == {(16_000, 1)}


async def test_one_speaker_at_a_time(server: Server) -> None:
    async with page(server) as first, page(server) as second:
        await told(second, state="free")
        await first.send_json({"do": "talk"})
        await told(first, state="yours")
        assert (await told(second, state="busy"))["who"] == "127.0.0.1"
        await second.send_bytes(words(1))
        await second.send_json({"do": "talk"})
        await first.send_json({"do": "stop"})
        await told(second, state="free")
        assert server.camera().sound.talk.said == 0, "what the second said went nowhere"
        await second.send_bytes(words(1))
        await told(second, state="yours")
        await told(first, state="busy")
    await until(lambda: not server.camera().sound.talk.taken)


async def test_the_floor_is_free_when_its_page_goes(server: Server) -> None:
    async with page(server) as first, page(server) as second:
        await first.send_bytes(words(1))
        await told(second, state="busy")
        await first.close()
        await told(second, state="free")


async def test_silence_gives_the_floor_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "SILENT_S", 0.05)
    async with page(server) as socket:
        await socket.send_bytes(words(1))
        await told(socket, state="yours")
        await told(socket, state="free")


async def test_the_camera_is_muted_while_somebody_talks(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "ECHO_S", 0.01)
    camera = server.camera()

    async def heard() -> bytes:
        await server.json("POST", "/api/v1/cameras/cam/audio", data=b"\1\2" * 100)
        assert camera.stream.audio.latest is not None
        return camera.stream.audio.latest.payload

    assert await heard() == b"\1\2" * 100
    async with page(server) as socket:
        await socket.send_bytes(words(1))
        await told(socket, state="yours")
        assert await heard() == bytes(200)
        await socket.send_json({"do": "stop"})
        await told(socket, state="free")
        await until(lambda: not camera.sound.microphone.muted)
        assert await heard() == b"\1\2" * 100


async def test_full_duplex(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"sound.talk_duplex": "full"}) as server, page(server) as socket:
        await socket.send_bytes(words(1))
        assert (await told(socket, state="yours"))["duplex"] == "full"
        assert not server.camera().sound.microphone.muted


async def test_rights(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as server:
        keys = {
            right: (await server.service.desk.create_token({"name": right, "rights": [right]}))["secret"]
            for right in ("watch", "operate", "publish")
        }
        for right in ("watch", "publish"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with page(server, headers={"X-API-Key": keys[right]}):
                    pass
            assert caught.value.status == 403
        for right in ("watch", "operate"):
            await server.error("GET", SPEAKER, 403, headers={"X-API-Key": keys[right]})
        async with (
            page(server, headers={"X-API-Key": keys["operate"]}) as one,
            page(server, headers={"X-API-Key": keys["operate"]}) as two,
        ):
            await one.send_bytes(words(1))
            assert (await told(two, state="busy"))["who"] == "operate"
        async with (
            page(server, headers=await server.owner("anna")) as one,
            page(server, headers=await server.owner("ben")) as two,
        ):
            await one.send_bytes(words(1))
            assert (await told(two, state="busy"))["who"] == "anna"


async def test_a_camera_that_is_not_talked_to(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": {"url": "push:", "talk": False}}) as server:
        await server.error("GET", TALK, 409, "no_talk")


@pytest.mark.parametrize("change", ["removed", "no talk"])
async def test_a_page_is_let_go_when_its_camera_is_no_more_to_be_talked_to(server: Server, change: str) -> None:
    async with page(server) as socket:
        await socket.send_bytes(words(1))
        await told(socket, state="yours")
        if change == "removed":
            await server.json("DELETE", "/api/v1/cameras/cam", status=204)
        else:
            await server.json("PATCH", "/api/v1/cameras/cam", json={"talk": False})
        async with asyncio.timeout(5):
            while not socket.closed:
                await socket.receive()
        assert socket.close_code == 4404


async def test_there_are_only_so_many_speakers(server: Server) -> None:
    async with speaker(server), speaker(server), speaker(server), speaker(server):
        await until(lambda: len(server.camera().sound.speakers) == 4)
        await server.error("GET", SPEAKER, 503, "limit_reached")
    await until(lambda: not len(server.camera().sound.speakers))


@pytest.mark.parametrize(
    "message", [b"", b"abc", bytes(64_002), "", "hello", "[]", '{"do": "shout"}', '{"do": [1]}', "[" * 20_000, "\0"]
)
async def test_hostile_messages_get_an_error_and_the_conversation_goes_on(server: Server, message: bytes | str) -> None:
    async with page(server) as socket:
        await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
        async with asyncio.timeout(5):
            while "error" not in (answer := await socket.receive_json()):
                pass
        assert set(answer["error"]) == {"code", "message"}
        await socket.send_bytes(words(1))
        await told(socket, state="yours")


async def test_a_page_that_only_talks_nonsense_is_let_go(server: Server) -> None:
    async with page(server) as socket:
        for _ in range(30):
            await socket.send_bytes(b"x")
        async with asyncio.timeout(5):
            while not socket.closed:
                await socket.receive()
        assert socket.close_code == 4400


def test_what_is_said_faster_than_it_can_be_played_is_lost() -> None:
    clock = ManualClock()
    talk = floor.Talk(clock)
    talk.take("me", "me")
    for _ in range(200):
        talk.say("me", words(1))
    assert talk.said == 51
    assert talk.lost == 149
    clock.advance(1.0)
    talk.say("me", words(1))
    assert talk.said == 52


def test_who_is_silent_makes_room_for_the_next() -> None:
    clock = ManualClock()
    talk = floor.Talk(clock)
    assert talk.take("one", "One")
    assert not talk.take("two", "Two")
    clock.advance(floor.SILENT_S)
    assert talk.take("two", "Two")
    assert not talk.say("one", words(1))
    talk.release("one")
    assert talk.has("two")
