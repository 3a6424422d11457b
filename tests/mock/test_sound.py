"""The sound of fake devices, by every way it travels, and what is done wrong with it."""

from __future__ import annotations

import asyncio
import re
import struct
import wave
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from framecast.core.errors import Misuse
from framecast.mock.clap import TONE_PEAK, WHITE
from framecast.mock.device import FakeDevice
from framecast.mock.dialects import TABLE
from framecast.mock.microphone import SoundOptions
from framecast.mock.picture import Synthetic
from framecast.wire import pcm
from tests.mock.test_clap import mean_luma
from tests.support import raw
from tests.support.peer import Peer, listening

pytestmark = pytest.mark.anyio

SOUND = SoundOptions()
ASKED = [dialect.name for dialect in TABLE if dialect.sounds]
POSTING = [dialect.name for dialect in TABLE if dialect.push_sound]


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with listening() as peer:
        yield peer


def unchunked(data: bytes) -> bytes:
    body, at = b"", 0
    while at < len(data):
        line = data.index(b"\r\n", at)
        size = int(data[at:line], 16)
        body += data[line + 2 : line + 2 + size]
        at = line + 4 + size
    return body


@pytest.mark.parametrize("dialect", ASKED)
async def test_a_device_that_is_asked_gives_endless_wav(dialect: str) -> None:
    async with FakeDevice(dialect, fps=50, audio=SoundOptions(48_000, 2)) as device:
        assert device.audio is not None
        async with raw.asked(device.port, device.dialect.sounds[0]) as reader:
            head = await reader.readuntil(b"\r\n\r\n")
            data = b""
            while device.audio.written < 5:
                data += await asyncio.wait_for(reader.read(65_536), 5)
            device.hang()
            data += await raw.until_silent(reader, 0.05)
        taken = {chunk.number: chunk.payload for chunk in device.audio.microphone.taken}
        # A busy machine may have it leave some out.
        sent = b"".join(taken[number] for number in device.audio.sent)
    assert b"Content-Type: audio/wav\r\n" in head and b"length" not in head.lower()
    body = unchunked(data) if b"chunked" in head else data
    assert body[:4] == b"RIFF" and body[8:16] == b"WAVEfmt " and body[36:44] == b"data\xff\xff\xff\xff"
    assert struct.unpack_from("<HHIIHH", body, 20) == (1, 2, 48_000, 192_000, 4, 16)
    assert len(body) > 44 + 2_048 and sent.startswith(body[44:])


async def test_without_sound_there_is_none() -> None:
    async with FakeDevice("tasmota", fps=50) as device:
        assert (await raw.get(device.port, "/audio")).status == 404


async def test_posts_say_all_there_is_to_say(peer: Peer) -> None:
    to = f"http://127.0.0.1:{peer.port}/api/v1/cameras/yard/frames?key=fc_x"
    async with FakeDevice("post-raw", fps=5, to=to, token="tok", audio=SoundOptions(8_000, 2)) as device:
        assert device.audio is not None
        posted, picture = [], None
        while len(posted) < 3 or picture is None:
            pushed = await peer.request()
            if "/audio" in pushed.head:
                posted.append(pushed)
            else:
                picture = pushed
        taken = list(device.audio.microphone.taken)
    assert re.search(r"X-Timestamp: \d+\.\d{6}\r", picture.head)
    numbers = []
    for pushed, chunk in zip(posted[:3], taken, strict=False):
        number = int(re.search(r"X-Sequence: (\d+)\r", pushed.head)[1])
        assert pushed.head.startswith("POST /api/v1/cameras/yard/audio?key=fc_x HTTP/1.1\r\n")
        assert "\r\nX-Sample-Rate: 8000\r\nX-Channels: 2\r\n" in pushed.head
        assert "Authorization: Bearer tok\r\n" in pushed.head
        # Sample n is captured n / rate seconds after the device's clock showed 0.
        assert float(re.search(r"X-Timestamp: ([\d.]+)\r", pushed.head)[1]) == pytest.approx(number * 512 / 8_000)
        assert pushed.body == chunk.payload and len(pushed.body) == 2_048
        numbers.append(number)
    # Where it was held up for long, it leaves out what it could not record.
    assert numbers == [chunk.number for chunk in taken[:3]] == sorted(set(numbers))
    assert device.audio.statuses[200] >= 2 and list(device.audio.sent)[:3] == numbers


async def test_the_doorbell_says_only_the_sequence(peer: Peer) -> None:
    async with FakeDevice("doorbell", fps=5, to=f"http://127.0.0.1:{peer.port}", audio=SOUND):
        while "mic-stream" not in (pushed := await peer.request()).head:
            pass
    lines = pushed.head.splitlines()
    assert lines[0] == "POST /api/v1/devices/doorbell/mic-stream HTTP/1.1"
    names = {line.partition(":")[0] for line in lines[1:] if line}
    assert names == {"Host", "Connection", "Content-Type", "X-Sequence", "Content-Length"}
    assert "Content-Type: application/octet-stream" in lines and len(pushed.body) == 2_048


