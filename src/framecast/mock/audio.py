"""What a fake device does with sound: its microphone, its speaker, and how both travel.

A device that is asked gives its sound as an endless WAV. One that pushes POSTs each chunk on a connection of its own,
as the doorbell's firmware does, or sends it tagged between the pictures on its WebSocket.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from struct import pack

from framecast.core.errors import Misuse
from framecast.mock.framing import chunk as http_chunk
from framecast.mock.line import Line
from framecast.mock.microphone import Chunk, Microphone, SoundOptions
from framecast.mock.pushing import Pushing, Target, read_reply, write_request
from framecast.wire import pcm

_REMEMBERED = 65_536
_CHUNKED, _CLOSE = "Transfer-Encoding: chunked\r\n", "Connection: close\r\n"


@dataclass(slots=True)
class Audio:
    """A device's sound.

    Attributes:
        microphone: Where it comes from.
        target: Where it is POSTed to; None for a device that is asked, or sends it on its WebSocket.
        written: How many chunks were written whole.
        sent: Numbers of these, oldest first (the last 65,536).
        statuses: Answers to pushes of sound by HTTP status.
        last_answer: Body of the latest one.
    """

    microphone: Microphone
    target: Target | None = None
    sent: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    statuses: Counter[int] = field(default_factory=Counter)
    last_answer: bytes = b""
    written: int = 0

    def record(self, chunk: Chunk) -> None:
        """``chunk`` is written whole."""
        self.sent.append(chunk.number)
        self.written += 1


def sound_path(path: str) -> str:
    """Where a device that POSTs its pictures to ``path`` POSTs its sound to.

    Raises:
        Misuse: There is no such place.
    """
    bare, mark, query = path.partition("?")
    for pictures, sound in (("/frames", "/audio"), ("/camera-stream", "/mic-stream")):
        if bare.endswith(pictures):
            return bare.removesuffix(pictures) + sound + mark + query
    raise Misuse(f"Pictures go to {path}, but where would the sound go? Known are …/frames and …/camera-stream")


def speaker_path(path: str, device_id: str) -> str:
    """Where a device that POSTs its pictures to ``path`` asks for what its speaker is to play."""
    bare = path.partition("?")[0]
    if bare.endswith("/frames"):
        return bare.removesuffix("/frames") + "/speaker"
    return f"/api/v1/cameras/{device_id}/speaker"


def wav_head(options: SoundOptions) -> bytes:
    """The 44 bytes before endless PCM, as firmwares write them: no length is known, so the largest is claimed."""
    frame_bytes = 2 * options.channels
    rate_hz = options.sample_rate_hz
    fmt = pack("<4sIHHIIHH", b"fmt ", 16, 1, options.channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 16)
    return b"RIFF\xff\xff\xff\xffWAVE" + fmt + b"data\xff\xff\xff\xff"


async def stream_wav(line: Line, audio: Audio, *, chunked: bool) -> None:
    """Answer with endless WAV."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n{_CHUNKED if chunked else _CLOSE}\r\n"
    wav = wav_head(audio.microphone.options)
    with audio.microphone.listen() as ear:
        await line.send(head.encode(), http_chunk(wav) if chunked else wav)
        while True:
            heard = await ear.next()
            await line.send(http_chunk(heard.payload) if chunked else heard.payload)
            audio.record(heard)


async def post(device: Pushing) -> None:
    """Each chunk is the body of one POST, all on one connection, with all that there is to say about it."""
    assert device.audio is not None
    options = device.audio.microphone.options
    about = f"X-Sample-Rate: {options.sample_rate_hz}\r\nX-Channels: {options.channels}\r\n"
    await _post(device, about, stamped=True)


async def post_doorbell(device: Pushing) -> None:
    """As `post`, with nothing but the sequence number beside the chunk."""
    await _post(device, "", stamped=False)


async def _post(device: Pushing, about: str, *, stamped: bool) -> None:
    audio = device.audio
    assert audio is not None and audio.target is not None
    line = await device.dial(audio.target)
    with audio.microphone.listen() as ear:
        while True:
            chunk = await ear.next()
            stamp = f"X-Timestamp: {device.stamp_s(chunk.start_s):.6f}\r\n" if stamped else ""
            head = (
                f"POST {audio.target.path} HTTP/1.1\r\nHost: {audio.target.authority}\r\nConnection: keep-alive\r\n"
                f"Content-Type: application/octet-stream\r\n{about}X-Sequence: {chunk.number}\r\n{stamp}"
            )
            await write_request(device, line, head, [chunk.payload], len(chunk.payload))
            audio.record(chunk)
            reply = await read_reply(device, line)
            audio.statuses[reply.status] += 1
            audio.last_answer = reply.body
            if not reply.keeps_open:
                return


def tagged(chunk: Chunk, options: SoundOptions) -> bytes:
    """``chunk`` as one WebSocket message (`wire.pcm`)."""
    return pcm.pack_tag(options.sample_rate_hz, options.channels, chunk.number) + chunk.payload
