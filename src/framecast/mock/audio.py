"""A fake device's sound, where it goes, and how it travels.

A device that is asked gives its sound as an endless WAV. One that pushes POSTs each chunk on a connection of its own
(`postedsound`), as the doorbell's firmware does, or sends it tagged between the pictures on its WebSocket.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from struct import pack

from framecast.core.errors import Misuse
from framecast.mock.framing import chunk as http_chunk
from framecast.mock.line import Line
from framecast.mock.microphone import Chunk, Microphone, SoundOptions
from framecast.mock.target import Target
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


def tagged(chunk: Chunk, options: SoundOptions) -> bytes:
    """``chunk`` as one WebSocket message (`wire.pcm`)."""
    return pcm.pack_tag(options.sample_rate_hz, options.channels, chunk.number) + chunk.payload
