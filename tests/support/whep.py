"""WebRTC viewers for tests: aiortc as the other end, over a local address that is not loopback."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

logging.getLogger("aioice").setLevel(logging.WARNING)


def local_address() -> str:
    """An address of this machine that ICE may use; empty when it has only loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing
        except OSError:
            return ""
        address = str(probe.getsockname()[0])
    return "" if address.startswith("127.") else address


class Watcher:
    """A headless viewer that decodes what it gets.

    Attributes:
        location: Path of its resource.
        answer: The SDP that answered.
        links: Values of the Link headers.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        self.connection = connection
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.location = ""
        self.answer = ""
        self.links: list[str] = []
        self.status = 0
        connection.on("track", lambda track: self.tracks.__setitem__(track.kind, track))

    async def offer(self, *kinds: str) -> str:
        """An offer to receive these."""
        for kind in kinds:
            self.connection.addTransceiver(kind, direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def watch(self, client: aiohttp.ClientSession, url: str, *kinds: str, **options: Any) -> None:
        """POST an offer and take the answer."""
        offer = await self.offer(*(kinds or ("video",)))
        headers = {"Content-Type": "application/sdp", **options.pop("headers", {})}
        async with client.post(url, data=offer, headers=headers, **options) as response:
            self.status = response.status
            self.answer = await response.text()
            assert response.status == 201, self.answer
            assert response.content_type == "application/sdp"
            self.location = response.headers["Location"]
            self.links = response.headers.getall("Link", [])
        await self.connection.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))

    async def frame(self, timeout_s: float = 20.0) -> VideoFrame:
        """The next decoded picture."""
        async with asyncio.timeout(timeout_s):
            frame = await self.tracks["video"].recv()
        assert isinstance(frame, VideoFrame)
        return frame

    def vanish(self) -> None:
        """Be gone without a word, as a phone that leaves the house."""
        for protocol in self._ice._protocols:
            protocol.transport.abort()

    @property
    def ended(self) -> bool:
        """Whether the server has said good-bye."""
        return self.connection.connectionState in ("closed", "failed")

    @property
    def _ice(self) -> Any:
        return self.connection.getReceivers()[0].transport.transport._connection

    async def want_key(self) -> None:
        """Send a PLI."""
        (receiver,) = (each for each in self.connection.getReceivers() if each.track.kind == "video")
        (source,) = receiver.getSynchronizationSources()[:1]
        await receiver._send_rtcp_pli(source.source)


@asynccontextmanager
async def watcher() -> AsyncIterator[Watcher]:
    """A viewer that is closed at the end."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        yield Watcher(connection)
    finally:
        await connection.close()
