"""Names of derived tracks.

Outputs ask a stream for a rendition, ``app`` registers what makes one. Sizes and qualities snap to a ladder,
so that a thousand viewers with a thousand window sizes share a handful of encodes.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

WIDTHS_PX = (160, 240, 320, 480, 640, 800, 1024, 1280, 1600, 1920)
QUALITIES = (30, 40, 50, 60, 70, 80, 85, 90, 95)
SIZES_BYTES = (4_000, 8_000, 12_000, 16_000, 24_000, 32_000, 38_000, 48_000, 64_000, 96_000, 128_000)


def snap_width(width_px: int) -> int:
    """The narrowest width of the ladder that is at least ``width_px`` (the widest when none is)."""
    return WIDTHS_PX[min(bisect_left(WIDTHS_PX, width_px), len(WIDTHS_PX) - 1)]


def snap_quality(quality: int) -> int:
    """The lowest quality of the ladder that is at least ``quality``."""
    return QUALITIES[min(bisect_left(QUALITIES, quality), len(QUALITIES) - 1)]


def snap_max_bytes(max_bytes: int) -> int:
    """The largest size of the ladder that is at most ``max_bytes``; ``max_bytes`` itself below the ladder."""
    index = bisect_left(SIZES_BYTES, max_bytes + 1) - 1
    return SIZES_BYTES[index] if index >= 0 else max_bytes


SOUND_CODECS = frozenset({"aac", "opus"})


@dataclass(frozen=True, slots=True)
class Rendition:
    """What a viewer wants to be different from the source; zero and empty mean: as the source.

    Attributes:
        codec: FFmpeg's name of the result: ``mjpeg``, ``h264``; of the camera's sound ``aac``, ``opus``; and
            ``detections``, what is seen in the pictures (`framecast.wire.detections`).
        width_px: Width; the height follows, nothing is ever enlarged.
        quality: 1-100, as of a JPEG; encoders of other codecs map it.
        overlay: What is burnt in: ``frame-id``, ``detections``.
        max_bytes: Largest payload, for displays with little memory.
        fps: Most pictures a second.
    """

    codec: str = "mjpeg"
    width_px: int = 0
    quality: int = 0
    overlay: frozenset[str] = frozenset()
    max_bytes: int = 0
    fps: int = 0

    @property
    def is_source(self) -> bool:
        """Whether this asks for nothing but the camera's own pictures."""
        return self == SOURCE

    @property
    def is_sound(self) -> bool:
        """Whether this is made of the camera's sound."""
        return self.codec in SOUND_CODECS

    @property
    def is_whole(self) -> bool:
        """Whether everything but the codec is as the camera sends it."""
        return self == Rendition(self.codec)

    @property
    def is_free(self) -> bool:
        """Whether it does not count among those there may be: one of each is enough for any number of viewers."""
        return self.is_sound or self in (H264, DETECTIONS)

    @property
    def name(self) -> str:
        """Short name for logs, metrics and statistics: ``video``, ``video/320/q70``."""
        parts = ["video" if self.codec == "mjpeg" else self.codec]
        if self.width_px:
            parts.append(str(self.width_px))
        if self.quality:
            parts.append(f"q{self.quality}")
        if self.fps:
            parts.append(f"{self.fps}fps")
        parts.extend(sorted(self.overlay))
        if self.max_bytes:
            parts.append(f"{self.max_bytes}B")
        return "/".join(parts)


SOURCE = Rendition()
H264 = Rendition("h264")
AAC = Rendition("aac")
OPUS = Rendition("opus")
DETECTIONS = Rendition("detections")
