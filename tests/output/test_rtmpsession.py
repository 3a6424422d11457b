"""A camera pushed on over RTMP, to a server on a socket that writes down what comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from framecast.core.packet import Format, Packet
from framecast.output.restream.rtmpsession import RtmpSession
from framecast.wire import h264, rtmp
from tests.core.fakes import START_NS, packet, until
from tests.wire.test_rtmp import ANSWERS, KEY, PPS, SPS, Server

pytestmark = pytest.mark.anyio

AAC = Format("aac", sample_rate_hz=16_000, channels=1)
OTHER = h264.join([SPS + b"\x80", PPS, b"\x65" + bytes(range(1, 200))])


def picture(number: int, at_ms: int, access_unit: bytes) -> Packet:
    return replace(packet(number, access_unit, at_ns=START_NS + at_ms * 1_000_000), format=Format("h264", 640, 480))


async def test_what_changes_in_the_middle_is_told_at_its_time() -> None:
    """A stamp that falls back to 0 breaks what records, and what smooths stamps takes all that follows for a jump."""
    media = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(ANSWERS))
        while data := await reader.read(1 << 16):
            media.take(data)
        writer.close()

    def stamps(kind: int, head: bytes) -> list[int]:
        return [stamp for each, stamp, _, body in media.messages if each == kind and body.startswith(head)]

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as door:
        session = RtmpSession(f"rtmp://127.0.0.1:{door.sockets[0].getsockname()[1]}/live/door", None)
        try:
            await session.open()
            sound = replace(packet(1, b"sound", at_ns=START_NS), format=AAC)
            first = picture(2, 0, KEY)
            await session.start(first, sound)
            for each in (
                first,
                sound,
                picture(3, 4000, OTHER),
                replace(sound, pts_ns=START_NS + 4_010_000_000, format=replace(AAC, sample_rate_hz=44_100)),
            ):
                await session.send(each)
        finally:
            await session.close()
        await until(lambda: len(stamps(rtmp.SOUND, b"\xaf\x01")) == 2)
    assert stamps(rtmp.VIDEO, b"\x17\x01") == [0, 4000]
    assert stamps(rtmp.VIDEO, b"\x17\x00") == [0, 4000]
    assert stamps(rtmp.SOUND, b"\xaf\x00") == [0, 4010]
