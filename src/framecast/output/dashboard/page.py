"""A page's socket, as everything that is sent over it shares it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from framecast.wire.media import Codec, Kind, pack_header
from framecast.wire.wsframe import Opcode, server_header

MOST_BUFFERED_BYTES = 64 * 1024
"""A socket that holds more than this gets no further picture until the page has acknowledged one of any camera."""

PADDING_PAUSE_S = 0.5


class Waiting(Protocol):
    """What waits for room in a socket."""

    def pump(self) -> None:
        """Send what waits, if there is room."""


class Page:
    """One page's socket, as its subscriptions share it.

    Args:
        write: Writes bytes to the socket's transport at once.
        buffered: How many bytes the transport holds.
    """

    def __init__(self, write: Callable[[bytes], object], buffered: Callable[[], int]) -> None:
        self.write = write
        self._buffered = buffered
        self._held: dict[Waiting, None] = {}
        self._padded_s = 0.0

    @property
    def full(self) -> bool:
        """Whether the socket is to get no further picture for now."""
        return self._buffered() > MOST_BUFFERED_BYTES

    def holds_more_than(self, size_bytes: int) -> bool:
        """Whether the transport holds more than so many bytes."""
        return self._buffered() > size_bytes

    def may_pad(self, now_s: float) -> bool:
        """Whether padding may go now: what one camera needs to know must not cost the others much."""
        return now_s - self._padded_s >= PADDING_PAUSE_S

    def pad(self, now_s: float, size_bytes: int) -> None:
        """Send so much for nothing but to see how long it takes."""
        self._padded_s = now_s
        head = pack_header(camera=0, frame_id=0, pts_ns=0, kind=Kind.PADDING, codec=Codec.NONE, key=False)
        self.write(b"".join((server_header(Opcode.BINARY, len(head) + size_bytes), head, bytes(size_bytes))))

    def hold(self, waiting: Waiting) -> None:
        """Let a subscription wait for room: its camera may not send another picture for a long time."""
        self._held[waiting] = None

    def forget(self, waiting: Waiting) -> None:
        """Let it wait no longer."""
        self._held.pop(waiting, None)

    def release(self) -> None:
        """The page has taken something: those that wait may go, in their order, while there is room."""
        for waiting in tuple(self._held) if self._held else ():
            if self.full:
                return
            if self._held.pop(waiting, 0) is None:
                waiting.pump()
