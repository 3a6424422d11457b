"""A WebRTC viewer who watches and listens for claps.

What is played when follows, as in a browser, from the sender reports: each pairs a moment of the sender's clock with an
RTP stamp of one track.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import av
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtcpSrPacket

from tests.support.claps import Witness, first_channel, luma_of
from tests.support.whep import watcher

_WRAP = 1 << 32


@dataclass
class _Report:
    """The latest sender report of one track."""

    ntp_s: float = 0.0
    stamp: int | None = None


async def whep(url: str, camera_id: str, seconds: float) -> Witness:
    """WHEP, with aiortc's receiver at the other end."""
    witness = Witness()
    async with watcher() as viewer, aiohttp.ClientSession() as client:
        await viewer.watch(client, f"{url}/api/v1/cameras/{camera_id}/whep", "video", "audio")
        async with asyncio.TaskGroup() as tasks:
            for receiver in viewer.connection.getReceivers():
                tasks.create_task(_follow(receiver, witness, seconds))
    return witness


async def _follow(receiver: RTCRtpReceiver, witness: Witness, seconds: float) -> None:
    report = _reported(receiver)
    kind = receiver.track.kind
    rate_hz = 90_000 if kind == "video" else 48_000
    waiting: list[Callable[[], None]] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                frame: Any = await receiver.track.recv()
                waiting.append(lambda frame=frame: _take(frame, _time_s(receiver, report, frame.pts, rate_hz), witness))
                if report.stamp is not None:
                    for take in waiting:
                        take()
                    waiting.clear()
    except TimeoutError:
        pass


def _take(frame: Any, at_s: float, witness: Witness) -> None:
    if isinstance(frame, av.VideoFrame):
        witness.see(at_s, luma_of(frame))
    else:
        witness.hear(at_s, first_channel(frame), frame.sample_rate)


def _reported(receiver: RTCRtpReceiver) -> _Report:
    """The receiver's latest report, kept up to date."""
    report, handle = _Report(), receiver._handle_rtcp_packet

    async def look(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            report.ntp_s, report.stamp = info.ntp_timestamp / _WRAP, info.rtp_timestamp
        await handle(packet)

    receiver._handle_rtcp_packet = look
    return report


def _time_s(receiver: RTCRtpReceiver, report: _Report, pts: int, rate_hz: int) -> float:
    """When a frame is played. aiortc counts stamps from the first one it got."""
    assert report.stamp is not None
    origin = receiver._RTCRtpReceiver__timestamp_mapper._origin  # type: ignore[attr-defined]
    steps = (origin + pts - report.stamp + _WRAP // 2) % _WRAP - _WRAP // 2
    return report.ntp_s + steps / rate_hz
