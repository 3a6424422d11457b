"""Zones, lines and rules: what they hold, and what is refused with which words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.core.errors import Misuse
from framecast.service.events import rules, zones
from framecast.service.events.zones import Line, Side, Zone

SQUARE = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
L_SHAPE = Zone("l", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0)))


def test_a_zone_that_is_bent_holds_what_is_in_it() -> None:
    assert L_SHAPE.holds((0.25, 0.75))
    assert L_SHAPE.holds((0.75, 0.25))
    assert not L_SHAPE.holds((0.75, 0.75))
    assert not L_SHAPE.holds((1.5, 0.25))


@given(st.floats(0, 1), st.floats(0, 1), st.integers(3, 12), st.booleans())
def test_a_round_zone_holds_what_is_near_its_middle(x: float, y: float, corners: int, backwards: bool) -> None:
    angles = [2 * math.pi * index / corners for index in range(corners)]
    points = [(0.5 + 0.4 * math.cos(angle), 0.5 + 0.4 * math.sin(angle)) for angle in angles]
    zone = Zone("round", tuple(reversed(points)) if backwards else tuple(points))
    away = math.dist((x, y), (0.5, 0.5))
    if away < 0.4 * math.cos(math.pi / corners) - 1e-9:
        assert zone.holds((x, y))
    elif away > 0.4 + 1e-9:
        assert not zone.holds((x, y))


POINT = st.tuples(st.integers(-20, 20), st.integers(-20, 20)).map(lambda point: (point[0] / 10, point[1] / 10))


@given(POINT, POINT)
def test_a_line_is_crossed_as_often_one_way_as_the_other(before: tuple[float, float], now: tuple[float, float]) -> None:
    line = Line("gate", (0.05, -1.03), (0.05, 1.03))  # no point of the others lies on it
    there, back = line.crossed(before, now), line.crossed(now, before)
    assert (there is None) == (back is None)
    assert there is None or {there, back} == {Side.TO_LEFT, Side.TO_RIGHT}
    if there is not None:
        # It leads down: what is right in the picture is to the left of who walks along it.
        assert (there is Side.TO_LEFT) == (now[0] > 0.05)
        share = (0.05 - before[0]) / (now[0] - before[0])
        assert -1.03 <= before[1] + share * (now[1] - before[1]) <= 1.03


def test_who_passes_behind_a_lines_end_has_not_crossed_it() -> None:
    line = Line("gate", (0.5, 0.2), (0.5, 0.6))
    assert line.crossed((0.4, 0.4), (0.6, 0.4)) is Side.TO_LEFT
    assert line.crossed((0.4, 0.8), (0.6, 0.8)) is None
    assert line.crossed((0.4, 0.1), (0.6, 0.1)) is None
    assert line.distance((0.6, 0.4)) == pytest.approx(0.1)


def test_what_is_drawn_goes_and_comes_back() -> None:
    sent = [
        {"name": "porch", "kind": "zone", "points": SQUARE},
        {"name": "gate", "kind": "line", "points": [[0, 0.5], [1, 0.5]]},
    ]
    assert [zones.described(each) for each in zones.read(sent)] == sent


def drawn(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "porch", "kind": "zone", "points": SQUARE, **more}]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "a list of at most 32"),
        (drawn() * 33, "a list of at most 32"),
        (["porch"], "name, kind and points"),
        (drawn(colour="red"), "name, kind and points"),
        (drawn(name=""), "1 to 40 letters"),
        (drawn(name="a\nb"), "1 to 40 letters"),
        (drawn(name="x" * 41), "1 to 40 letters"),
        (drawn(name=7), "1 to 40 letters"),
        (drawn(kind="circle"), "zone or line"),
        (drawn(kind=["zone"]), "zone or line"),
        (drawn(points="all"), "list of"),
        (drawn(points=SQUARE[:2]), "3 to 64 points"),
        (drawn(points=[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]), "hold an area"),
        (drawn(points=SQUARE * 17), "3 to 64 points"),
        (drawn(points=[*SQUARE, [1.1, 0]]), "fractions"),
        (drawn(points=[*SQUARE, [True, 0]]), "fractions"),
        (drawn(points=[*SQUARE, [float("nan"), 0]]), "fractions"),
        (drawn(points=[*SQUARE, [0.5]]), "fractions"),
        (drawn(kind="line"), "two points"),
        (drawn(kind="line", points=[[0.1, 0.1], [0.1, 0.1]]), "not the same"),
        (drawn() + drawn(), "there twice"),
    ],
)
def test_what_can_not_be_drawn_is_refused(value: Any, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        zones.read(value)


def test_a_rule_needs_little_and_says_all() -> None:
    rule = rules.read("r1", {"kind": "object"})
    assert rule.name == "object"
    assert rule.described() == {
        "id": "r1",
        "name": "object",
        "kind": "object",
        "cameras": (),
        "labels": (),
        "names": (),
        "zone": "",
        "line": "",
        "direction": "both",
        "min_score": 0.0,
        "for_s": 0.0,
        "cooldown_s": 60.0,
        "quiet": (),
        "enabled": True,
        "notify": (),
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "kind: one of object"),
        ({"kind": "sound"}, "kind: one of"),
        ({"kind": ["object"]}, "kind: one of"),
        ({"colour": "red"}, "colour: no such field"),
        ({"kind": "line"}, "the name of a line"),
        ({"kind": "no_motion"}, "for_s: how long"),
        ({"id": "other", "kind": "motion"}, "id: "),
        ({"cameras": ["../etc"]}, "cameras: ids"),
        ({"cameras": "door"}, "cameras: a list"),
        ({"labels": [""]}, "labels: none of them"),
        ({"labels": ["x" * 81]}, "labels: a text of at most 80"),
        ({"names": [1]}, "names: a text"),
        ({"min_score": 1.1}, "min_score: a number from 0 to 1"),
        ({"min_score": True}, "min_score: a number"),
        ({"for_s": float("nan")}, "for_s: a number"),
        ({"cooldown_s": -1}, "cooldown_s: a number"),
        ({"cooldown_s": 1e9}, "cooldown_s: a number"),
        ({"quiet": [["22:00"]]}, "quiet: spans"),
        ({"quiet": [["24:00", "07:00"]]}, "quiet: spans"),
        ({"quiet": [["07:00", "07:00"]]}, "no time at all"),
        ({"quiet": "always"}, "quiet: a list"),
        ({"enabled": 1}, "enabled: true or false"),
        ({"notify": ["pigeon"]}, "notify: one of webhook, mqtt, push, none"),
        ({"notify": ["mqtt", "none"]}, "notify: none stands alone"),
        ({"direction": "up"}, "direction: one of both"),
        ({"name": "a\x1bb"}, "name: a text"),
        ({"zone": None}, "zone: a text"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Misuse, match=words):
        rules.read("r1", fields)


VIEWS = st.builds(zones.View, st.sampled_from([0, 90, 180, 270]), st.sampled_from(["none", "horizontal", "vertical"]))
PLACES = st.tuples(*[st.integers(0, 10_000).map(lambda number: number / 10_000)] * 2)


@given(VIEWS, VIEWS, VIEWS, st.lists(PLACES, min_size=2, max_size=2, unique=True), PLACES, PLACES)
def test_what_is_drawn_goes_with_the_scene(
    one: zones.View,
    other: zones.View,
    third: zones.View,
    ends: list[zones.Point],
    before: zones.Point,
    now: zones.Point,
) -> None:
    line = zones.Line("gate", *ends)
    there = zones.carried(line, one, other)
    assert zones.carried(there, other, one) == line
    assert zones.carried(there, other, third) == zones.carried(line, one, third)
    # And who steps over it does so in both, the same way.
    step = zones.carried(zones.Zone("step", (before, now, now)), one, other)
    assert isinstance(there, zones.Line) and isinstance(step, zones.Zone)
    if min(line.distance(before), line.distance(now)) > 1e-3:
        assert there.crossed(*step.points[:2]) == line.crossed(before, now)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(rules.KINDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from([*rules.read("r", {"kind": "motion"}).described(), "kind", "colour"])


@given(st.dictionaries(FIELDS, JSON, max_size=5), JSON)
def test_whatever_comes_is_a_rule_or_refused_in_words(fields: dict[str, Any], drawn: Any) -> None:
    for call in (lambda: rules.read("r1", {"kind": "motion", **fields}), lambda: zones.read(drawn)):
        try:
            made = call()
        except Misuse as error:
            assert ": " in str(error)
        else:
            assert made is not None
