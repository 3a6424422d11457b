"""One connection to a camera, or one file, through FFmpeg. Runs in a thread of its own and blocks."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import av
from av.container import Flags
from av.error import ArgumentError, ExitError, FFmpegError, HTTPClientError, HTTPError, InvalidDataError

from framecast.core.errors import BadStatus, DeviceError, ProtocolError, Stalled, Unreachable
from framecast.core.pacer import Pacer
from framecast.ingest.avcoded import Passage, Pictures
from framecast.ingest.avjpeg import JpegEncoder
from framecast.ingest.avoutlet import Order, Outlet
from framecast.ingest.avsound import Sound
from framecast.ingest.huffman import with_tables
from framecast.wire.h264 import H264Error

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


FOLLOWS_REDIRECTS = av.library_versions["libavformat"] < (62, 12, 0)
"""Whether this FFmpeg follows an RTSP redirect without asking the list of protocols."""
LONGEST_GAP_S = 5.0
"""A longer gap between two pictures of a file is a fault of its stamps."""
INSTANT_S = 0.0005
"""A packet that took no longer to read had been here before."""
BACKLOG_PACKETS = 8
"""So many of those in a row: a backlog, newer pictures are on their way."""
BACKLOG_FPS = 5.0
"""Of a backlog only so many pictures a second are encoded: one sees that something comes, and it catches up."""
BLOCKS_PX = 100_000
"""Decoders reckon in whole blocks with room around: a picture is a tenth larger there, and a small one by so much."""

_FINAL = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBUSY})
_GEN_PTS: Any = Flags.gen_pts.value
_NAMES = {
    "h264": "H.264",
    "hevc": "H.265",
    "mjpeg": "MJPEG",
    "mpeg4": "MPEG-4",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
}
_STATUSES = {
    "HTTPBadRequestError": 400,
    "HTTPUnauthorizedError": 401,
    "HTTPForbiddenError": 403,
    "HTTPNotFoundError": 404,
    "HTTPTooManyRequestsError": 429,
    "HTTPOtherClientError": 400,
}


class Timeline:
    """Media times of pictures, in seconds, strictly rising whatever the container says.

    Args:
        interval_s: From one picture to the next where nothing is said.
        longest_gap_s: Longer leaps forward are taken for one interval; 0 for no limit.
    """

    def __init__(self, interval_s: float, longest_gap_s: float = 0.0) -> None:
        self._interval_s = interval_s
        self._longest_gap_s = longest_gap_s
        self._offset_s = 0.0
        self._last_s: float | None = None

    def at(self, stamp_s: float | None) -> float:
        """The media time of a picture that its container puts at ``stamp_s``."""
        if self._last_s is None:
            self._offset_s = -(stamp_s or 0.0)
            self._last_s = 0.0
            return 0.0
        due_s = self._last_s + self._interval_s
        media_s = due_s if stamp_s is None else stamp_s + self._offset_s
        too_far = self._longest_gap_s and media_s - self._last_s > self._longest_gap_s
        if media_s <= self._last_s or too_far:
            # The stamps begin anew: at the start of a file, or after a camera's restart.
            self._offset_s += due_s - media_s
            media_s = due_s
        self._last_s = media_s
        return media_s

    @property
    def reached_s(self) -> float | None:
        """Where the container puts the latest picture; None before the first."""
        return None if self._last_s is None else self._last_s - self._offset_s

    @property
    def end_s(self) -> float | None:
        """Where the container puts the end of the latest picture."""
        return None if self.reached_s is None else self.reached_s + self._interval_s

    def beside(self, stamp_s: float) -> float:
        """The media time of something else that the same container puts at ``stamp_s``."""
        return stamp_s + self._offset_s


class Session:
    """Opens, reads and hands over until the end, or until the outlet is closed.

    Args:
        order: What to open and what to make of it.
        outlet: Where pictures go.
    """

    def __init__(self, order: Order, outlet: Outlet) -> None:
        self._order = order
        self._target = order.target
        self._outlet = outlet
        # A kilobyte may claim any size, and FFmpeg makes room for some pictures of it before a byte of one has come.
        self._decoding = {"max_pixels": str(order.max_pixels * 11 // 10 + BLOCKS_PX)}
        self._encoder = JpegEncoder(order.quality)
        self._pacer = Pacer(order.fps) if order.fps else None
        self._backlog = Pacer(BACKLOG_FPS)
        self._instant = 0
        self._passed = 0
        self._began_ns = 0
        self._sound: Sound | None = None
        self._passage: Passage | None = None
        self._pictures: Pictures | None = None
        self._passing = False

    def run(self) -> None:
        """See the class.

        Raises:
            DeviceError: What came between.
        """
        asked_at = time.monotonic()
        try:
            with self._open() as container:
                self._read(container)
        except FFmpegError as error:
            if not self._outlet.closed.is_set():
                raise self._explained(error, time.monotonic() - asked_at) from error

    def _open(self) -> InputContainer:
        target = self._target
        *first, last = target.options
        for options in first:
            try:
                return self._open_with(options)
            except FFmpegError as error:
                if error.errno in _FINAL or self._outlet.closed.is_set():
                    raise
        return self._open_with(last)

    def _open_with(self, options: dict[str, str]) -> InputContainer:
        timeout_s = self._order.timeout_s
        container: InputContainer = av.open(
            self._target.name,
            format=self._target.demuxer or None,
            options={**options, **self._decoding},
            metadata_errors="replace",  # titles come in the letters of the country where a camera is from
            timeout=(timeout_s, timeout_s),
        )
        return container

    def _read(self, container: InputContainer) -> None:
        # FFmpeg's guesses are worse than none where pictures are stored out of order (AVI).
        container.flags &= ~_GEN_PTS
        if not container.streams.video:
            raise ProtocolError(f"{self._target.address} holds no pictures")
        stream = next((each for each in container.streams.video if each.codec_context is not None), None)
        if stream is None:
            raise ProtocolError(f"{self._target.address} sends pictures of a kind that FFmpeg has no decoder for")
        codec = stream.codec_context
        if codec.width * codec.height > self._order.max_pixels:
            size = f"{codec.width}x{codec.height}"
            raise ProtocolError(
                f"{self._target.address} sends pictures of {size}, which are too large (limits.max_pixels)"
            )
        codec.options = self._decoding
        # Threads by frame would hold back a picture for each of them.
        codec.thread_type = "SLICE"
        codec.thread_count = 1
        name = _NAMES.get(codec.name, codec.name)
        self._outlet.connected(f"{self._target.kind} ({name} {codec.width}x{codec.height})", self._target.address)
        if codec.name == "h264":
            self._passage = Passage(codec.extradata or b"", codec.has_b_frames)
            self._pictures = Pictures(codec)
        self._pass_on(self._passage is not None and self._passage.open)
        heard = next((each for each in container.streams.audio if each.codec_context is not None), None)
        if heard is not None:
            self._sound = Sound(heard)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        timeline = Timeline(1 / min(max(rate, 0.1), 240), 0.0 if self._target.live else LONGEST_GAP_S)
        while True:
            before = self._passed
            self._pass(container, stream, timeline)
            if self._target.live or self._outlet.closed.is_set():
                return
            if self._passed == before:
                raise ProtocolError(f"{self._target.address} holds no picture that can be read")
            try:
                container.seek(0)
            except FFmpegError:
                return  # bare access units can't be gone back in; whoever reads them opens the file again

    def _pass(self, container: InputContainer, stream: VideoStream, timeline: Timeline) -> None:
        """Once through to the end."""
        for each in (self._sound, self._passage):
            if each is not None:
                each.restart()
        if self._pictures is not None:
            self._pictures.forget()
        as_it_is = stream.codec_context.name == "mjpeg"
        before, began = self._passed, False
        for packet in self._packets(container, stream):
            if packet.stream is not stream:
                # Before the first picture nobody knows where the sound lies.
                if began and self._sound is not None and not self._sound.take(packet):
                    self._outlet.fault("corrupt_sound")
            elif as_it_is:
                if packet.size:
                    media_s = timeline.at(_seconds(packet))
                    if self._due(media_s):
                        self._outlet.picture(with_tables(bytes(packet)), self._unix_s(media_s))
            elif self._passage is None or not self._take_unit(self._passage, packet, timeline):
                self._take_pictures(packet, timeline)
            began = self._passed > before
            if began:
                self._say_sound(timeline)
        if began:
            self._say_sound(timeline, ended=True)

    def _take_unit(self, passage: Passage, packet: Packet[VideoStream], timeline: Timeline) -> bool:
        """Hand a packet on as it is; whether that is all there is to do with it."""
        if not packet.size:
            return self._passing
        try:
            unit = passage.unit(bytes(packet), _seconds(packet))
        except H264Error:
            self._outlet.fault("corrupt_scan")
            return self._passing
        if passage.open is not self._passing:
            self._pass_on(passage.open)
        if not self._passing:
            return False
        if unit is None:
            return True
        media_s = timeline.at(_seconds(packet))
        self._passed += 1
        if not self._reached(media_s):
            return True
        token = self._outlet.unit(unit, self._unix_s(media_s))
        assert self._pictures is not None
        self._pictures.keep(packet, token, unit.key)
        if self._outlet.wants_pictures and self._worth_a_picture(media_s):
            self._show_newest(self._pictures)
        return True

    def _pass_on(self, passing: bool) -> None:
        """From here on units pass, or don't any more."""
        self._passing = passing
        self._outlet.codes_itself(passing)
        if self._pictures is not None and not passing:
            self._pictures.decode()  # what comes next refers to it

    def _show_newest(self, pictures: Pictures) -> None:
        frames, damaged = pictures.decode()
        for _ in range(damaged):
            self._outlet.fault("corrupt_scan")
        if frames and not frames[-1].is_corrupt:
            token: Any = frames[-1].opaque
            self._outlet.picture_of(token, self._encoder.encode(frames[-1]))

    def _take_pictures(self, packet: Packet[VideoStream], timeline: Timeline) -> None:
        for frame in self._decoded(packet):
            media_s = timeline.at(_seconds(frame))
            if frame.is_corrupt:
                self._outlet.fault("corrupt_scan")
            elif self._due(media_s):
                self._outlet.picture(self._encoder.encode(frame), self._unix_s(media_s))

    def _say_sound(self, timeline: Timeline, *, ended: bool = False) -> None:
        """Hand on the sound that has been reached: of a file what lies before the picture shown, else all.

        Args:
            ended: The file is over, and so is the last picture: what lies beside it belongs to this pass.
        """
        if self._sound is None:
            return
        for block in self._sound.until(None if self._target.live else timeline.end_s if ended else timeline.reached_s):
            self._outlet.sound(block, self._unix_s(timeline.beside(block.at_s)))

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
        read = (stream, self._sound.stream) if self._sound is not None else (stream,)
        packets: Iterator[Any] = container.demux(*read)
        while not self._outlet.closed.is_set():
            asked_at = time.monotonic()
            packet = next(packets, None)
            if packet is None:
                return
            if packet.stream is stream:
                self._instant = self._instant + 1 if time.monotonic() - asked_at < INSTANT_S else 0
            yield packet

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except FFmpegError:  # damaged, or larger than it may be
            self._outlet.fault("corrupt_scan")
            return []

    def _due(self, media_s: float) -> bool:
        """Wait for a file's picture; whether this one is to go out."""
        self._passed += 1
        thinned = self._pacer is not None and not self._pacer.take(round(media_s * 1e9))
        return not thinned and self._reached(media_s) and not self._is_backlog()

    def _worth_a_picture(self, media_s: float) -> bool:
        """Whether a JPEG is to be made of what passes."""
        return (self._pacer is None or self._pacer.take(round(media_s * 1e9))) and not self._is_backlog()

    def _is_backlog(self) -> bool:
        if not self._target.live or self._instant < BACKLOG_PACKETS:
            return False
        return not self._backlog.take(self._outlet.clock.now_ns())

    def _reached(self, media_s: float) -> bool:
        """Wait until a file is there; whether anybody still wants it then."""
        now_ns = self._outlet.clock.now_ns()
        if not self._began_ns:
            self._began_ns = now_ns
        if self._target.live:
            # What was buffered while FFmpeg looked comes in one burst: without this the stamps would lie ahead of time.
            self._began_ns = min(self._began_ns, now_ns - round(media_s * 1e9))
            return True
        wait_s = self._unix_s(media_s) - now_ns / 1e9
        if wait_s > 0:
            self._outlet.closed.wait(wait_s)
        elif wait_s < -LONGEST_GAP_S:
            # The machine slept, or can't keep up: go on from here instead of rushing through what was missed.
            self._began_ns = now_ns - round(media_s * 1e9)
        return not self._outlet.closed.is_set()

    def _unix_s(self, media_s: float) -> float:
        return self._began_ns / 1e9 + media_s

    def _explained(self, error: FFmpegError, after_s: float) -> DeviceError:
        """What ``error`` means for the owner of the camera."""
        target, seconds = self._target, self._order.timeout_s
        where = target.address
        if isinstance(error, HTTPError | HTTPClientError):
            status = _STATUSES.get(type(error).__name__, 500)
            hint = {401: ": user name or password are wrong or missing", 404: ": there is no such stream"}.get(
                status, ""
            )
            return BadStatus(f"{where} answered {status}{hint}", status)
        if isinstance(error, ExitError | av.error.TimeoutError) and self._passed:
            return Stalled(f"{where} sent nothing for {seconds:.0f} s", seconds)
        # A time-out of the socket comes back as one of several errors, depending on what FFmpeg was reading.
        silent = target.live and not self._passed and after_s >= 0.9 * seconds
        if silent or isinstance(error, ExitError | av.error.TimeoutError):
            return Unreachable(f"{where} did not answer within {seconds:.0f} s")
        if isinstance(error, ArgumentError) and target.kind == "RTSP":
            return Unreachable(f"{where} leads elsewhere, which is not followed: give the URL it leads to")
        if isinstance(error, av.error.FileNotFoundError):
            return Unreachable(f"{where} does not exist")
        if isinstance(error, av.error.PermissionError):
            group = "; its group (video) may" if target.kind == "V4L2" else ""
            return Unreachable(f"{where} may not be read by this user{group}")
        if isinstance(error, av.error.ConnectionRefusedError):
            return Unreachable(f"{where} refused the connection")
        if isinstance(error, InvalidDataError | av.error.EOFError):
            return ProtocolError(f"{where} sends nothing that FFmpeg can read")
        if error.errno == errno.EBUSY:
            return Unreachable(f"{where} is in use by another program")
        if error.errno == errno.EIO and target.kind == "RTSP":
            return Unreachable(f"{where} can't be reached: no such name, or no way there")
        return Unreachable(f"{where}: {error.strerror}")


def _seconds(unit: Packet[VideoStream] | VideoFrame) -> float | None:
    """Its time by its container: of presentation, or of decoding where only that is stored."""
    ticks = unit.dts if unit.pts is None else unit.pts
    return None if ticks is None or unit.time_base is None else float(ticks * unit.time_base)
