"""Keeps a camera's first pictures back for a moment, until it is known whether sound comes with them.

A container says at its beginning what is in it, and few players get over a change. A camera that just woke sends its
first sound a little after its first picture, and coding takes a little longer.
"""

from __future__ import annotations

from framecast.core.packet import Packet
from framecast.core.stream import Stream
from framecast.core.track import Track

SOUND_LIVES_NS = 3_000_000_000
"""A camera whose last sound is older counts as one without."""
YOUNG_NS = 500_000_000
"""A camera that has lived for less may still begin to make a sound: its first pictures wait for that."""
LONGEST_HOLD_NS = 1_500_000_000
"""Where there is sound, but none coded yet, pictures wait no longer."""


def has_recent(stream: Stream, sound: Track | None) -> bool:
    """Whether something came lately on a track of coded sound."""
    newest = sound.latest if sound is not None else None
    return newest is not None and stream.clock.now_ns() - newest.received_ns < SOUND_LIVES_NS


class FirstPictures:
    """The pictures that wait.

    Args:
        stream: The camera.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._held: list[Packet] = []
        self._since_ns = 0

    def forget(self) -> None:
        """Begin anew."""
        self._held = []
        self._since_ns = 0

    def take(self, packet: Packet, sound: Track | None) -> list[Packet]:
        """What may go out now that this picture is here; nothing while they wait.

        Args:
            packet: A picture; those in front of the first key picture are dropped.
            sound: The track of coded sound; None where none is wanted.
        """
        if not self._waits(packet, sound):
            held, self._held = self._held, []
            return [*held, packet]
        return []

    def _waits(self, packet: Packet, sound: Track | None) -> bool:
        if sound is None or has_recent(self._stream, sound):
            return False
        now_ns, raw = self._stream.clock.now_ns(), self._stream.audio.latest
        if not self._held and not packet.key:
            return True
        if packet.key:
            self._since_ns = self._since_ns or now_ns
            self._held = []
        if raw is not None and now_ns - raw.received_ns < SOUND_LIVES_NS:
            wait = now_ns - self._since_ns < LONGEST_HOLD_NS  # it is being coded
        else:
            wait = now_ns - self._stream.state_since_ns < YOUNG_NS
        if wait:
            self._held.append(packet)
        return wait
