"""Cuts a camera's coded stream into the segments and parts of HLS.

Theory of operation. `Segmenter` is fed one piece per picture, of MP4 (`containers/fragments.py`) or of MPEG-TS
(`containers/transportstream.py`), and pieces of sound between them. It holds those of the part in the making. When the
picture arrives that begins the next part, the last one's duration is known: the part is closed and never changes again.
A segment begins with a key picture; one is asked for when it is time. What does not follow (another init segment, the
device's restart, a gap) begins a segment that says so; until its key picture comes, nothing is taken.

How long parts and segments may be is told at the top of every playlist and may not change. So nothing is told before
there are the segments that players want to begin with. By then the camera's pace is known: the lengths are *settled*
(`pace`), and what has come is cut anew. What does not fit into them later, such as a stall, is a gap. A camera that
has several in a row has changed its pace: then the lengths rise, and older segments are listed without their parts.

Names hold the segment's number and four random bytes of this run. The numbers begin at the clock's seconds, and a
segment lasts longer than one on average: so they rise over restarts, and what a cache keeps for good is never wrong.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable

from framecast.core.packet import Packet
from framecast.output.hls.cuts import Cut, Part
from framecast.output.hls.pace import LEAST_SHARE, PART_TARGET_S, STALLS, TARGET_S, targets, wanted_s
from framecast.output.hls.parts import Container
from framecast.wire import m3u8

EARLY = 0.75
"""A key picture ends a segment that has so much of its length."""
START_SEGMENTS, START_S = 3, 2.0
"""Whole segments in the first playlist, or seconds of them: Chromium's own player gives up with less."""
LISTED = 8
"""Segments in the playlist, besides the one in the making."""
KEPT = 12
"""Segments that can still be had; players are behind the playlist they read."""
MOST_BYTES = 64 << 20
"""Most bytes of a camera's segments; the oldest go first."""
SILENCE_S = 4.0
"""Before the lengths are settled, a longer one, also longer than three times the last interval, is a gap."""
AGAIN_S = 10.0
"""Another gap so soon after the last one, and the camera has another pace."""
RISE = 1.25
"""The part target then becomes longer by so much at least."""
ROUNDING_NS = 10_000
"""What a playlist says is rounded to this."""
MOST_INTERVALS = 1000
MOST_SOUND = 200
"""Pieces in a row without a picture, after which further ones are dropped."""
LONGEST_GUESS_NS = 1_000_000_000
"""Of the last picture before a silence."""
NS = 1_000_000_000


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
        part_target_s: No part is longer; 0 until it is settled.
        target_s: No segment is longer, rounded to whole seconds.
    """

    def __init__(
        self, container: Container, now_s: int, want_key: Callable[[], None], on_change: Callable[[], None]
    ) -> None:
        self.container = container
        self.segments: deque[Cut] = deque()
        self.open: Cut | None = None
        self.inits: dict[str, bytes] = {}
        self.part_target_s = 0.0
        self.target_s = TARGET_S
        self._want_key = want_key
        self._on_change = on_change
        self._run = secrets.token_hex(4)
        self._next = self._first = now_s
        self._early: list[Packet | bytes | None] | None = []
        self._intervals_s: deque[float] = deque(maxlen=MOST_INTERVALS)
        self._gap_ns = 0
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
        self._last_at = 0
        self._asked_ns = 0

    @property
    def settled(self) -> bool:
        """Whether a playlist may be told."""
        return self._early is None

    @property
    def enough(self) -> bool:
        """Whether there are the segments that players want to begin with."""
        return len(self.segments) >= START_SEGMENTS or sum(cut.duration_s for cut in self.segments) >= START_S

    # What comes in.

    def set_init(self, data: bytes) -> None:
        """Another init segment holds from the next key picture on."""
        self._note(data)
        self._break_off()
        self._sets += 1
        self._init = f"init-{self._sets}-{self._run}.mp4"
        self.inits[self._init] = data

    def break_off(self) -> None:
        """What comes next does not follow: finish what there is."""
        self._note(None)
        self._break_off()

    def _break_off(self) -> None:
        if self._last is not None and self._pieces:
            guess_ns = min(self._interval_ns or NS // 30, LONGEST_GUESS_NS)
            end_ns = self._last.pts_ns + guess_ns
            if self.part_target_s:
                end_ns = min(end_ns, self._pieces[0].pts_ns + self._most_ns)
            self._pieces = [each for each in self._pieces if each.pts_ns < end_ns]  # sound may have gone on for long
            self._close_part(end_ns)
        if self.open is not None:
            self._close_segment()
            self._broken = True
        self._last = None
        self._interval_ns = 0

    def clear(self) -> None:
        """Forget all pictures; what comes next does not follow."""
        if self._early:
            self._early = [self.inits[self._init]] if self._init else []
        self._pieces.clear()
        self._pictures = 0
        self._intervals_s.clear()
        self._broken = self._broken or self.open is not None or bool(self.segments)
        self.segments.clear()
        self.open = None
        self._last = None
        self._on_change()

    def restart(self) -> None:
        """Begin as if nothing had been; for as long as nobody was told anything."""
        self._early = self._early or []
        self.clear()
        self._early = [self.inits[self._init]] if self._init else []
        self.part_target_s, self.target_s = 0.0, TARGET_S
        self._forget_told()

    def _forget_told(self) -> None:
        self._next = self._first
        self._made = 0
        self._broken = False
        self._discontinuities = 0

    def push(self, packet: Packet) -> None:
        """Take a piece: a picture, or sound under the last picture's id."""
        was_open = self.open is not None
        taken = self._take(packet)
        if self._early is not None:
            if taken:
                self._early.append(packet)
            elif was_open and self.open is None:
                self._early.append(None)
            if self.enough:
                self._settle(self._early)

    def _note(self, event: bytes | None) -> None:
        """Keep what comes before the lengths are settled: an init segment, or None where it breaks off."""
        if self._early is not None:
            self._early.append(event)

    def _settle(self, early: list[Packet | bytes | None]) -> None:
        """The camera's pace is known: cut what has come as it is to be told."""
        self._early = None
        longest_s, intervals_s = max(cut.duration_s for cut in self.segments), list(self._intervals_s)
        gaps, want_key, on_change = self._discontinuities, self._want_key, self._on_change
        self._want_key = self._on_change = lambda: None
        for stall in STALLS:
            self.part_target_s, self.target_s = targets(intervals_s, longest_s, stall)
            self._cut_anew(early)
            if self._discontinuities + self._broken <= gaps:
                break
        self._want_key, self._on_change = want_key, on_change
        if self.open is None:
            self._want_key()
        self._on_change()

    def _cut_anew(self, early: list[Packet | bytes | None]) -> None:
        self.segments.clear()
        self.open = self._last = None
        self.inits, self._init, self._sets = {}, "", 0
        self._pieces, self._pictures, self._interval_ns, self._gap_ns = [], 0, 0, 0
        self._intervals_s.clear()
        self._forget_told()
        for event in early:
            if isinstance(event, Packet):
                self._take(event)
            elif event is None:
                self._break_off()
            else:
                self.set_init(event)

    def _take(self, packet: Packet) -> bool:
        last = self._last
        if last is None or packet.frame_id != last.frame_id:
            return self._see(packet, last)
        if packet.key:
            return False  # the same picture once more, for somebody else
        if self.open is None or len(self._pieces) >= self._pictures + MOST_SOUND:
            return False
        self._pieces.append(packet)
        return True

    def _see(self, packet: Packet, last: Packet | None) -> bool:
        now_ns = packet.pts_ns
        if last is not None:
            interval_ns = now_ns - last.pts_ns
            if packet.epoch != last.epoch or interval_ns <= 0:
                self._break_off()
            else:
                self._intervals_s.append(interval_ns / NS)
                if not self._fits(packet, last):
                    self._gap(now_ns)
            self._interval_ns = max(interval_ns, 1)
        cut = self.open
        if cut is None:
            if not packet.key:
                self._want_key()
                return False
        else:
            length_ns = now_ns - cut.began_ns
            wanted_ns = wanted_s(self._made) * NS
            if packet.key and length_ns >= EARLY * wanted_ns:
                self._close_part(now_ns)
                self._close_segment()
            elif self.part_target_s and now_ns - self._pieces[0].pts_ns > LEAST_SHARE * self._most_ns + 2 * ROUNDING_NS:
                self._close_part(now_ns)
            if not packet.key and length_ns >= wanted_ns - self._interval_ns and now_ns - self._asked_ns > NS // 2:
                self._asked_ns = now_ns
                self._want_key()
        if self.open is None:
            self.open = Cut(self._next, now_ns, self._init, self._broken, self.part_target_s)
            self._discontinuities += self._broken
            self._next += 1
            self._broken = False
            self._open_bytes = 0
            self._asked_ns = 0
        self._last = packet
        self._last_at = len(self._pieces)
        self._pieces.append(packet)
        self._pictures += 1
        self._open_bytes += len(packet.payload)
        if self._open_bytes > MOST_BYTES // 2:  # no key picture comes
            self.clear()
            return False
        return True

    def _fits(self, packet: Packet, last: Packet) -> bool:
        """Whether the last picture may be shown until this one; where it has to, the part before it is closed."""
        now_ns, interval_ns = packet.pts_ns, packet.pts_ns - last.pts_ns
        if not self.part_target_s:
            return not (self._interval_ns and interval_ns > max(SILENCE_S * NS, 3 * self._interval_ns))
        if self.open is None or now_ns - self._pieces[0].pts_ns <= self._most_ns:
            return True
        # Together with the last picture the part is too long, without it too short: only the first part may be that.
        if interval_ns > self._most_ns or self.open.parts:
            return False
        later, self._pieces = self._pieces[self._last_at :], self._pieces[: self._last_at]
        self._pictures -= 1
        self._close_part(last.pts_ns)
        self._pieces, self._pictures, self._last_at = later, 1, 0
        return True

    def _gap(self, now_ns: int) -> None:
        """The time up to now can't be told within the lengths that were told."""
        if self.part_target_s and self._gap_ns and now_ns - self._gap_ns < AGAIN_S * NS:
            longest_s = max((cut.duration_s for cut in self.segments), default=0.0)
            part_target_s, target_s = targets(self._intervals_s, longest_s)
            self.part_target_s = max(part_target_s, math.ceil(1000 * RISE * self.part_target_s) / 1000)
            self.target_s = max(target_s, self.target_s, math.ceil(self.part_target_s))
        self._gap_ns = now_ns
        self._intervals_s.clear()
        self._break_off()

    @property
    def _most_ns(self) -> int:
        return round(self.part_target_s * NS) - ROUNDING_NS

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
        self.target_s = max(self.target_s, int(cut.duration_s + 0.5))
        self.segments.append(cut)
        kept_bytes = sum(len(segment.payload) for segment in self.segments)
        while len(self.segments) > KEPT or (kept_bytes > MOST_BYTES and len(self.segments) > 1):
            kept_bytes -= len(self.segments.popleft().payload)
        named = {segment.init for segment in self.segments} | {self._init}
        self.inits = {name: data for name, data in self.inits.items() if name in named}

    def playlist(self) -> m3u8.Playlist:
        """What can be had now."""
        cuts = list(self.segments)[-LISTED:]
        said = [self._said(cut, f"seg-{cut.sequence}-{self._run}.{self.container.ending}") for cut in cuts]
        if self.open is not None:
            cuts.append(self.open)
            if self.open.parts:
                said.append(self._said(self.open, ""))
        return m3u8.Playlist(
            segments=said,
            sequence=cuts[0].sequence if cuts else self._next,
            discontinuities=self._discontinuities - sum(cut.discontinuous for cut in cuts),
            target_s=self.target_s,
            part_target_s=self.part_target_s or PART_TARGET_S,
            hint=self.hint,
        )

    def _said(self, cut: Cut, uri: str) -> m3u8.Segment:
        parts: list[m3u8.Part] = []
        if cut.part_target_s == self.part_target_s:  # others would be too short for what is told now
            parts = [m3u8.Part(part.name, part.duration_s, part.independent) for part in cut.parts]
        return m3u8.Segment(uri, cut.duration_s, cut.began_ns, cut.init, parts, cut.discontinuous)

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
