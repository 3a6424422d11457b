"""The sound of what FFmpeg reads, as blocks of PCM."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from framecast.ingest.avoutlet import Block

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

LOWEST_HZ, HIGHEST_HZ = 8_000, 48_000
POSSIBLE_HZ = range(2_000, 768_001)
"""What a microphone may claim: a packet at 1 Hz would become hours of sound, and 96 MB."""
AHEAD_BLOCKS = 500
"""A file's sound may lie so many blocks before its pictures; some ten seconds."""


class Sound:
    """Decodes one stream of sound.

    Args:
        stream: What to decode; there is a decoder for it.
    """

    def __init__(self, stream: AudioStream) -> None:
        self.stream = stream
        self._codec = stream.codec_context
        self._resampler: AudioResampler | None = None
        self._form: tuple[int, str, str] = (0, "", "")
        self._waiting: deque[Block] = deque(maxlen=AHEAD_BLOCKS)

    def take(self, packet: Packet[AudioStream]) -> bool:
        """Decode one packet; whether it could be."""
        try:
            for frame in self._codec.decode(packet) if packet.size else ():
                if frame.sample_rate not in POSSIBLE_HZ:
                    return False
                self._waiting.extend(self._blocks(frame))
        except FFmpegError:  # of the resampler, too: not every arrangement of channels can be mixed down
            self._resampler = None
            return False
        return True

    def until(self, at_s: float | None) -> Iterator[Block]:
        """What begins no later than ``at_s``; all there is when None."""
        while self._waiting and (at_s is None or self._waiting[0].at_s <= at_s):
            yield self._waiting.popleft()

    def restart(self) -> None:
        """The file begins again."""
        self._waiting.clear()
        self._resampler = None

    def _blocks(self, frame: AudioFrame) -> Iterator[Block]:
        if frame.pts is None or frame.time_base is None:
            return
        form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if self._resampler is None or form != self._form:
            self._form = form
            rate = frame.sample_rate if LOWEST_HZ <= frame.sample_rate <= HIGHEST_HZ else HIGHEST_HZ
            self._resampler = AudioResampler("s16", "mono" if frame.layout.nb_channels == 1 else "stereo", rate)
        for made in self._resampler.resample(frame):
            channels = len(made.layout.channels)
            payload = bytes(made.planes[0])[: made.samples * channels * 2]
            yield Block(payload, made.sample_rate, channels, _seconds(made))


def _seconds(frame: AudioFrame) -> float:
    assert frame.pts is not None and frame.time_base is not None  # what went in had them
    return float(frame.pts * frame.time_base)
