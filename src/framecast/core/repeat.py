"""The newest picture once more, for whoever can begin with a key packet only and would wait for one for ever.

A doorbell sends one picture when it rings, and who opens its H.264 a second later asks for a key packet that no picture
is there for. So where one is asked for and the source is silent, its newest picture is coded again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from framecast.core.clock import Clock
from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.track import Track

SILENT_S = 1.5
"""A source from which nothing came for so long may give nothing for much longer. One picture a second is a pace."""
BUSY_S = 0.1
"""How soon a coder that has something to do is looked at again."""
EARLIER_NS = 250_000_000
"""So much before now it is dated: the next picture, which may be on its way already, has to come after it."""


@runtime_checkable
class Coder(Protocol):
    """A worker that can be asked for a packet that can be decoded alone.

    Attributes:
        key_wanted: Whether it was, and has made none since.
    """

    key_wanted: bool


class Repeat:
    """Asks a coder for key packets, and gives it the source's newest picture again where none comes by itself.

    Args:
        mailbox: What the coder reads.
        worth_making: Whether the source's newest picture is still worth anything; always when left out.
        loop: Where timers come from; the running loop when left out.
    """

    def __init__(
        self,
        coder: Coder,
        source: Track,
        mailbox: Mailbox,
        clock: Clock,
        worth_making: Callable[[Packet], bool] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._coder = coder
        self._source = source
        self._mailbox = mailbox
        self._clock = clock
        self._worth_making = worth_making
        self._loop = loop or asyncio.get_running_loop()
        self._given_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def want_key(self) -> None:
        """See `Track.on_key_wanted`."""
        self._coder.key_wanted = True
        if self._timer is None:
            self._wait()

    def close(self) -> None:
        """Give it nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, least_s: float = 0.0) -> None:
        newest = self._source.latest
        since_ns = max(self._given_ns, 0 if newest is None else newest.received_ns)
        silent_s = (self._clock.now_ns() - since_ns) / 1e9
        self._timer = self._loop.call_later(max(least_s, SILENT_S - silent_s), self._look)

    def _look(self) -> None:
        self._timer = None
        newest, now_ns = self._source.latest, self._clock.now_ns()
        if not self._coder.key_wanted or newest is None:
            return
        if self._worth_making is not None and not self._worth_making(newest):
            return
        if not self._mailbox and now_ns - max(self._given_ns, newest.received_ns) >= SILENT_S * 1e9:
            self._given_ns = now_ns
            at_ns = max(newest.pts_ns + 1, now_ns - EARLIER_NS)
            self._mailbox.push(replace(newest, pts_ns=at_ns, received_ns=now_ns))
        self._wait(BUSY_S)
