"""Pushing to an RTSP server that records (media servers): everything over the one TCP connection."""

from __future__ import annotations

import asyncio
import re
import secrets
from urllib.parse import unquote, urlsplit

from framecast.core.packet import Packet
from framecast.output.restream.dial import CheckAddress, dial, hang_up, write
from framecast.output.restream.restream import RestreamError
from framecast.output.webrtc.rtpseat import RtpSeat
from framecast.wire import h264, httpauth, rtp, rtsp

READ_BYTES = 16 * 1024
_CHANNELS = re.compile(r"interleaved=([0-9]{1,3})(?:-([0-9]{1,3}))?", re.IGNORECASE)
REPORT_INTERVAL_NS = 5_000_000_000


class RtspSession:
    """See `Session`.

    Args:
        url: ``rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`` or ``rtsps://…``.
        check: Says whether an address may be called.
    """

    sound = "aac"
    key_wanted = False

    def __init__(self, url: str, check: CheckAddress | None) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "rtsps"
        self._host = parts.hostname or ""
        self._port = parts.port or (rtsp.TLS_PORT if self._tls else rtsp.PORT)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._target = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
        self._check = check
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._messages = rtsp.Messages()
        self._answered: asyncio.Future[rtsp.Response] | None = None
        self._number = 0
        self._session = ""
        self._challenge = ""
        self._cname = secrets.token_hex(8)
        self._out: list[bytes] = []
        self._video = RtpSeat(
            rtsp.VIDEO_TYPE, rtp.VIDEO_HZ, lambda data: self._carry(self._channels[0][0], data), lambda: False
        )
        self._audio: RtpSeat | None = None
        self._sound_form: tuple[int, int] | None = None
        self._channels: list[tuple[int, int]] = []
        self._reported_ns = 0

    async def open(self) -> None:
        """See `Session`."""
        self._streams = await dial(self._host, self._port, tls=self._tls, check=self._check)

    async def start(self, video: Packet, sound: Packet | None) -> None:
        """See `Session`."""
        sets = h264.parameter_sets(video.payload)
        if sets is None:
            raise RestreamError("the camera's H.264 has no parameter sets")
        form = (sound.format.sample_rate_hz, sound.format.channels) if sound is not None else None
        await self._ask("ANNOUNCE", self._target, {}, rtsp.announcement(sets, form))
        for index in range(1 if form is None else 2):
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * index}-{2 * index + 1};mode=record"
            answer = await self._ask("SETUP", f"{self._target}/streamid={index}", {"Transport": transport})
            self._channels.append(_channels(answer.headers.get("transport", ""), 2 * index))
            said = answer.headers.get("session", "").partition(";")[0].strip()[:256]
            self._session = said or self._session  # it need not be said again
        await self._ask("RECORD", self._target, {"Range": "npt=0.000-"})
        if form is not None:
            self._audio = RtpSeat(
                rtsp.SOUND_TYPE, form[0], lambda data: self._carry(self._channels[1][0], data), lambda: False
            )
            self._sound_form = form

    async def send(self, packet: Packet) -> None:
        """See `Session`."""
        if packet.format.codec == "h264":
            seat, payloads = self._video, rtp.h264_payloads(packet.payload)
        elif self._audio is not None:
            if (packet.format.sample_rate_hz, packet.format.channels) != self._sound_form:
                raise RestreamError("the camera's sound has another form now, which has to be announced anew")
            seat, payloads = self._audio, [rtsp.aac_payload(packet.payload)]
        else:
            return
        if packet.pts_ns - self._reported_ns > REPORT_INTERVAL_NS:
            self._reported_ns = packet.pts_ns
            for (_, channel), each in zip(self._channels, (self._video, self._audio), strict=False):
                if each is not None:
                    self._carry(channel, each.report(packet.pts_ns, self._cname))
        stamp = seat.stamp(packet.pts_ns)
        for index, payload in enumerate(payloads):
            seat.send(payload, stamp, index == len(payloads) - 1)
        await self._flush()

    async def watch(self) -> None:
        """See `Session`."""
        assert self._streams is not None
        while True:
            data = await self._streams[0].read(READ_BYTES)
            if not data:
                raise RestreamError("the other end closed the connection")
            try:
                messages = self._messages.feed(data)
            except rtsp.RtspError as error:
                raise RestreamError(str(error)) from None
            for message in messages:
                if isinstance(message, rtsp.Request):
                    write(self._streams[1], message.answer())
                    await self._streams[1].drain()  # who asks and asks has to take the answers
                    if message.method == "TEARDOWN":
                        raise RestreamError("the other end ended the session")
                elif self._answered is not None and not self._answered.done():
                    self._answered.set_result(message)

    async def close(self) -> None:
        """See `Session`."""
        if self._streams is not None:
            farewell = b""
            if self._session:
                farewell = rtsp.request("TEARDOWN", self._target, self._number + 1, {"Session": self._session})
            await hang_up(self._streams[1], farewell)

    async def _ask(self, method: str, target: str, headers: dict[str, str], body: str = "") -> rtsp.Response:
        """Send a request, with credentials when asked for, and wait for its answer."""
        answer = await self._try(method, target, headers, body)
        if answer.status == 401 and self._user and "www-authenticate" in answer.headers:
            self._challenge = answer.headers["www-authenticate"]
            answer = await self._try(method, target, headers, body)
        if answer.status == 401:
            raise RestreamError("it refused name and password" if self._user else "it asks for a name and a password")
        if answer.status != 200:
            raise RestreamError(f"it refused {method}: {answer.status} {answer.reason}")
        return answer

    async def _try(self, method: str, target: str, headers: dict[str, str], body: str) -> rtsp.Response:
        self._number += 1
        headers = dict(headers)
        if self._session:
            headers["Session"] = self._session
        if self._challenge:
            try:
                value = httpauth.authorization(
                    self._challenge,
                    user=self._user,
                    password=self._password,
                    method=method,
                    target=target,
                    cnonce=secrets.token_hex(8),
                    count=self._number,
                )
            except ValueError as error:
                raise RestreamError(f"its way to ask for a password can't be answered: {error}") from None
            if value is not None:
                headers["Authorization"] = value
        self._answered = asyncio.get_running_loop().create_future()
        self._out.append(rtsp.request(method, target, self._number, headers, body))
        await self._flush()
        return await self._answered

    def _carry(self, channel: int, packet: bytes) -> None:
        self._out.append(rtsp.interleaved(channel, packet))

    async def _flush(self) -> None:
        assert self._streams is not None
        data, self._out = b"".join(self._out), []
        write(self._streams[1], data)
        await self._streams[1].drain()


def _channels(transport: str, first: int) -> tuple[int, int]:
    """The channels of RTP and RTCP that a server has chosen (RFC 2326, 10.12 and 12.39); as asked for where it is mute.

    Raises:
        RestreamError: There are no such channels.
    """
    said = _CHANNELS.search(transport)
    if said is None:
        return first, first + 1
    chosen = int(said[1])
    reports = int(said[2]) if said[2] else chosen + 1
    if max(chosen, reports) > 0xFF:
        raise RestreamError(f"it has chosen channels that there are not: {said[0]}")
    return chosen, reports
