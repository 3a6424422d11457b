"""Stand-ins for what surrounds the core: time, a connection, packets."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from framecast.core.clock import ManualClock
from framecast.core.fanout import Fanout
from framecast.core.mailbox import Mailbox
from framecast.core.packet import Format, Packet
from framecast.core.seat import Seat
from framecast.core.track import Track
from framecast.core.viewer import Viewer, new_viewer

START_NS = 1_700_000_000_000_000_000
JPEG = Format("mjpeg", 640, 480)


def packet(number: int, payload: bytes | None = None, *, key: bool = True, at_ns: int | None = None) -> Packet:
    """A packet that tells its number in every field that rises."""
    stamp_ns = START_NS + number * 1_000_000 if at_ns is None else at_ns
    return Packet(payload or b"<%d>" % number, JPEG, number, number, 1, stamp_ns, stamp_ns, key)


class Collector:
    """A sink that keeps what it got."""

    def __init__(self, *, bulk: bool = False) -> None:
        self.bulk = bulk
        self.packets: list[Packet] = []
        self.clears = 0

    def push(self, packet: Packet) -> None:
        self.packets.append(packet)

    def clear(self) -> None:
        self.clears += 1
        self.packets.clear()

    @property
    def numbers(self) -> list[int]:
        return [each.frame_id for each in self.packets]


class ManualLoop:
    """The part of an event loop that timers need, with time that passes when told to."""

    class Timer:
        def __init__(self, call: Callable[[], object]) -> None:
            self.call = call
            self.cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    def __init__(self) -> None:
        self.now = 1000.0
        self.clock = ManualClock(START_NS)
        self._order = itertools.count()
        self._timers: list[tuple[float, int, ManualLoop.Timer]] = []
        self._soon: deque[Callable[[], object]] = deque()

    @property
    def real(self) -> asyncio.AbstractEventLoop:
        """Itself, for those who ask for a loop by its type."""
        return cast(asyncio.AbstractEventLoop, self)

    @property
    def timers(self) -> int:
        """Timers that will fire."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, call: Callable[..., object], *args: Any) -> Timer:
        timer = self.Timer(lambda: call(*args))
        heapq.heappush(self._timers, (self.now + delay_s, next(self._order), timer))
        return timer

    def call_soon(self, call: Callable[..., object], *args: Any) -> None:
        self._soon.append(lambda: call(*args))

    def turn(self) -> bool:
        """One iteration: what was to be called soon is called; whether there was anything."""
        calls, self._soon = self._soon, deque()
        for call in calls:
            call()
        return bool(calls)

    def settle(self) -> None:
        """Iterate until nothing is left to be called."""
        while self.turn():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due in it."""
        end = self.now + seconds
        self.settle()
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._move(due)
            if not timer.cancelled:
                timer.call()
            self.settle()
        self._move(end)

    def _move(self, to: float) -> None:
        self.clock.advance(to - self.now)
        self.now = to


class Connection:
    """A viewer's transport: takes bytes at once, and says `pause` from within ``write`` while it is held."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.viewer: Viewer = new_viewer("mjpeg", name, ManualClock(START_NS))
        self.seat = Seat(self.write, self.viewer)
        self.written: list[bytes] = []
        self.held = False
        self.gone = False

    def write(self, data: bytes) -> None:
        if self.gone:
            raise RuntimeError("unable to perform operation; the handler is closed")
        self.written.append(data)
        if self.held:
            self.seat.pause()

    def drain(self) -> None:
        """The peer has read everything."""
        self.held = False
        if not self.seat.ready:
            self.seat.resume()

    @property
    def text(self) -> str:
        return b" ".join(self.written).decode()

    @property
    def counts(self) -> tuple[int, int, int]:
        """(sent, drops, repeats); between passes its bytes are those that were written."""
        assert self.viewer.bytes == sum(map(len, self.written))
        return self.viewer.sent, self.viewer.drops, self.viewer.repeats


class Labels:
    """A package whose bytes say what they are: ``F3`` is packet 3 as a first part, ``3`` as a later one."""

    def __init__(self) -> None:
        self.made: list[tuple[int, bytes]] = []
        self._kept: dict[tuple[str, int], bytes] = {}

    def first(self, packet: Packet) -> bytes:
        return self._label("F", packet)

    def next(self, packet: Packet) -> bytes:
        return self._label("", packet)

    def _label(self, prefix: str, packet: Packet) -> bytes:
        key = (prefix, packet.frame_id)
        if key not in self._kept:
            self._kept[key] = f"{prefix}{packet.frame_id}".encode()
            self.made.append((packet.frame_id, self._kept[key]))
        return self._kept[key]


class Stage:
    """A fan-out, its loop, and its viewers."""

    def __init__(self, **options: Any) -> None:
        self.loop = ManualLoop()
        self.package = Labels()
        self.fanout = Fanout(self.package, loop=self.loop.real, clock=self.loop.clock, **options)
        self._numbers = itertools.count(1)

    def join(self, count: int = 1) -> list[Connection]:
        """So many more viewers."""
        joined = [Connection(str(number)) for number in range(count)]
        for connection in joined:
            self.fanout.add(connection.seat)
        return joined

    def push(self, *, settle: bool = True) -> Packet:
        """The camera's next packet."""
        made = packet(next(self._numbers), at_ns=self.loop.clock.now_ns())
        self.fanout.push(made)
        if settle:
            self.loop.settle()
        return made

    def stream(self, count: int, interval_s: float) -> None:
        """So many packets, evenly, each followed by its interval."""
        for _ in range(count):
            self.push()
            self.loop.advance(interval_s)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition`` holds; the test's time-out is the bound."""
    while not condition():  # noqa: ASYNC110 - anything may be waited for, and not all of it is announced
        await asyncio.sleep(0.001)


async def a_few_turns() -> None:
    """Let everything happen that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


class Workshop:
    """Makes workers that mark what they pass on, and keeps account of them.

    Attributes:
        made: Workers made so far.
        worked: Ids of packets that were worked on.
        gate: While cleared, a worker keeps the packet it has read.
    """

    def __init__(self, mark: bytes = b"+") -> None:
        self.mark = mark
        self.made = 0
        self.worked: list[int] = []
        self.fail_at: int | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def make(self, *_: object) -> Bench:
        self.made += 1
        return Bench(self)


class Bench:
    """One worker."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    async def run(self, source: Mailbox, out: Track) -> None:
        async for packet in source:
            await self.shop.gate.wait()
            if packet.frame_id == self.shop.fail_at:
                raise ZeroDivisionError
            self.shop.worked.append(packet.frame_id)
            out.publish(replace(packet, payload=self.shop.mark + packet.payload))
