"""Areas and lines drawn on a camera's picture.

Points are fractions of the picture, ``(x, y)`` from 0 to 1, so that they stay where they are when the camera's size
changes. A thing is in a zone when its foot is: the middle of its box's lower edge, where it touches the ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Point = tuple[float, float]
MOST_POINTS = 64


class Side(StrEnum):
    """Which way a line was crossed, seen when walking from its first point to its second."""

    TO_RIGHT = "to_right"
    TO_LEFT = "to_left"


@dataclass(frozen=True, slots=True)
class Zone:
    """An area.

    Attributes:
        name: What people call it: ``porch``.
        points: Its corners in order, at least three; the last is joined to the first.
    """

    name: str
    points: tuple[Point, ...]

    def holds(self, point: Point) -> bool:
        """Whether a point lies inside, by how often a ray to the right meets an edge."""
        x, y = point
        inside = False
        for (from_x, from_y), (to_x, to_y) in _edges(self.points):
            if (from_y > y) != (to_y > y) and x < from_x + (y - from_y) * (to_x - from_x) / (to_y - from_y):
                inside = not inside
        return inside


@dataclass(frozen=True, slots=True)
class Line:
    """A line that somebody may step over.

    Attributes:
        name: What people call it: ``gate``.
        start: Its first point.
        end: Its second point.
    """

    name: str
    start: Point
    end: Point

    def crossed(self, before: Point, now: Point) -> Side | None:
        """Which way the step from ``before`` to ``now`` led over the line; None where it did not.

        A step that ends on the line has not crossed it; the next one off it has.
        """
        was, is_ = _turn(self.start, self.end, before), _turn(self.start, self.end, now)
        if (was >= 0) == (is_ >= 0):
            return None
        first, second = _turn(before, now, self.start), _turn(before, now, self.end)
        if (first > 0) == (second > 0) and first and second:
            return None
        # y goes down: what turns left in a book turns right in a picture.
        return Side.TO_RIGHT if is_ >= 0 else Side.TO_LEFT


def _turn(start: Point, end: Point, point: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _edges(points: Sequence[Point]) -> zip[tuple[Point, Point]]:
    return zip(points, (*points[1:], points[0]), strict=True)
