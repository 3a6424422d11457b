"""What newcomers get of the past where no key packet can be had for the asking: in steps, beside what all others get.

Theory of operation. A seat with a backlog takes part in no batch of its fan-out; what comes meanwhile goes behind its
backlog, and it is one of all as soon as that is sent. One pass gives a step to each such seat in turn, and holds the
loop for `SLICE_S` at most; the seats that it did not reach are first in the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from framecast.output.webrtc.rtpseat import RtpSeat
from framecast.wire import rtp

STEP_PACKETS = 12
"""Packets that each seat gets in one go: about 14 KB, what a Wi-Fi radio sends as one."""
STEP_S = 0.001
SLICE_S = 0.002
"""How long one pass may hold the loop."""
MOST_PACKETS = rtp.MOST_LOST
"""Packets of the past that a newcomer may get; of more than are kept, lost ones could not be sent again."""
MOST_BYTES = MOST_PACKETS * rtp.MAX_PAYLOAD_BYTES


class Backlogs:
    """Those of one fan-out's seats.

    Args:
        on_lost: Called with a seat that could not take its backlog; it has none any more.
        monotonic: Seconds of a clock that only goes forward.
    """

    def __init__(self, on_lost: Callable[[RtpSeat], None], monotonic: Callable[[], float]) -> None:
        self._on_lost = on_lost
        self._monotonic = monotonic
        self._waiting: dict[RtpSeat, deque[tuple[bytes, int, bool]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, seat: RtpSeat) -> bool:
        return seat in self._waiting

    def add(self, seat: RtpSeat, payloads: Sequence[bytes], stamp: int) -> None:
        """Let a seat have a picture, after all that waits for it already; the first step is sent by `begin`."""
        waiting = self._waiting.setdefault(seat, deque())
        last = len(payloads) - 1
        waiting.extend((payload, stamp, index == last) for index, payload in enumerate(payloads))
        if len(waiting) > 2 * MOST_PACKETS:
            self._lose(seat)

    def begin(self) -> None:
        """Send a step now, unless that is under way."""
        if self._timer is None:
            self._pass()

    def drop(self, seat: RtpSeat) -> None:
        """Forget a seat's. Safe to call twice."""
        self._waiting.pop(seat, None)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def clear(self) -> None:
        """Forget all."""
        for seat in tuple(self._waiting):
            self.drop(seat)

    def _pass(self) -> None:
        self._timer = None
        began = self._monotonic()
        for seat in tuple(self._waiting):
            if seat in self._waiting:  # a send may end another peer
                self._step(seat)
            if self._monotonic() - began > SLICE_S:
                break
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(STEP_S, self._pass)

    def _step(self, seat: RtpSeat) -> None:
        if seat.full():
            self._lose(seat)
            return
        waiting = self._waiting[seat]
        for _ in range(min(STEP_PACKETS, len(waiting))):
            payload, stamp, marker = waiting.popleft()
            seat.send(payload, stamp, marker)
            if marker and seat.viewer is not None:
                seat.viewer.count(sent=1)
            if seat not in self._waiting:
                return  # that send ended its peer
        if waiting:
            self._waiting[seat] = self._waiting.pop(seat)  # last in turn
        else:
            self.drop(seat)

    def _lose(self, seat: RtpSeat) -> None:
        self.drop(seat)
        self._on_lost(seat)
