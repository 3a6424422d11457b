"""One kind of media of one camera, and those who read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from framecast.core.packet import Packet
from framecast.core.supervise import Sink, deliver


class Track:
    """Hands each packet to every sink, synchronously, and keeps a short ring for newcomers.

    Args:
        name: ``video``, ``video/320``, ``h264``, …
        ring_packets: Most packets in the ring.
        ring_bytes: Most payload bytes in the ring; the newest packet stays whatever its size.
        on_demand: Called with True when the first sink attaches, with False when the last one leaves.
        since_key: The ring begins with the last packet that can be decoded alone (coded video).

    Attributes:
        latest: The newest packet, None before the first.
        on_key_wanted: Called when a reader needs a packet that can be decoded alone; set by who makes the packets, and
            None where that can't be asked for. It is called often: limiting the rate is the maker's business.
        upstream: The track whose packets it has in another wrapping, and whose readers' wishes are its own; None where
            it makes its packets itself.
    """

    def __init__(
        self,
        name: str,
        *,
        ring_packets: int = 30,
        ring_bytes: int = 2 << 20,
        on_demand: Callable[[bool], None] | None = None,
        since_key: bool = False,
    ) -> None:
        self.name = name
        self.latest: Packet | None = None
        self.on_demand = on_demand
        self.on_key_wanted: Callable[[], None] | None = None
        self.upstream: Track | None = None
        self._since_key = since_key
        self._ring: deque[Packet] = deque()
        self._ring_packets = ring_packets
        self._ring_bytes = ring_bytes
        self._held_bytes = 0
        self._sinks: tuple[Sink, ...] = ()

    @property
    def ring(self) -> tuple[Packet, ...]:
        """The packets kept, oldest first."""
        return tuple(self._ring)

    @property
    def backlog(self) -> tuple[Packet, ...]:
        """What a newcomer needs to show the newest packet: all since the last key packet, or just the newest."""
        if self._since_key:
            return self.ring
        return () if self.latest is None else (self.latest,)

    @property
    def ring_bound(self) -> int:
        """Most packets the ring holds."""
        return self._ring_packets

    @property
    def sinks(self) -> int:
        """How many are attached; a fan-out counts as one."""
        return len(self._sinks)

    @property
    def wanted(self) -> bool:
        """Whether anybody is attached."""
        return bool(self._sinks)

    def attach(self, sink: Sink) -> None:
        """Let ``sink`` have every packet from now on. Those that serve one reader come before bulk ones."""
        if sink in self._sinks:
            return
        first = not self._sinks
        self._sinks = tuple(sorted((*self._sinks, sink), key=lambda each: each.bulk))
        if first and self.on_demand is not None:
            self.on_demand(True)

    def detach(self, sink: Sink) -> None:
        """Stop handing packets to ``sink``; nothing happens when it isn't attached."""
        if sink not in self._sinks:
            return
        self._sinks = tuple(each for each in self._sinks if each is not sink)
        if not self._sinks and self.on_demand is not None:
            self.on_demand(False)

    def publish(self, packet: Packet) -> None:
        """Give ``packet`` to everyone. Never waits, and never raises because of a reader."""
        ring = self._ring
        if self._since_key and packet.key:
            ring.clear()
            self._held_bytes = 0
        ring.append(packet)
        self._held_bytes += len(packet.payload)
        while len(ring) > self._ring_packets or (self._held_bytes > self._ring_bytes and len(ring) > 1):
            self._held_bytes -= len(ring.popleft().payload)
        if self._since_key and not ring[0].key:
            ring.clear()  # its beginning did not fit: the rest can't be decoded
            self._held_bytes = 0
        self.latest = packet
        deliver(self._sinks, packet, self.detach)

    @property
    def gives_keys(self) -> bool:
        """Whether a packet that can be decoded alone can be asked for."""
        return self.on_key_wanted is not None if self.upstream is None else self.upstream.gives_keys

    def want_key(self) -> None:
        """Ask for a packet that can be decoded alone, soon."""
        if self.upstream is not None:
            self.upstream.want_key()
        elif self.on_key_wanted is not None:
            self.on_key_wanted()

    def clear(self) -> None:
        """Forget all packets here and in the sinks (a privacy mask was set: no earlier picture may be shown)."""
        self._ring.clear()
        self._held_bytes = 0
        self.latest = None
        for sink in self._sinks:
            sink.clear()
