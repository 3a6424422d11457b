"""Devices that push: their bytes, and what they do when the peer is rude."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from framecast.mock import stamp
from framecast.mock.device import FakeDevice
from framecast.mock.faults import Verdict
from framecast.mock.push import client_frame
from tests.core.fakes import until
from tests.support import raw
from tests.support.peer import Peer, Pushed, listening

pytestmark = pytest.mark.anyio


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with listening() as peer:
        yield peer


async def test_raw_posts_share_a_connection(peer: Peer) -> None:
    ids: list[int] = []
    async with FakeDevice("post-raw", fps=50, to=f"http://127.0.0.1:{peer.port}/push?x=1") as device:
        for _ in range(3):
            pushed = await peer.request()
            assert pushed.head == (
                f"POST /push?x=1 HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\nUser-Agent: ESP32HTTPClient\r\n"
                "Connection: keep-alive\r\nContent-Type: image/jpeg\r\n"
                f"Content-Length: {len(pushed.body)}\r\n\r\n"
            )
            ids.append(stamp.read(pushed.body).frame_id)
        assert peer.connections == 1
    # A busy machine may have it skip one: what was sent counts.
    assert ids == device.ids()[:3] == sorted(set(ids))
    assert device.statuses[200] >= 2 and device.last_answer == b'{"success":true}'


async def test_multipart_posts_carry_image_file(peer: Peer) -> None:
    async with FakeDevice("post-multipart", fps=50, to=f"http://127.0.0.1:{peer.port}") as device:
        pushed = await peer.request()
    boundary = "RandomNerdTutorials"
    assert pushed.head == (
        f"POST {device.dialect.path} HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {len(pushed.body)}\r\n\r\n"
    )
    before = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="imageFile"; filename="esp32-cam.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    after = f"\r\n--{boundary}--\r\n".encode()
    assert pushed.body.startswith(before) and pushed.body.endswith(after)
    assert raw.STAMPED_JPEG.fullmatch(pushed.body[len(before) : -len(after)])


async def test_the_doorbell_says_who_when_and_which(peer: Peer) -> None:
    to = f"http://127.0.0.1:{peer.port}"
    async with FakeDevice("doorbell", fps=50, to=to, device_id="front", token="secret", first_frame_id=70):
        pushed = await peer.request()
    assert pushed.head.startswith("POST /api/v1/devices/doorbell/camera-stream HTTP/1.1\r\n")
    assert "Authorization: Bearer secret\r\n" in pushed.head
    fields = dict(re.findall(rb'name="(\w+)"\r\n\r\n(\w+)\r\n', pushed.body))
    assert fields[b"device_id"] == b"front" and fields[b"frame_id"] == b"70"
    assert 5_000_000 <= int(fields[b"timestamp"]) < 5_020_000
    assert b'name="frame"; filename="frame.jpg"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8' in pushed.body


async def test_prusaconnect_dials_anew_for_each_picture(peer: Peer) -> None:
    peer.answer = lambda pushed: b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    to = f"http://127.0.0.1:{peer.port}/c/snapshot"
    async with FakeDevice("prusaconnect", fps=50, to=to, token="tok") as device:
        pushed = await peer.request()
        await peer.request()
    assert pushed.head == (
        "PUT https://127.0.0.1/c/snapshot HTTP/1.0\r\nHost: 127.0.0.1\r\nUser-Agent: ESP32-CAM\r\n"
        "Connection: close\r\nContent-Type: image/jpg\r\nfingerprint: 5ca1ab1e-0000-4000-8000-00000000cafe\r\n"
        f"token: tok\r\nContent-Length: {len(pushed.body)}\r\n\r\n"
    )
    assert b"Exif\0\0II*\0\x08\0\0\0\x0c\0" in pushed.body[:60]
    assert peer.connections >= 2 and device.statuses[204] >= 1


async def test_esp_websocket_client_sends_fragments_of_1024_bytes(peer: Peer) -> None:
    async with FakeDevice("websocket", fps=50, to=f"ws://127.0.0.1:{peer.port}/publish", token="tok") as device:
        upgrade = await peer.request()
        ids: list[int] = []
        for _ in range(2):
            frames = await peer.message()
            assert [frame.opcode for frame in frames] == [2] + [0] * (len(frames) - 1)
            assert all(frame.masked for frame in frames)
            assert {len(frame.payload) for frame in frames[:-1]} == {1024}
            assert 0 < len(frames[-1].payload) <= 1024
            picture = b"".join(frame.payload for frame in frames)
            assert raw.STAMPED_JPEG.fullmatch(picture)
            ids.append(stamp.read(picture).frame_id)
        await until(lambda: len(device.sent) >= 2)
        assert device.ids(Verdict.GOOD)[:2] == ids == sorted(set(ids))
    assert upgrade.head.startswith(
        f"GET /publish HTTP/1.1\r\nConnection: Upgrade\r\nHost: 127.0.0.1:{peer.port}\r\n"
        "User-Agent: ESP32 Websocket Client\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    )
    assert "Authorization: Bearer tok\r\n" in upgrade.head


async def test_m5stack_sends_whole_messages(peer: Peer) -> None:
    async with FakeDevice("m5stack-ws", fps=50, to=f"ws://127.0.0.1:{peer.port}/"):
        upgrade = await peer.request()
        (frame,) = await peer.message()
    assert upgrade.head.startswith("GET / HTTP/1.1\r\n")
    assert (frame.opcode, frame.last, frame.masked) == (2, True, True)
    assert raw.STAMPED_JPEG.fullmatch(frame.payload)


async def test_pings_are_answered_and_a_close_is_noticed(peer: Peer) -> None:
    async with FakeDevice("m5stack-ws", fps=50, retry_s=0.05, to=f"ws://127.0.0.1:{peer.port}/") as device:
        await peer.message()
        peer.writers[0].write(b"\x89\x02hi")
        while (frame := (await peer.message())[0]).opcode != 10:
            pass
        assert frame.payload == b"hi"
        peer.writers[0].write(b"\x88\x02" + (4001).to_bytes(2, "big"))
        await peer.request()
        await peer.request()  # it dials again
    assert device.statuses[4001] == 1 and peer.connections >= 2


async def test_a_device_dials_again_when_its_peer_goes(peer: Peer) -> None:
    lines: list[str] = []
    to = f"http://127.0.0.1:{peer.port}/"
    async with FakeDevice("post-raw", fps=50, retry_s=0.02, to=to, log=lines.append) as device:
        await peer.request()
        peer.writers[0].transport.abort()
        while peer.connections < 2:
            await peer.request()
        await peer.request()
    assert device.connections >= 2
    assert any("lost" in line for line in lines)


async def test_an_answer_that_closes_is_respected(peer: Peer) -> None:
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n"
    peer.answer = lambda pushed: refusal
    async with FakeDevice("post-raw", fps=50, retry_s=0.02, to=f"http://127.0.0.1:{peer.port}/") as device:
        for _ in range(3):
            await peer.request()
        assert device.connections >= 3
    assert device.statuses[400] >= 2 and device.last_answer == b"no\n"


@pytest.mark.parametrize(
    "answer",
    [b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n"],
)
async def test_an_answer_that_is_none_ends_the_connection_and_not_the_device(peer: Peer, answer: bytes) -> None:
    peer.answer = lambda pushed: answer
    async with FakeDevice("post-raw", fps=50, retry_s=0.01, to=f"http://127.0.0.1:{peer.port}/") as device:
        for _ in range(2):
            await peer.request()
    assert device.connections >= 2


async def test_a_peer_that_never_answers_is_given_up(peer: Peer) -> None:
    peer.answer = lambda pushed: b""
    to = f"http://127.0.0.1:{peer.port}/"
    async with FakeDevice("post-raw", fps=50, answer_s=0.05, retry_s=0.01, to=to) as device:
        await peer.request()
        await peer.request()
    assert device.connections >= 2


async def test_a_length_kept_in_16_bits_wraps(peer: Peer) -> None:
    to = f"http://127.0.0.1:{peer.port}/"
    async with FakeDevice("post-multipart", ["length-wrap"], fps=50, retry_s=0.02, to=to) as device:
        pushed: Pushed = await peer.request()
        await peer.request()
    declared = int(re.search(r"Content-Length: (\d+)", pushed.head)[1])
    assert device.sent[0].size_bytes > 0xFFFF
    assert declared < 0xFFFF and device.sent[0].verdict is Verdict.DOUBTFUL


@pytest.mark.parametrize("length", [0, 1, 125, 126, 1024, 65_535, 65_536])
def test_client_frames_follow_rfc_6455(length: int) -> None:
    payload = bytes(at % 251 for at in range(length))
    frame = client_frame(2, payload, mask=b"\x01\x02\x03\x04")
    at = {True: 2, False: 4}[length < 126] if length < 65_536 else 10
    assert frame[0] == 0x82 and frame[1] & 0x80
    assert frame[at : at + 4] == b"\x01\x02\x03\x04"
    unmasked = bytes(byte ^ (1 + place % 4) for place, byte in enumerate(frame[at + 4 :]))
    assert unmasked == payload


async def test_a_push_device_comes_back_after_a_reboot_and_a_lost_network(peer: Peer) -> None:
    async with FakeDevice("doorbell", fps=50, to=f"http://127.0.0.1:{peer.port}") as device:
        await peer.request()
        await device.reboot(0.02)
        while peer.connections < 2:
            await peer.request()
        pushed = await peer.request()
        assert int(re.search(rb'name="timestamp"\r\n\r\n(\d+)', pushed.body)[1]) < 4_000
        await device.leave(0.02)
        while peer.connections < 3:
            await peer.request()


async def test_who_is_hung_up_on_while_it_is_silent_dials_again() -> None:
    dialled: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    gone: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.put_nowait(writer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        writer.transport.abort()
        gone.append(writer)

    async with asyncio.timeout(10), await asyncio.start_server(take, "127.0.0.1", 0) as door:
        to = f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}"
        async with FakeDevice("post-raw", fps=50, retry_s=0, to=to) as device:
            first = await dialled.get()
            await until(lambda: device.written.frames == 1)
            device.hang()
            (line,) = device._talks
            first.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await until(lambda: device.statuses[200] == 1)
            linger = struct.pack("ii", 1, 0)  # the connection is reset, not closed
            first.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            first.transport.abort()
            await until(line._writer.is_closing)
            device.recover()
            await dialled.get()
        await until(lambda: len(gone) == 2)
