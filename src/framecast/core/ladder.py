"""The levels of quality that a viewer can be on.

They are few and the same for everybody, so that a hundred viewers with bad links share a handful of encodes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """One level; zeros mean: as the source.

    Attributes:
        name: ``source``, ``high``, ``medium``, ``low``; two below them are for the worst links.
        width_px: Most width.
        quality: Most quality, as of a JPEG.
        fps: Most pictures a second.
    """

    name: str
    width_px: int = 0
    quality: int = 0
    fps: int = 0


LADDER = (
    Level("source"),
    Level("high", 1024, 70),
    Level("medium", 640, 60, 15),
    Level("low", 320, 40, 10),
    Level("lower", 320, 40, 4),
    Level("least", 160, 40, 5),
)
"""From the best down. ``lower`` has the pictures of ``low``, fewer of them; ``least`` goes through 100 kbit/s."""

NAMED = {level.name: level for level in LADDER[:4]}
"""Those that can be asked for."""
AUTO = "auto"


@dataclass(slots=True)
class Choice:
    """What a viewer gets, and why.

    Attributes:
        asked: ``auto``, the name of a level, a number, or empty.
        level: Name of the level it is on; empty where it asked for a width or a quality of its own.
        width_px: Most width, 0 for the source's.
        fps: Most pictures a second, 0 for all.
        reason: Why it is on this level, in words.
    """

    asked: str = ""
    level: str = ""
    width_px: int = 0
    fps: float = 0.0
    reason: str = ""
