"""One page's interest in one camera: what may be on the way to it, and what it loses when it is behind.

Whatever the form, a page acknowledges what it has shown, and no more than its credit is ever on the way unacknowledged:
what a proxy or a tunnel swallows is bounded by it, and what arrives is never old.

Here are pictures that stand alone (JPEG): beyond the credit the newest waits, and replaces the one that waited before.
Coded video (`codedsubscription`) and sound (`soundsubscription`) lose other things.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from framecast.core.meter import Percentiles
from framecast.core.pacer import Pacer
from framecast.core.packet import Packet
from framecast.core.seat import GONE
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.output.dashboard.channel import Channel
from framecast.output.dashboard.page import Page

DEFAULT_CREDIT = 2
MOST_CREDIT = 30
MOST_LAG = 10
"""A channel that is always behind the one before is taken over all the same after so many packets."""


class Gauge(Protocol):
    """Judges a link by what is acknowledged."""

    def acked(self, now_s: float, sent_at_s: float, size_bytes: int) -> None:
        """A message sent then has been shown now."""

    def dropped(self, now_s: float) -> None:
        """One was not sent, for want of credit."""

    def review(self, now_s: float) -> None:
        """Something happened: time to look at it."""

    def padding(self, now_s: float) -> int:
        """How many bytes of padding are to go before the next message."""


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
        least_delay_s: The shortest that an acknowledgement ever took; infinite before the first.
        sent_id: Id of the last frame that was sent; -1 before the first.
        sent_pts_ns: Its capture time.
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
        self.least_delay_s = float("inf")
        self.sent_id = -1
        self.sent_pts_ns = 0
        self._page = page
        self._credit = credit
        self._now = now
        self._pacer = Pacer(fps) if fps else None
        self._on_the_way: deque[tuple[int, float, int]] = deque()
        self._on_the_way_bytes = 0
        self._beside_bytes = 0
        self._pending: Packet | None = None
        self._trial: Trial | None = None

    @property
    def oldest(self) -> tuple[float, int] | None:
        """When the oldest message on the way was sent, and its size."""
        return self._on_the_way[0][1:] if self._on_the_way else None

    @property
    def moving(self) -> bool:
        """Whether it waits for the first packet of another channel."""
        return self._trial is not None

    def late_s(self, now_s: float) -> float:
        """How long the oldest picture has been on the way."""
        return now_s - self._on_the_way[0][1] if self._on_the_way else 0.0

    def begin(self, track: Track) -> None:
        """Send the newest picture there is."""
        if track.latest is not None:
            self.offer(track.latest)

    def offer(self, packet: Packet) -> None:
        """Send ``packet`` now, or keep it as the newest until there is credit; a frame it has had is not sent again."""
        if packet.frame_id <= self.sent_id:
            return
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
            delay_s = now - sent_at
            self.ack_ms.add(delay_s * 1000)
            if delay_s < self.least_delay_s:
                self.least_delay_s = delay_s
            if self.gauge is not None:
                self.gauge.acked(now, sent_at, size)
        self.pump()
        self._page.release()
        if self.gauge is not None:
            self.gauge.review(now)

    def clear(self) -> None:
        """Forget the frame that waits."""
        self._pending = None

    def beside(self, size_bytes: int) -> None:
        """So much went to the page beside the pictures."""
        self._beside_bytes += size_bytes

    def move(self, channel: Channel, fps: float, on_moved: Callable[[], None]) -> None:
        """Go over to another channel as soon as that one has something to begin with; until then all stays as it is.

        Args:
            fps: Most frames a second there, 0 for all.
            on_moved: Called when it is done, before the first frame is sent.
        """
        self._give_up_trial()
        if channel is self.channel:
            self._set_fps(fps)
            on_moved()
            return
        self._trial = trial = Trial(self, fps, on_moved)
        channel.add(trial)

    def may_begin_with(self, packet: Packet) -> bool:
        """Whether to go over to another channel, which has brought ``packet``: not before it has come as far."""
        return packet.frame_id >= self.sent_id

    def take_over(self, trial: Trial, packet: Packet) -> None:
        """The other channel has something to begin with."""
        channel, self._trial = trial.channel, None
        if self.channel is None or channel is None:
            return
        self.channel.remove(self)
        channel.exchange(trial, self)
        if self._pending is not None:
            self._pending = None
            self._drop()
        self._set_fps(trial.fps)
        trial.on_moved()
        self.offer(packet)

    def leave(self) -> None:
        """Give the camera up. Safe to call twice."""
        self._give_up_trial()
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

    def _give_up_trial(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None and trial.channel is not None:
            trial.channel.remove(trial)

    def _set_fps(self, fps: float) -> None:
        self._pacer = Pacer(fps) if fps else None

    def _send(self, packet: Packet) -> None:
        channel = self.channel
        if channel is None:
            return
        message = channel.message(packet)
        now, size = self._now(), len(message)
        try:
            if self.gauge is not None:
                size += self._pad(self.gauge, now)
            self._page.write(message)
        except GONE:
            # The socket's own task will notice soon; until then the other pages must not lose a frame by it.
            self.leave()
            return
        self.viewer.behind = False
        self.viewer.count(sent=1, size_bytes=size)
        self.sent_id, self.sent_pts_ns = packet.frame_id, packet.pts_ns
        self._on_the_way.append((packet.frame_id, now, size))
        self._on_the_way_bytes += size

    def _pad(self, gauge: Gauge, now_s: float) -> int:
        """What goes before the next message, or went beside the last ones: it takes its time on the way, too."""
        size, self._beside_bytes = self._beside_bytes, 0
        padding = gauge.padding(now_s) if self._page.may_pad(now_s) else 0
        if padding:
            self._page.pad(now_s, padding)
        return size + padding

    def _drop(self) -> None:
        self.viewer.count(drops=1)
        if self.gauge is not None:
            self.gauge.dropped(self._now())


class Trial:
    """Stands in for a subscription on the channel that it is about to move to.

    Args:
        subscription: Which one.
        fps: Most frames a second there, 0 for all.
        on_moved: Called when the subscription has taken its place, before the first packet is offered to it.
    """

    def __init__(self, subscription: Subscription, fps: float, on_moved: Callable[[], None]) -> None:
        self.channel: Channel | None = None
        self.fps = fps
        self.on_moved = on_moved
        self._subscription = subscription
        self._lag = 0

    def begin(self, track: Track) -> None:
        """Coded video can only begin with a fresh key packet; a picture that stands alone is as good as the next."""
        latest = track.latest
        if latest is not None and latest.format.codec == "mjpeg":
            self.offer(latest)
        else:
            track.want_key()

    def offer(self, packet: Packet) -> None:
        """Let the subscription begin with ``packet``, if it can; coded video that begins too early is asked again."""
        self._lag += 1
        if self._subscription.may_begin_with(packet) or (packet.key and self._lag > MOST_LAG):
            self._subscription.take_over(self, packet)
        elif packet.key and self.channel is not None:
            self.channel.want_key()

    def clear(self) -> None:
        """Nothing waits here."""
