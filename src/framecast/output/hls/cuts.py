"""Segments and parts of HLS as they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Part:
    """A finished part: a name, bytes, and what the playlist says of it."""

    name: str
    payload: bytes | memoryview
    duration_s: float
    independent: bool
    pictures: int


@dataclass(slots=True)
class Cut:
    """A segment, finished or in the making.

    Attributes:
        sequence: Its number.
        began_ns: Capture time of its first picture.
        init: Name of its init segment, empty where it needs none.
        discontinuous: It does not follow the one before.
        part_target_s: As it was when it began; 0 before the lengths were settled.
        parts: So far.
        payload: All parts, once it is finished.
    """

    sequence: int
    began_ns: int
    init: str
    discontinuous: bool
    part_target_s: float = 0.0
    parts: list[Part] = field(default_factory=list)
    payload: bytes = b""

    @property
    def duration_s(self) -> float:
        """Of its parts so far."""
        return sum(part.duration_s for part in self.parts)

    @property
    def pictures(self) -> int:
        """How many are in it so far."""
        return sum(part.pictures for part in self.parts)

    def finish(self) -> None:
        """Keep the bytes once: the parts become views of the whole."""
        self.payload = b"".join(part.payload for part in self.parts)
        whole, at = memoryview(self.payload), 0
        for part in self.parts:
            end = at + len(part.payload)
            part.payload = whole[at:end]
            at = end
