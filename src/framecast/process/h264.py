"""A camera's pictures as H.264: one encode for everybody who wants it.

Theory of operation. A JPEG is decoded to the planes it holds, brought to limited range (`jpegframe`) and encoded as one
access unit before the next picture is looked at: no B-frames, no look-ahead, nothing is held back. Keyframes come when
somebody asks (`Track.on_key_wanted`; one per 0.5 s at most, a request that comes too early is kept), and at least every
two seconds; the encoder itself sets none. Rate control reckons with a fixed rate of pictures, and cameras have none: at
the end of a group of pictures whose rate was another by more than a quarter, a new encoder begins, told the rate that
was seen. So it does when the size changes, and for each epoch. What it writes about itself stays the same, so viewers
notice nothing.
"""

from __future__ import annotations

import math
from typing import Any

from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame

from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.process.coding import Coded, Unencodable
from framecast.process.encoders import SHARED, SOFTWARE, TIME_BASE, Encoder, Encoders, Job, open_encoder
from framecast.process.h264timing import KeySchedule, RateMeter
from framecast.process.h264units import TICKS_HZ, tidy
from framecast.process.jpegframe import JpegFrames
from framecast.process.options import DEFAULT, H264Options

CRF_PER_QUALITY = 0.28
QUALITY_OF_CRF = 80
CRF_RANGE = (14, 45)
VGA_KBPS = 2500
VGA_PX = 640 * 480


class H264Maker:
    """Encodes the pictures of one rendition. Called for one picture at a time, from any thread.

    Args:
        rendition: Width and quality that are wanted; ``quality`` moves the configured constant quality.
        options: What is configured.
        encoders: Where encoders come from.
    """

    def __init__(self, rendition: Rendition, options: H264Options = DEFAULT, encoders: Encoders = SHARED) -> None:
        self._rendition = rendition
        self._options = options
        self._encoders = encoders
        self._encoder: Encoder | None = None
        self._frames: JpegFrames | None = None
        self._context: Any = None
        self._job: Job | None = None
        self._epoch = 0
        self._began_ns = 0
        self._ticks = -1
        self._last_ns = 0
        self._keys = KeySchedule(options.gop_s)
        self._rate = RateMeter(rendition.fps)

    def prepare(self) -> None:
        """Find the encoder, if `make` is not to do it: the first time it can take seconds, where drivers hang.

        Raises:
            Misuse: One is configured that nobody has.
        """
        if self._encoder is None:
            self._use(self._encoders.choose(self._options.encoder))

    def make(self, packet: Packet, key_wanted: bool = False) -> Coded:
        """The access unit of ``packet``'s picture.

        Args:
            packet: A whole JPEG.
            key_wanted: Make it a keyframe, if the last one that was wanted was 0.5 s ago or more.

        Raises:
            Undecodable: Not a whole JPEG.
            Unencodable: A size that can't be encoded.
        """
        self.prepare()
        assert self._frames is not None
        source = self._frames.decode(packet.payload)
        frame = self._frames.fit(source)
        job = self._job
        fresh = (
            job is None
            or packet.epoch != self._epoch
            or (frame.width, frame.height) != (job.width_px, job.height_px)
            or packet.pts_ns <= self._last_ns
        )
        if packet.epoch != self._epoch:
            self._rate.forget()
        elif self._last_ns:
            self._rate.add((packet.pts_ns - self._last_ns) / 1e9)
        due = not fresh and self._keys.is_due(packet.pts_ns, key_wanted, self._rate.interval_s)
        if job is None or fresh or (due and self._rate.has_left(job.fps)):
            self._open(self._job_for(source, frame), packet)
            due = True
        self._last_ns = packet.pts_ns
        try:
            payload, key = self._encode(frame, packet.pts_ns, due)
        except FFmpegError as error:
            payload, key = self._encode_otherwise(error, packet, source)
        if key:
            self._keys.made(packet.pts_ns, key_wanted, fresh)
        assert self._job is not None
        return Coded(payload, key, self._job.width_px, self._job.height_px)

    def _use(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._frames = JpegFrames(self._rendition.width_px, encoder.pixel_format)

    def _job_for(self, source: VideoFrame, frame: VideoFrame) -> Job:
        options, quality = self._options, self._rendition.quality
        step = round((QUALITY_OF_CRF - quality) * CRF_PER_QUALITY) if quality else 0
        crf = min(max(options.crf + step, CRF_RANGE[0]), CRF_RANGE[1])
        # Six steps of quality halve the bits; of a picture with a quarter of the pixels, a third is needed.
        finer = 2 ** ((options.crf - crf) / 6)
        smaller = (frame.width * frame.height / (source.width * source.height)) ** 0.75
        usual = VGA_KBPS * (source.width * source.height / VGA_PX) ** 0.75
        return Job(
            width_px=frame.width,
            height_px=frame.height,
            fps=self._rate.fps,
            crf=crf,
            max_kbps=max(32, math.ceil((options.max_bitrate_kbps or usual) * smaller * min(finer, 1.0))),
            kbps=max(32, math.ceil(options.bitrate_kbps * smaller * finer)) if options.bitrate_kbps else 0,
            preset=options.preset,
        )

    def _open(self, job: Job, packet: Packet) -> None:
        assert self._encoder is not None
        try:
            self._context = open_encoder(self._encoder, job)
        except FFmpegError as error:
            self._context = self._job = None
            if self._encoder.name == SOFTWARE:
                raise Unencodable(f"{job.width_px} x {job.height_px} px: {error.strerror}") from None
            self._fall_back(error)
            self._open(job, packet)
            return
        self._job = job
        self._epoch = packet.epoch
        self._began_ns = packet.pts_ns
        self._ticks = -1

    def _encode(self, frame: VideoFrame, pts_ns: int, key: bool) -> tuple[bytes, bool]:
        assert self._job is not None
        # A decoded JPEG says of itself that it is a keyframe, and x264 would make each one.
        frame.pict_type = PictureType.I if key else PictureType.NONE
        self._ticks = max(self._ticks + 1, (pts_ns - self._began_ns) * TICKS_HZ // 1_000_000_000)
        frame.pts, frame.time_base = self._ticks, TIME_BASE
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise FFmpegError(0, "it gave no picture back in time")
        return tidy(bytes(packets[0]), self._job.fps), packets[0].is_keyframe

    def _encode_otherwise(self, error: FFmpegError, packet: Packet, source: VideoFrame) -> tuple[bytes, bool]:
        """The encoder broke: software takes over with this very picture."""
        assert self._encoder is not None and self._job is not None
        job = self._job
        self._context = self._job = None
        if self._encoder.name == SOFTWARE:
            raise Unencodable(str(error)) from None
        self._fall_back(error)
        assert self._frames is not None
        self._open(job, packet)
        return self._encode(self._frames.fit(source), packet.pts_ns, True)

    def _fall_back(self, error: FFmpegError) -> None:
        assert self._encoder is not None
        self._encoders.failed(self._encoder.name, error.strerror or str(error))
        self._use(self._encoders.choose("software"))
