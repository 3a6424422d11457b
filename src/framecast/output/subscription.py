"""One page's interest in one camera: what may be on the way to it, and what it loses when it is behind.

Whatever the form, a page acknowledges what it has shown, and no more than its credit is ever on the way unacknowledged:
what a proxy or a tunnel swallows is bounded by it, and what arrives is never old.

Pictures that stand alone (JPEG): beyond the credit the newest waits, and replaces the one that waited before. Coded
video: one lost picture makes the following ones useless, so a page that is behind loses everything up to the next
picture that can be decoded alone, which is asked for as soon as there is credit again. Sound is not acknowledged; but
when pictures that were sent a second ago have not been shown, the sound that was sent since has not been heard either,
and the next waits, a second of it at most.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from framecast.core.fanout import GONE
from framecast.core.meter import Percentiles
from framecast.core.pacer import Pacer
from framecast.core.packet import Packet
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.output.channel import Channel
from framecast.output.page import Page

DEFAULT_CREDIT = 2
CODED_CREDIT = 15
"""Coded video must not wait to be acknowledged: 300 ms there and back are 9 pictures at 30 fps, plus some to spare."""
MOST_CREDIT = 30
ON_THE_WAY_S = 0.45
LEAST_ON_THE_WAY_BYTES = 32 * 1024
MOST_ON_THE_WAY_BYTES = 2 << 20
"""Of coded video so many seconds of its rate may be on the way, beside one key picture; within these bounds."""
MOST_SOUND_S = 1.0
LATE_S = 1.0


class Gauge(Protocol):
    """Judges a link by what is acknowledged."""

    def acked(self, now_s: float, sent_at_s: float, size_bytes: int) -> None:
        """A message sent then has been shown now."""

    def dropped(self, now_s: float) -> None:
        """One was not sent, for want of credit."""

    def review(self, now_s: float) -> None:
        """Something happened: time to look at it."""


class Subscription:
    """One page's interest in one camera's pictures, each of which stands alone.

    Args:
        page: The socket.
        viewer: Counters to keep.
        credit: Most frames on the way without acknowledgement.
        fps: Most frames a second, 0 for all.
        now: Seconds of a clock that only goes forward.

    Attributes:
        gauge: Who judges the link, if anybody.
        on_form: Called before the first packet of another form, size or codec is written.
    """

    def __init__(
        self,
        page: Page,
        viewer: Viewer,
        *,
        credit: int = DEFAULT_CREDIT,
        fps: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.viewer = viewer
        self.channel: Channel | None = None
        self.gauge: Gauge | None = None
        self.on_form: Callable[[], None] | None = None
        self.ack_ms = Percentiles()
        self.sent_id = 0
        self._page = page
        self._credit = credit
        self._now = now
        self._pacer = Pacer(fps) if fps else None
        self._on_the_way: deque[tuple[int, float, int]] = deque()
        self._on_the_way_bytes = 0
        self._pending: Packet | None = None

    def late_s(self, now_s: float) -> float:
        """How long the oldest picture has been on the way."""
        return now_s - self._on_the_way[0][1] if self._on_the_way else 0.0

    def begin(self, track: Track) -> None:
        """Send the newest picture there is."""
        if track.latest is not None:
            self.offer(track.latest)

    def offer(self, packet: Packet) -> None:
        """Send ``packet`` now, or keep it as the newest until there is credit."""
        if self._pacer is not None and not self._pacer.take(packet.received_ns):
            return
        if self._pending is not None:
            self._drop()
        self._pending = packet
        self.pump()
        if self.gauge is not None:
            self.gauge.review(self._now())

    def ack(self, frame_id: int) -> None:
        """The page has painted this frame, and with it all earlier ones; ids it was never sent mean nothing."""
        now = self._now()
        while self._on_the_way and self._on_the_way[0][0] <= frame_id:
            self.viewer.acked, sent_at, size = self._on_the_way.popleft()
            self._on_the_way_bytes -= size
            self.ack_ms.add((now - sent_at) * 1000)
            if self.gauge is not None:
                self.gauge.acked(now, sent_at, size)
        self.pump()
        self._page.release()
        if self.gauge is not None:
            self.gauge.review(now)

    def clear(self) -> None:
        """Forget the frame that waits."""
        self._pending = None

    def leave(self) -> None:
        """Give the camera up. Safe to call twice."""
        self._page.forget(self)
        if self.channel is not None:
            self.channel.remove(self)

    def pump(self) -> None:
        """Send the frame that waits, if there is credit for it and room in the socket."""
        packet = self._pending
        if packet is None or self.channel is None:
            return
        if len(self._on_the_way) >= self._credit:
            self.viewer.behind = True
            return
        if self._page.full:
            self.viewer.behind = True
            self._page.hold(self)
            return
        self._pending = None
        self._send(packet)

    def _send(self, packet: Packet) -> None:
        channel = self.channel
        assert channel is not None
        message = channel.message(packet)
        try:
            self._page.write(message)
        except GONE:
            # The socket's own task will notice soon; until then the other pages must not lose a frame by it.
            self.leave()
            return
        self.viewer.behind = False
        self.viewer.count(sent=1)
        self.sent_id = packet.frame_id
        self._on_the_way.append((packet.frame_id, self._now(), len(message)))
        self._on_the_way_bytes += len(message)

    def _drop(self) -> None:
        self.viewer.count(drops=1)
        if self.gauge is not None:
            self.gauge.dropped(self._now())


class CodedSubscription(Subscription):
    """One page's interest in coded video: H.264 access units, or fragments of it.

    Everything up to the next key packet is lost by a page that is behind. The rate is the track's: coded video can't
    be thinned here.
    """

    def __init__(
        self,
        page: Page,
        viewer: Viewer,
        *,
        credit: int = CODED_CREDIT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(page, viewer, credit=credit, now=now)
        self._skipping = True
        self._asked = False
        self._told: tuple[Channel, str, bytes] | None = None

    def begin(self, track: Track) -> None:
        """Send what came since the last key packet, if that is little; ask for a key packet otherwise.

        Where keys can't be asked for (the camera codes by itself), all of it goes, so that nobody looks at nothing
        until the camera's next one.
        """
        backlog = track.backlog
        size = sum(len(packet.payload) for packet in backlog)
        few = len(backlog) < self._credit and size <= self._most_bytes()
        if backlog and backlog[0].key and (few or track.on_key_wanted is None):
            for packet in backlog:
                self._pass(packet)
        else:
            self._ask()

    def offer(self, packet: Packet) -> None:
        """Send ``packet``, or lose it and all up to the next key packet."""
        if self._skipping and not packet.key:
            self._drop()
            self.pump()
        elif self._has_room():
            self._pass(packet)
        else:
            self._drop()
            self._skipping = True
            self._asked = False
            self.viewer.behind = True
        if self.gauge is not None:
            self.gauge.review(self._now())

    def clear(self) -> None:
        """Go on with the next key packet."""
        self._skipping = True
        self._asked = False

    def restart(self) -> None:
        """The page can't decode what it got: go on with the next key packet, which is asked for."""
        self._skipping = True
        self._ask()

    def pump(self) -> None:
        """Ask for a key packet when there is room for one, half of the credit at least."""
        if not self._skipping or self._asked:
            return
        if self._page.full:
            self._page.hold(self)
        elif len(self._on_the_way) <= self._credit // 2 and self._on_the_way_bytes <= self._most_bytes() // 2:
            self._ask()

    def _pass(self, packet: Packet) -> None:
        channel = self.channel
        if channel is None:
            return
        if packet.key:
            self._skipping = self._asked = False
            self._open(channel, packet)
        if self.channel is not None:
            self._send(packet)

    def _open(self, channel: Channel, packet: Packet) -> None:
        """Say what is coming, where that is something else than before, and send what has to go before it."""
        opening = channel.opening(packet)
        told, self._told = self._told, (channel, channel.codec, opening)
        if told is not None and told[0] is channel and told[1] == channel.codec and told[2] is opening:
            return
        if self.on_form is not None:
            self.on_form()
        if opening:
            try:
                self._page.write(opening)
            except GONE:
                self.leave()

    def _ask(self) -> None:
        self._asked = True
        if self.channel is not None:
            self.channel.want_key()

    def _has_room(self) -> bool:
        if len(self._on_the_way) >= self._credit:
            return False
        most = self._most_bytes()
        if self._on_the_way_bytes > most:
            return False
        return not self._page.holds_more_than(most)

    def _most_bytes(self) -> int:
        channel = self.channel
        if channel is None:
            return LEAST_ON_THE_WAY_BYTES
        bound = max(LEAST_ON_THE_WAY_BYTES, round(channel.bytes_per_s * ON_THE_WAY_S)) + channel.key_bytes
        return min(bound, MOST_ON_THE_WAY_BYTES)


