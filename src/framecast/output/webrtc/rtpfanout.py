"""Coded packets to many WebRTC peers: cut into RTP payloads once, addressed and encrypted for each.

Theory of operation. `RtpFanout` is a sink of a track of H.264 or Opus. A packet becomes a batch of payloads; these
are sent in steps of a few payloads to every seat in turn, so that a keyframe neither floods a peer's link nor holds the
loop: between steps others run. A seat without a beginning waits for a key packet. A seat whose socket is full, or whose
fan-out is more than `MOST_BATCHES` behind, loses everything up to the next key packet. Nobody waits for a seat.

Where no key packet can be had for the asking, a newcomer gets what there was since the last one in steps of its own
(`Backlogs`), or, where that is too much, waits for the next.

With a `Hold` what comes waits before it is taken, for the sound that belongs to it.

Wishes for a key packet, of newcomers, of those who lost something, of peers that send PLI or FIR, are one wish: it goes
to the track at most once in `KEY_INTERVAL_S`, and not again while the answer is on its way.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from framecast.core.clock import SYSTEM, Clock
from framecast.core.packet import Packet
from framecast.core.track import Track
from framecast.output.webrtc.backlog import MOST_BYTES, MOST_PACKETS, SLICE_S, STEP_PACKETS, STEP_S, Backlogs
from framecast.output.webrtc.lipsync import MOST_NS, Hold
from framecast.output.webrtc.rtpseat import RtpSeat
from framecast.wire import rtp

MOST_BATCHES = 8
MOST_HELD = 64
"""Packets that may wait for sound: two seconds of pictures; beyond, the oldest go at once."""
KEY_INTERVAL_S = 0.5
PAST_NS = 100_000_000
"""A packet that is older is of the past. Where the track is made on demand, it comes after its seat, all at once."""
KEY_PATIENCE_S = 2.0
"""How long the answer to a wish for a key packet may take before the wish is repeated."""


@dataclass(slots=True)
class _Batch:
    packet: Packet
    payloads: list[bytes]
    stamp: int
    seats: list[RtpSeat]
    at: int = 0
    """Payloads that all seats have."""
    seat: int = 0
    """Seats that have the step after those."""


class RtpFanout:
    """All peers of one track.

    Args:
        track: H.264 access units, or Opus packets.
        cut: Makes payloads of a packet's.
        clock_hz: Of the RTP stamps.
        on_empty: Called when the last seat has left; the fan-out is off its track then.
        hold: How long packets wait before they are sent; None for not at all.
        clock: Of the packets' stamps.

    Attributes:
        key_requests: Wishes for a key packet that came in.
        keys_asked: Those that went on to the track.
        overruns: Batches that were given up because passes took longer than packets come.
    """

    bulk = True

    def __init__(
        self,
        track: Track,
        cut: Callable[[bytes], list[bytes]],
        clock_hz: int,
        *,
        on_empty: Callable[[], None] | None = None,
        hold: Hold | None = None,
        clock: Clock = SYSTEM,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.track = track
        self.clock_hz = clock_hz
        self.key_requests = 0
        self.keys_asked = 0
        self.overruns = 0
        self._cut = cut
        self._on_empty = on_empty
        self._hold = hold
        self._clock = clock
        self._held: deque[tuple[int, Packet]] = deque()
        self._release: asyncio.TimerHandle | None = None
        self._monotonic = monotonic
        self._seats: list[RtpSeat] = []
        self._queue: deque[_Batch] = deque()
        self._backlogs = Backlogs(self._lose, monotonic)
        self._timer: asyncio.Handle | None = None
        self._asked_at = -KEY_PATIENCE_S
        self._answered = True
        self._retry: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._seats)

    def add(self, seat: RtpSeat, *, begins_now: bool = False) -> None:
        """Let a peer have everything from the next key packet on.

        Where a key packet can't be had for the asking (the camera's own H.264), it gets what there was since the last,
        if that is not too much.

        Args:
            begins_now: The next packet is known to be a key packet.
        """
        first = not self._seats
        self._seats.append(seat)
        if first:
            self.track.attach(self)
        if begins_now:
            seat.waiting = True
            return
        if seat.viewer is None:
            seat.waiting = False  # sound: what was is past, and would only fill the player's buffer
        elif not self.track.gives_keys and self.track.ring and self.track.ring[0].key:
            self._catch_up(seat)
        elif seat.waiting:
            self.want_key()

    def remove(self, seat: RtpSeat) -> None:
        """Let a peer go. Safe to call twice."""
        if seat not in self._seats:
            return
        self._seats.remove(seat)
        self._backlogs.drop(seat)
        for batch in self._queue:
            if seat in batch.seats:
                index = batch.seats.index(seat)
                del batch.seats[index]
                batch.seat -= index < batch.seat
        if not self._seats:
            self._stop()
            self.track.detach(self)
            if self._on_empty is not None:
                self._on_empty()

    def want_key(self) -> None:
        """Ask for a key packet, unless one is on its way."""
        self.key_requests += 1
        self._ask()

    def push(self, packet: Packet) -> None:
        """See `Sink`."""
        if self._hold is None:
            self._take(packet)
            return
        now_ns = self._clock.now_ns()
        is_sound = self.clock_hz == rtp.SOUND_HZ
        if is_sound:
            self._hold.note(packet.pts_ns, now_ns)
        if len(self._held) >= MOST_HELD:
            self._let_go()
        due_ns = min(packet.pts_ns + self._hold.wait_ns(now_ns, is_sound=is_sound), now_ns + MOST_NS)
        self._held.append((max(due_ns, self._held[-1][0] if self._held else 0), packet))
        if len(self._held) == 1:
            self._let_go()

    def _let_go(self) -> None:
        """Take what has waited long enough, and all that is too much."""
        now_ns = self._clock.now_ns()
        while self._held and (self._held[0][0] <= now_ns or len(self._held) >= MOST_HELD):
            self._take(self._held.popleft()[1])
        if self._release is not None:
            self._release.cancel()
            self._release = None
        if self._held:
            delay_s = (self._held[0][0] - now_ns) / 1e9
            self._release = asyncio.get_running_loop().call_later(delay_s, self._let_go)

    def _take(self, packet: Packet) -> None:
        if packet.key:
            self._answered = True
        if len(self._queue) >= MOST_BATCHES:
            self._give_up()
        begun = [seat for seat in self._seats if seat.waiting] if packet.key and not self._queue else []
        seats = [seat for seat in self._seats if self._takes(seat, packet)]
        if not seats:
            return
        payloads = self._cut(packet.payload)
        if not payloads:
            return
        if not self._is_past(packet) or len(payloads) > MOST_PACKETS:
            begun = []
        late = [seat for seat in seats if seat in begun or seat in self._backlogs]
        for seat in late:
            seats.remove(seat)
            self._backlogs.add(seat, payloads, seat.stamp(packet.pts_ns))
        if begun:
            self._backlogs.begin()
        if seats:
            self._queue.append(_Batch(packet, payloads, rtp.stamp_of(packet.pts_ns, self.clock_hz), seats))
        if self._queue and self._timer is None:
            self._pump()

    def _is_past(self, packet: Packet) -> bool:
        """Whether what was kept comes only now: too much at once for batches."""
        return not self.track.gives_keys and self._clock.now_ns() - packet.received_ns > PAST_NS

    def clear(self) -> None:
        """See `Sink`."""
        self._queue.clear()
        self._held.clear()
        self._backlogs.clear()
        for seat in self._seats:
            seat.waiting = True

    def _takes(self, seat: RtpSeat, packet: Packet) -> bool:
        if seat.full():
            self._backlogs.drop(seat)
            self._lose(seat)
        elif packet.key:
            seat.waiting = False
        if seat.waiting and seat.viewer is not None:
            seat.viewer.count(drops=1)
        if seat.viewer is not None:
            seat.viewer.behind = seat.waiting
        return not seat.waiting

    def _pump(self) -> None:
        self._timer = None
        began = self._monotonic()
        while self._queue:
            batch = self._queue[0]
            end = min(batch.at + STEP_PACKETS, len(batch.payloads))
            last = len(batch.payloads) - 1
            while batch.seat < len(batch.seats):
                seat = batch.seats[batch.seat]
                batch.seat += 1
                stamp = (batch.stamp + seat.offset) & 0xFFFFFFFF
                for index in range(batch.at, end):
                    seat.send(batch.payloads[index], stamp, index == last)
                if end > last and seat.viewer is not None:
                    seat.viewer.count(sent=1)
                if self._monotonic() - began > SLICE_S and self._queue and batch.seat < len(batch.seats):
                    self._timer = asyncio.get_running_loop().call_soon(self._pump)
                    return
            if not self._queue or self._queue[0] is not batch:
                continue  # a send ended a peer, and with it everything
            batch.at, batch.seat = end, 0
            if end > last:
                self._queue.popleft()
            if self._queue:
                delay_s = STEP_S if end <= last else 0
                self._timer = asyncio.get_running_loop().call_later(delay_s, self._pump)
                return

    def _catch_up(self, seat: RtpSeat) -> None:
        """Let a newcomer have what there was since the last key packet, unless that is too much."""
        held = {id(packet) for _, packet in self._held}
        past = [packet for packet in self.track.ring if id(packet) not in held]
        if sum(len(packet.payload) for packet in past) > MOST_BYTES:
            return
        cut = [self._cut(packet.payload) for packet in past]
        if sum(map(len, cut)) > MOST_PACKETS:
            return
        seat.waiting = False
        for packet, payloads in zip(past, cut, strict=True):
            self._backlogs.add(seat, payloads, seat.stamp(packet.pts_ns))
        self._backlogs.begin()

    def _lose(self, seat: RtpSeat) -> None:
        seat.waiting = True
        self._ask()

    def _give_up(self) -> None:
        self.overruns += len(self._queue)
        for batch in self._queue:
            for seat in batch.seats:
                if seat.viewer is not None and not seat.waiting:
                    seat.viewer.count(drops=1)
                seat.waiting = True
        self._queue.clear()
        self._ask()

    def _ask(self) -> None:
        now = self._monotonic()
        wait_s = KEY_INTERVAL_S - (now - self._asked_at)
        if not self._answered and now - self._asked_at < KEY_PATIENCE_S:
            return
        if wait_s > 0:
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(wait_s, self._ask_again)
            return
        self._asked_at = now
        self._answered = False
        self.keys_asked += 1
        self.track.want_key()

    def _ask_again(self) -> None:
        self._retry = None
        if self._seats:
            self._ask()

    def _stop(self) -> None:
        self._backlogs.clear()
        self._queue.clear()
        self._held.clear()
        for timer in (self._timer, self._retry, self._release):
            if timer is not None:
                timer.cancel()
        self._timer = self._retry = self._release = None


def whole(payload: bytes) -> list[bytes]:
    """The payloads of a packet that is small enough for one."""
    return [payload]
