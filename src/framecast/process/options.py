"""What is configured about encoding, apart from the modules that need a codec installed."""

from __future__ import annotations

from dataclasses import dataclass

PRESET = "superfast"
"""As cheap as ultrafast within the measurement (1.8 ms for a 480x360 street scene, decoding included), 16 % smaller."""


@dataclass(frozen=True, slots=True)
class H264Options:
    """How H.264 is made.

    Attributes:
        encoder: ``auto``, ``software``, or FFmpeg's name of one.
        bitrate_kbps: Bit rate to hold; 0 for constant quality.
        max_bitrate_kbps: What constant quality may not exceed; 0: 2,500 for 640x480, and more for more pixels.
        crf: Constant quality on x264's scale, 0-51; lower is better.
        gop_s: Longest time from one keyframe to the next, in s.
        preset: x264's name for how much work it does.
    """

    encoder: str = "auto"
    bitrate_kbps: int = 0
    max_bitrate_kbps: int = 0
    crf: int = 23
    gop_s: float = 2.0
    preset: str = PRESET


DEFAULT = H264Options()
