"""A camera pushed on over RTSP, to a server that has ideas of its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from framecast.core.packet import Format
from framecast.output.restream.restream import RestreamError
from framecast.output.restream.rtspsession import RtspSession
from framecast.wire import rtsp
from tests.core.fakes import packet

pytestmark = pytest.mark.anyio

KEY = replace(packet(1, b"\0\0\0\1\x67\x42\xc0\x1f\0\0\0\1\x68\xce\0\0\0\1\x65."), format=Format("h264", 640, 480))
SOUND = replace(packet(2), format=Format("aac", sample_rate_hz=16_000, channels=1))


async def pushed(*transports: str) -> dict[int, int]:
    """What comes of a picture and a sound: the type of the RTP or RTCP packets of each channel."""
    found: dict[int, int] = {}
    sessions: list[str | None] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = iter(transports)
        head = ""
        while not head.startswith("RECORD"):
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(lines.get("Content-Length", 0)))
            sessions.append(lines.get("Session"))
            chosen = f"Transport: {next(answers)}\r\n" if head.startswith("SETUP") else ""
            session = "Session: 77;timeout=60\r\n" if chosen and not any(sessions) else ""  # said once
            writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {lines['CSeq']}\r\n{session}{chosen}\r\n".encode())
        while await reader.read(1) == b"$":
            channel, size = (await reader.readexactly(1))[0], int.from_bytes(await reader.readexactly(2), "big")
            found[channel] = (await reader.readexactly(size))[1] & 0x7F
        writer.close()
        done.set()

    async with asyncio.timeout(10), await asyncio.start_server(serve, "127.0.0.1", 0) as door:
        session = RtspSession(f"rtsp://127.0.0.1:{door.sockets[0].getsockname()[1]}/x", None)
        await session.open()
        watching = asyncio.ensure_future(session.watch())
        try:
            await session.start(KEY, SOUND)
            await session.send(KEY)
            await session.send(SOUND)
        finally:
            watching.cancel()
            await session.close()
        await done.wait()
    assert sessions == [None, None, "77", "77"]
    return found


REPORTS = 200 & 0x7F


@pytest.mark.parametrize(
    ("video", "sound", "channels"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP/TCP;unicast;interleaved=2-3", (0, 1, 2, 3)),
        ("RTP/AVP/TCP;interleaved=6-7;ssrc=5F", "RTP/AVP/TCP;interleaved=4-5", (6, 7, 4, 5)),
        ("RTP/AVP/TCP;unicast;Interleaved=10", "RTP/AVP/TCP", (10, 11, 2, 3)),
    ],
)
async def test_the_server_chooses_the_channels(video: str, sound: str, channels: tuple[int, int, int, int]) -> None:
    types = (rtsp.VIDEO_TYPE, REPORTS, rtsp.SOUND_TYPE, REPORTS)
    assert await pushed(video, sound) == dict(zip(channels, types, strict=True))


async def test_channels_that_there_are_not_are_refused() -> None:
    with pytest.raises(RestreamError, match="interleaved=255"):
        await pushed("RTP/AVP/TCP;unicast;interleaved=255", "")


async def test_a_server_that_asks_itself_is_answered() -> None:
    """Servers ask whether one who publishes is still there (RFC 2326, 10.1 and 10.8), and may end it."""
    said: list[bytes] = []
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, method in enumerate(("OPTIONS", "GET_PARAMETER", "TEARDOWN")):
            writer.write(f"{method} rtsp://h/x RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode())
            said.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        served.set()

    async with asyncio.timeout(10), await asyncio.start_server(serve, "127.0.0.1", 0) as door:
        session = RtspSession(f"rtsp://127.0.0.1:{door.sockets[0].getsockname()[1]}/x", None)
        await session.open()
        with pytest.raises(RestreamError, match="ended the session"):
            await session.watch()
        await session.close()
        await served.wait()
    assert [each.split(b"\r\n")[:2] for each in said] == [[b"RTSP/1.0 200 OK", b"CSeq: %d" % n] for n in range(3)]
