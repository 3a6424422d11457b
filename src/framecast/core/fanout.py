"""The same bytes to many viewers, at the cost of one write each.

Theory of operation. A fan-out is one sink of a track. For each packet it makes the bytes once (`package`) and calls
``send`` of every viewer that is *in step*: it has had the packet before and its transport holds nothing. That call is
all that is done per viewer and packet, and all that is looked at: a pass goes through the ``send`` of everybody, not
through the seats, each of which would have to be fetched into the processor's cache. What a viewer was sent follows
from how long it has been in step.

What ``send`` leaves of the bytes goes to ``write``, and a viewer whose transport could not pass everything on is
*behind* (its transport said `pause`, always from within ``write``): it falls out of step, and gets the newest packet,
not the next one, when its transport has drained (`resume`). So nobody waits for anybody, and a slow viewer sees fewer
pictures, never old ones.

A pass over many viewers is cut into slices of about 2 ms, so that the loop can read from cameras in between. Packets
that arrive during a pass wait for its end, as long as there are few; beyond that the oldest are dropped for all.

When no packet comes the last one is repeated (the heartbeat): once after the longer of two intervals and 250 ms, then
every `heartbeat_s`. Proxies then keep the connection, and decoders that hold a picture back show it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Protocol

from framecast.core.clock import SYSTEM, Clock
from framecast.core.meter import Percentiles
from framecast.core.pacer import Pacer
from framecast.core.packet import Packet
from framecast.core.seat import FRESH, Seat, Send
from framecast.core.viewer import Viewer

SLICE_S = 0.002
WRITES_PER_CLOCK_READ = 16
MOST_WAITING = 4
"""Packets that may wait for the end of a pass: what a camera sends in one burst after the loop was held up."""
FIRST_REPEAT_S = 0.25
LONGEST_INTERVAL_S = 4.5
"""Slower cameras are repeated after 9 s all the same: some readers give up after 10 s of silence."""


class Package(Protocol):
    """Makes the bytes of one packet, the same for all viewers of a fan-out."""

    def first(self, packet: Packet) -> bytes:
        """What a viewer gets that had nothing yet."""

    def next(self, packet: Packet) -> bytes:
        """What a viewer gets that had something before."""


class Fanout:
    """Viewers who get the same bytes.

    Args:
        package: Makes the bytes.
        heartbeat_s: Pause between repeats when no packet comes; 0 switches repeats off.
        fps: Most packets a second; 0 passes all.
        on_empty: Called when the last viewer has left.
        on_repeat: Called with a viewer's counters and the packet each time it is repeated.
        loop: Where time and timers come from; the running loop when left out.

    Attributes:
        latency_ms: From a packet's arrival to the last viewer's write.
        overruns: Packets dropped for all because passes took longer than packets come.
    """

    bulk = True
    most_waiting = MOST_WAITING

    def __init__(
        self,
        package: Package,
        *,
        heartbeat_s: float = 5.0,
        fps: float = 0.0,
        clock: Clock = SYSTEM,
        on_empty: Callable[[], None] | None = None,
        on_repeat: Callable[[Viewer, Packet], None] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.latency_ms = Percentiles()
        self.overruns = 0
        self._package = package
        self._pacer = Pacer(fps) if fps else None
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._on_empty = on_empty
        self._on_repeat = on_repeat
        self._loop = loop or asyncio.get_running_loop()
        self._seats: dict[Seat, None] = {}
        self._in_step: dict[Seat, Send] = {}
        self._latest: Packet | None = None
        self._index = -1
        self._passed_bytes = 0
        self._interval_s = 0.0
        self._pushed_at = 0.0
        self._measuring = False
        self._waiting: deque[Packet] = deque()
        self._pass: list[Send] = []
        # By identity; what was is kept, so that its id stays taken.
        self._changed: dict[int, tuple[Send, Send | None]] = {}
        self._owners: dict[int, Seat] | None = None
        self._passing = False
        self._pass_bytes = b""
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def viewers(self) -> list[Viewer]:
        """The counters of all viewers."""
        return [seat.viewer for seat in self._seats]

    def prime(self, packet: Packet | None) -> None:
        """Show newcomers ``packet`` (the track's latest) until the next one comes."""
        if packet is not None and self._latest is None:
            self._latest = packet
            self._index += 1
            self._pushed_at = self._loop.time()

    def add(self, seat: Seat) -> None:
        """Give a viewer its place; it gets the latest packet at once."""
        self._take_in(seat)
        if self._latest is not None and seat.ready:
            self._send_first(seat, self._latest)
            if self._heartbeat_s > 0 and self._loop.time() - self._pushed_at > FIRST_REPEAT_S:
                # The camera is silent now: without a second copy some decoders show this newcomer nothing.
                self._loop.call_later(FIRST_REPEAT_S, self._repeat_to, seat, self._index)

    def repeat_every(self, heartbeat_s: float) -> None:
        """Have another pause between repeats from now on; 0 switches them off."""
        if heartbeat_s != self._heartbeat_s:
            self._heartbeat_s = heartbeat_s
            self._disarm()
            self._arm()

    def adopt(self, seat: Seat) -> None:
        """Take a viewer over from another fan-out between two packets; its connection stays as it is."""
        if seat.fanout is not None:
            seat.fanout.remove(seat)
        self._take_in(seat)
        seat.repeated_index = FRESH
        if seat.index != FRESH:
            seat.index, seat.passed_bytes = self._index, self._passed_bytes
            if seat.ready:
                self._in_step[seat] = seat.send
        elif self._latest is not None and seat.ready:
            self._send_first(seat, self._latest)

    def remove(self, seat: Seat) -> None:
        """Take a viewer out. Safe to call twice."""
        if seat not in self._seats:
            return
        self._settle(seat)
        if seat.index not in (FRESH, self._index):
            seat.viewer.count(drops=1)  # the newest one: it was behind, and won't get it any more
        seat.viewer.settle = None
        del self._seats[seat]
        self._in_step.pop(seat, None)
        if self._passing:
            self._changed[id(seat.send)] = (seat.send, None)
        seat.fanout = None
        if not self._seats:
            self._disarm()
            if self._on_empty is not None:
                self._on_empty()

    def exchange(self, seat: Seat, before: Send) -> None:
        """A viewer's ``send`` is another one from now on."""
        if seat in self._in_step:
            self._in_step[seat] = seat.send
        if self._passing:
            self._changed[id(before)] = (before, seat.send)
            self._owners = None

    def push(self, packet: Packet) -> None:
        """Send ``packet`` to everybody who is in step."""
        if self._pacer is not None and not self._pacer.take(packet.received_ns):
            return
        now = self._loop.time()
        if self._measuring:
            gap = min(now - self._pushed_at, LONGEST_INTERVAL_S)
            self._interval_s += (gap - self._interval_s) / 8 if self._interval_s else gap
        self._measuring = True
        self._pushed_at = now
        if self._passing:
            if len(self._waiting) >= self.most_waiting:
                self._drop_for_all()
            self._waiting.append(packet)
        else:
            self._begin(packet)
            self._slice()

    def clear(self) -> None:
        """Forget the latest packet; a pass under way ends here."""
        self._latest = None
        self._measuring = False
        self._waiting.clear()
        self._pass.clear()

    def fall_behind(self, seat: Seat) -> None:
        """A viewer's transport holds bytes."""
        self._settle(seat)
        self._in_step.pop(seat, None)

    def catch_up(self, seat: Seat) -> None:
        """A viewer has drained: send it the newest packet if it hasn't had it, and let it get into step."""
        packet = self._latest
        if seat in self._in_step:
            return
        if seat.index == FRESH:
            if packet is not None:
                self._send_first(seat, packet)
            return
        missed = self._index - seat.index
        seat.index, seat.passed_bytes = self._index, self._passed_bytes
        self._in_step[seat] = seat.send
        if packet is None:
            seat.viewer.count(drops=missed)
        elif missed:
            data = self._package.next(packet)
            seat.viewer.count(sent=1, drops=missed - 1, size_bytes=len(data))
            self._write(seat, data)

    def _take_in(self, seat: Seat) -> None:
        self._seats[seat] = None
        seat.fanout = self
        seat.viewer.settle = lambda: self._settle(seat)
        self._arm()

    def _send_first(self, seat: Seat, packet: Packet) -> None:
        data = self._package.first(packet)
        seat.index, seat.passed_bytes = self._index, self._passed_bytes
        seat.viewer.count(sent=1, size_bytes=len(data))
        self._in_step[seat] = seat.send
        self._write(seat, data)

    def _write(self, seat: Seat, data: bytes) -> None:
        try:
            taken = seat.send(data)
        except OSError:
            taken = 0
        if taken != len(data):
            seat.finish(data, taken)

    def _settle(self, seat: Seat) -> None:
        """Count what a viewer was sent while it was in step, or has missed while it was not."""
        passed = self._index - seat.index
        if seat.index == FRESH or not passed:
            return
        if seat in self._in_step:
            seat.viewer.count(sent=passed, size_bytes=self._passed_bytes - seat.passed_bytes)
            seat.index, seat.passed_bytes = self._index, self._passed_bytes
        elif passed > 1:
            seat.viewer.count(drops=passed - 1)  # the newest one it may still get
            seat.index = self._index - 1

    def _begin(self, packet: Packet) -> None:
        self._pass_bytes = self._package.next(packet)
        self._passed_bytes += len(self._pass_bytes)
        self._latest = packet
        self._index += 1
        self._passing = True
        self._pass = list(self._in_step.values())
        self._owners = None
        if len(self._in_step) < len(self._seats):
            self._begin_with_newcomers(packet)

    def _begin_with_newcomers(self, packet: Packet) -> None:
        for seat in tuple(self._seats):
            if seat.index == FRESH and seat.ready:
                self._send_first(seat, packet)

    def _slice(self) -> None:
        data, sends = self._pass_bytes, self._pass
        if self._changed:
            sends = [send for send in map(self._now_of, sends) if send is not None]
            self._changed.clear()
        size = len(data)
        end = perf_counter() + SLICE_S
        for done in range(0, len(sends), WRITES_PER_CLOCK_READ):
            if done and perf_counter() > end:
                self._pass = sends[done:]
                self._loop.call_soon(self._slice)
                return
            for send in sends[done : done + WRITES_PER_CLOCK_READ]:
                try:
                    taken = send(data)
                except OSError:  # full, or gone: the transport finds out which
                    taken = 0
                if taken != size:
                    self._finish(send, data, taken)
        self._pass = []
        self._changed.clear()
        self._owners = None
        self._pass_bytes = b""
        self._passing = False
        packet = self._latest
        if packet is not None:
            self.latency_ms.add((self._clock.now_ns() - packet.received_ns) / 1e6)
        if self._waiting:
            self._begin(self._waiting.popleft())
            self._loop.call_soon(self._slice)

    def _now_of(self, send: Send) -> Send | None:
        """What has become of a ``send`` since the pass began; None where its viewer has left."""
        now: Send | None = send
        while now is not None and id(now) in self._changed:
            _, now = self._changed[id(now)]
        return now

    def _finish(self, send: Send, data: bytes, taken: int) -> None:
        """Have whoever's ``send`` this is finish ``data``."""
        if self._owners is None:
            self._owners = {id(seat.send): seat for seat in self._seats}
        seat = self._owners.get(id(send))
        if seat is not None and seat.fanout is self:
            seat.finish(data, taken)

    def _drop_for_all(self) -> None:
        self._waiting.popleft()
        self.overruns += 1
        for seat in self._seats:
            if seat.index != FRESH:
                seat.viewer.count(drops=1)

    # The heartbeat. The timer is armed once and looks at the time when it fires, so that a frame costs no timer.

    def _arm(self) -> None:
        if self._timer is None and self._heartbeat_s > 0 and self._seats:
            self._timer = self._loop.call_later(FIRST_REPEAT_S, self._beat)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = None
        if not self._seats:
            return
        packet = self._latest
        first_s = max(2 * self._interval_s, FIRST_REPEAT_S)
        if packet is None:
            self._timer = self._loop.call_later(FIRST_REPEAT_S, self._beat)
            return
        silent_s = self._loop.time() - self._pushed_at
        number = 1 + int((silent_s - first_s) / self._heartbeat_s) if silent_s >= first_s else 0
        if number > 0:
            self._repeat(iter(tuple(self._seats)), self._index, number)
        wait_s = first_s + number * self._heartbeat_s - silent_s
        self._timer = self._loop.call_later(max(wait_s, 0.005), self._beat)

    def _repeat(self, seats: Iterator[Seat], index: int, number: int) -> None:
        """Repeat to everybody who hasn't had it ``number`` times, in slices like any pass."""
        end = perf_counter() + SLICE_S
        for done, seat in enumerate(seats, 1):
            if seat.repeated_index != index or seat.repeated < number:
                self._repeat_to(seat, index)
                seat.repeated = number
            if not done % WRITES_PER_CLOCK_READ and perf_counter() > end:
                self._loop.call_soon(self._repeat, seats, index, number)
                return

    def _repeat_to(self, seat: Seat, index: int) -> None:
        packet = self._latest
        if packet is None or seat not in self._in_step or index != self._index or self._passing:
            return
        seat.repeated_index = index
        data = self._package.next(packet)
        seat.viewer.repeats += 1
        seat.viewer.count(size_bytes=len(data))
        self._write(seat, data)
        if self._on_repeat is not None:
            self._on_repeat(seat.viewer, packet)