@pytest.mark.parametrize("dialect", ["websocket", "m5stack-ws"])
async def test_sound_goes_tagged_between_the_pictures(peer: Peer, dialect: str) -> None:
    to = f"ws://127.0.0.1:{peer.port}/publish"
    async with FakeDevice(dialect, fps=50, to=to, audio=SoundOptions(48_000, 1)) as device:
        assert device.audio is not None
        blocks, pictures = [], 0
        while len(blocks) < 6 or pictures < 3:
            frames = await peer.message()
            assert [frame.opcode for frame in frames] == [2] + [0] * (len(frames) - 1)
            message = b"".join(frame.payload for frame in frames)
            if pcm.is_tagged(message):
                blocks.append(pcm.unpack(message))
            else:
                assert raw.STAMPED_JPEG.fullmatch(message)
                pictures += 1
        taken = {chunk.number: chunk.payload for chunk in device.audio.microphone.taken}
    for block in blocks:
        assert (block.sample_rate_hz, block.channels) == (48_000, 1)
        assert block.payload == taken[block.sequence]


@pytest.mark.parametrize("static", [True, False])
async def test_flash_and_click_are_at_one_instant(peer: Peer, static: bool) -> None:
    pictures = None if static else Synthetic(160, 120, fps=20)
    to = f"http://127.0.0.1:{peer.port}"
    flashes: list[float] = []
    clicks: list[float] = []
    async with FakeDevice(
        "doorbell", fps=20, size_px=(160, 120), pictures=pictures, to=to, audio=SOUND, clock_ppm=-2_000
    ):
        while len(flashes) < 3 or len(clicks) < 3:
            pushed = await peer.request()
            if "camera-stream" in pushed.head:
                jpeg = pushed.body[pushed.body.index(b"\xff\xd8") : pushed.body.rindex(b"\xff\xd9") + 2]
                if mean_luma(simplejpeg.decode_jpeg(jpeg, "GRAY")) > WHITE:
                    flashes.append(int(re.search(rb'"timestamp"\r\n\r\n(\d+)', pushed.body)[1]) / 1_000)
                continue
            number = int(re.search(r"X-Sequence: (\d+)\r", pushed.head)[1])
            loud = np.flatnonzero(np.abs(np.frombuffer(pushed.body, "<i2")) > 13_000)
            start_s = (number * 1_024 + loud[0]) / 16_000 if len(loud) else 0.0
            if start_s and (not clicks or start_s - clicks[-1] > 0.25):
                clicks.append(start_s)
    clicks = [click for click in clicks if click > flashes[0] - 0.25]
    for flash, click in zip(flashes[:2], clicks, strict=False):
        assert 0 <= click - flash < 0.0011  # a doorbell cuts its stamps to whole milliseconds


async def test_without_claps_there_is_the_tone_alone(peer: Peer) -> None:
    to = f"http://127.0.0.1:{peer.port}"
    sound, pictures, heard_s = SoundOptions(48_000, claps=False), 0, 0.0
    async with FakeDevice("doorbell", fps=20, size_px=(160, 120), to=to, audio=sound):
        while heard_s < 1.2 or pictures <= 10:
            pushed = await peer.request()
            if "camera-stream" in pushed.head:
                jpeg = pushed.body[pushed.body.index(b"\xff\xd8") : pushed.body.rindex(b"\xff\xd9") + 2]
                assert mean_luma(simplejpeg.decode_jpeg(jpeg, "GRAY")) < WHITE
                pictures += 1
            else:
                assert np.abs(np.frombuffer(pushed.body, "<i2")).max() <= TONE_PEAK
                heard_s += 1_024 / 48_000


async def test_chunks_are_lost_doubled_and_change_places(peer: Peer) -> None:
    faults = ["sound-lost=0.2", "sound-doubled=0.2", "sound-reordered=0.2"]
    to = f"http://127.0.0.1:{peer.port}"
    async with FakeDevice("doorbell", faults, fps=5, to=to, audio=SoundOptions(48_000, 2), seed=3) as device:
        assert device.audio is not None
        while device.audio.written < 60:
            await peer.request()
        sent = list(device.audio.sent)
    steps = [later - before for before, later in pairwise(sent)]
    assert 0 in steps and any(step > 1 for step in steps) and any(step < 0 for step in steps)


async def test_a_chunk_can_end_within_a_sample(peer: Peer) -> None:
    to = f"http://127.0.0.1:{peer.port}"
    async with FakeDevice("doorbell", ["sound-odd=1"], fps=5, to=to, audio=SOUND):
        while "mic-stream" not in (pushed := await peer.request()).head:
            pass
    assert len(pushed.body) == 2_047


