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
from functools import partial

from av.video.frame import VideoFrame

from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.process.coding import Coded
from framecast.process.encoders import SHARED, Encoders, Job
from framecast.process.h264encoder import OpenEncoder
from framecast.process.h264timing import KeySchedule, RateMeter
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
        self._frames = JpegFrames(rendition.width_px)
        self._encoder = OpenEncoder(options.encoder, encoders)
        self._epoch = 0
        self._frame_id = -1
        self._last_ns = 0
        self._keys = KeySchedule(options.gop_s)
        self._rate = RateMeter(rendition.fps)

    def prepare(self) -> None:
        """Find the encoder, if `make` is not to do it: the first time it can take seconds, where drivers hang.

        Raises:
            Misuse: One is configured that nobody has.
        """
        self._encoder.prepare()

    def make(self, packet: Packet, key_wanted: bool = False) -> Coded:
        """The access unit of ``packet``'s picture.

        Args:
            packet: A whole JPEG.
            key_wanted: Make it a keyframe, if the last one that was wanted was 0.5 s ago or more. A picture that is
                coded once more always is one.

        Raises:
            Undecodable: Not a whole JPEG.
            Unencodable: A size that can't be encoded.
        """
        self.prepare()
        source = self._frames.decode(packet.payload)
        size_px = self._frames.fitted_px(source)
        job = self._encoder.job
        fresh = (
            job is None
            or packet.epoch != self._epoch
            or size_px != (job.width_px, job.height_px)
            or packet.pts_ns <= self._last_ns
        )
        again = packet.epoch == self._epoch and packet.frame_id == self._frame_id
        if packet.epoch != self._epoch:
            self._rate.forget()
        elif self._last_ns and not again:
            self._rate.add((packet.pts_ns - self._last_ns) / 1e9)
        due = not fresh and (again or self._keys.is_due(packet.pts_ns, key_wanted, self._rate.interval_s))
        if job is None or fresh or (due and self._rate.has_left(job.fps)):
            job = self._job_for(source, *size_px)
            self._encoder.open(job, packet.pts_ns)
            self._epoch = packet.epoch
            due = True
        self._last_ns, self._frame_id = packet.pts_ns, packet.frame_id
        payload, key = self._encoder.encode(partial(self._frames.fit, source), packet.pts_ns, due)
        if key:
            self._keys.made(packet.pts_ns, key_wanted, fresh)
        return Coded(payload, key, job.width_px, job.height_px)

    def _job_for(self, source: VideoFrame, width_px: int, height_px: int) -> Job:
        options, quality = self._options, self._rendition.quality
        step = round((QUALITY_OF_CRF - quality) * CRF_PER_QUALITY) if quality else 0
        crf = min(max(options.crf + step, CRF_RANGE[0]), CRF_RANGE[1])
        # Six steps of quality halve the bits; of a picture with a quarter of the pixels, a third is needed.
        finer = 2 ** ((options.crf - crf) / 6)
        smaller = (width_px * height_px / (source.width * source.height)) ** 0.75
        usual = VGA_KBPS * (source.width * source.height / VGA_PX) ** 0.75
        return Job(
            width_px=width_px,
            height_px=height_px,
            fps=self._rate.fps,
            crf=crf,
            max_kbps=max(32, math.ceil((options.max_bitrate_kbps or usual) * smaller * min(finer, 1.0))),
            kbps=max(32, math.ceil(options.bitrate_kbps * smaller * finer)) if options.bitrate_kbps else 0,
            preset=options.preset,
        )
