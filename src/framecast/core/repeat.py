"""The newest picture once more, for whoever can begin with a key packet only and would wait for one for ever.

A doorbell sends one picture when it rings, and who opens its H.264 a second later asks for a key packet that no picture
is there for. So where one is asked for and the source is silent, its newest picture is coded again. It stays the
picture it is, with its number and its time: it follows the one before by the least that can be told apart.
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
STEP_NS = 100_000
"""A repeat is so much later than what was made of the picture before: nine ticks of RTP, and before any next one."""


@runtime_checkable
class Coder(Protocol):
    """A worker that can be asked for a packet that can be decoded alone.

    Attributes:
        key_wanted: Whether it was, and has made none since.
    """

    key_wanted: bool


def is_same(packet: Packet, other: Packet | None) -> bool:
    """Whether both are of one picture."""
    return other is not None and (packet.frame_id, packet.epoch) == (other.frame_id, other.epoch)


class Repeat:
    """Asks a coder for key packets, and gives it the source's newest picture again where none comes by itself.

    What was not coded is given once more and then no more: what is damaged stays so.

    Args:
        mailbox: What the coder reads.
        out: Where what it makes is published.
        worth_making: Whether the source's newest picture is still worth anything; always when left out.
        loop: Where timers come from; the running loop when left out.
    """

    def __init__(
        self,
        coder: Coder,
        source: Track,
        mailbox: Mailbox,
        out: Track,
        clock: Clock,
        worth_making: Callable[[Packet], bool] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._coder = coder
        self._source = source
        self._mailbox = mailbox
        self._out = out
        self._clock = clock
        self._worth_making = worth_making
        self._loop = loop or asyncio.get_running_loop()
        self._given: Packet | None = None
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
        self._timer = self._loop.call_later(max(least_s, SILENT_S - self._silent_s()), self._look)

    def _silent_s(self) -> float:
        """How long the coder has had nothing."""
        newest = self._source.latest
        since_ns = max(self._given_ns, 0 if newest is None else newest.received_ns)
        return (self._clock.now_ns() - since_ns) / 1e9

    def _look(self) -> None:
        self._timer = None
        newest = self._source.latest
        if not self._coder.key_wanted or newest is None:
            return
        if self._worth_making is not None and not self._worth_making(newest):
            return
        is_good = is_same(newest, self._out.latest) or not is_same(newest, self._given)
        if is_good and not self._mailbox and self._silent_s() >= SILENT_S:
            self._given, self._given_ns = newest, self._clock.now_ns()
            # Counted from now on, it is not late.
            self._mailbox.push(replace(newest, received_ns=self._given_ns))
        self._wait(BUSY_S)
