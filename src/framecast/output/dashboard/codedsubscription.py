"""One page's interest in one camera's coded video.

One lost picture makes the following ones useless, so a page that is behind loses everything up to the next picture that
can be decoded alone, which is asked for as soon as there is credit again.

Nor may a page be sent a picture that is older than the last one, even where a channel in another size begins with it:
a player of fragments would play it again. So while a subscription is about to move, each packet waits for the one after
it, and the other channel has an interval's time to bring the same picture; where its key picture is still too old,
another one is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

from framecast.core.packet import Packet
from framecast.core.seat import GONE
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.output.dashboard.channel import Channel
from framecast.output.dashboard.page import Page
from framecast.output.dashboard.subscription import Subscription, Trial

CODED_CREDIT = 15
"""Coded video must not wait to be acknowledged: 300 ms there and back are 9 pictures at 30 fps, plus some to spare."""
ON_THE_WAY_S = 0.45
LEAST_ON_THE_WAY_BYTES = 32 * 1024
MOST_ON_THE_WAY_BYTES = 2 << 20
"""So many seconds of its rate may be on the way, beside one key picture; within these bounds."""


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
        self._held: Packet | None = None
        self._beginning = False
        self._began_with = 0

    def begin(self, track: Track) -> None:
        """Send what came since the last key packet, if that is little; ask for a key packet otherwise.

        Where keys can't be asked for (the camera codes by itself), or the camera is silent, all of it goes, so that
        nobody looks at nothing until the camera's next one, and it does not count for the credit: what comes next
        would be lost for it. Nor does it where it comes a moment later, all at once, since the track is made on demand.
        Into a socket that is full nothing goes.
        """
        if self._page.full:
            self.pump()
            return
        backlog = track.backlog
        size = sum(len(packet.payload) for packet in backlog)
        few = len(backlog) < self._credit and size <= self._most_bytes()
        if backlog and backlog[0].key and (few or self._waits_long(track, backlog[-1])):
            for packet in backlog:
                self._pass(packet)
            self._began_with = len(self._on_the_way)
        else:
            self._beginning = not backlog and not track.gives_keys
            self._ask()

    def _waits_long(self, track: Track, newest: Packet) -> bool:
        return not track.gives_keys or (self.channel is not None and self.channel.is_silent(newest))

    def offer(self, packet: Packet) -> None:
        """Send ``packet``, or lose it and all up to the next key packet; one packet is held back before a move."""
        held, self._held = self._held, None
        if held is not None:
            self._offer(held)
        if self.moving:
            self._held = packet
        else:
            self._offer(packet)
        if self.gauge is not None:
            self.gauge.review(self._now())

    def ack(self, frame_id: int) -> None:
        """See `Subscription`."""
        before = len(self._on_the_way)
        super().ack(frame_id)
        self._began_with = max(0, self._began_with - (before - len(self._on_the_way)))

    def _offer(self, packet: Packet) -> None:
        self._beginning = self._beginning and self.channel is not None and self.channel.is_past(packet)
        if self._beginning and (packet.key or not self._skipping):
            self._pass(packet)
            self._began_with = len(self._on_the_way)
        elif self._skipping and not packet.key:
            self._drop()
            self.pump()
        elif self._has_room():
            self._pass(packet)
        else:
            self._drop()
            self._skipping = True
            self._asked = False
            self.viewer.behind = True

    def may_begin_with(self, packet: Packet) -> bool:
        """Whether it is a key packet, of a picture that was not sent before, or of the same one once more."""
        return packet.key and (packet.frame_id, packet.pts_ns) > (self.sent_id, self.sent_pts_ns)

    def take_over(self, trial: Trial, packet: Packet) -> None:
        """The other channel has a key packet."""
        held, self._held = self._held, None
        if held is not None and held.frame_id < packet.frame_id:
            self._offer(held)
        self._skipping = True
        self._asked = False
        super().take_over(trial, packet)

    def clear(self) -> None:
        """Go on with the next key packet."""
        self._held = None
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
        if len(self._on_the_way) - self._began_with >= self._credit:
            return False
        most = self._most_bytes()
        if self._on_the_way_bytes - sum(size for _, _, size in islice(self._on_the_way, self._began_with)) > most:
            return False
        return not self._page.holds_more_than(most)

    def _most_bytes(self) -> int:
        channel = self.channel
        if channel is None:
            return LEAST_ON_THE_WAY_BYTES
        bound = max(LEAST_ON_THE_WAY_BYTES, round(channel.bytes_per_s * ON_THE_WAY_S)) + channel.key_bytes
        return min(bound, MOST_ON_THE_WAY_BYTES)
