"""Pictures from a video file, looped and paced by its own timestamps (needs the extra ``media``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from framecast.core.errors import Misuse
from framecast.mock.picture import Caption, Label, Plane, draw_code, draw_flash, encode
from framecast.wire import blockcode


class Video:
    """The pictures of a file's first video track, over and over.

    Args:
        path: The file.
        width_px: Width to scale to; 0 = the file's, made even.
        height_px: Height to scale to; 0 = the file's, made even.
        quality: JPEG quality, 1-100.
        name: Written at the left of the caption.
        caption: Draw the caption (name, frame number, rate, time).
        block_code: Draw the block code.

    Raises:
        Misuse: PyAV is missing, or the file can't be opened or holds no video.
    """

    def __init__(
        self,
        path: Path,
        *,
        width_px: int = 0,
        height_px: int = 0,
        quality: int = 80,
        name: str = "",
        caption: bool = True,
        block_code: bool = True,
    ) -> None:
        try:
            import av
        except ImportError as error:
            raise Misuse("Pictures from a video file need PyAV: pip install 'framecast[media]'") from error
        try:
            self._container: Any = av.open(str(path))
        except (OSError, ValueError) as error:  # FFmpeg's errors are both, as fits
            raise Misuse(f"{path} can't be opened as a video: {error}") from error
        if not self._container.streams.video:
            self._container.close()
            raise Misuse(f"{path} holds no video")
        self._track = self._container.streams.video[0]
        self._track.thread_type = "NONE"
        self.width_px = _even(width_px or self._track.codec_context.width)
        self.height_px = _even(height_px or self._track.codec_context.height)
        self._quality = quality
        self._caption = Caption(self.width_px, self.height_px, name, show_frame_id=True) if caption else None
        self._block_code = block_code and self.width_px >= blockcode.MIN_WIDTH_PX
        self._path = path
        self._frames = self._decode()
        self._planes: tuple[Plane, ...] = ()

    def advance(self) -> float:
        """Go on to the next picture; says when it is due, seconds since the first."""
        due_s, self._planes = next(self._frames)
        return due_s

    def draw(self, label: Label) -> bytes:
        """The current picture as a JPEG."""
        if label.flash:
            draw_flash(self._planes)
        if self._caption is not None:
            self._caption.draw(self._planes, label)
        if self._block_code:
            draw_code(self._planes, label)
        return encode(self._planes, self._quality)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decode(self) -> Iterator[tuple[float, tuple[Plane, ...]]]:
        """Endless pairs of due time (s, rising over the loops) and planes."""
        usual_s = 1 / float(self._track.average_rate or 25)
        due_s = -usual_s
        stamped = True
        while True:
            base_s = due_s + usual_s
            first_s: float | None = None
            empty = True
            for frame in self._container.decode(self._track):
                if frame.time is None or not stamped:
                    due_s += usual_s
                else:
                    first_s = frame.time if first_s is None else first_s
                    stamp_s = base_s + frame.time - first_s
                    # H.264 in AVI has no usable stamps: they jump about, and the rate is all there is.
                    stamped = stamp_s > due_s
                    due_s = stamp_s if stamped else due_s + usual_s
                empty = False
                yield due_s, self._planes_of(frame)
            if empty:
                raise Misuse(f"{self._path} holds no picture that can be decoded")
            self._container.seek(0)

    def _planes_of(self, frame: Any) -> tuple[Plane, ...]:
        scaled = frame.reformat(self.width_px, self.height_px, "yuvj420p").to_ndarray()
        half_px = self.width_px // 2
        luma = np.ascontiguousarray(scaled[: self.height_px])
        chroma = scaled[self.height_px :].reshape(2, self.height_px // 2, half_px)
        return luma, np.ascontiguousarray(chroma[0]), np.ascontiguousarray(chroma[1])


def _even(pixels: int) -> int:
    return max(2, pixels - pixels % 2)
