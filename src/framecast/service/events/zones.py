"""Areas and lines drawn on a camera's picture.

Points are fractions of the picture, ``(x, y)`` from 0 to 1, so that they stay where they are when the camera's size
changes. A thing is in a zone when its foot is: the middle of its box's lower edge, where it touches the ground.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from framecast.core.errors import Misuse
from framecast.service.config import view
from framecast.service.config.view import Point, View

MOST_POINTS = 64
MOST_DRAWN = 32
"""Zones and lines of one camera."""
MOST_NAME = 40
DIGITS = 4


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

    def distance(self, point: Point) -> float:
        """How far a point is from the line, drawn on for ever: a fraction of the picture."""
        length = math.dist(self.start, self.end)
        return abs(_turn(self.start, self.end, point)) / length if length else math.dist(self.start, point)


Drawn = Zone | Line


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that is drawn on one camera's picture.

    Attributes:
        view: How the picture was turned and mirrored when it was.
    """

    drawn: Sequence[Drawn]
    view: View

    def seen(self, each: Drawn, now: View) -> Drawn:
        """One of it where it is in the picture as that is turned and mirrored now."""
        return each if self.view == now else carried(each, self.view, now)


def carried(drawn: Drawn, before: View, now: View) -> Drawn:
    """The same places of the scene in a picture that is turned or mirrored otherwise."""
    points = (drawn.start, drawn.end) if isinstance(drawn, Line) else drawn.points
    places = [_carried(point, before, now) for point in points]
    if isinstance(drawn, Zone):
        return Zone(drawn.name, tuple(places))
    # What was right of a line is left of it in a mirror, unless one walks it the other way.
    if (before.mirror == "none") != (now.mirror == "none"):
        places.reverse()
    return Line(drawn.name, *places)


def _carried(point: Point, before: View, now: View) -> Point:
    x, y = view.carried(point, before, now)
    return round(x, DIGITS), round(y, DIGITS)


def described(drawn: Drawn) -> dict[str, Any]:
    """As the API has it: ``{"name", "kind", "points"}``."""
    points = (drawn.start, drawn.end) if isinstance(drawn, Line) else drawn.points
    kind = "line" if isinstance(drawn, Line) else "zone"
    return {"name": drawn.name, "kind": kind, "points": [list(point) for point in points]}


def read(value: object) -> list[Drawn]:
    """What is drawn on one camera's picture, from what the API has it as.

    Raises:
        Misuse: It is not that; the words say what is wrong.
    """
    if not isinstance(value, list) or len(value) > MOST_DRAWN:
        raise Misuse(f"zones: a list of at most {MOST_DRAWN}, each with name, kind and points")
    drawn = [_read_one(each) for each in value]
    names = [each.name for each in drawn]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise Misuse(f"zones: {doubled!r} is there twice; each needs a name of its own")
    return drawn


def _read_one(value: object) -> Drawn:
    if not isinstance(value, Mapping) or value.keys() != {"name", "kind", "points"}:
        raise Misuse("zones: each has name, kind and points, and nothing else")
    name, kind, points = value["name"], value["kind"], value["points"]
    if not isinstance(name, str) or not name.strip() or len(name) > MOST_NAME or not name.isprintable():
        raise Misuse(f"zones: a name has 1 to {MOST_NAME} letters that can be shown")
    name = name.strip()
    if not isinstance(points, list):
        raise Misuse(f"zones: the points of {name!r} are a list of [x, y]")
    read_points = tuple(_read_point(each, name) for each in points)
    if kind == "line":
        if len(read_points) != 2 or read_points[0] == read_points[1]:
            raise Misuse(f"zones: the line {name!r} needs two points that are not the same")
        return Line(name, *read_points)
    if kind != "zone":
        raise Misuse(f"zones: the kind of {name!r} is zone or line")
    if not 3 <= len(read_points) <= MOST_POINTS or _area(read_points) == 0:
        raise Misuse(f"zones: the zone {name!r} needs 3 to {MOST_POINTS} points that hold an area")
    return Zone(name, read_points)


def _read_point(value: object, name: str) -> Point:
    if isinstance(value, list) and len(value) == 2:
        x, y = value
        # A truth value is a number to Python, and a number of no sense compares as false.
        if type(x) in (int, float) and type(y) in (int, float) and 0 <= x <= 1 and 0 <= y <= 1:
            return round(float(x), DIGITS), round(float(y), DIGITS)
    raise Misuse(f"zones: a point of {name!r} is [x, y], fractions of the picture from 0 to 1")


def _area(points: Sequence[Point]) -> float:
    return round(abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in _edges(points))) / 2, DIGITS * 2)


def _turn(start: Point, end: Point, point: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _edges(points: Sequence[Point]) -> zip[tuple[Point, Point]]:
    return zip(points, (*points[1:], points[0]), strict=True)
