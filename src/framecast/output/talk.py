"""Talking back: what one person says, to whatever plays it at the camera.

One person has the floor at a time; whoever comes second is told who has it. What is said goes onto a track like any
other, so the device's request, or its WebSocket, reads it as a listener reads a camera: within a second, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable

from framecast.core.clock import SYSTEM, Clock
from framecast.core.packet import Format, Packet
from framecast.core.track import Track

RATE_HZ = 16_000
CHANNELS = 1
FORM = Format("pcm_s16le", sample_rate_hz=RATE_HZ, channels=CHANNELS)
KEPT_CHUNKS = 64
"""A second of what pages send, which is 20 ms at a time or more."""
SILENT_S = 10.0
"""Who says nothing for so long gives the floor back."""
AHEAD_NS = 1_000_000_000
"""What is said faster than it can be played is lost beyond this: a device would play it ever later."""


class Talk:
    """The floor of one camera.

    Args:
        clock: The camera's.

    Attributes:
        track: What is said: s16le, 16 kHz, mono.
        on_change: Called when somebody takes the floor or gives it back.
        said: Chunks said so far.
        lost: Chunks that came faster than they can be played.
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self.track = Track("talk", ring_packets=KEPT_CHUNKS)
        self.on_change: list[Callable[[], None]] = []
        self.said = 0
        self.lost = 0
        self._clock = clock
        self._who: object = None
        self._name = ""
        self._heard_ns = 0
        self._played_ns = 0

    @property
    def name(self) -> str:
        """Who has the floor, in words; empty when nobody has."""
        return self._name

    @property
    def taken(self) -> bool:
        """Whether somebody has the floor."""
        return self._who is not None

    def has(self, who: object) -> bool:
        """Whether ``who`` has the floor."""
        return self._who is who

    def is_stale(self, packet: Packet) -> bool:
        """Whether it is too late to play this."""
        return self._clock.now_ns() - packet.received_ns > AHEAD_NS

    @property
    def silent_s(self) -> float:
        """For how long whoever has the floor has said nothing."""
        return (self._clock.now_ns() - self._heard_ns) / 1e9 if self.taken else 0.0

    def take(self, who: object, name: str) -> bool:
        """Give ``who`` the floor, if nobody else has it; whether it has it now."""
        if self._who is who:
            return True
        if self._who is not None and self.silent_s < SILENT_S:
            return False
        self._who, self._name = who, name
        self._heard_ns = self._clock.now_ns()
        self._tell()
        return True

    def say(self, who: object, payload: bytes) -> bool:
        """Pass on what ``who`` says; whether it has the floor.

        Args:
            who: As given to `take`.
            payload: s16le, 16 kHz, mono; whole samples.
        """
        if self._who is not who:
            return False
        now_ns = self._heard_ns = self._clock.now_ns()
        length_ns = len(payload) * 500_000_000 // RATE_HZ
        if self._played_ns > now_ns + AHEAD_NS:
            self.lost += 1
            return True
        self._played_ns = max(self._played_ns, now_ns) + length_ns
        self.track.publish(Packet(payload, FORM, self.said, self.said, 1, now_ns - length_ns, now_ns))
        self.said += 1
        return True

    def release(self, who: object) -> None:
        """Take the floor back from ``who``. Safe to call when it hasn't got it."""
        if self._who is who and who is not None:
            self._who, self._name = None, ""
            self._tell()

    def _tell(self) -> None:
        for listener in tuple(self.on_change):
            listener()
