"""A rule at a camera that is looked at every few seconds only."""

from __future__ import annotations

from framecast.service.events.zones import Line
from framecast.wire.detections import Thing
from tests.service.events.test_case import Watch, thing

GATE = Line("gate", (0.5, 0.0), (0.5, 1.0))


def glance(watch: Watch, *things: Thing) -> None:
    """Look once, 9.2 s after the last time."""
    for _ in range(9):
        watch.wait(1.0)
    watch.see(*things)


def test_one_that_is_missing_once_is_still_there() -> None:
    watch = Watch()
    for things in ([], [], [thing()], [], [thing()], []):
        glance(watch, *things)
    assert watch.phases == ["start"]
    for _ in range(2):
        glance(watch)
    assert watch.phases == ["start", "end"]


def test_somebody_stays() -> None:
    watch = Watch(for_s=25.0)
    for _ in range(3):
        glance(watch, thing())
    assert watch.phases == []
    for _ in range(2):
        glance(watch, thing())
    assert watch.phases == ["start"]


def test_a_line_is_crossed_between_two_looks() -> None:
    watch = Watch(GATE, kind="line", line="gate")
    for x in (0.2, 0.3, 0.4, 0.7):
        glance(watch, thing(x=x))
    assert watch.phases == ["start"]


def test_nothing_moves() -> None:
    watch = Watch(kind="no_motion", for_s=25.0)
    for _ in range(5):
        glance(watch)
    assert watch.phases == ["start"]


def test_one_long_pause_is_no_pace() -> None:
    watch = Watch(for_s=25.0)
    for _ in range(2):
        watch.see(thing(), for_s=20.0)
        watch.wait(10.0)
    assert watch.phases == []


def test_looks_that_are_too_rare_say_nothing_of_the_time_between() -> None:
    watch = Watch()
    for _ in range(4):
        watch.wait(9.0)
        watch.wait(30.0)
        watch.see(thing())
    assert watch.phases == ["start", "end"] * 3 + ["start"]
