"""One viewer's place in a fan-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from framecast.core.viewer import Viewer

Send = Callable[[bytes], int]
"""Says how much of the bytes the kernel took; raises OSError when it took none."""
FRESH = -(1 << 62)
"""Index of a seat that has had nothing yet."""
GONE = (OSError, RuntimeError)
"""What ``write`` of a connection that is already gone raises (uvloop: ``the handler is closed``)."""


class Seats(Protocol):
    """What a seat tells of itself: the fan-out that it is in."""

    def remove(self, seat: Seat) -> None:
        """It leaves."""

    def fall_behind(self, seat: Seat) -> None:
        """Its transport holds bytes."""

    def catch_up(self, seat: Seat) -> None:
        """Its transport has passed everything on."""

    def exchange(self, seat: Seat, before: Send) -> None:
        """Its ``send`` was ``before`` until now."""


class Seat:
    """One viewer's place in a fan-out.

    Args:
        write: Takes bytes at once; what the kernel doesn't take stays in the transport, which then says `pause`.
        viewer: Its counters.
        send: A shorter way for a connection that holds nothing; ``write`` gets what it leaves. All goes through
            ``write`` when left out.

    Attributes:
        index: Index of the last packet it was sent, as of the last `settle`.
        passed_bytes: What the fan-out had sent to everybody in step by then.
    """

    __slots__ = ("_send", "fanout", "index", "passed_bytes", "ready", "repeated", "repeated_index", "viewer", "write")

    def __init__(self, write: Callable[[bytes], object], viewer: Viewer, send: Send | None = None) -> None:
        self.write = write
        self._send: Send = send or self._write_all
        self.viewer = viewer
        self.ready = True
        self.index = FRESH
        self.passed_bytes = 0
        self.repeated = 0
        self.repeated_index = FRESH
        self.fanout: Seats | None = None

    @property
    def send(self) -> Send:
        """The shorter way; it may be exchanged at any time."""
        return self._send

    @send.setter
    def send(self, send: Send) -> None:
        before, self._send = self._send, send
        if self.fanout is not None:
            self.fanout.exchange(self, before)

    def pause(self) -> None:
        """The transport holds bytes it could not pass on."""
        self.ready = False
        self.viewer.behind = True
        if self.fanout is not None:
            self.fanout.fall_behind(self)

    def resume(self) -> None:
        """The transport has passed everything on: the newest packet may go."""
        self.ready = True
        self.viewer.behind = False
        if self.fanout is not None:
            self.fanout.catch_up(self)

    def leave(self) -> None:
        """Give the place up. Safe to call twice."""
        if self.fanout is not None:
            self.fanout.remove(self)

    def finish(self, data: bytes, taken: int) -> None:
        """Have the transport take what ``send`` left of ``data``; a seat whose connection is gone is given up."""
        try:
            self.write(data[taken:] if taken else data)
        except GONE:
            self.leave()

    def _write_all(self, data: bytes) -> int:
        try:
            self.write(data)
        except GONE:
            self.leave()
        return len(data)
