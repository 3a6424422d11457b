"""One rule at one camera: when an event begins, what is known of it, and when it is over."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.core.stream import State
from framecast.service.events.case import FORGET_S, LEAST_GONE_S, LINGER_S, MOST_IN_EVENT, UPDATE_S, Case
from framecast.service.events.rules import Rule
from framecast.service.events.zones import Drawn, Line, Zone
from framecast.service.store.events import Event, Phase
from framecast.wire.detections import Box, Look, Thing

BEGIN_S = 1_700_000_000.0
PORCH = Zone("porch", ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)))
GATE = Line("gate", (0.5, 0.0), (0.5, 1.0))
STEP_S = 0.2


class Watch:
    """A case, a clock, and what was told."""

    def __init__(self, drawn: Drawn | None = None, **fields: Any) -> None:
        rule = Rule("r1", "A rule", **{"kind": "object", "cooldown_s": 0.0, **fields})
        self.now_s = BEGIN_S
        self.told: list[tuple[Phase, Event]] = []
        self.full = False
        self.case = Case(rule, "door", "Front door", drawn, self._tell)

    def _tell(self, case: Case, event: Event, phase: Phase) -> bool:
        if self.full:
            return False
        self.told.append((phase, event))
        return True

    def see(self, *things: Thing, for_s: float = 0.0, motion: tuple[Box, ...] = (), state: str = "") -> None:
        """One look, or looks for so long."""
        until_s = self.now_s + for_s
        while True:
            self.now_s += STEP_S
            self.case.look(Look(1, 1, 0, things, motion, 0.1 if motion else 0.0, state=state), self.now_s)
            if self.now_s >= until_s:
                return

    def wait(self, seconds: float) -> None:
        """Let time pass without a look."""
        self.now_s += seconds
        self.case.tick(self.now_s)

    @property
    def phases(self) -> list[str]:
        return [phase.value for phase, _ in self.told]

    @property
    def last(self) -> Event:
        return self.told[-1][1]


def thing(label: str = "person", track: int = 1, x: float = 0.2, foot: float = 0.8, **more: Any) -> Thing:
    """Something whose foot is at ``x, foot``."""
    width, height = more.pop("size", (0.1, 0.2))
    return Thing(label, more.pop("score", 0.9), (x - width / 2, foot - height, width, height), track, **more)


def test_somebody_comes_and_goes() -> None:
    watch = Watch()
    watch.see()
    assert watch.told == []
    watch.see(thing())
    came_s = watch.now_s
    assert watch.phases == ["start"]
    assert (watch.last.label, watch.last.camera_name, watch.last.rule_name) == ("person", "Front door", "A rule")
    watch.see(thing(), for_s=2)
    seen_s = watch.now_s
    watch.see(for_s=LINGER_S["object"] + STEP_S)
    assert watch.phases == ["start", "end"]
    start, end = watch.told[0][1], watch.last
    assert end.event_id == start.event_id
    assert (end.start_s, end.end_s) == (came_s, seen_s)


def test_a_camera_that_says_nothing_more_ends_the_event_too() -> None:
    watch = Watch()
    watch.see(thing())
    watch.wait(LINGER_S["object"] - 0.1)
    assert watch.phases == ["start"]
    watch.wait(0.2)
    assert watch.phases == ["start", "end"]


def test_labels_scores_and_names_are_looked_at() -> None:
    for wanted, other, fields in (
        (thing("dog"), thing("cat"), {"labels": ("dog",)}),
        (thing("cup"), thing("face"), {}),
        (thing(score=0.7), thing(score=0.69), {"min_score": 0.7}),
        (thing(name="Ada"), thing(name="Bob"), {"names": ("Ada",)}),
        (thing("face", name="unknown"), thing("face", name="Ada"), {"kind": "face", "names": ("unknown",)}),
        (thing("face"), thing("person"), {"kind": "face"}),
        (thing(foot=0.8), thing(foot=0.4), {"drawn": PORCH, "zone": "porch"}),
    ):
        watch = Watch(**fields)  # type: ignore[arg-type]
        watch.see(other)
        assert watch.told == [], fields
        watch.see(other, wanted)
        assert watch.phases == ["start"], fields
        assert watch.last.label == wanted.label


def test_a_face_is_where_its_owner_stands() -> None:
    watch = Watch(PORCH, kind="face", zone="porch")
    face = thing("face", 7, foot=0.3, size=(0.02, 0.02))
    watch.see(face)
    assert watch.told == []
    watch.see(face, thing("person", 7, foot=0.9))
    assert watch.phases == ["start"]


def test_who_passes_by_has_not_stayed() -> None:
    watch = Watch(for_s=3.0)
    watch.see(thing(), for_s=2.5)
    watch.see(for_s=FORGET_S + STEP_S)
    watch.see(thing(), for_s=2.5)
    assert watch.told == []
    watch.see(thing(track=2), for_s=2.0)  # it is another one that stays
    assert watch.told == []
    watch.see(thing(track=2), for_s=1.4)
    assert watch.phases == ["start"]


def test_a_short_gap_is_no_going() -> None:
    watch = Watch(for_s=3.0)
    watch.see(thing(), for_s=2.0)
    watch.see(for_s=FORGET_S - 0.5)
    watch.see(thing())
    assert watch.phases == ["start"]


def test_what_is_only_waited_for_begins_nothing_and_keeps_an_event_open() -> None:
    watch = Watch()
    watch.see(thing(seen=False))
    assert watch.told == []
    watch.see(thing())
    watch.see(thing(seen=False), for_s=LINGER_S["object"] * 2)
    assert watch.phases == ["start"]


def test_who_joins_adds_a_name_and_no_event() -> None:
    watch = Watch()
    watch.see(thing(name="Ada"))
    watch.see(thing(name="Ada"), thing(track=2))
    assert watch.phases == ["start"]
    watch.see(thing(name="Ada"), thing(track=2, name="Bob"), for_s=UPDATE_S)
    assert watch.phases == ["start", "update"]
    assert watch.last.names == ("Ada", "Bob")
    watch.see(thing(name="Ada"), thing(track=2, name="Bob"), for_s=3 * UPDATE_S)
    assert watch.phases == ["start", "update"], "nothing new, nothing said"


def test_a_stranger_who_is_recognised_has_one_name() -> None:
    watch = Watch(kind="face", names=("unknown",))
    watch.see(thing("face", name="unknown", group=3))
    assert (watch.last.names, watch.last.groups) == (("unknown",), (3,))
    watch.see(thing("face", name="Ada"), for_s=UPDATE_S)
    assert watch.phases == ["start", "update"]
    assert (watch.last.names, watch.last.groups) == (("Ada",), ())
    watch.see(for_s=LINGER_S["face"])
    assert watch.last.names == ("Ada",)


def test_the_best_picture_is_the_largest_and_surest() -> None:
    watch = Watch()
    watch.see(thing(size=(0.1, 0.2)))
    watch.see(thing(size=(0.1, 0.205)))
    assert not watch.case.wants_picture, "hardly better"
    watch.see(thing(size=(0.3, 0.6), score=0.5))
    assert watch.case.wants_picture
    watch.see(thing(size=(0.9, 0.9), seen=False))
    assert not watch.case.wants_picture, "it is only thought to be there"
    watch.see(for_s=LINGER_S["object"])
    assert watch.last.box is not None
    assert watch.last.box[2:] == (0.3, 0.6)
    assert watch.last.score == 0.9


def test_many_who_pass_by_are_nobody_who_stays() -> None:
    watch = Watch(for_s=5.0)
    for number in range(1, 21):
        watch.see(thing(track=0))  # at first a thing has no number; one that is seen once never has
        watch.see(thing(track=number), for_s=1.0)
    assert watch.phases == []
    watch.see(thing(track=20), for_s=5.0)
    assert watch.phases == ["start"]
    face = Watch(kind="face", for_s=5.0)
    face.see(thing("face", track=0), for_s=6.0)  # has none where no person was found around it
    assert face.phases == ["start"]


def test_after_an_event_there_is_a_cooldown() -> None:
    watch = Watch(cooldown_s=30.0)
    watch.see(thing())
    watch.see(for_s=LINGER_S["object"] + STEP_S)
    watch.see(thing(), for_s=20)
    assert watch.phases == ["start", "end"]
    watch.see(thing(), for_s=10)
    assert watch.phases == ["start", "end", "start"]
    assert watch.told[0][1].event_id < watch.last.event_id


def test_an_event_that_can_not_begin_is_tried_again() -> None:
    watch = Watch()
    watch.full = True
    watch.see(thing())
    assert watch.case.event is None
    watch.full = False
    watch.see(thing())
    assert watch.phases == ["start"]


@pytest.mark.parametrize(
    ("direction", "steps", "sides"),
    [
        ("both", (0.3, 0.7), ["to_left"]),
        ("both", (0.7, 0.3), ["to_right"]),
        ("to_left", (0.3, 0.7), ["to_left"]),
        ("to_right", (0.3, 0.7), []),
        ("both", (0.3, 0.4), []),
        ("both", (0.3, 0.5, 0.7), ["to_left"]),
        ("both", (0.3, 0.505, 0.495, 0.3), []),
    ],
)
def test_a_line_is_crossed(direction: str, steps: tuple[float, ...], sides: list[str]) -> None:
    """The line leads down: who walks along it has what is right in the picture to the left."""
    watch = Watch(GATE, kind="line", line="gate", direction=direction)
    for x in steps:
        watch.see(thing(x=x))
    assert [event.direction for phase, event in watch.told if phase is Phase.START] == sides
    if sides:
        assert watch.last.zone == "gate"
        watch.see(for_s=LINGER_S["line"] + STEP_S)
        assert watch.phases == ["start", "end"]


def test_two_who_stand_on_either_side_cross_nothing() -> None:
    watch = Watch(GATE, kind="line", line="gate")
    for _ in range(5):
        watch.see(thing(track=1, x=0.3), thing(track=2, x=0.7))
    watch.see(thing(track=0, x=0.3))
    watch.see(thing(track=0, x=0.7))
    assert watch.told == []


def test_tracks_of_before_are_forgotten() -> None:
    watch = Watch(GATE, kind="line", line="gate")
    watch.see(thing(x=0.3))
    watch.case.forget()  # the worker began anew: track 1 is somebody else
    watch.see(thing(x=0.7))
    assert watch.told == []
    watch.see(for_s=FORGET_S + STEP_S)
    watch.see(thing(x=0.3))
    assert watch.told == [], "it was away for too long to know which way it took"


def test_motion_in_a_zone() -> None:
    watch = Watch(PORCH, kind="motion", zone="porch")
    watch.see(motion=((0.1, 0.1, 0.2, 0.2),))
    assert watch.told == []
    watch.see(motion=((0.1, 0.1, 0.2, 0.5),))
    assert watch.phases == ["start"]
    assert watch.last.label == "motion"
    watch.see(for_s=LINGER_S["motion"] + STEP_S)
    assert watch.phases == ["start", "end"]


def test_a_zone_within_what_moves_is_reached() -> None:
    small = Zone("knob", ((0.5, 0.5), (0.52, 0.5), (0.52, 0.52)))
    watch = Watch(small, kind="motion", zone="knob")
    watch.see(motion=((0.1, 0.1, 0.8, 0.8),))
    assert watch.phases == ["start"]


def test_nothing_moves_for_long() -> None:
    moving: tuple[Box, ...] = ((0.1, 0.1, 0.2, 0.2),)
    watch = Watch(kind="no_motion", for_s=10.0)
    watch.see(for_s=9)
    watch.see(motion=moving)
    watch.see(for_s=9)
    assert watch.told == []
    watch.see(for_s=3)
    assert watch.phases == ["start"]
    watch.see(for_s=60)
    watch.wait(60)
    assert watch.phases == ["start"]
    watch.see(motion=moving)
    assert watch.phases == ["start", "end"]
    assert watch.last.end_s == watch.now_s


def test_a_camera_that_can_not_be_seen_is_not_still() -> None:
    watch = Watch(kind="no_motion", for_s=10.0)
    watch.see(for_s=60, state="black")
    watch.wait(60)
    watch.see(for_s=5)
    watch.wait(60)
    watch.see(for_s=9)
    assert watch.told == []


def test_a_camera_is_gone_and_comes_back() -> None:
    watch = Watch(kind="offline", for_s=20.0, cooldown_s=60.0)
    case = watch.case
    case.state(State.CONNECTING, watch.now_s)
    watch.wait(5)
    case.state(State.LIVE, watch.now_s)
    gone_s = watch.now_s
    case.state(State.OFFLINE, gone_s)
    watch.wait(10)
    case.state(State.CONNECTING, watch.now_s)
    case.state(State.OFFLINE, watch.now_s)
    watch.wait(9)
    assert watch.told == []
    watch.wait(1)
    assert watch.phases == ["start"]
    assert watch.last.start_s == gone_s
    watch.wait(100)
    case.state(State.LIVE, watch.now_s)
    assert watch.phases == ["start", "end"]
    case.state(State.STALLED, watch.now_s)
    watch.wait(50)
    assert watch.phases == ["start", "end"], "the cooldown"
    watch.wait(20)
    assert watch.phases == ["start", "end", "start"], "it is gone still"


def test_a_moment_without_pictures_is_no_going() -> None:
    watch = Watch(kind="offline")
    watch.case.state(State.STALLED, watch.now_s)
    watch.wait(LEAST_GONE_S - 0.1)
    watch.case.state(State.LIVE, watch.now_s)
    watch.wait(LEAST_GONE_S)
    assert watch.told == []


def test_quiet_hours_are_by_the_clock_of_the_machine() -> None:
    def at(clock: str) -> float:
        parsed = time.strptime(f"2026-06-15 {clock}", "%Y-%m-%d %H:%M")
        return time.mktime(parsed)

    rule = Rule("r", "", "motion", quiet=(("22:00", "07:00"), ("12:30", "13:00")))
    assert all(rule.is_quiet(at(clock)) for clock in ("22:00", "03:00", "06:59", "12:45"))
    assert not any(rule.is_quiet(at(clock)) for clock in ("21:59", "07:00", "13:00"))
    watch = Watch(quiet=(("00:00", "23:59"), ("23:59", "00:00")))
    watch.see(thing())
    assert watch.last.quiet


def test_a_long_event_remembers_so_many_and_those_with_names_longest() -> None:
    watch = Watch()
    watch.see(thing(track=1, name="Ada"))
    for track in range(2, MOST_IN_EVENT + 50):
        watch.see(thing(track=track))
    watch.see(for_s=LINGER_S["object"])
    assert watch.last.names == ("Ada",)
    assert len(watch.case._in_event) == 0


THINGS = st.builds(
    thing,
    st.sampled_from(["person", "dog", "face"]),
    st.integers(0, 3),
    st.sampled_from([0.2, 0.45, 0.499, 0.55, 0.8]),
    st.sampled_from([0.4, 0.8]),
    name=st.sampled_from(["", "Ada", "unknown"]),
    score=st.sampled_from([0.3, 0.9]),
    seen=st.booleans(),
)
LOOKS = st.tuples(
    st.sampled_from(["look", "wait", "gone", "live", "forget", "end"]),
    st.lists(THINGS, max_size=3),
    st.booleans(),
    st.sampled_from([0.1, 1.0, 5.0, 30.0]),
)
RULES = st.sampled_from(
    [
        (None, {"kind": "object", "labels": ("person",)}),
        (PORCH, {"kind": "object", "zone": "porch", "for_s": 2.0, "names": ("Ada",)}),
        (PORCH, {"kind": "face", "zone": "porch", "names": ("unknown",)}),
        (GATE, {"kind": "line", "line": "gate", "direction": "to_left"}),
        (PORCH, {"kind": "motion", "zone": "porch"}),
        (None, {"kind": "no_motion", "for_s": 3.0}),
        (None, {"kind": "offline", "for_s": 6.0, "cooldown_s": 10.0}),
    ]
)


@given(RULES, st.lists(LOOKS, max_size=25))
def test_whatever_happens_events_begin_once_and_end_once(rule: Any, steps: list[Any]) -> None:
    drawn, fields = rule
    watch = Watch(drawn, **fields)
    for what, things, moves, seconds in steps:
        watch.now_s += seconds
        if what == "look":
            moved: tuple[Box, ...] = ((0.1, 0.6, 0.2, 0.2),) if moves else ()
            watch.case.look(Look(1, 1, 0, tuple(things), moved, 0.1), watch.now_s)
        elif what == "wait":
            watch.case.tick(watch.now_s)
        elif what == "forget":
            watch.case.forget()
        elif what == "end":
            watch.case.end(watch.now_s)
        else:
            watch.case.state(State.LIVE if what == "live" else State.OFFLINE, watch.now_s)
            watch.case.tick(watch.now_s)
    watch.case.end(watch.now_s)
    under_way: Event | None = None
    ids = []
    for phase, event in watch.told:
        if phase is Phase.START:
            assert under_way is None
            ids.append(event.event_id)
            assert event.start_s >= BEGIN_S
        else:
            assert under_way is not None
            assert (event.event_id, event.start_s) == (under_way.event_id, under_way.start_s)
        assert (event.end_s is None) == (phase is not Phase.END)
        assert event.end_s is None or event.end_s >= event.start_s
        assert set(event.names) <= {"Ada", "unknown"}
        under_way = None if phase is Phase.END else event
    assert under_way is None
    assert len(set(ids)) == len(ids)
