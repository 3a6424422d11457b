"""What passes between the loop and the thread that reads through FFmpeg: the order one way, pictures the other."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass

from framecast.core.clock import Clock
from framecast.core.source import Feed
from framecast.ingest.avtarget import Target

PICTURES = 4
"""Places between thread and loop: a loop that is busy for 100 ms loses none at 30 fps."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a session is to do.

    Attributes:
        is_checked: Whether the target was checked, so that it may lead nowhere else.
    """

    target: Target
    fps: float
    quality: int
    timeout_s: float
    is_checked: bool = False


class Unit(NamedTuple):
    """One access unit in Annex B, its parameter sets in front where it is a keyframe."""

    payload: bytes
    key: bool
    width_px: int
    height_px: int


class Block(NamedTuple):
    """PCM, s16le interleaved, and the container's time of its first sample."""

    payload: bytes
    sample_rate_hz: int
    channels: int
    at_s: float


class Outlet:
    """Where the thread puts what it has, and the loop takes it. LATEST: of `PICTURES` pictures the oldest gives way.

    Args:
        loop: Where ``feed`` lives.
        feed: Who gets it.

    Attributes:
        drops: Pictures that gave way.
        closed: Set when nobody wants any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, feed: Feed) -> None:
        self.drops = 0
        self.closed = threading.Event()
        self.clock: Clock = feed.clock
        self._loop = loop
        self._feed = feed
        self._pictures: deque[tuple[bytes, float, int]] = deque()
        self._faults: deque[str] = deque(maxlen=64)
        self._lock = threading.Lock()

    def connected(self, dialect: str, address: str) -> None:
        """From the thread: the device speaks."""
        with self._lock:
            if not self.closed.is_set():
                self._loop.call_soon_threadsafe(self._connected, dialect, address)

    def picture(self, jpeg: bytes, stamp_s: float) -> None:
        """From the thread: a picture, with its time as Unix seconds."""
        received_ns = self.clock.now_ns()
        with self._lock:
            waiting = bool(self._pictures or self._faults)
            if len(self._pictures) >= PICTURES:
                self._pictures.popleft()
                self.drops += 1
            self._pictures.append((jpeg, stamp_s, received_ns))
            self._wake(waiting)

    def fault(self, cause: str) -> None:
        """From the thread: something was lost."""
        with self._lock:
            waiting = bool(self._pictures or self._faults)
            self._faults.append(cause)
            self._wake(waiting)

    def close(self) -> None:
        """From the loop: nothing more is taken; nothing touches the loop after this."""
        with self._lock:
            self.closed.set()

    def _wake(self, waiting: bool) -> None:
        if not waiting and not self.closed.is_set():
            self._loop.call_soon_threadsafe(self._drain)

    def _connected(self, dialect: str, address: str) -> None:
        if not self.closed.is_set():
            self._feed.connected(dialect, address)

    def _drain(self) -> None:
        with self._lock:
            pictures, faults = list(self._pictures), list(self._faults)
            self._pictures.clear()
            self._faults.clear()
        if self.closed.is_set():
            return
        for cause in faults:
            self._feed.fault(cause)
        for jpeg, stamp_s, received_ns in pictures:
            self._feed.jpeg(jpeg, stamp_s=stamp_s, received_ns=received_ns)
