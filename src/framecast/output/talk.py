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
KEPT_CHUNKS = 16
SILENT_S = 10.0
"""Who says nothing for so long gives the floor back."""


class Talk:
    """The floor of one camera.

    Args:
        clock: The camera's.

    Attributes:
        track: What is said: s16le, 16 kHz, mono.
        on_change: Called when somebody takes the floor or gives it back.
        said: Chunks said so far.
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self.track = Track("talk", ring_packets=KEPT_CHUNKS)
        self.on_change: list[Callable[[], None]] = []
        self.said = 0
        self._clock = clock
        self._who: object = None
        self._name = ""
        self._heard_ns = 0

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
