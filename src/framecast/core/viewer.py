"""One reader as others see it: in statistics, limits and logs."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from framecast.core.clock import Clock
from framecast.core.ladder import Choice


class Viewer:
    """Who reads, and how well it keeps up.

    Args:
        number: Rises by one per viewer of the process.
        kind: ``mjpeg``, ``websocket``, ``snapshot``, ``relay``.
        address: Peer address, for the owner's eyes.
        since_ns: When it came, Unix ns.
        fps_limit: Most frames a second it asked for, 0 for all.
        rendition: Name of the track it reads.
        holder: Whose credential let it in; empty for those who need none.

    Attributes:
        repeats: Heartbeats written.
        behind: Whether it has not yet taken what was last written.
        acked: Last frame id it acknowledged, for those who do.
        choice: The quality it gets and why, for those who can ask for one by name.
        settle: Brings `sent`, `drops` and `bytes` up to date. A fan-out that keeps its viewers in step does not count
            for each of them at each frame; it counts when somebody asks.
    """

    __slots__ = (
        "_bytes",
        "_drops",
        "_sent",
        "acked",
        "address",
        "behind",
        "choice",
        "fps_limit",
        "holder",
        "kind",
        "number",
        "rendition",
        "repeats",
        "settle",
        "since_ns",
    )

    def __init__(
        self,
        number: int,
        kind: str,
        address: str,
        since_ns: int,
        fps_limit: float = 0.0,
        rendition: str = "video",
        holder: str = "",
    ) -> None:
        self.number = number
        self.kind = kind
        self.address = address
        self.since_ns = since_ns
        self.fps_limit = fps_limit
        self.rendition = rendition
        self.holder = holder
        self.repeats = 0
        self.behind = False
        self.acked = 0
        self.choice: Choice | None = None
        self.settle: Callable[[], None] | None = None
        self._sent = 0
        self._drops = 0
        self._bytes = 0

    @property
    def sent(self) -> int:
        """Frames written."""
        if self.settle is not None:
            self.settle()
        return self._sent

    @property
    def drops(self) -> int:
        """Frames it missed because it was behind."""
        if self.settle is not None:
            self.settle()
        return self._drops

    @property
    def bytes(self) -> int:
        """What was given to its connection, framing of the output included and encryption not."""
        if self.settle is not None:
            self.settle()
        return self._bytes

    @property
    def drops_and_bytes(self) -> tuple[int, int]:
        """Both, looked at once."""
        if self.settle is not None:
            self.settle()
        return self._drops, self._bytes

    def count(self, sent: int = 0, drops: int = 0, size_bytes: int = 0) -> None:
        """Add to `sent`, `drops` and `bytes`."""
        self._sent += sent
        self._drops += drops
        self._bytes += size_bytes


_numbers = itertools.count(1)


def new_viewer(
    kind: str, address: str, clock: Clock, *, fps_limit: float = 0.0, rendition: str = "video", holder: str = ""
) -> Viewer:
    """Counters for one more viewer, with a number of its own."""
    return Viewer(next(_numbers), kind, address, clock.now_ns(), fps_limit, rendition, holder)
