"""Cuts a camera's fragments into the segments and parts of HLS.

Theory of operation. `Segmenter` is fed one fragment of MP4 per picture (`output/fragments.py`). It holds the pictures
of the part in the making. When the picture arrives that begins the next part, the last one's duration is known: the
part is closed, as one fragment with exact durations, and never changes again. A segment begins with a key picture; one
is asked for when it is time. What does not follow (another init segment, the device's restart, a silence) begins a
segment that says so; until its key picture comes, nothing is taken.

Names hold the segment's number and four random bytes of this run. The numbers begin at the clock's seconds, and a
segment lasts longer than one: so they rise over restarts, and what a cache keeps for good is never wrong.
"""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from framecast.core.packet import Packet
from framecast.wire import fmp4, m3u8

PART_S = 0.4
"""A part ends with the picture nearest to this length."""
PART_TARGET_S = 0.5
"""No part is longer where the camera sends three pictures a second or more; else as long as two pictures are apart."""
SEGMENT_S = 2.0
FIRST_SEGMENTS_S = (0.5, 1.0)
"""The first ones are shorter: most players want whole segments to begin with."""
EARLY = 0.75
"""A key picture ends a segment that has so much of its length."""
TARGET_S = 3
"""Longest segment in whole seconds, unless a camera that codes by itself sends key pictures less often."""
LISTED = 8
"""Segments in the playlist, besides the one in the making."""
KEPT = 12
"""Segments that can still be had; players are behind the playlist they read."""
MOST_BYTES = 64 << 20
"""Most bytes of a camera's segments; the oldest go first."""
SILENCE_S = 4.0
"""A longer one, also longer than three times the last interval, is not bridged."""
MOST_SOUND = 200
"""Blocks of sound without a picture, after which further ones are dropped."""

_HZ = fmp4.VIDEO_TIMESCALE


@dataclass(slots=True)
class Piece:
    """A finished part: a name, bytes, and what the playlist says of it."""

    name: str
    payload: bytes | memoryview
    duration_s: float
    independent: bool
    pictures: int


@dataclass(slots=True)
class Cut:
    """A segment, finished or in the making.

    Attributes:
        sequence: Its number.
        began_ns: Capture time of its first picture.
        began_at: The same in ticks of the media's time.
        init: Name of its init segment.
        discontinuous: It does not follow the one before.
        parts: So far.
        payload: All parts, once it is finished.
    """

    sequence: int
    began_ns: int
    began_at: int
    init: str
    discontinuous: bool
    parts: list[Piece] = field(default_factory=list)
    payload: bytes = b""

    @property
    def duration_s(self) -> float:
        """Of its parts so far."""
        return sum(part.duration_s for part in self.parts)

    @property
    def pictures(self) -> int:
        """How many are in it so far."""
        return sum(part.pictures for part in self.parts)

    def finish(self) -> None:
        """Keep the bytes once: the parts become views of the whole."""
        self.payload = b"".join(part.payload for part in self.parts)
        whole, at = memoryview(self.payload), 0
        for part in self.parts:
            end = at + len(part.payload)
            part.payload = whole[at:end]
            at = end


@dataclass(slots=True)
class _Picture:
    at: int
    guess: int
    data: bytes
    key: bool


