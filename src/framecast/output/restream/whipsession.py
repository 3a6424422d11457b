"""Pushing over WebRTC to a media server (WHIP, RFC 9725)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from framecast.core.clock import SYSTEM, Clock
from framecast.core.descriptors import entrusted
from framecast.core.errors import Misuse, reason_of
from framecast.core.packet import Packet
from framecast.output.restream.dial import CheckAddress, addresses
from framecast.output.restream.restream import RestreamError
from framecast.output.webrtc.rtpseat import RtpSeat
from framecast.wire import rtp, sdp, sdpanswer

if TYPE_CHECKING:
    from framecast.output.webrtc.ice import IceOptions

MOST_REDIRECTS = 3
REPORT_INTERVAL_S = 1.0
ROOM_S = 0.01
"""Pause between looks at a socket that is full."""
VIDEO_TYPE, SOUND_TYPE = 96, 111


class WhipSession:
    """See `Session`.

    Args:
        url: ``http://[:TOKEN@]HOST/PATH`` or ``https://…``; the token is sent as bearer, to this origin only.
        check: Says whether an address may be called.
        options: How ICE finds its way.
        clock: Of the packets' stamps.
    """

    sound = "opus"

    def __init__(self, url: str, check: CheckAddress | None, options: IceOptions, clock: Clock = SYSTEM) -> None:
        from framecast.output.webrtc.icedtls import Identity, Link

        parts = urlsplit(url)
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        token = unquote(parts.password or parts.username or "")
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._check = check
        self._clock = clock
        self._resource: URL | None = None
        self._link = Link(None, options, Identity().certificate)
        self._cname = secrets.token_hex(8)
        dtls = self._link.dtls
        self._video = RtpSeat(VIDEO_TYPE, rtp.VIDEO_HZ, dtls.write_rtp, lambda: False)
        self._audio: RtpSeat | None = RtpSeat(SOUND_TYPE, rtp.SOUND_HZ, dtls.write_rtp, lambda: False)
        self._ended = asyncio.Event()
        self.key_wanted = False

    async def open(self) -> None:
        """See `Session`."""
        candidates = await self._link.gather()
        ice = self._link.ice
        transport = sdpanswer.Transport(
            ice.local_username, ice.local_password, self._link.fingerprint, self._link.setup, candidates
        )
        h264 = {"profile-level-id": "42e01f", "packetization-mode": "1", "level-asymmetry-allowed": "1"}
        video = sdp.Codec(VIDEO_TYPE, "h264", rtp.VIDEO_HZ, 1, h264, ["nack", "nack pli", "ccm fir"])
        audio = sdp.Codec(SOUND_TYPE, "opus", rtp.SOUND_HZ, 2, {"minptime": "10", "useinbandfec": "1"})
        assert self._audio is not None
        text = sdpanswer.offer(
            [("video", video, self._video.ssrc), ("audio", audio, self._audio.ssrc)],
            transport,
            session_id=secrets.randbits(62),
            cname=self._cname,
        )
        await self._accept(await self._post(text))
        dtls = self._link.dtls
        dtls.on_rtcp = self._hear
        dtls.on_end = self._ended.set
        try:
            connected = await self._link.connect()
        except ConnectionError:
            connected = False
        if not connected:
            raise RestreamError("no path to the media server was found over UDP")

    async def start(self, video: Packet, sound: Packet | None) -> None:
        """See `Session`."""

    async def send(self, packet: Packet) -> None:
        """See `Session`."""
        seat = self._video if packet.format.codec == "h264" else self._audio
        if seat is None:
            return
        while self._link.ice.full:  # noqa: ASYNC110 (a socket for datagrams does not tell when it has room)
            await asyncio.sleep(ROOM_S)
        payloads = rtp.h264_payloads(packet.payload) if seat is self._video else [packet.payload]
        stamp = seat.stamp(packet.pts_ns)
        for index, payload in enumerate(payloads):
            if index and index % 12 == 0:
                await asyncio.sleep(0.001)  # a key picture in one go overflows buffers on the way
            seat.send(payload, stamp, seat is self._video and index == len(payloads) - 1)

    async def watch(self) -> None:
        """See `Session`."""
        while True:
            now_ns = self._clock.now_ns()
            for seat in (self._video, self._audio):
                if seat is not None:
                    self._link.dtls.write_rtcp(seat.report(now_ns, self._cname))
            try:
                async with asyncio.timeout(REPORT_INTERVAL_S):
                    await self._ended.wait()
            except TimeoutError:
                continue
            raise RestreamError("the other end closed the connection")

    async def close(self) -> None:
        """See `Session`."""
        if self._resource is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):  # Misuse, too
                async with self._client() as client, asyncio.timeout(2):
                    headers = await self._headers_for(self._resource)
                    await client.delete(self._resource, headers=headers, allow_redirects=False)
        await self._link.close()

    def _client(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(resolver=_Checked(self._check), socket_factory=entrusted)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def _headers_for(self, url: URL) -> dict[str, str]:
        """Look at the address before it is called, for aiohttp looks up none that stands in a URL; the token, if any.

        Raises:
            OSError: The host has no address.
            Misuse: It may not be called.
        """
        await addresses(url.raw_host or "", self._check)
        return dict(self._authorization) if url.origin() == URL(self._url).origin() else {}

    async def _post(self, text: str) -> str:
        try:
            url = URL(self._url)
            async with self._client() as client:
                for _ in range(MOST_REDIRECTS):
                    headers = {**await self._headers_for(url), "Content-Type": "application/sdp"}
                    async with client.post(url, data=text, headers=headers, allow_redirects=False) as response:
                        target = _on_same_host(url, response.headers.get("Location", ""))
                        if response.status in (307, 308) and target is not None:
                            url = target
                            continue
                        if response.status != 201:
                            reason = "".join(c for c in response.reason or "" if c.isprintable())[:100]
                            raise RestreamError(f"it refused: {response.status} {reason}")
                        self._resource = target
                        return await _text(response)
        except Misuse:  # a ValueError too
            raise
        except (aiohttp.ClientError, ValueError) as error:
            if isinstance(error, aiohttp.ClientOSError):
                raise OSError(reason_of(error)) from None
            raise RestreamError(f"HTTP failed: {type(error).__name__}") from None
        raise RestreamError("it sends us round in circles")

    async def _accept(self, text: str) -> None:
        try:
            read = sdp.parse_offer(text)  # an answer reads like an offer
        except sdp.SdpError as error:
            raise RestreamError(f"its answer can't be read: {error}") from None
        video, audio = read.find("video"), read.find("audio")
        if video is None or VIDEO_TYPE not in video.codecs or not video.ufrag or not video.fingerprints:
            raise RestreamError("it takes no H.264")
        if audio is None or audio.port == 0 or SOUND_TYPE not in audio.codecs:
            self._audio = None
        await self._link.answered(video)

    def _hear(self, data: bytes) -> None:
        said = rtp.parse_feedback(data)
        for seat in (self._video, self._audio):
            for ssrc, sequence in said.lost:
                if seat is not None and ssrc == seat.ssrc:
                    seat.resend(sequence)
        if self._video.ssrc in said.key_wanted:
            self.key_wanted = True


def _on_same_host(base: URL, location: str) -> URL | None:
    """Where ``location`` leads from ``base``; None to nowhere, or to another host: a server speaks for its own."""
    try:
        target = base.join(URL(location))
    except ValueError:
        return None
    return target if location and target.raw_host == base.raw_host else None


async def _text(response: aiohttp.ClientResponse) -> str:
    """The whole of an answer, which comes in as many pieces as it likes."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > sdp.MAX_BYTES:
            raise RestreamError("its answer is too long")
    return body.decode(errors="replace")


class _Checked(AbstractResolver):
    """Finds only addresses that may be called."""

    def __init__(self, check: CheckAddress | None) -> None:
        self._check = check

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        """See `AbstractResolver`."""
        return [
            ResolveResult(hostname=host, host=each, port=port, family=10 if ":" in each else 2, proto=0, flags=0)
            for each in await addresses(host, self._check)
        ]

    async def close(self) -> None:
        """Nothing is held."""
