"""Pushing to an RTMP server: live event platforms, media servers."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from framecast.core.packet import Packet
from framecast.output.restream.dial import CheckAddress, dial, hang_up, write
from framecast.output.restream.restream import RestreamError
from framecast.wire import h264, rtmp

READ_BYTES = 16 * 1024


class RtmpSession:
    """See `Session`.

    Args:
        url: ``rtmp://HOST[:PORT]/APP/KEY`` or ``rtmps://…``.
        check: Says whether an address may be called.
    """

    sound = "aac"
    key_wanted = False

    def __init__(self, url: str, check: CheckAddress | None) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "rtmps"
        self._host = parts.hostname or ""
        self._port = parts.port or (rtmp.TLS_PORT if self._tls else rtmp.PORT)
        app, _, key = parts.path.strip("/").rpartition("/")
        key = f"{key}?{parts.query}" if parts.query else key
        authority = parts.netloc.rpartition("@")[2]
        self._publisher = rtmp.Publisher(app, key, f"{parts.scheme}://{authority}/{app}")
        self._check = check
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._sets: h264.ParameterSets | None = None
        self._sound_form: tuple[int, int] | None = None
        self._base_ns = 0

    async def open(self) -> None:
        """See `Session`."""
        self._streams = await dial(self._host, self._port, tls=self._tls, check=self._check)
        write(self._streams[1], self._publisher.begin())
        while not self._publisher.ready:
            await self._read()

    async def start(self, video: Packet, sound: Packet | None) -> None:
        """See `Session`."""
        self._base_ns = min(video.pts_ns, sound.pts_ns) if sound is not None else video.pts_ns
        about: dict[str, object] = {
            "width": video.format.width_px,
            "height": video.format.height_px,
            "videocodecid": 7,
            "encoder": "Framecast",
        }
        if sound is not None:
            about |= {
                "audiocodecid": 10,
                "audiosamplerate": sound.format.sample_rate_hz,
                "stereo": sound.format.channels == 2,
            }
        data = self._publisher.metadata(about) + self._parameters(video)
        if sound is not None:
            data += self._announce(sound)
        await self._write(data)

    async def send(self, packet: Packet) -> None:
        """See `Session`."""
        stamp_ms = max(0, packet.pts_ns - self._base_ns) // 1_000_000
        if packet.format.codec == "h264":
            head = self._parameters(packet, stamp_ms) if packet.key else b""
            await self._write(head + self._publisher.picture(stamp_ms, packet.payload, key=packet.key))
        else:
            await self._write(self._announce(packet, stamp_ms) + self._publisher.sound(stamp_ms, packet.payload))

    async def watch(self) -> None:
        """See `Session`."""
        while True:
            await self._read()

    async def close(self) -> None:
        """See `Session`."""
        if self._streams is not None:
            await hang_up(self._streams[1], self._publisher.end())

    def _parameters(self, packet: Packet, stamp_ms: int = 0) -> bytes:
        """The parameter sets, where they are others than before."""
        sets = h264.parameter_sets(packet.payload)
        if sets is None or sets == self._sets:
            return b""
        self._sets = sets
        return self._publisher.video_header(sets, stamp_ms)

    def _announce(self, packet: Packet, stamp_ms: int = 0) -> bytes:
        form = packet.format.sample_rate_hz, packet.format.channels
        if form == self._sound_form:
            return b""
        self._sound_form = form
        return self._publisher.sound_header(stamp_ms, *form)

    async def _read(self) -> None:
        assert self._streams is not None
        reader, writer = self._streams
        data = await reader.read(READ_BYTES)
        if not data:
            raise RestreamError("the other end closed the connection")
        try:
            reply = self._publisher.feed(data)
        except rtmp.RtmpError as error:
            raise RestreamError(str(error)) from None
        if reply:
            write(writer, reply)

    async def _write(self, data: bytes) -> None:
        assert self._streams is not None
        write(self._streams[1], data)
        await self._streams[1].drain()
