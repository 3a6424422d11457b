"""Cuts a camera's coded stream into the segments and parts of HLS.

Theory of operation. `Segmenter` is fed one piece per picture, of MP4 (`containers/fragments.py`) or of MPEG-TS
(`containers/transportstream.py`), and pieces of sound between them. It holds those of the part in the making. When the
picture arrives that begins the next part, the last one's duration is known: the part is closed and never changes again.
A segment begins with a key picture; one is asked for when it is time. What does not follow (another init segment, the
device's restart, a silence) begins a segment that says so; until its key picture comes, nothing is taken.

Names hold the segment's number and four random bytes of this run. The numbers begin at the clock's seconds, and a
segment lasts longer than one on average: so they rise over restarts, and what a cache keeps for good is never wrong.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from framecast.core.packet import Packet
from framecast.output.hls.parts import Container
from framecast.wire import m3u8

PART_S = 0.4
"""A part ends with the picture nearest to this length."""
PART_TARGET_S = 0.5
"""No part is longer where the camera sends three pictures a second or more; else as long as two pictures are apart."""
SEGMENT_S = 2.0
FIRST_SEGMENTS_S = (0.5, 0.5, 1.0)
"""The first ones are shorter: most players want whole segments to begin with, and some want several."""
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
"""Pieces in a row without a picture, after which further ones are dropped."""
LONGEST_GUESS_NS = 1_000_000_000
"""Of the last picture before a silence."""
NS = 1_000_000_000


@dataclass(slots=True)
class Part:
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
        init: Name of its init segment, empty where it needs none.
        discontinuous: It does not follow the one before.
        parts: So far.
        payload: All parts, once it is finished.
    """

    sequence: int
    began_ns: int
    init: str
    discontinuous: bool
    parts: list[Part] = field(default_factory=list)
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


class Segmenter:
    """One run of HLS of one camera.

    Args:
        container: How parts are made.
        now_s: The clock's seconds, the number of the first segment.
        want_key: Called when a segment should end.
        on_change: Called when there is another part to be had, or none any more.

    Attributes:
        segments: Finished ones, the oldest first.
        open: The one in the making, None before the first key picture.
        inits: Init segments that segments refer to, by name.
    """

    def __init__(
        self, container: Container, now_s: int, want_key: Callable[[], None], on_change: Callable[[], None]
    ) -> None:
        self.container = container
        self.segments: deque[Cut] = deque()
        self.open: Cut | None = None
        self.inits: dict[str, bytes] = {}
        self._want_key = want_key
        self._on_change = on_change
        self._run = secrets.token_hex(4)
        self._next = now_s
        self._made = 0
        self._parts = 0
        self._sets = 0
        self._discontinuities = 0
        self._open_bytes = 0
        self._init = ""
        self._broken = False
        self._last: Packet | None = None
        self._interval_ns = 0
        self._pieces: list[Packet] = []
        self._pictures = 0
        self._asked_ns = 0

    # What comes in.

    def set_init(self, data: bytes) -> None:
        """Another init segment holds from the next key picture on."""
        self.break_off()
        self._sets += 1
        self._init = f"init-{self._sets}-{self._run}.mp4"
        self.inits[self._init] = data

    def break_off(self) -> None:
        """What comes next does not follow: finish what there is."""
        if self._last is not None and self._pieces:
            guess_ns = min(self._interval_ns or NS // 30, LONGEST_GUESS_NS)
            self._close_part(self._last.pts_ns + guess_ns)
        if self.open is not None:
            self._close_segment()
            self._broken = True
        self._last = None
        self._interval_ns = 0

    def clear(self) -> None:
        """Forget all pictures; what comes next does not follow."""
        self._pieces.clear()
        self._pictures = 0
        self._broken = self._broken or self.open is not None or bool(self.segments)
        self.segments.clear()
        self.open = None
        self._last = None
        self._on_change()

    def restart(self) -> None:
        """Begin as if nothing had been; for as long as nobody was told anything."""
        self.clear()
        self._made = 0
        self._broken = False
        self._discontinuities = 0

    def push(self, packet: Packet) -> None:
        """Take a piece: a picture, or sound under the last picture's id."""
        last = self._last
        if last is None or packet.key or packet.frame_id != last.frame_id:
            self._see(packet, last)
        elif self.open is not None and len(self._pieces) < self._pictures + MOST_SOUND:
            self._pieces.append(packet)

    def _see(self, packet: Packet, last: Packet | None) -> None:
        now_ns = packet.pts_ns
        if last is not None:
            interval_ns = now_ns - last.pts_ns
            silent = self._interval_ns and interval_ns > max(SILENCE_S * NS, 3 * self._interval_ns)
            if packet.epoch != last.epoch or interval_ns <= 0 or silent:
                self.break_off()
            self._interval_ns = max(interval_ns, 1)
        cut = self.open
        if cut is None:
            if not packet.key:
                self._want_key()
                return
        else:
            length_ns = now_ns - cut.began_ns
            wanted_ns = self._wanted_s * NS
            if packet.key and length_ns >= EARLY * wanted_ns:
                self._close_part(now_ns)
                self._close_segment()
            elif now_ns - self._pieces[0].pts_ns + self._interval_ns / 2 > PART_S * NS:
                self._close_part(now_ns)
            if not packet.key and length_ns >= wanted_ns - self._interval_ns and now_ns - self._asked_ns > NS // 2:
                self._asked_ns = now_ns
                self._want_key()
        if self.open is None:
            self.open = Cut(self._next, now_ns, self._init, self._broken)
            self._discontinuities += self._broken
            self._next += 1
            self._broken = False
            self._open_bytes = 0
            self._asked_ns = 0
        self._last = packet
        self._pieces.append(packet)
        self._pictures += 1
        self._open_bytes += len(packet.payload)
        if self._open_bytes > MOST_BYTES // 2:  # no key picture comes
            self.clear()

    @property
    def _wanted_s(self) -> float:
        return FIRST_SEGMENTS_S[self._made] if self._made < len(FIRST_SEGMENTS_S) else SEGMENT_S

    # What goes out.

    def _close_part(self, end_ns: int) -> None:
        """Finish the part in the making, which ends where the next picture begins."""
        cut, pieces = self.open, self._pieces
        assert cut is not None
        duration_s = (end_ns - pieces[0].pts_ns) / NS
        self._parts += 1
        payload = self.container.pack(self._parts, pieces, end_ns)
        name = f"part-{cut.sequence}-{len(cut.parts)}-{self._run}.{self.container.ending}"
        cut.parts.append(Part(name, payload, duration_s, pieces[0].key, self._pictures))
        self._pieces = []
        self._pictures = 0
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
        said = [_said(cut, f"seg-{cut.sequence}-{self._run}.{self.container.ending}") for cut in cuts]
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
        return f"part-{sequence}-{number}-{self._run}.{self.container.ending}"

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
                if kind == "seg" and cut.payload and rest == f"{self._run}.{self.container.ending}":
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


def _said(cut: Cut, uri: str) -> m3u8.Segment:
    parts = [m3u8.Part(part.name, part.duration_s, part.independent) for part in cut.parts]
    return m3u8.Segment(uri, cut.duration_s, cut.began_ns, cut.init, parts, cut.discontinuous)