class Segmenter:
    """One run of HLS of one camera.

    Args:
        now_s: The clock's seconds, the number of the first segment.
        want_key: Called when a segment should end.
        on_change: Called when there is another part to be had, or none any more.

    Attributes:
        segments: Finished ones, the oldest first.
        open: The one in the making, None before the first key picture.
        inits: Init segments that segments refer to, by name.
    """

    def __init__(self, now_s: int, want_key: Callable[[], None], on_change: Callable[[], None]) -> None:
        self.segments: deque[Cut] = deque()
        self.open: Cut | None = None
        self.inits: dict[str, bytes] = {}
        self._want_key = want_key
        self._on_change = on_change
        self._run = secrets.token_hex(4)
        self._next = now_s
        self._made = 0
        self._fragments = 0
        self._set = 0
        self._discontinuities = 0
        self._open_bytes = 0
        self._init = ""
        self._epoch = 0
        self._broken = False
        self._interval = 0
        self._pictures: list[_Picture] = []
        self._sound: list[tuple[int, bytes]] = []
        self._part_began = 0
        self._asked_at = 0

    # What comes in.

    def set_init(self, data: bytes) -> None:
        """Another init segment holds from the next key picture on."""
        self._break_off()
        self._set += 1
        self._init = f"init-{self._set}-{self._run}.mp4"
        self.inits[self._init] = data

    def clear(self) -> None:
        """Forget all pictures; what comes next does not follow."""
        self._pictures.clear()
        self._sound.clear()
        self._broken = self._broken or self.open is not None or bool(self.segments)
        self.segments.clear()
        self.open = None
        self._on_change()

    def push(self, packet: Packet) -> None:
        """Take a fragment."""
        _, runs = fmp4.read_fragment(packet.payload)
        for run in runs:
            if run.track_id == fmp4.VIDEO_ID:
                sample = run.samples[0]
                self._see(packet, _Picture(run.decode_time, sample.duration, sample.data, packet.key))
        for run in runs:
            if run.track_id == fmp4.AUDIO_ID and self.open is not None:
                at = run.decode_time
                for sample in run.samples[: MOST_SOUND - len(self._sound)]:
                    self._sound.append((at, sample.data))
                    at += sample.duration

    def _see(self, packet: Packet, picture: _Picture) -> None:
        if packet.epoch != self._epoch:
            if self._epoch:
                self._break_off()
            self._epoch = packet.epoch
        if self._pictures:
            last = self._pictures[-1].at
            interval = picture.at - last
            silence = max(SILENCE_S * _HZ, 3 * self._interval)
            if interval <= 0 or (self._interval and interval > silence):
                self._break_off()
            self._interval = max(interval, 1)
        cut = self.open
        if cut is None:
            if not picture.key:
                self._want_key()
                return
        else:
            length = picture.at - cut.began_at
            wanted = self._wanted_s * _HZ
            if picture.key and length >= EARLY * wanted:
                self._close_part(picture.at)
                self._close_segment()
            elif 2 * (picture.at - self._part_began) + self._interval > 2 * PART_S * _HZ:
                self._close_part(picture.at)
            if not picture.key and length >= wanted - self._interval and picture.at - self._asked_at > _HZ // 2:
                self._asked_at = picture.at
                self._want_key()
        if self.open is None:
            self.open = Cut(self._next, packet.pts_ns, picture.at, self._init, self._broken)
            self._discontinuities += self._broken
            self._next += 1
            self._broken = False
            self._open_bytes = 0
        if not self._pictures:
            self._part_began = picture.at
        self._pictures.append(picture)
        self._open_bytes += len(picture.data)
        if self._open_bytes > MOST_BYTES // 2:  # no key picture comes
            self.clear()

    @property
    def _wanted_s(self) -> float:
        return FIRST_SEGMENTS_S[self._made] if self._made < len(FIRST_SEGMENTS_S) else SEGMENT_S

    # What goes out.

    def _break_off(self) -> None:
        """What comes next does not follow: finish what there is."""
        if self._pictures:
            last = self._pictures[-1]
            self._close_part(last.at + last.guess)
        if self.open is not None:
            self._close_segment()
            self._broken = True
        self._interval = 0
        self._sound.clear()

    def _close_part(self, end: int) -> None:
        """Finish the part in the making, which ends where the next picture begins."""
        cut, pictures = self.open, self._pictures
        if cut is None or not pictures:
            return
        self._pictures = []
        times = [*(picture.at for picture in pictures), end]
        samples = [
            fmp4.Sample(picture.data, max(times[index + 1] - picture.at, 1), picture.key)
            for index, picture in enumerate(pictures)
        ]
        runs = [fmp4.TrackRun(fmp4.VIDEO_ID, pictures[0].at, samples)]
        if self._sound:
            runs.append(_sound_run(self._sound))
            self._sound = []
        duration_s = (end - pictures[0].at) / _HZ
        name = f"part-{cut.sequence}-{len(cut.parts)}-{self._run}.m4s"
        self._fragments += 1
        payload = fmp4.fragment(self._fragments, runs)
        cut.parts.append(Piece(name, payload, duration_s, pictures[0].key, len(pictures)))
        self._part_began = end
        self._on_change()

    def _close_segment(self) -> None:
        cut = self.open
        assert cut is not None
        self.open = None
        cut.finish()
        self._made += 1
        self.segments.append(cut)
        kept_bytes = sum(len(segment.payload) for segment in self.segments)
        while len(self.segments) > KEPT or (kept_bytes > MOST_BYTES and len(self.segments) > 1):
            kept_bytes -= len(self.segments.popleft().payload)
        named = {segment.init for segment in self.segments} | {self._init}
        self.inits = {name: data for name, data in self.inits.items() if name in named}

    def playlist(self) -> m3u8.Playlist:
        """What can be had now."""
        cuts = list(self.segments)[-LISTED:]
        said = [_said(cut, f"seg-{cut.sequence}-{self._run}.m4s") for cut in cuts]
        if self.open is not None:
            cuts.append(self.open)
            if self.open.parts:
                said.append(_said(self.open, ""))
        return m3u8.Playlist(
            segments=said,
            sequence=cuts[0].sequence if cuts else self._next,
            discontinuities=self._discontinuities - sum(cut.discontinuous for cut in cuts),
            target_s=max((TARGET_S, *(int(segment.duration_s + 0.5) for segment in said))),
            part_target_s=max((PART_TARGET_S, *(part.duration_s for segment in said for part in segment.parts))),
            hint=self.hint,
        )

    @property
    def hint(self) -> str:
        """Name of the part that comes next."""
        sequence, number = self._position
        return f"part-{sequence}-{number}-{self._run}.m4s"

    @property
    def _position(self) -> tuple[int, int]:
        """Number of the segment in the making, and how many parts it has."""
        return (self._next, 0) if self.open is None else (self.open.sequence, len(self.open.parts))

    def find(self, name: str) -> tuple[bytes | memoryview, int] | None:
        """The bytes of a segment, part or init segment, and how many pictures are in it; None when there is none."""
        init = self.inits.get(name)
        if init is not None:
            return init, 0
        kind, _, rest = name.partition("-")
        number, _, rest = rest.partition("-")
        cuts = self.segments if self.open is None else (*self.segments, self.open)
        for cut in cuts:
            if str(cut.sequence) == number:
                if kind == "seg" and cut.payload and rest == f"{self._run}.m4s":
                    return cut.payload, cut.pictures
                return next(((part.payload, part.pictures) for part in cut.parts if part.name == name), None)
        return None

    def has(self, wanted: m3u8.Wanted) -> bool:
        """Whether a playlist would now hold what is waited for."""
        sequence, part = wanted
        current, parts = self._position
        if part is None or sequence > current:
            return sequence < current
        finished = next((each for each in self.segments if each.sequence == sequence), None)
        if finished is not None and part >= len(finished.parts):
            sequence, part = sequence + 1, 0  # as the protocol has it: the first one of what follows
        return sequence < current or (sequence == current and part < parts)

    @property
    def newest(self) -> int:
        """Number of the newest segment, finished or in the making."""
        return self._next - 1

    @property
    def bandwidth(self) -> int:
        """Most bits a second of any segment kept; 0 before the first."""
        return max((round(len(cut.payload) * 8 / max(cut.duration_s, 0.1)) for cut in self.segments), default=0)


def _sound_run(sound: list[tuple[int, bytes]]) -> fmp4.TrackRun:
    """Blocks as one run: one that is followed by a gap lasts until its end."""
    times = [at for at, _ in sound]
    durations = [max(after - at, 1) for at, after in itertools.pairwise(times)]
    samples = [fmp4.Sample(data, lasts) for (_, data), lasts in zip(sound, [*durations, 1024], strict=True)]
    return fmp4.TrackRun(fmp4.AUDIO_ID, times[0], samples)


def _said(cut: Cut, uri: str) -> m3u8.Segment:
    parts = [m3u8.Part(part.name, part.duration_s, part.independent) for part in cut.parts]
    return m3u8.Segment(uri, cut.duration_s, cut.began_ns, cut.init, parts, cut.discontinuous)
