"""One WebSocket for a whole dashboard: any set of cameras, newest frames first, as fast as the page acknowledges them.

Theory of operation. A `Channel` is one track's pictures as messages: the bytes of a message (camera number, frame id,
capture time, JPEG, and the WebSocket frame around them) are made once and written to every socket as they are. A
`Subscription` is one page's interest in one channel. It may have `credit` frames on the way that the page has not
acknowledged; beyond that the newest frame waits, and replaces the one that waited before. What a proxy or a tunnel
swallows is therefore at most `credit` frames, and what arrives is never old.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from framecast.core.fanout import GONE
from framecast.core.meter import Percentiles
from framecast.core.pacer import Pacer
from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.core.viewer import Viewer
from framecast.wire import media
from framecast.wire.wsframe import Opcode, server_header

MOST_BUFFERED_BYTES = 64 * 1024
"""A socket that holds more than this gets no further picture until the page has acknowledged one of any camera."""
DEFAULT_CREDIT = 2
MOST_CREDIT = 30


class Page:
    """One page's socket, as its subscriptions share it.

    Args:
        write: Writes bytes to the socket's transport at once.
        buffered: How many bytes the transport holds.
    """

    def __init__(self, write: Callable[[bytes], object], buffered: Callable[[], int]) -> None:
        self.write = write
        self._buffered = buffered
        self._held: dict[Subscription, None] = {}

    @property
    def full(self) -> bool:
        """Whether the socket is to get no further picture for now."""
        return self._buffered() > MOST_BUFFERED_BYTES

    def hold(self, subscription: Subscription) -> None:
        """Let ``subscription`` wait for room: its camera may not send another picture for a long time."""
        self._held[subscription] = None

    def forget(self, subscription: Subscription) -> None:
        """Let it wait no longer."""
        self._held.pop(subscription, None)

    def release(self) -> None:
        """The page has taken something: those that wait may go, in their order, while there is room."""
        while self._held and not self.full:
            subscription = next(iter(self._held))
            del self._held[subscription]
            subscription.pump()


class Subscription:
    """One page's interest in one camera.

    Args:
        page: The socket.
        viewer: Counters to keep.
        credit: Most frames on the way without acknowledgement.
        fps: Most frames a second, 0 for all.
    """

    def __init__(
        self,
        page: Page,
        viewer: Viewer,
        *,
        credit: int = DEFAULT_CREDIT,
        fps: float = 0.0,
    ) -> None:
        self.viewer = viewer
        self.channel: Channel | None = None
        self.ack_ms = Percentiles()
        self._page = page
        self._credit = credit
        self._pacer = Pacer(fps) if fps else None
        self._on_the_way: deque[tuple[int, float]] = deque()
        self._pending: Packet | None = None

    def offer(self, packet: Packet) -> None:
        """Send ``packet`` now, or keep it as the newest until there is credit."""
        if self._pacer is not None and not self._pacer.take(packet.received_ns):
            return
        if self._pending is not None:
            self.viewer.count(drops=1)
        self._pending = packet
        self.pump()

    def ack(self, frame_id: int) -> None:
        """The page has painted this frame, and with it all earlier ones; ids it was never sent mean nothing."""
        now = time.monotonic()
        while self._on_the_way and self._on_the_way[0][0] <= frame_id:
            self.viewer.acked, sent_at = self._on_the_way.popleft()
            self.ack_ms.add((now - sent_at) * 1000)
        self.pump()
        self._page.release()

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
        packet, channel = self._pending, self.channel
        if packet is None or channel is None:
            return
        if len(self._on_the_way) >= self._credit:
            self.viewer.behind = True
            return
        if self._page.full:
            self.viewer.behind = True
            self._page.hold(self)
            return
        self._pending = None
        try:
            self._page.write(channel.message(packet))
        except GONE:
            # The socket's own task will notice soon; until then the other pages must not lose a frame by it.
            self.leave()
            return
        self.viewer.behind = False
        self.viewer.count(sent=1)
        self._on_the_way.append((packet.frame_id, time.monotonic()))


class Channel:
    """One track's pictures as dashboard messages; attached to the track while somebody subscribes."""

    bulk = True

    def __init__(self, number: int, track: Track, on_empty: Callable[[], None]) -> None:
        self._number = number
        self._track = track
        self._on_empty = on_empty
        self._subscriptions: dict[Subscription, None] = {}
        self._made: tuple[Packet, bytes] | None = None

    def __len__(self) -> int:
        return len(self._subscriptions)

    def add(self, subscription: Subscription) -> None:
        """Let ``subscription`` have the latest picture now and the next ones as they come."""
        self._subscriptions[subscription] = None
        subscription.channel = self
        self._track.attach(self)
        if self._track.latest is not None:
            subscription.offer(self._track.latest)

    def remove(self, subscription: Subscription) -> None:
        """Take it out; the channel leaves the track with the last one."""
        if self._subscriptions.pop(subscription, 0) is None:
            subscription.channel = None
            if not self._subscriptions:
                self._track.detach(self)
                self._on_empty()

    def push(self, packet: Packet) -> None:
        """Offer ``packet`` to everybody."""
        for subscription in tuple(self._subscriptions):
            subscription.offer(packet)

    def clear(self) -> None:
        """Forget what waits (see `Track.clear`)."""
        self._made = None
        for subscription in self._subscriptions:
            subscription.clear()

    def message(self, packet: Packet) -> bytes:
        """The whole WebSocket frame of ``packet``, the same for all."""
        if self._made is None or self._made[0] is not packet:
            head = media.pack_header(
                camera=self._number,
                frame_id=packet.frame_id,
                pts_ns=packet.pts_ns,
                epoch=packet.epoch,
                width_px=packet.format.width_px,
                height_px=packet.format.height_px,
            )
            frame = server_header(Opcode.BINARY, len(head) + len(packet.payload))
            self._made = (packet, b"".join((frame, head, packet.payload)))
        return self._made[1]


class Hub:
    """All channels of the server, so that a thousand pages share the bytes of each."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, Rendition], Channel] = {}

    def subscribe(self, stream: Stream, rendition: Rendition, subscription: Subscription) -> None:
        """Begin sending.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        key = (stream.camera_id, rendition)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._open(stream, key)
        channel.add(subscription)

    def forget(self, camera_id: str) -> None:
        """A camera is gone: its channels take no new subscriptions."""
        for key in [key for key in self._channels if key[0] == camera_id]:
            del self._channels[key]

    def _open(self, stream: Stream, key: tuple[str, Rendition]) -> Channel:
        def empty() -> None:
            # A camera that was removed and added again has another channel under this key.
            if self._channels.get(key) is channel:
                del self._channels[key]

        channel = Channel(stream.number, stream.track(key[1]), empty)
        self._channels[key] = channel
        return channel
