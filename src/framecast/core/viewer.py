"""One reader as others see it: in statistics, limits and logs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from framecast.core.clock import Clock


@dataclass(slots=True, eq=False)
class Viewer:
    """Who reads, and how well it keeps up.

    Attributes:
        number: Rises by one per viewer of the process.
        kind: ``mjpeg``, ``websocket``, ``snapshot``, ``relay``.
        address: Peer address, for the owner's eyes.
        since_ns: When it came, Unix ns.
        fps_limit: Most frames a second it asked for, 0 for all.
        rendition: Name of the track it reads.
        sent: Frames written.
        drops: Frames it missed because it was behind.
        repeats: Heartbeats written.
        behind: Whether it has not yet taken what was last written.
        acked: Last frame id it acknowledged, for those who do.
    """

    number: int
    kind: str
    address: str
    since_ns: int
    fps_limit: float = 0.0
    rendition: str = "video"
    sent: int = 0
    drops: int = 0
    repeats: int = 0
    behind: bool = False
    acked: int = 0
    tags: dict[str, str] = field(default_factory=dict)


_numbers = itertools.count(1)


def new_viewer(kind: str, address: str, clock: Clock, *, fps_limit: float = 0.0, rendition: str = "video") -> Viewer:
    """Counters for one more viewer, with a number of its own."""
    return Viewer(next(_numbers), kind, address, clock.now_ns(), fps_limit, rendition)
