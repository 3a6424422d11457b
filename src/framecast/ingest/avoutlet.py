"""What passes between the loop and the thread that reads through FFmpeg: the order one way, pictures the other."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from framecast.core.clock import Clock
from framecast.core.source import Feed
from framecast.ingest.avtarget import Target
from framecast.wire.jpeg import MAX_PIXELS

PICTURES = 4
"""Places between thread and loop: a loop that is busy for 100 ms loses none at 30 fps."""
UNITS = 64
"""Places for access units. When they run out all of them go, and those up to the next keyframe."""
BLOCKS = 100
FAULTS = 64
IDS = 600
"""Access units whose pictures may still come."""

_PLACES = {"picture": PICTURES, "unit": UNITS, "sound": BLOCKS, "fault": FAULTS, "codes": 8}

Say = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What a session is to do.

    Attributes:
        is_checked: Whether the target was checked, so that it may lead nowhere else.
        max_pixels: Of a picture; larger ones are not decoded.
    """

    target: Target
    fps: float
    quality: int
    timeout_s: float
    is_checked: bool = False
    max_pixels: int = MAX_PIXELS


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
    """Where the thread puts what it has, and the loop takes it, in the same order.

    LATEST: of `PICTURES` pictures the oldest gives way, of blocks of sound too. SKIP_TO_KEY: of access units all do.

    Args:
        loop: Where ``feed`` lives.
        feed: Who gets it.

    Attributes:
        drops: Pictures and access units that gave way.
        closed: Set when nobody wants any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, feed: Feed) -> None:
        self.drops = 0
        self.closed = threading.Event()
        self.clock: Clock = feed.clock
        self._loop = loop
        self._feed = feed
        self._queue: deque[tuple[str, Say]] = deque()
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._skipping = False
        self._tokens = 0
        self._ids: dict[int, int] = {}  # of the loop alone

    def connected(self, dialect: str, address: str) -> None:
        """From the thread: the device speaks."""
        with self._lock:
            if not self.closed.is_set():
                self._loop.call_soon_threadsafe(self._connected, dialect, address)

    def picture(self, jpeg: bytes, stamp_s: float) -> None:
        """From the thread: a picture, with its time as Unix seconds."""
        received_ns = self.clock.now_ns()
        self._put("picture", lambda: self._give_picture(jpeg, stamp_s, received_ns))

    @property
    def wants_pictures(self) -> bool:
        """For the thread: whether anybody needs pictures of what codes itself."""
        return self._feed.wants_pictures

    def codes_itself(self, yes: bool) -> None:
        """From the thread: whether access units will come from now on."""
        self._put("codes", lambda: self._feed.codes_itself(yes))

    def unit(self, unit: Unit, stamp_s: float) -> int:
        """From the thread: an access unit, with its time; what `picture_of` knows it by."""
        received_ns = self.clock.now_ns()
        self._tokens += 1
        token = self._tokens
        if not (self._skipping and not unit.key):
            self._skipping = False
            self._put("unit", lambda: self._give_unit(unit, stamp_s, received_ns, token))
        else:
            self.drops += 1
        return token

    def picture_of(self, token: int, jpeg: bytes) -> None:
        """From the thread: the picture of an access unit."""
        self._put("picture", lambda: self._give_picture_of(token, jpeg))

    def sound(self, block: Block, stamp_s: float) -> None:
        """From the thread: a block of sound, with the time of its first sample."""
        received_ns = self.clock.now_ns()
        self._put("sound", lambda: self._give_sound(block, stamp_s, received_ns))

    def fault(self, cause: str) -> None:
        """From the thread: something was lost."""
        self._put("fault", lambda: self._feed.fault(cause))

    def close(self) -> None:
        """From the loop: nothing more is taken; nothing touches the loop after this."""
        with self._lock:
            self.closed.set()

    def _put(self, kind: str, say: Say) -> None:
        with self._lock:
            waiting = bool(self._queue)
            if self._held[kind] >= _PLACES[kind]:
                self._make_room(kind)
                if kind == "unit":
                    return
            self._queue.append((kind, say))
            self._held[kind] += 1
            if not waiting and not self.closed.is_set():
                self._loop.call_soon_threadsafe(self._drain)

    def _make_room(self, kind: str) -> None:
        if kind == "unit":
            # The one that comes now goes too; the thread alone sets and reads this.
            self._skipping = True
            self.drops += self._held[kind] + 1
            self._queue = deque(each for each in self._queue if each[0] != kind)
            self._held[kind] = 0
            return
        self.drops += kind == "picture"
        for index, (each, _) in enumerate(self._queue):
            if each == kind:
                del self._queue[index]
                self._held[kind] -= 1
                return

    def _connected(self, dialect: str, address: str) -> None:
        if not self.closed.is_set():
            self._feed.connected(dialect, address)

    def _drain(self) -> None:
        with self._lock:
            queue, self._queue = self._queue, deque()
            self._held.clear()
        for _, say in queue:
            if self.closed.is_set():
                return
            say()

    def _give_picture(self, jpeg: bytes, stamp_s: float, received_ns: int) -> None:
        self._feed.jpeg(jpeg, stamp_s=stamp_s, received_ns=received_ns)

    def _give_unit(self, unit: Unit, stamp_s: float, received_ns: int, token: int) -> None:
        frame_id = self._feed.access_unit(
            unit.payload,
            key=unit.key,
            width_px=unit.width_px,
            height_px=unit.height_px,
            stamp_s=stamp_s,
            received_ns=received_ns,
        )
        if frame_id is not None:
            self._ids[token] = frame_id
            if len(self._ids) > IDS:
                del self._ids[next(iter(self._ids))]

    def _give_picture_of(self, token: int, jpeg: bytes) -> None:
        frame_id = self._ids.get(token)
        if frame_id is not None:
            self._feed.picture_of(frame_id, jpeg)

    def _give_sound(self, block: Block, stamp_s: float, received_ns: int) -> None:
        self._feed.sound(
            block.payload,
            sample_rate_hz=block.sample_rate_hz,
            channels=block.channels,
            stamp_s=stamp_s,
            received_ns=received_ns,
        )
