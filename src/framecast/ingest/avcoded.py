"""H.264 that a camera sends itself: handed on untouched, decoded only while pictures are wanted.

Theory of operation. A stream passes as it is when every player can show it in the order in which it comes: baseline,
main or high profile, and no pictures that refer to later ones (B-frames), which show as such in their slices. What
FFmpeg says beforehand is a hint: where it expects reordering, the stream is decoded at first and passes from a keyframe
on once enough pictures without have come; one B-frame ends it for good.

A time that goes back, or leaps, is a clock that was set or a source that began anew: what comes next may refer to what
never came, so the stream goes on at the next keyframe. Where that happens again and again pictures are out of order.

Pictures can't be decoded from anywhere. So what came since the last keyframe is kept, and decoded in one go when a
viewer of JPEGs joins: he sees a picture with the next one that comes, and not with the next keyframe.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from av.error import FFmpegError

from framecast.ingest.avoutlet import Unit
from framecast.wire import h264

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PASSABLE_PROFILES = frozenset({66, 77, 100})
SURE_AFTER = 50
"""Pictures without a B-frame after which FFmpeg's guess that there are some is wrong."""
LONGEST_GROUP_S = 20.0
"""A stream without a keyframe for longer is none that viewers can join; it is coded anew. A leap over more is odd."""
MOST_ODD, ODD_WITHIN = 3, 50
"""So many odd times in so many pictures end it for good."""
MOST_KEPT, MOST_KEPT_BYTES = 600, 8 << 20
_B_SLICES = (1, 6)


class Passage:
    """Makes access units of a stream's packets, and finds out whether they may pass.

    Args:
        extradata: What the container says: an avcC body, Annex B, or nothing.
        reorders: Whether FFmpeg expects B-frames.

    Attributes:
        open: Whether units may pass now.
    """

    def __init__(self, extradata: bytes, reorders: bool) -> None:
        self._length_bytes = 0
        self._sets: h264.ParameterSets | None = None
        self._size: tuple[int, int] | None = None
        self._last_s: float | None = None
        self._key_s: float | None = None
        self._pictures = 0
        self._odd: deque[int] = deque(maxlen=MOST_ODD)
        self._without_b = 0
        self._never = False
        self.open = not reorders
        try:
            if extradata[:1] == b"\x01":
                self._sets, self._length_bytes = h264.parse_avcc(extradata)
            elif extradata:
                self._sets = h264.parameter_sets(extradata)
        except h264.H264Error:
            self.close()

    def close(self) -> None:
        """It may not pass, for good."""
        self.open, self._never = False, True

    def restart(self) -> None:
        """The stream begins again: times go back."""
        self._last_s = self._key_s = None
        self._size = None

    def unit(self, data: bytes, at_s: float | None) -> Unit | None:
        """The access unit in a packet; None without a picture, before the first keyframe, or when it may not pass.

        Args:
            data: As the container gave it.
            at_s: Its time of presentation.

        Raises:
            H264Error: It is damaged.
        """
        if self._never:
            return None
        try:
            units = h264.split(h264.from_avcc(data, self._length_bytes) if self._length_bytes else data)
        except h264.H264Error:
            self._size = None  # what follows refers to it: wait for a keyframe
            raise
        kinds = [h264.kind(unit) for unit in units]
        key = h264.IDR in kinds
        if not key and h264.SLICE not in kinds:
            self._sets = h264.parameter_sets(h264.join(units)) or self._sets
            return None
        self._see_slices(units, kinds)
        self._see_time(at_s, key)
        if key:
            try:
                self._see_key(units, kinds)
            except h264.H264Error:
                self.close()
        if not self.open or self._size is None:
            return None
        # Only one delimiter may stand in a unit, and before the parameter sets (7.4.1.2.3): whoever needs one makes it.
        units = [unit for unit, kind in zip(units, kinds, strict=True) if kind != h264.DELIMITER]
        if key and h264.SPS not in kinds and self._sets is not None:
            units = [self._sets.sps, *self._sets.pps, *units]
        return Unit(h264.join(units), key, *self._size)

    def _see_slices(self, units: list[bytes], kinds: list[int]) -> None:
        self._without_b += 1
        first = next((unit for unit, kind in zip(units, kinds, strict=True) if kind == h264.SLICE), None)
        if first is not None and slice_type(first) in _B_SLICES:
            self.close()

    def _see_time(self, at_s: float | None, key: bool) -> None:
        self._pictures += 1
        if at_s is None:
            return
        last_s, self._last_s = self._last_s, at_s
        if key or self._key_s is None:
            self._key_s = at_s
        elif last_s is not None and not 0.0 <= at_s - last_s <= LONGEST_GROUP_S:
            self._odd.append(self._pictures)
            if len(self._odd) == MOST_ODD and self._pictures - self._odd[0] < ODD_WITHIN:
                self.close()
            self._size = None
            self._key_s = at_s
            self._without_b = 0
        elif at_s - self._key_s > LONGEST_GROUP_S:
            self.close()

    def _see_key(self, units: list[bytes], kinds: list[int]) -> None:
        if h264.SPS in kinds:
            self._sets = h264.parameter_sets(h264.join(units)) or self._sets
        if self._sets is None:
            return
        info = h264.parse_sps(self._sets.sps)
        self._size = (info.width_px, info.height_px)
        if info.profile not in PASSABLE_PROFILES:
            self.close()
        elif self._without_b > SURE_AFTER and not self._never:
            self.open = True


