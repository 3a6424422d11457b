"""How a camera's picture is turned and mirrored, and where a place of the scene is when that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from framecast.service.config.models import CameraConfig

Point = tuple[float, float]
Mask = tuple[float, float, float, float]
DIGITS = 6
LEAST = 10**-DIGITS


class View(NamedTuple):
    """Turned clockwise by ``rotate`` degrees, then mirrored."""

    rotate: int
    mirror: str

    @classmethod
    def of(cls, config: CameraConfig) -> View:
        """That of a camera."""
        return cls(config.rotate, config.mirror)


def carried(point: Point, before: View, now: View) -> Point:
    """The same place of the scene, as fractions of the picture, where that is turned or mirrored otherwise."""
    plain = _turned(_mirrored(point, before.mirror), -before.rotate)
    return _mirrored(_turned(plain, now.rotate), now.mirror)


def carried_masks(masks: Sequence[Mask], before: View, now: View) -> list[Mask] | None:
    """Masks over what they hid before; None where they are there already."""
    if before == now or not masks:
        return None
    return [_carried_mask(mask, before, now) for mask in masks]


def _carried_mask(mask: Mask, before: View, now: View) -> Mask:
    x, y, width, height = mask
    (x1, y1), (x2, y2) = carried((x, y), before, now), carried((x + width, y + height), before, now)
    (left, wide), (top, high) = _span(x1, x2), _span(y1, y2)
    return left, top, wide, high


def _span(one: float, other: float) -> tuple[float, float]:
    """From where to how far, which is never nothing."""
    start, end = sorted((_within(one), _within(other)))
    start = min(start, round(1 - LEAST, DIGITS))
    return start, max(round(end - start, DIGITS), LEAST)


def _within(place: float) -> float:
    return round(min(1.0, max(0.0, place)), DIGITS)


def _mirrored(point: Point, mirror: str) -> Point:
    x, y = point
    return {"horizontal": (1 - x, y), "vertical": (x, 1 - y)}.get(mirror, point)


def _turned(point: Point, degrees: int) -> Point:
    x, y = point
    return {90: (1 - y, x), 180: (1 - x, 1 - y), 270: (y, 1 - x)}.get(degrees % 360, point)
