"""The same coded video to many viewers: nobody is ever given what it can't decode.

Theory of operation. As `Fanout`, but a packet is of use only to whoever has had everything since the last key packet.
So a viewer that fell behind, and one that has just come, waits for the next key packet, which the track is asked for;
there it gets into step. Where the last key packet is young, or none can be asked for, a newcomer begins with what the
track kept since then instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from framecast.core.clock import SYSTEM, Clock
from framecast.core.fanout import Fanout, Package
from framecast.core.packet import Packet
from framecast.core.seat import FRESH, Seat
from framecast.core.track import Track

MOST_WAITING = 60
"""Packets that may wait for the end of a pass: dropping one costs everybody all up to the next key packet."""
YOUNG_S = 0.5
"""A newcomer may begin with a key packet that is no older."""


class KeyedFanout(Fanout):
    """Viewers who get the same coded bytes.

    Args:
        package: Makes the bytes.
        track: Asked for key packets, and for what it kept since the last one. Attach the fan-out to it.
        on_empty: Called when the last viewer has left.
        loop: Where time and timers come from; the running loop when left out.
    """

    most_waiting = MOST_WAITING

    def __init__(
        self,
        package: Package,
        track: Track,
        *,
        clock: Clock = SYSTEM,
        on_empty: Callable[[], None] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(package, heartbeat_s=0.0, clock=clock, on_empty=on_empty, loop=loop)
        self._track = track

    def add(self, seat: Seat) -> None:
        """Give a viewer its place; it begins at a key packet."""
        self._take_in(seat)
        if seat.ready and not self._passing and self._give_backlog(seat):
            return
        self._track.want_key()

    def adopt(self, seat: Seat) -> None:
        """Take a viewer over from another fan-out; it begins anew at a key packet."""
        if seat.fanout is not None:
            seat.fanout.remove(seat)
        seat.index = FRESH
        self.add(seat)

    def catch_up(self, seat: Seat) -> None:
        """A viewer has drained. If it missed nothing it is in step again, else it waits for a key packet."""
        if seat in self._in_step:
            return
        if seat.index == self._index:
            seat.passed_bytes = self._passed_bytes
            self._in_step[seat] = seat.send
        else:
            self._track.want_key()

    def clear(self) -> None:
        """Forget what is under way; everybody begins anew at the next key packet."""
        super().clear()
        self._all_fall_out()
        self._index += 1  # what was under way is missed, so that whoever is behind and drains is not in step again

    def _give_backlog(self, seat: Seat) -> bool:
        """Whether the newcomer was given what the track kept since its last key packet."""
        kept = self._track.backlog
        if not kept or self._latest is None or kept[-1] is not self._latest or not kept[0].key:
            return False
        age_s = (self._clock.now_ns() - kept[0].received_ns) / 1e9
        if self._track.gives_keys and age_s > YOUNG_S:
            return False
        data = self._package.first(kept[0]) + b"".join(self._package.next(packet) for packet in kept[1:])
        seat.index, seat.passed_bytes = self._index, self._passed_bytes
        seat.viewer.count(sent=len(kept), size_bytes=len(data))
        self._in_step[seat] = seat.send
        self._write(seat, data)
        return True

    def _begin(self, packet: Packet) -> None:
        super()._begin(packet)
        if packet.key and len(self._in_step) < len(self._seats):
            self._let_in(packet)

    def _begin_with_newcomers(self, packet: Packet) -> None:
        """They come in with key packets only."""

    def _let_in(self, packet: Packet) -> None:
        """All who wait for a key packet get this one."""
        for seat in tuple(self._seats):
            if seat in self._in_step or not seat.ready:
                continue
            if seat.index == FRESH:
                self._send_first(seat, packet)
                continue
            missed = self._index - seat.index
            data = self._package.next(packet)
            seat.viewer.count(sent=1, drops=max(0, missed - 1), size_bytes=len(data))
            seat.index, seat.passed_bytes = self._index, self._passed_bytes
            self._in_step[seat] = seat.send
            self._write(seat, data)

    def _drop_for_all(self) -> None:
        """Packets come faster than they can be passed on: everybody goes on at the next key packet."""
        dropped = len(self._waiting)
        self.overruns += dropped
        self._waiting.clear()
        self._all_fall_out()
        self._index += dropped  # everybody missed them, whoever is just behind too

    def _all_fall_out(self) -> None:
        for seat in tuple(self._in_step):
            self.fall_behind(seat)
        self._track.want_key()