def slice_type(unit: bytes) -> int:
    """The type of a slice (7.3.3): 0 P, 1 B, 2 I, 3 SP, 4 SI, and 5 more where all of the picture's are alike."""
    plain = unit[1:12].replace(b"\x00\x00\x03", b"\x00\x00")
    bits = f"{int.from_bytes(plain):0{len(plain) * 8}b}"
    at = 0
    value = 0
    for _ in range(2):  # first_mb_in_slice, slice_type: Exp-Golomb numbers
        one = bits.find("1", at)
        if one < 0 or 2 * one - at >= len(bits):
            return 0
        end = 2 * one - at + 1
        value = int(bits[one:end], 2) - 1
        at = end
    return value


class Pictures:
    """Decodes access units, in one go where some were kept.

    Args:
        codec: The stream's decoder, not yet open.
    """

    def __init__(self, codec: VideoCodecContext) -> None:
        self._codec = codec
        # So that a picture says which unit it comes from, however late the decoder gives it.
        codec.copy_opaque = True
        self._kept: deque[tuple[Packet[VideoStream], bool]] = deque()
        self._kept_bytes = 0
        self._broken = False

    @property
    def kept(self) -> int:
        """Units that wait to be decoded."""
        return len(self._kept)

    def keep(self, packet: Packet[VideoStream], token: int, key: bool) -> None:
        """Take one unit; what came before a keyframe is forgotten."""
        if key:
            self.forget()
        elif self._broken:
            return
        packet.opaque = token
        self._kept.append((packet, key))
        self._kept_bytes += packet.size
        if len(self._kept) > MOST_KEPT or self._kept_bytes > MOST_KEPT_BYTES:
            self.forget()
            self._broken = True

    def forget(self) -> None:
        """Keep nothing; go on with a keyframe."""
        self._kept.clear()
        self._kept_bytes = 0
        self._broken = False

    def decode(self) -> tuple[list[VideoFrame], int]:
        """The pictures of all units kept, and how many were damaged. A picture's ``opaque`` is its unit's token."""
        frames: list[VideoFrame] = []
        damaged = 0
        while self._kept:
            packet, _ = self._kept.popleft()
            try:
                frames += self._codec.decode(packet)
            except FFmpegError:
                damaged += 1
        self._kept_bytes = 0
        return frames, damaged
