"""WebRTC viewers that decrypt and count, and do nothing else: ``python -m bench.whepreceiver URL COUNT``.

Prints ``ready`` when all are connected and have seen a key picture's packets. After each line on its input it prints
what came since the line before, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp
import uvloop

from framecast.output.webrtc.ice import IceOptions
from framecast.output.webrtc.icedtls import Identity, Link
from framecast.wire import sdp

CONNECTING_AT_A_TIME = 8


class Viewer:
    """One viewer, counting packets, pictures and gaps."""

    def __init__(self, identity: Identity) -> None:
        self.packets = self.bytes = self.pictures = self.gaps = 0
        self._sequence: int | None = None
        self._link = Link(None, IceOptions(), identity.certificate)
        self._link.dtls._handle_rtp_data = self._count  # type: ignore[method-assign]

    async def watch(self, client: aiohttp.ClientSession, url: str) -> None:
        """Connect."""
        await self._link.gather()
        ice = self._link.ice
        offer = [
            "v=0",
            "o=- 1 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            "m=video 9 UDP/TLS/RTP/SAVPF 102",
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{ice.local_username}",
            f"a=ice-pwd:{ice.local_password}",
            f"a=fingerprint:sha-256 {self._link.fingerprint}",
            "a=setup:actpass",
            "a=mid:0",
            "a=recvonly",
            "a=rtcp-mux",
            "a=rtpmap:102 H264/90000",
            "a=rtcp-fb:102 nack pli",
            "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        ]
        headers = {"Content-Type": "application/sdp"}
        async with client.post(url, data="\r\n".join(offer) + "\r\n", headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise RuntimeError(text)
        media = sdp.parse_offer(text.replace("a=sendonly", "a=sendrecv")).find("video")
        assert media is not None
        await self._link.answered(media)
        if not await self._link.connect():
            raise RuntimeError("DTLS failed")

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    def taken(self) -> tuple[int, int, int, int]:
        """Packets, bytes, pictures and gaps since the last time."""
        found = self.packets, self.bytes, self.pictures, self.gaps
        self.packets = self.bytes = self.pictures = self.gaps = 0
        return found

    async def _count(self, data: bytes, arrival_time_ms: int) -> None:
        self.packets += 1
        self.bytes += len(data)
        self.pictures += data[1] >> 7
        sequence = data[2] << 8 | data[3]
        if self._sequence is not None and sequence != (self._sequence + 1) & 0xFFFF:
            self.gaps += 1
        self._sequence = sequence


async def main(url: str, count: int) -> None:
    """Connect, then tell what comes until the input ends."""
    identity = Identity()
    viewers = [Viewer(identity) for _ in range(count)]
    turns = asyncio.Semaphore(CONNECTING_AT_A_TIME)
    async with aiohttp.ClientSession() as client:

        async def join(viewer: Viewer) -> None:
            async with turns:
                await viewer.watch(client, url)

        await asyncio.gather(*map(join, viewers))
        while not all(viewer.pictures for viewer in viewers):  # noqa: ASYNC110 (once)
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            packets, size, pictures, gaps = (
                sum(each) for each in zip(*(viewer.taken() for viewer in viewers), strict=True)
            )
            print(json.dumps({"packets": packets, "bytes": size, "pictures": pictures, "gaps": gaps}), flush=True)
        for viewer in viewers:
            await viewer.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
