"""MJPEG viewers whose quality follows their connection.

An MJPEG viewer acknowledges nothing, but its TCP does: what the kernel says has been acknowledged is what has arrived
at the other end of the connection (a viewer, or a proxy before it). It is looked at ten times a second; what was
written before then counts as acknowledged then. Where the system does not say, a message counts as acknowledged when
the transport has passed everything on. There is no padding in MJPEG: a step up is tried when nothing speaks against it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from framecast.core.adapt import Controller
from framecast.core.errors import LimitReached
from framecast.core.fanout import Fanout
from framecast.core.ladder import LADDER, Level
from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.seat import Seat
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.output import tcpinfo

LOOK_S = 0.1
LONGEST_MOVE_S = 2.0
MOST_LAG = 10
"""A rendition that is always behind the one before is taken over all the same after so many pictures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a viewer gets on a level: of which pictures, and how many a second at most (0 for all)."""

    rendition: Rendition
    fps: float


class Fanouts(Protocol):
    """Where the fan-outs of a viewer's form are."""

    stream: Stream

    def open(self, plan: Plan) -> tuple[Fanout, Track]:
        """The fan-out of a plan and the track it reads; may raise `LimitReached`."""

    def drop(self, plan: Plan) -> None:
        """It may end, if it has no viewer."""


class Switch:
    """Moves a seat to another fan-out with its next packet: a sink of that one's track, until then.

    Args:
        seat: Whose.
        before: What its fan-out reads.
        open_fanout: Returns the one where to, open: it ends with its last viewer, so it may not be the same by then.
        track: What that one reads.
        on_moved: Called when it is done.
    """

    bulk = False

    def __init__(
        self,
        seat: Seat,
        before: Track,
        open_fanout: Callable[[], Fanout],
        track: Track,
        on_moved: Callable[[], None],
    ) -> None:
        self._seat = seat
        self._before = before
        self._open_fanout = open_fanout
        self._track = track
        self._on_moved = on_moved
        self._lag = 0
        self._loop = asyncio.get_running_loop()
        track.attach(self)

    def push(self, packet: Packet) -> None:
        """Take the seat over, before its new fan-out sends ``packet``, or after it where the seat has had that one."""
        if self._seat.fanout is None:
            self.cancel()
            return
        sent_id = 0 if self._before.latest is None else self._before.latest.frame_id
        if packet.frame_id > sent_id:
            self._adopt()
        elif packet.frame_id == sent_id or self._lag >= MOST_LAG:
            self._track.detach(self)
            self._loop.call_soon(self._adopt)
        else:
            self._lag += 1

    def clear(self) -> None:
        """Nothing is kept here."""

    def cancel(self) -> None:
        """Stay where it is. Safe to call twice."""
        self._track.detach(self)

    def _adopt(self) -> None:
        self._track.detach(self)
        if self._seat.fanout is not None:
            self._open_fanout().adopt(self._seat)
            self._on_moved()


class Follower:
    """Keeps one MJPEG viewer on the level that its connection carries.

    Args:
        seat: The viewer's.
        transport: Its connection.
        fanouts: Where it can move to.
        plan: What it gets on a level.
    """

    def __init__(
        self, seat: Seat, transport: asyncio.Transport, fanouts: Fanouts, plan: Callable[[Level], Plan]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._seat = seat
        self._transport = transport
        self._fanouts = fanouts
        self._plan = plan
        self._controller = Controller(self._loop.time(), pads=False)
        self._at = plan(LADDER[0])
        _, self._track = fanouts.open(self._at)
        self._next: Plan | None = None
        self._switch: Switch | None = None
        self._decided_s = 0.0
        self._written = 0
        self._acked = 0
        self._began_at: int | None = None
        self._log: deque[tuple[int, float, int]] = deque()
        self._mean_bytes = 0.0
        self._drops = seat.viewer.drops
        self._send = seat.send
        seat.send = self._count
        self._tell()
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def close(self) -> None:
        """Leave the viewer where it is."""
        self._timer.cancel()
        self._give_up()

    def _count(self, data: bytes) -> int:
        size = len(data)
        self._written += size
        self._log.append((self._written, self._loop.time(), size))
        self._mean_bytes += (size - self._mean_bytes) * (0.1 if self._mean_bytes else 1.0)
        return self._send(data)

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK_S, self._look)
        now, controller = self._loop.time(), self._controller
        info = tcpinfo.read(self._transport)
        buffered = self._transport.get_write_buffer_size()
        if not buffered and (info is None or not (info.flying or info.unsent_bytes)):
            self._acked = self._written
            self._began_at = None if info is None else info.acked_bytes - self._written
        elif info is not None and self._began_at is not None:
            self._acked = max(self._acked, info.acked_bytes - self._began_at)
        while self._log and self._log[0][0] <= self._acked:
            _, sent_at, size = self._log.popleft()
            controller.acked(now, sent_at, size)
        drops = self._seat.viewer.drops
        for _ in range(min(drops - self._drops, 100)):
            controller.dropped(now)
        self._drops = drops
        self._learn()
        if self._switch is not None and now - self._decided_s < LONGEST_MOVE_S:
            return
        before = controller.level
        if controller.review(now, (self._log[0][1], self._log[0][2]) if self._log else None):
            self._decided_s = now
            self._go(before)

    def _learn(self) -> None:
        stream, controller = self._fanouts.stream, self._controller
        fps, bytes_per_s = stream.meter.rates(stream.clock.now_ns())
        latest = stream.video.latest
        controller.source(0 if latest is None else latest.format.width_px, fps)
        if self._at.rendition.is_source and not self._at.fps:
            controller.takes(controller.level, bytes_per_s)
        elif self._switch is None and fps:
            controller.takes(controller.level, self._mean_bytes * min(fps, self._at.fps or fps))

    def _go(self, before: int) -> None:
        controller = self._controller
        self._give_up()
        for level in range(controller.level, len(LADDER)):
            plan = self._plan(LADDER[level])
            if level == before:
                continue
            try:
                fanout, track = self._fanouts.open(plan)
            except LimitReached:
                continue
            if level != controller.level:
                controller.forgo(level, f"{controller.reason}; {LADDER[controller.level].name} can't be made now")
            if fanout is self._seat.fanout:
                self._moved(plan, track)
                return
            self._next = plan
            self._switch = Switch(
                self._seat, self._track, partial(self._open, plan), track, partial(self._moved, plan, track)
            )
            return
        controller.forgo(before, "other sizes can't be made now: too many are being watched")
        self._tell()

    def _open(self, plan: Plan) -> Fanout:
        return self._fanouts.open(plan)[0]

    def _moved(self, plan: Plan, track: Track) -> None:
        self._switch = self._next = None
        self._track = track
        self._at = plan
        self._mean_bytes = 0.0
        self._controller.moved(self._loop.time())
        self._seat.viewer.rendition = plan.rendition.name
        self._seat.viewer.fps_limit = plan.fps
        self._tell()

    def _give_up(self) -> None:
        if self._switch is not None:
            self._switch.cancel()
            self._switch = None
        if self._next is not None:
            self._fanouts.drop(self._next)
            self._next = None

    def _tell(self) -> None:
        viewer, reason = self._seat.viewer, self._controller.reason
        if viewer.choice is not None:
            viewer.choice = replace(
                viewer.choice,
                level=LADDER[self._controller.level].name,
                width_px=self._at.rendition.width_px,
                fps=self._at.fps,
                reason=reason[:1].upper() + reason[1:],
            )
