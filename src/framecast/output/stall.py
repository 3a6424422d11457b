"""Noticing a viewer that takes nothing at all, so that it doesn't keep its seat for ever.

A slow viewer is no fault: it takes something. One whose application stopped reading, or whose machine is gone without a
word, takes not a byte; TCP alone gives such a connection up after a quarter of an hour, or never.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections.abc import Callable

LOOKS = 4
"""How often one that is behind is looked at within the time it has."""


def unsent_bytes(transport: asyncio.WriteTransport) -> int:
    """What the peer has not taken: bytes in the transport and, on Linux, in the kernel (see tcp(7), SIOCOUTQ)."""
    held = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sock is None or not sys.platform.startswith("linux"):
        return held
    import fcntl
    import termios

    queued = array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, queued)
    except (OSError, ValueError):
        return held
    return held + queued[0]


class StallWatch:
    """Watches one viewer while it is behind.

    Args:
        unsent_bytes: How much it has not taken.
        on_stalled: Called once, when that has not changed for the whole time.
        timeout_s: The time.
        loop: Where timers come from; the running loop when left out.
    """

    def __init__(
        self,
        unsent_bytes: Callable[[], int],
        on_stalled: Callable[[], object],
        timeout_s: float,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._unsent_bytes = unsent_bytes
        self._on_stalled = on_stalled
        self._timeout_s = timeout_s
        self._loop = loop or asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._behind = False
        self._unsent = -1
        self._looks = 0

    def pause(self) -> None:
        """It is behind."""
        self._behind = True
        if self._timer is None:
            self._again()

    def resume(self) -> None:
        """It has taken everything."""
        # The timer runs on: one that is behind at every other picture needs no new one each time.
        self._behind = False
        self._unsent = -1

    def close(self) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._timer = self._loop.call_later(self._timeout_s / LOOKS, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._behind:
            return
        unsent = self._unsent_bytes()
        if unsent != self._unsent:
            self._unsent, self._looks = unsent, 0
        else:
            self._looks += 1
            if self._looks == LOOKS:
                self._on_stalled()
                return
        self._again()
