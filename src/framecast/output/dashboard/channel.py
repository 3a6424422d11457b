"""One track as dashboard messages, made once for all pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from framecast.core.clock import SYSTEM, Clock
from framecast.core.meter import Percentiles
from framecast.core.packet import Packet
from framecast.core.track import Track
from framecast.wire import h264, media
from framecast.wire.media import Codec, Kind
from framecast.wire.wsframe import Opcode, server_header

MEASURED_OVER_S = 1.0
"""Rates are means over about this long."""
LONGEST_GAP_S = 4.0
SILENT_S = 1.0
PAST_S = 0.1

_KINDS = {
    "mjpeg": (Kind.VIDEO, Codec.JPEG),
    "h264": (Kind.VIDEO, Codec.H264),
    "mp4": (Kind.FRAGMENT, Codec.FMP4),
    "pcm_s16le": (Kind.AUDIO, Codec.PCM_S16LE),
}


class Reader(Protocol):
    """Who gets a channel's packets."""

    channel: Channel | None

    def begin(self, track: Track) -> None:
        """The channel is this reader's from now on; ``track`` says what came before."""

    def offer(self, packet: Packet) -> None:
        """A packet came."""

    def clear(self) -> None:
        """Forget what waits."""


class Prelude(Protocol):
    """What goes before a channel's packets: fragments need an initialisation segment."""

    init: bytes | None
    mime: str
    base_ns: int


class Channel:
    """One track's packets as dashboard messages; attached to the track while somebody subscribes.

    Args:
        number: The camera's.
        track: Where the packets come from.
        on_empty: Called when the last reader has left.
        prelude: What goes before the packets.
        clock: That of the stream.

    Attributes:
        latency_ms: From a packet's arrival to the last reader's write.
        packet_bytes: Mean size of a packet.
        bytes_per_s: What all packets together take.
        key_bytes: Size of the last key packet.
        codec: Of coded video as browsers name it, ``avc1.42C01F``; empty before it is known.
    """

    bulk = True

    def __init__(
        self,
        number: int,
        track: Track,
        on_empty: Callable[[], None],
        *,
        prelude: Prelude | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.latency_ms = Percentiles()
        self._clock = clock
        self.packet_bytes = 0.0
        self.bytes_per_s = 0.0
        self.key_bytes = 0
        self.codec = ""
        self._number = number
        self._track = track
        self._on_empty = on_empty
        self._prelude = prelude
        self._readers: dict[Reader, None] = {}
        self._made: tuple[Packet, bytes] | None = None
        self._init: tuple[bytes, bytes] | None = None
        self._interval_s = 0.0
        self._came_ns = 0

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def mime(self) -> str:
        """What a media source is to be opened for; empty where there is none."""
        return self._prelude.mime if self._prelude is not None else ""

    @property
    def packets_per_s(self) -> float:
        """How many packets come in a second; 0 before there were two."""
        return 1 / self._interval_s if self._interval_s else 0.0

    def add(self, reader: Reader) -> None:
        """Let ``reader`` have what there is now and the next packets as they come."""
        self._track.attach(self)  # may bring packets at once, which `begin` finds in the track
        self._readers[reader] = None
        reader.channel = self
        for packet in self._track.backlog[-1:]:
            self._look_at(packet)
        reader.begin(self._track)

    def remove(self, reader: Reader) -> None:
        """Take it out; the channel leaves the track with the last one."""
        if self._readers.pop(reader, 0) is None:
            reader.channel = None
            if not self._readers:
                self._track.detach(self)
                self._on_empty()

    def exchange(self, reader: Reader, other: Reader) -> None:
        """Put ``other`` in the place of ``reader``."""
        del self._readers[reader]
        reader.channel = None
        self._readers[other] = None
        other.channel = self

    def want_key(self) -> None:
        """Ask for a packet that can be decoded alone."""
        self._track.want_key()

    def is_silent(self, packet: Packet) -> bool:
        """Whether ``packet``, the newest, is so old that the next one may be long in coming."""
        return self._clock.now_ns() - packet.received_ns > SILENT_S * 1e9

    def is_past(self, packet: Packet) -> bool:
        """Whether ``packet``, which comes now, was kept for longer than one on its way takes."""
        return self._clock.now_ns() - packet.received_ns > PAST_S * 1e9

    def push(self, packet: Packet) -> None:
        """Offer ``packet`` to everybody."""
        self._measure(packet)
        self._look_at(packet)
        for reader in tuple(self._readers):
            reader.offer(packet)
        self.latency_ms.add((self._clock.now_ns() - packet.received_ns) / 1e6)

    def clear(self) -> None:
        """Forget what waits (see `Track.clear`)."""
        self._made = None
        for reader in self._readers:
            reader.clear()

    def message(self, packet: Packet) -> bytes:
        """The whole WebSocket frame of ``packet``, the same for all."""
        if self._made is None or self._made[0] is not packet:
            kind, codec = _KINDS[packet.format.codec]
            head = media.pack_header(
                camera=self._number,
                frame_id=packet.frame_id,
                pts_ns=packet.pts_ns,
                epoch=packet.epoch,
                width_px=packet.format.width_px,
                height_px=packet.format.height_px,
                kind=kind,
                codec=codec,
                key=packet.key,
                sample_rate_hz=packet.format.sample_rate_hz,
                channels=packet.format.channels,
            )
            self._made = (packet, framed(head, packet.payload))
        return self._made[1]

    def opening(self, packet: Packet) -> bytes:
        """The message that has to go before ``packet`` where a reader has not had it (compare by identity), or none."""
        prelude = self._prelude
        init = prelude.init if prelude is not None else None
        if prelude is None or init is None:
            return b""
        if self._init is None or self._init[0] is not init:
            head = media.pack_header(
                camera=self._number,
                frame_id=packet.frame_id,
                pts_ns=prelude.base_ns,
                epoch=packet.epoch,
                width_px=packet.format.width_px,
                height_px=packet.format.height_px,
                kind=Kind.FRAGMENT,
                codec=Codec.FMP4,
                key=False,
                init=True,
            )
            self._init = (init, framed(head, init))
        return self._init[1]

    def _look_at(self, packet: Packet) -> None:
        """Take the codec's full name from a key packet."""
        if not packet.key or packet.format.codec == "mjpeg":
            return
        self.key_bytes = len(packet.payload)
        if packet.format.codec == "h264":
            sets = h264.parameter_sets(packet.payload)
            if sets is not None:
                self.codec = f"avc1.{sets.sps[1:4].hex().upper()}"
        elif self._prelude is not None:
            self.codec = next((each for each in _codecs(self._prelude.mime) if each.startswith("avc1")), "")

    def _measure(self, packet: Packet) -> None:
        gap_s = (packet.received_ns - self._came_ns) / 1e9
        self._came_ns = packet.received_ns
        size = len(packet.payload)
        if not 0 < gap_s < LONGEST_GAP_S:
            self.packet_bytes = self.packet_bytes or float(size)
            return
        share = min(1.0, gap_s / MEASURED_OVER_S) if self._interval_s else 1.0
        self._interval_s += (gap_s - self._interval_s) * share
        self.packet_bytes += (size - self.packet_bytes) * share
        self.bytes_per_s = self.packet_bytes / self._interval_s


def framed(head: bytes, payload: bytes) -> bytes:
    """A binary WebSocket message of these two."""
    return b"".join((server_header(Opcode.BINARY, len(head) + len(payload)), head, payload))


def _codecs(mime: str) -> list[str]:
    return [each.strip(' "') for each in mime.partition("codecs=")[2].split(",")]
