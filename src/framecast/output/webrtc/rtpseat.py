"""One receiver of RTP: its numbers, its counters, and what it may have again of what it lost."""

from __future__ import annotations

import random
from collections.abc import Callable

from framecast.core.viewer import Viewer
from framecast.wire import rtp

HISTORY_PACKETS = rtp.MOST_LOST
"""Sent packets of a seat that can be sent again: a second of 4 Mbit/s."""
MOST_RESENT, RESENT_SHARE = 150, 0.25
"""Packets that may be sent again at once, and share of all packets in the long run."""


class RtpSeat:
    """One peer's place: numbers, counters, and what it may ask for again.

    Args:
        payload_type: As agreed with the peer.
        clock_hz: Of the RTP stamps.
        write: Encrypts and sends one packet. Never raises.
        full: Whether the peer's socket takes no more.
        viewer: Counted in for each packet of the track; None for sound, which is not counted.
        rtx: Payload type under which lost packets are sent again; None: as they were.

    Attributes:
        waiting: Whether it waits for a key packet.
        packets: RTP packets sent, those sent again left out.
        octets: Bytes of their payloads.
    """

    def __init__(
        self,
        payload_type: int,
        clock_hz: int,
        write: Callable[[bytes], None],
        full: Callable[[], bool],
        viewer: Viewer | None = None,
        *,
        rtx: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        rng = rng or random.SystemRandom()
        self.payload_type = payload_type
        self.clock_hz = clock_hz
        self.write = write
        self.full = full
        self.viewer = viewer
        self.rtx = rtx
        self.ssrc = rng.randrange(1, 1 << 32)
        self.rtx_ssrc = rng.randrange(1, 1 << 32)
        self.offset = rng.randrange(1 << 32)
        self.waiting = True
        self.packets = 0
        self.octets = 0
        self.resent = 0
        # The lower half: SRTP's receivers count turns from the first packet they see, which may not be the first sent.
        self._sequence = rng.randrange(1 << 15)
        self._rtx_sequence = rng.randrange(1 << 15)
        self._history: list[tuple[int, int, bool, bytes] | None] = [None] * HISTORY_PACKETS
        self._budget: float = MOST_RESENT

    def stamp(self, pts_ns: int) -> int:
        """The RTP time of a moment of our clock."""
        return (rtp.stamp_of(pts_ns, self.clock_hz) + self.offset) & 0xFFFFFFFF

    def send(self, payload: bytes, stamp: int, marker: bool) -> None:
        """Send one payload."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        self._history[sequence % HISTORY_PACKETS] = (sequence, stamp, marker, payload)
        self._budget = min(MOST_RESENT, self._budget + RESENT_SHARE)
        self.packets += 1
        self.octets += len(payload)
        self.write(rtp.packet(self.payload_type, marker, sequence, stamp, self.ssrc, payload))

    def resend(self, sequence: int) -> None:
        """Send again what the peer has lost, as far as it is still here and the budget lasts.

        A path that loses for want of room must not be given more than it had.
        """
        kept = self._history[sequence % HISTORY_PACKETS]
        if kept is None or kept[0] != sequence or self._budget < 1:
            return
        self._budget -= 1
        self.resent += 1
        _, stamp, marker, payload = kept
        if self.rtx is None:
            self.write(rtp.packet(self.payload_type, marker, sequence, stamp, self.ssrc, payload))
            return
        again = sequence.to_bytes(2, "big") + payload
        self.write(rtp.packet(self.rtx, marker, self._rtx_sequence, stamp, self.rtx_ssrc, again))
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF

    def report(self, now_ns: int, cname: str) -> bytes:
        """A sender report as of now."""
        return rtp.sender_report(self.ssrc, now_ns, self.stamp(now_ns), self.packets, self.octets, cname)