async def test_a_rate_that_lies_shows_in_the_chunks_a_second() -> None:
    async with FakeDevice("tasmota", ["sound-rate=96000"], audio=SOUND) as device:
        assert device.audio is not None
        async with raw.asked(device.port, "/audio") as reader:
            data = await reader.readuntil(b"data\xff\xff\xff\xff")
            assert struct.unpack_from("<I", data, len(data) - 20)[0] == 16_000
            await reader.readexactly(3 * 2_048)
        chunks = list(device.audio.microphone.taken)
    assert chunks[1].start_s - chunks[0].start_s == pytest.approx(1_024 / 96_000)


async def test_a_reboot_begins_the_numbers_anew(peer: Peer) -> None:
    to = f"http://127.0.0.1:{peer.port}"
    async with FakeDevice("doorbell", fps=20, to=to, audio=SoundOptions(48_000, 2)) as device:
        assert device.audio is not None
        while device.audio.written < 3:
            await peer.request()
        before = device.audio.sent[-1]
        await device.reboot(0.02)
        while device.audio.sent[-1] >= before:
            await peer.request()
        assert device.audio.sent[-1] < 500 < before


async def test_the_speaker_plays_what_is_streamed_to_it(peer: Peer, tmp_path: Path) -> None:
    said = np.random.default_rng(1).integers(-32_768, 32_767, 5_000, dtype="<i2").tobytes()
    pieces = [said[at : at + 999] for at in range(0, len(said), 999)]
    body = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nX-Sample-Rate: 8000\r\nX-Channels: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    usual = peer.answer
    peer.answer = lambda pushed: head + body if "/speaker" in pushed.head else usual(pushed)
    file = tmp_path / "heard.wav"
    async with FakeDevice(
        "doorbell", to=f"http://127.0.0.1:{peer.port}", speaker=file, device_id="door", token="tok"
    ) as device:
        assert device.speaker is not None
        while "/speaker" not in (pushed := await peer.request()).head:
            pass
        while device.speaker.size_bytes < len(said):
            await peer.request()
    assert pushed.head.startswith("GET /api/v1/cameras/door/speaker HTTP/1.1\r\n")
    assert "Authorization: Bearer tok\r\n" in pushed.head
    with wave.open(str(file)) as heard:
        assert (heard.getframerate(), heard.getnchannels(), heard.getsampwidth()) == (8_000, 1, 2)
        assert heard.readframes(len(said) // 2) == said


@pytest.mark.parametrize("head", [b"HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\nX-Sample-Rate: 99999999999\r\n"])
async def test_sound_that_cannot_be_ends_the_connection_and_not_the_device(
    peer: Peer, tmp_path: Path, head: bytes
) -> None:
    usual, asked = peer.answer, 0
    peer.answer = lambda pushed: head + b"\r\n12345678" if "/speaker" in pushed.head else usual(pushed)
    to, file = f"http://127.0.0.1:{peer.port}", tmp_path / "heard.wav"
    async with FakeDevice("doorbell", to=to, speaker=file, device_id="door", retry_s=0.01) as device:
        while asked < 2:
            asked += "/speaker" in (await peer.request()).head
    assert device.speaker is not None
    assert device.speaker.size_bytes == 0


async def test_the_speaker_plays_tagged_messages(peer: Peer, tmp_path: Path) -> None:
    file = tmp_path / "heard.wav"
    to = f"ws://127.0.0.1:{peer.port}/"
    async with FakeDevice("m5stack-ws", fps=50, to=to, speaker=file) as device:
        assert device.speaker is not None
        await peer.message()
        tag = pcm.pack_tag(16_000, 2)
        for message in (b"not sound", tag + b"12345678", tag + b"odd", tag + b"abcdefgh"):
            peer.writers[0].write(bytes((0x82, len(message))) + message)
        while device.speaker.size_bytes < 16:
            await peer.message()
    with wave.open(str(file)) as heard:
        assert (heard.getframerate(), heard.getnchannels()) == (16_000, 2)
        assert heard.readframes(9) == b"12345678abcdefgh"


async def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="prusaconnect has no sound"):
        FakeDevice("prusaconnect", to="http://127.0.0.1:1/c/frames", audio=SOUND)
    with pytest.raises(Misuse, match="where would the sound go"):
        FakeDevice("post-raw", to="http://127.0.0.1:1/elsewhere", audio=SOUND)
    with pytest.raises(Misuse, match="esphome-snapshot has no sound"):
        FakeDevice("esphome-snapshot", audio=SOUND)
    with pytest.raises(Misuse, match="espressif pushes no sound, so its speaker needs a URL"):
        FakeDevice(speaker=tmp_path / "a.wav")
    with pytest.raises(Misuse, match="not to 'ftp://x/'"):
        FakeDevice(speaker=tmp_path / "a.wav", speaker_url="ftp://x/")
    with pytest.raises(Misuse, match="can't be written"):
        FakeDevice("doorbell", to="http://127.0.0.1:1/", speaker=tmp_path / "none" / "a.wav")
    with pytest.raises(Misuse, match="sound-lost needs sound"):
        FakeDevice(faults=["sound-lost"])
