"""What is done to a camera's pictures before anybody sees them: turned, mirrored, blacked out. `turning` does it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from framecast.core.errors import Misuse

Mirror = Literal["none", "horizontal", "vertical"]
_MIRRORS = ("none", "horizontal", "vertical")
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Mask:
    """A rectangle of the picture as viewers see it, in fractions of its width and height.

    Attributes:
        x: Left edge, 0 to 1.
        y: Upper edge, 0 to 1.
        width: Above 0; ``x + width`` at most 1.
        height: Above 0; ``y + height`` at most 1.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.width, self.height)
        if not all(math.isfinite(number) for number in numbers):
            raise Misuse(f"mask {list(numbers)}: numbers from 0 to 1 are wanted")
        if min(self.x, self.y) < 0 or min(self.width, self.height) <= 0:
            raise Misuse(f"mask {list(numbers)}: x and y must be at least 0, width and height above 0")
        if max(self.x + self.width, self.y + self.height) > 1 + _ROUNDING:
            raise Misuse(f"mask {list(numbers)}: x + width and y + height must be at most 1 (fractions, not pixels)")


@dataclass(frozen=True, slots=True)
class Transform:
    """What is done to each picture of a camera: first turned, then mirrored, then masked.

    Attributes:
        rotate: Degrees clockwise: 0, 90, 180 or 270.
        mirror: ``horizontal`` swaps left and right, ``vertical`` top and bottom.
        masks: What nobody may see, in the picture as turned and mirrored.
        quality: JPEG quality of the result.
    """

    rotate: int = 0
    mirror: Mirror = "none"
    masks: tuple[Mask, ...] = ()
    quality: int = 88

    def __post_init__(self) -> None:
        if self.rotate not in (0, 90, 180, 270):
            raise Misuse(f"rotate = {self.rotate!r}: 0, 90, 180 or 270 degrees clockwise are possible")
        if self.mirror not in _MIRRORS:
            raise Misuse(f"mirror = {self.mirror!r}: none, horizontal or vertical are possible")
        if not 1 <= self.quality <= 100:
            raise Misuse(f"quality = {self.quality!r}: 1 to 100 are possible")

    @classmethod
    def of(
        cls, rotate: int = 0, mirror: str = "none", masks: Iterable[Sequence[float]] = (), quality: int = 88
    ) -> Transform:
        """As configuration and API give it: masks as ``[x, y, width, height]``.

        Raises:
            Misuse: Something that can't be done, with what can.
        """
        made = []
        for numbers in masks:
            if len(numbers) != 4:
                raise Misuse(f"mask {list(numbers)}: four numbers are wanted: x, y, width, height")
            made.append(Mask(*(float(number) for number in numbers)))
        return cls(rotate, cast(Mirror, mirror), tuple(made), quality)

    @property
    def is_identity(self) -> bool:
        """Whether nothing is to be done, so that the device's own bytes may pass."""
        return not self.rotate and self.mirror == "none" and not self.masks
