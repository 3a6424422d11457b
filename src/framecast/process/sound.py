"""A camera's sound as AAC or Opus, for containers and for WebRTC.

Theory of operation. Blocks of PCM carry capture times in the server's clock, and the device's crystal is off by up to
hundreds of millionths, so a second of its samples is not a second. What is coded has to be: a frame of 1024 samples
follows the one before without a seam, and still lies at its time an hour later. So the samples pass through FFmpeg's
resampler, which is told the time of each block and stretches or squeezes by a few samples a second until its output
lies within a fraction of a millisecond of where it belongs. A hole is filled with silence, when the next block shows it
or after a while without any (a player that waits for sound shows no picture either); what comes too late for its time
is left out. Only a hole of many seconds begins a new timeline.

Packets carry the time of the first sample that a decoder makes of them: the encoder's own delay is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec import CodecContext

from framecast.core.packet import Format, Packet
from framecast.process.coding import Block

S_NS = 1_000_000_000
STEP_NS = 20_000_000
"""Times that are off by more are not worked off slowly: silence goes in, or samples go out."""
NEW_TIMELINE_NS = 10 * S_NS
"""A longer hole is not filled, and a longer step back is another timeline."""
SILENCE_NS = 100_000_000
"""Silence is made in pieces of this length."""

_EXACT = {
    # Always through the filter: to begin with it later would be heard.
    "flags": "res",
    # Off by more than 0.1 ms: correct, over a second, by at most 1 %, which nobody hears. So sound stays 0.2 ms from
    # its time where a crystal is off by 200 millionths.
    "min_comp": "0.0001",
    "max_soft_comp": "0.01",
    "comp_duration": "1",
    "min_hard_comp": str(STEP_NS / S_NS),
}


@dataclass(frozen=True, slots=True)
class SoundCodec:
    """How sound is coded.

    Attributes:
        name: As in a rendition.
        encoder: FFmpeg's name.
        sample_format: What the encoder takes.
        kbps: For one channel.
        options: For the encoder.
    """

    name: str
    encoder: str
    sample_format: str
    kbps: int
    options: dict[str, str]

    def rate_hz(self, source_hz: int) -> int:
        """The rate to code at.

        Low rates go up: a block of 1024 samples takes 64 ms at 16 kHz and 21 ms at 48 kHz, and two of them are what
        AAC adds to the delay.
        """
        return 44_100 if self.name == "aac" and 44_100 % source_hz == 0 else 48_000


CODECS = {
    each.name: each
    for each in (
        SoundCodec("aac", "aac", "fltp", 64, {"aac_coder": "fast"}),
        SoundCodec(
            "opus", "libopus", "s16", 40, {"application": "audio", "frame_duration": "20", "compression_level": "5"}
        ),
    )
}


class SoundMaker:
    """Codes the sound of one track. Called for one block at a time, from any thread.

    Args:
        codec: What to make.

    Attributes:
        format: Of what was made last.
        samples: In each packet.
    """

    def __init__(self, codec: SoundCodec) -> None:
        self.format = Format(codec.name)
        self.samples = 0
        self._codec = codec
        self._source: tuple[int, int, int] = (0, 0, 0)
        self._encoder: Any = None
        self._resampler: Any = None
        self._base_ns = 0
        self._end_ns = 0
        self._owed_ns = 0
        self._coded_ns = 0

    def make(self, packet: Packet) -> list[Block]:
        """What is ready after one more block of ``pcm_s16le``."""
        self._owed_ns = 0
        form = packet.format
        source = (form.sample_rate_hz, form.channels, packet.epoch)
        hole_ns = packet.pts_ns - self._end_ns
        if source != self._source or abs(hole_ns) > NEW_TIMELINE_NS:
            self._begin(source, packet.pts_ns)
            hole_ns = 0
        made = self._silence(hole_ns) if hole_ns > STEP_NS else []
        samples = np.frombuffer(packet.payload, np.int16).reshape(-1, form.channels)
        late_ns = self._end_ns - packet.pts_ns
        at_ns = packet.pts_ns
        if late_ns > STEP_NS:
            late = late_ns * form.sample_rate_hz // S_NS
            samples, at_ns = samples[late:], at_ns + late * S_NS // form.sample_rate_hz
        return made + self._push(samples, at_ns)

    def fill(self, span_ns: int) -> list[Block]:
        """What is ready after so much silence, since nothing came."""
        if self._encoder is None:
            return []
        end_ns = self._end_ns + self._owed_ns + span_ns
        made = self._silence(end_ns - self._end_ns)
        # Less than a sample, but ten times a second: left out, an hour of silence would be seconds too short.
        self._owed_ns = end_ns - self._end_ns
        return made

    def _begin(self, source: tuple[int, int, int], pts_ns: int) -> None:
        codec, (source_hz, channels, _) = self._codec, source
        rate_hz = codec.rate_hz(source_hz)
        layout = "stereo" if channels == 2 else "mono"
        encoder = CodecContext.create(codec.encoder, "w")
        encoder.sample_rate = rate_hz
        encoder.layout = layout
        encoder.format = codec.sample_format
        encoder.bit_rate = codec.kbps * 1000 * channels
        encoder.time_base = Fraction(1, rate_hz)
        encoder.options = dict(codec.options)
        encoder.open()
        self._encoder = encoder
        self._resampler = AudioResampler(
            codec.sample_format, layout, rate_hz, frame_size=encoder.frame_size, options=_EXACT
        )
        self._source = source
        self._base_ns = self._end_ns = pts_ns
        if self._coded_ns - pts_ns > NEW_TIMELINE_NS:
            self._coded_ns = 0
        self.format = Format(codec.name, sample_rate_hz=rate_hz, channels=channels)
        self.samples = encoder.frame_size

    def _silence(self, span_ns: int) -> list[Block]:
        rate_hz, channels, _ = self._source
        made: list[Block] = []
        end_ns = self._end_ns + span_ns
        for begin_ns in range(self._end_ns, end_ns, SILENCE_NS):
            piece_ns = min(SILENCE_NS, end_ns - begin_ns)
            made += self._push(np.zeros((piece_ns * rate_hz // S_NS, channels), np.int16), begin_ns)
        return made

    def _push(self, samples: Any, pts_ns: int) -> list[Block]:
        rate_hz, channels, _ = self._source
        if not len(samples):
            return []
        self._end_ns = pts_ns + len(samples) * S_NS // rate_hz
        layout = "stereo" if channels == 2 else "mono"
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16", layout)
        frame.sample_rate = rate_hz
        frame.pts, frame.time_base = pts_ns - self._base_ns, Fraction(1, S_NS)
        made = []
        for ready in self._resampler.resample(frame):
            for packet in self._encoder.encode(ready):
                begin_ns = self._base_ns + packet.pts * S_NS // self.format.sample_rate_hz
                if begin_ns < self._coded_ns - STEP_NS:
                    continue  # an encoder that began anew, over what the one before has given out
                self._coded_ns = begin_ns + self.samples * S_NS // self.format.sample_rate_hz
                made.append(Block(bytes(packet), begin_ns))
        return made
