"""An RTSP camera small enough to read: one client, one video stream, RTP interleaved on the same connection.

It speaks what the tests need of RFC 2326 (OPTIONS, DESCRIBE, SETUP, PLAY), RFC 2435 (JPEG) and RFC 6184 (H.264, single
units and FU-A), and can refuse, hang or vanish.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

_MTU = 1400
_CLOCK_HZ = 90_000


@dataclass
class Media:
    """What the camera sends: its SDP lines and, for each picture, RTP payloads."""

    sdp: str
    payload_type: int
    pictures: Sequence[list[bytes]]
    fps: float


def jpeg_media(jpegs: Iterable[bytes], width: int, height: int, quality: int, fps: float) -> Media:
    """Baseline 4:2:0 JPEGs with libjpeg's tables at ``quality``, as RFC 2435 sends them: without their headers."""
    pictures = []
    for jpeg in jpegs:
        at = jpeg.index(b"\xff\xda")
        scan = jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4]) : -2]
        head = bytes([1, quality, width // 8, height // 8])
        pictures.append(
            [b"\0" + start.to_bytes(3) + head + scan[start : start + _MTU] for start in range(0, len(scan), _MTU)]
        )
    return Media("m=video 0 RTP/AVP 26\r\na=control:track1\r\n", 26, pictures, fps)


def h264_media(frames: Iterable[np.ndarray], fps: int) -> Media:
    """RGB frames, encoded by x264 and cut into RTP payloads; the parameter sets are in the SDP and in the stream."""
    codec = av.CodecContext.create("libx264", "w")
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "sliced-threads=0"}
    codec.pix_fmt = "yuv420p"
    codec.time_base = Fraction(1, fps)
    codec.framerate = Fraction(fps)
    coded = []
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        if number == 0:
            codec.width, codec.height = frame.width, frame.height
        frame.pts = number
        coded += [bytes(packet) for packet in codec.encode(frame)]
    coded += [bytes(packet) for packet in codec.encode(None)]
    pictures = [[part for unit in _units(each) for part in _fragments(unit)] for each in coded]
    sets = [base64.b64encode(unit).decode() for unit in _units(coded[0]) if unit[0] & 31 in (7, 8)]
    sdp = (
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={','.join(sets)}\r\na=control:track1\r\n"
    )
    return Media(sdp, 96, pictures, fps)


def _units(annexb: bytes) -> list[bytes]:
    return [unit.rstrip(b"\0") for unit in annexb.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]


def _fragments(unit: bytes) -> list[bytes]:
    if len(unit) <= _MTU:
        return [unit]
    body = unit[1:]
    parts = [body[start : start + _MTU] for start in range(0, len(body), _MTU)]
    marks = [0x80, *[0] * (len(parts) - 2), 0x40]
    return [bytes([unit[0] & 0xE0 | 28, mark | unit[0] & 31]) + part for mark, part in zip(marks, parts, strict=True)]


@dataclass
class RtspCamera:
    """Serves ``media`` in real time; as an async context manager it listens on ``port``.

    Attributes:
        status: What DESCRIBE answers.
        tone: Sends G.711 (mu-law, 8 kHz) beside the pictures: these bytes, again and again.
        hang_at: Picture before which it falls silent, the connection open; 0 hangs before its first answer.
        end_at: Picture before which it hangs up.
        connections: Clients it has had.
        heard: Set by the first request.
    """

    media: Media
    status: int = 200
    tone: bytes = b""
    hang_at: int | None = None
    end_at: int | None = None
    port: int = 0
    connections: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"rtsp://user:secret@127.0.0.1:{self.port}/live"

    async def __aenter__(self) -> RtspCamera:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing: asyncio.Task[None] | None = None
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if head.startswith("$"):
                    continue
                method = head.split(" ", 1)[0]
                self.heard.set()
                if self.hang_at == 0:
                    await asyncio.Event().wait()
                cseq = next(line for line in head.splitlines() if line.lower().startswith("cseq"))
                writer.write(self._answer(method, cseq, "track2" in head.split("\r\n", 1)[0]))
                if method == "PLAY":
                    playing = asyncio.get_running_loop().create_task(self._play(writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
            writer.close()

    def _answer(self, method: str, cseq: str, second: bool) -> bytes:
        lines, body = [f"RTSP/1.0 {self.status if method == 'DESCRIBE' else 200} Answer", cseq], ""
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE" and self.status == 200:
            body = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n{self.media.sdp}"
            if self.tone:
                body += "m=audio 0 RTP/AVP 0\r\na=control:track2\r\n"
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "DESCRIBE" and self.status == 401:
            lines.append('WWW-Authenticate: Basic realm="camera"')
        elif method == "SETUP":
            lines += [f"Transport: RTP/AVP/TCP;unicast;interleaved={'2-3' if second else '0-1'}", "Session: 1"]
        else:
            lines.append("Session: 1")
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        began, sequence, spoken = loop.time(), 0, 0
        for number, payloads in enumerate(self.media.pictures):
            await asyncio.sleep(max(0.0, began + number / self.media.fps - loop.time()))
            if number == self.hang_at:
                await asyncio.Event().wait()
            if number == self.end_at:
                break
            stamp = round(number / self.media.fps * _CLOCK_HZ)
            for index, payload in enumerate(payloads):
                mark = 0x80 if index == len(payloads) - 1 else 0
                head = bytes([0x80, mark | self.media.payload_type])
                packet = head + sequence.to_bytes(2) + stamp.to_bytes(4) + bytes(4) + payload
                writer.write(b"$\0" + len(packet).to_bytes(2) + packet)
                sequence = (sequence + 1) & 0xFFFF
            if self.tone:
                spoken = self._speak(writer, number, spoken)
            await writer.drain()
        writer.close()

    def _speak(self, writer: asyncio.StreamWriter, number: int, spoken: int) -> int:
        """Blocks of 20 ms up to the end of a picture's time; returns how many have been sent."""
        while spoken * 0.02 < (number + 1) / self.media.fps:
            payload = (self.tone * (160 // len(self.tone) + 1))[:160]
            head = bytes([0x80, 0]) + (spoken & 0xFFFF).to_bytes(2) + (spoken * 160).to_bytes(4) + bytes(4)
            writer.write(b"$\2" + (len(head) + 160).to_bytes(2) + head + payload)
            spoken += 1
        return spoken
