"""A camera of the server in virtual time.

What a device sends goes in by the real ingest, and outputs are made from its tracks by the real encoders and muxers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from framecast.app import Parts
from framecast.core.clock import ManualClock
from framecast.core.packet import Packet
from framecast.core.rendition import DETECTIONS
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.ingest.gate import Gate
from framecast.ingest.push import Desk
from tests.sync.virtual import Arrival, Device

Way = Callable[["House", Arrival], None]


@dataclass
class Tap:
    """A sink that hands each packet on, and can be waited for."""

    take: Callable[[Packet], None]
    bulk: bool = True
    latest: Packet | None = None
    count: int = 0
    _come: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, packet: Packet) -> None:
        self.latest = packet
        self.count += 1
        self.take(packet)
        self._come.set()

    def clear(self) -> None: ...

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for packets until ``done``."""
        async with asyncio.timeout(20):
            while not done():
                self._come.clear()
                await self._come.wait()


@dataclass
class House:
    """One camera that pushes."""

    clock: ManualClock
    stream: Stream
    desk: Desk
    form: dict[str, int] = field(default_factory=dict)

    async def play(self, device: Device, way: Way, settled: Callable[[Arrival], Awaitable[None]] | None = None) -> None:
        """Let everything that ``device`` sends arrive, one after another, ``settled`` awaited after each."""
        self.form = {"sample_rate_hz": device.rate_hz, "channels": device.channels}
        start_ns = self.clock.ticks_ns
        for arrival in device.arrivals():
            self.clock.ticks_ns = max(start_ns + round(arrival.at_s * 1e9), self.clock.ticks_ns)
            way(self, arrival)
            if settled is not None:
                await settled(arrival)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """A camera with all that makes renditions of it."""
    parts = Parts()
    clock = ManualClock()
    async with Supervisor() as supervisor:
        stream = Stream(
            "door",
            1,
            supervisor,
            clock=clock,
            make_worker=lambda rendition: parts.make_worker(
                rendition, lambda cause: None, lambda: stream.track(DETECTIONS)
            ),
        )
        desk = Desk(stream, Gate(stream, verify="never"))
        desk.check_in("device", dialect="virtual", address="nowhere")
        desk.microphone.check_in("device")
        try:
            yield House(clock, stream, desk)
        finally:
            stream.close()
            parts.close()


def stamped(house: House, arrival: Arrival) -> None:
    """Pictures and chunks both say when they were taken."""
    if arrival.sound:
        house.desk.microphone.chunk(arrival.payload, sequence=arrival.number, stamp_s=arrival.taken_s, **house.form)
    else:
        house.desk.jpeg(arrival.payload, stamp_s=arrival.taken_s)


def doorbell(house: House, arrival: Arrival) -> None:
    """Pictures say it in whole milliseconds, chunks have numbers only."""
    if arrival.sound:
        house.desk.microphone.chunk(arrival.payload, sequence=arrival.number, **house.form)
    else:
        house.desk.jpeg(arrival.payload, stamp_s=int(arrival.taken_s * 1_000) / 1_000)


def pulled(house: House, arrival: Arrival) -> None:
    """Pictures say it, the sound is an endless file."""
    if arrival.sound:
        house.desk.microphone.chunk(arrival.payload, **house.form)
    else:
        house.desk.jpeg(arrival.payload, stamp_s=arrival.taken_s)


def bare(house: House, arrival: Arrival) -> None:
    """Nobody says anything, as on a WebSocket."""
    if arrival.sound:
        house.desk.microphone.chunk(arrival.payload, sequence=arrival.number, **house.form)
    else:
        house.desk.jpeg(arrival.payload)