class SoundSubscription:
    """One page's interest in a camera's sound, beside its pictures.

    Args:
        page: The socket.
        late_s: How long the oldest picture of this camera has been on the way, at a time; 0 when none is.

    Attributes:
        sent: Blocks written.
        drops: Blocks lost because more than a second of them waited.
    """

    def __init__(
        self, page: Page, late_s: Callable[[float], float], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.channel: Channel | None = None
        self.sent = 0
        self.drops = 0
        self._page = page
        self._late_s = late_s
        self._now = now
        self._waiting: deque[Packet] = deque()
        self._waiting_s = 0.0

    def begin(self, track: Track) -> None:
        """Sound begins with the next block: what was said before is not heard now."""

    def offer(self, packet: Packet) -> None:
        """Send ``packet`` after those that wait; beyond a second of them the oldest go."""
        self._waiting.append(packet)
        self._waiting_s += duration_s(packet)
        self.pump()
        while self._waiting_s > MOST_SOUND_S and len(self._waiting) > 1:
            self._waiting_s -= duration_s(self._waiting.popleft())
            self.drops += 1

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._waiting_s = 0.0

    def leave(self) -> None:
        """Give it up. Safe to call twice."""
        self._page.forget(self)
        if self.channel is not None:
            self.channel.remove(self)

    def pump(self) -> None:
        """Send what waits, while there is room."""
        while self._waiting and self.channel is not None:
            if self._late_s(self._now()) > LATE_S:
                return
            if self._page.full:
                self._page.hold(self)
                return
            packet = self._waiting.popleft()
            self._waiting_s = self._waiting_s - duration_s(packet) if self._waiting else 0.0
            try:
                self._page.write(self.channel.message(packet))
            except GONE:
                self.leave()
                return
            self.sent += 1


def duration_s(packet: Packet) -> float:
    """How long a block of s16le sounds."""
    form = packet.format
    return len(packet.payload) / (2 * max(form.channels, 1) * max(form.sample_rate_hz, 1))
