"""The newest look of a camera's detector, for what draws it into pictures.

A picture does not wait for its own look: it would be late by an inference. It shows the newest one, as long as that is
young enough to be true of it, with what moves where it will be by then. The first picture alone waits, so that a
snapshot shows something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.track import Track
from framecast.process.drift import Drift
from framecast.process.worker import JpegWorker
from framecast.wire.detections import Look, unpack

HOLDS_S = 1.0
"""A look is shown on pictures taken no later than this after its own, or than `INTERVALS` of the looks."""
INTERVALS = 2
LONGEST_INTERVAL_S = 5.0
"""Looks that are further apart are no rhythm."""
FIRST_LOOK_S = 3.0
"""Longest wait of the first picture: a model has to be read before it sees anything."""


class Seen:
    """A sink of the track ``detections``. `at` may be called from any thread, though from one at a time."""

    bulk = False

    def __init__(self) -> None:
        self._newest: tuple[Packet, float] | None = None
        self._read: tuple[Packet, Drift] | None = None
        self._came = asyncio.Event()

    def push(self, packet: Packet) -> None:
        """Take a look."""
        holds_s = HOLDS_S
        if self._newest is not None and self._newest[0].epoch == packet.epoch:
            interval_s = (packet.pts_ns - self._newest[0].pts_ns) / 1e9
            holds_s = max(HOLDS_S, INTERVALS * min(interval_s, LONGEST_INTERVAL_S))
        self._newest = packet, holds_s
        self._came.set()

    def clear(self) -> None:
        """Forget it: what is under a mask now may have been seen before."""
        self._newest = self._read = None

    def at(self, packet: Packet) -> Look | None:
        """What is to be drawn into ``packet``; None when nothing is known of it."""
        newest = self._newest
        if newest is None:
            return None
        seen, holds_s = newest
        if seen.epoch != packet.epoch or abs(packet.pts_ns - seen.pts_ns) > holds_s * 1e9:
            return None
        read = self._read
        if read is None or read[0] is not seen:
            drift = Drift() if read is None else read[1]
            drift.take(unpack(seen.payload))
            self._read = read = seen, drift
        return read[1].at(packet.pts_ns)

    def begin(self, packet: Packet) -> None:
        """Take the look there was before. It will do until a new one has come, but only for its own picture."""
        self.push(packet)
        self._came.clear()

    async def first(self, packet: Packet, wait_s: float) -> None:
        """Wait for a look that will do for ``packet``, so long at most."""
        newest = self._newest
        if newest is not None and (newest[0].frame_id, newest[0].epoch) == (packet.frame_id, packet.epoch):
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._came.wait()
        except TimeoutError:
            pass


class SeenWorker:
    """A `framecast.core.worker.Worker`: has a camera's pictures looked at while ``inner`` draws what is seen.

    Args:
        inner: Makes the pictures.
        seen: Where it finds what to draw.
        track: The camera's track ``detections``; asked for when work begins, since it ends when nobody reads it.
    """

    def __init__(self, inner: JpegWorker, seen: Seen, track: Callable[[], Track]) -> None:
        self._inner = inner
        self._seen = seen
        self._track = track

    async def run(self, source: Mailbox, out: Track) -> None:
        """See `framecast.core.worker.Worker`."""
        looks = self._track()
        if looks.latest is not None:
            # While somebody looks, what is known is no older than an interval.
            (self._seen.push if looks.wanted else self._seen.begin)(looks.latest)
        looks.attach(self._seen)
        try:
            await self._inner.work(_FirstInTime(source, self._seen, FIRST_LOOK_S), out)
        finally:
            looks.detach(self._seen)


class _FirstInTime:
    """The packets of a mailbox; the first one when it has been looked at."""

    def __init__(self, source: Mailbox, seen: Seen, wait_s: float) -> None:
        self._source = source
        self._seen = seen
        self._wait_s = wait_s

    def __aiter__(self) -> AsyncIterator[Packet]:
        return self

    async def __anext__(self) -> Packet:
        packet = await self._source.get()
        if self._wait_s:
            await self._seen.first(packet, self._wait_s)
            self._wait_s = 0.0
        return packet
