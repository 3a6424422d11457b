"""The encoder that one stream has open, and what takes its place when it won't do.

Theory of operation. The stream's encoder is chosen once. Where it doesn't open, that may be because of this job (a
size it does not take, more streams than it can have open): software does the jobs of that size, one of another size is
tried with the chosen encoder again, and before anybody else is given it, it is tried. One that breaks while it encodes
is not used again by this stream, nor chosen by others for a while; software takes over with the very picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame

from framecast.process.encoders import SOFTWARE, TIME_BASE, Encoder, Encoders, Job, open_encoder
from framecast.process.errors import Unencodable
from framecast.process.h264units import TICKS_HZ, tidy

log = logging.getLogger("framecast.process.encoders")


class OpenEncoder:
    """Encodes one stream. Called for one picture at a time, from any thread.

    Args:
        wanted: Which encoder, as in `Encoders.choose`.
        encoders: Where it comes from.

    Attributes:
        job: What it is open for; None while it is not.
    """

    def __init__(self, wanted: str, encoders: Encoders) -> None:
        self.job: Job | None = None
        self._wanted = wanted
        self._encoders = encoders
        self._chosen: Encoder | None = None
        self._encoder: Encoder | None = None
        self._context: Any = None
        self._refused_px: tuple[int, int] | None = None
        self._began_ns = 0
        self._ticks = -1

    @property
    def name(self) -> str:
        """Which encoder does it now; empty before the first is open."""
        return self._encoder.name if self._encoder is not None else ""

    def prepare(self) -> Encoder:
        """Choose, if `open` is not to do it.

        Raises:
            Misuse: An encoder is wanted that nobody has.
        """
        if self._chosen is None:
            self._chosen = self._encoders.choose(self._wanted)
        return self._chosen

    def open(self, job: Job, pts_ns: int) -> None:
        """Begin anew; the picture at ``pts_ns`` is the first, and has to be asked for as a keyframe.

        Raises:
            Unencodable: Not even software takes this.
        """
        encoder = self.prepare()
        self._close()  # before another is opened: cards bound how many are open at once
        size_px = (job.width_px, job.height_px)
        if size_px == self._refused_px:
            encoder = self._encoders.software
        try:
            self._context = open_encoder(encoder, job)
        except FFmpegError as error:
            why = error.strerror or str(error)
            if encoder.name == SOFTWARE:
                raise Unencodable(f"{job.width_px} x {job.height_px} px: {why}") from None
            log.info("%s does not open for %d x %d px (%s); %s does it", encoder.name, *size_px, why, SOFTWARE)
            self._encoders.refused(encoder.name)
            self._refused_px = size_px
            self.open(job, pts_ns)
            return
        self._encoder, self.job = encoder, job
        self._began_ns = pts_ns
        self._ticks = -1

    def encode(self, picture: Callable[[str], VideoFrame], pts_ns: int, key: bool) -> tuple[bytes, bool]:
        """The access unit of a picture, and whether it is a keyframe. It has to be open.

        Args:
            picture: Makes the frame, in the pixel format that it is given.
            pts_ns: Its capture time.
            key: Make it a keyframe.

        Raises:
            Unencodable: Not even software encodes this.
        """
        assert self._encoder is not None and self.job is not None
        encoder, job = self._encoder, self.job
        frame = picture(encoder.pixel_format)
        try:
            return self._encode(job, frame, pts_ns, key)
        except FFmpegError as error:
            self._close()
            if encoder.name == SOFTWARE:
                raise Unencodable(str(error)) from None
            self._encoders.failed(encoder.name, error.strerror or str(error))
            self._chosen = self._encoders.software
        self.open(job, pts_ns)
        return self.encode(picture, pts_ns, True)

    def _close(self) -> None:
        self._context = self.job = None

    def _encode(self, job: Job, frame: VideoFrame, pts_ns: int, key: bool) -> tuple[bytes, bool]:
        # A decoded JPEG says of itself that it is a keyframe, and x264 would make each one.
        frame.pict_type = PictureType.I if key else PictureType.NONE
        self._ticks = max(self._ticks + 1, (pts_ns - self._began_ns) * TICKS_HZ // 1_000_000_000)
        frame.pts, frame.time_base = self._ticks, TIME_BASE
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise FFmpegError(0, "it gave no picture back in time")
        return tidy(bytes(packets[0]), job.fps), packets[0].is_keyframe
