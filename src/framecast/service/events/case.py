"""One rule at one camera: what is seen becomes an event with a start and an end.

Pure: looks and times go in, and what is to be said of an event comes out. Theory of operation: ``waiting`` -> what the
rule wants is seen (long enough) and no cooldown runs -> ``open``, and each further sight of it adds to the event ->
nothing of it for the kind's linger -> closed, and the cooldown begins. One event at a time: who joins somebody who is
there already adds a name to the event, and makes no second one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from framecast.core.stream import State
from framecast.service.events.rules import Rule
from framecast.service.events.zones import Drawn, Line, Zone
from framecast.service.store import ulid
from framecast.service.store.events import Event, Phase
from framecast.vision.pace import Pace
from framecast.wire.detections import Box, Look, Thing

LINGER_S = {"object": 8.0, "face": 8.0, "line": 3.0, "motion": 8.0}
"""How long what an event is about may be out of sight before the event is over."""
FORGET_S = 3.0
"""A track that is not seen for so long has to stay, and to step over lines, anew."""
MISSED = 2.5
"""Where looks are so rare that these are less: pauses between two, after which what is in none of them is gone."""
LEAST_GONE_S = 5.0
"""A camera that comes back sooner was never offline: firmwares pause, and readers connect anew."""
UPDATE_S = 2.0
"""Pause between two updates of an event, at least."""
MOST_IN_EVENT = 256
"""Tracks that are remembered of one event, which may last for weeks in a busy street."""
BETTER = 1.1
"""A view has to be so much better than the best one to take its place."""
NEAR_LINE = 0.01
"""Of the picture: so near a line nobody is on either side, or who stands on it would cross it all the time."""


class Tell(Protocol):
    """Hears what is to be said of an event; False where an event can't begin now."""

    def __call__(self, case: Case, event: Event, phase: Phase) -> bool:
        """See above."""


@dataclass(slots=True)
class _Track:
    """One thing over the pictures."""

    since_s: float
    seen_s: float
    foot: tuple[float, float] | None = None
    name: str = ""
    group: int = 0


@dataclass(frozen=True, slots=True)
class _Sight:
    """The best view of what is wanted in one picture."""

    label: str = ""
    score: float = 0.0
    box: Box | None = None

    @property
    def worth(self) -> float:
        """How good a picture it makes: large and sure."""
        return 0.0 if self.box is None else self.score * self.box[2] * self.box[3]


class Case:
    """One rule at one camera.

    Args:
        rule: The rule.
        camera_id: The camera's id.
        camera_name: What people call it.
        drawn: The rule's zone or line, as it is drawn on that camera; None for the whole picture.
        tell: Hears of events.
        over_s: When the last event of this rule at this camera was over, Unix s.
        by_wall: Turns a time of the camera's clock into what people's clocks say then.

    Attributes:
        event: The one under way.
        best: Worth of its best picture so far.
        over_s: When the last one was over.
        wants_picture: Whether the picture of the last look is its best.
    """

    def __init__(
        self,
        rule: Rule,
        camera_id: str,
        camera_name: str,
        drawn: Drawn | None,
        tell: Tell,
        *,
        over_s: float = -math.inf,
        by_wall: Callable[[float], float] = float,
    ) -> None:
        self.rule = rule
        self.camera_id = camera_id
        self.camera_name = camera_name
        self.drawn = drawn
        self.event: Event | None = None
        self.best = 0.0
        self.wants_picture = False
        self._tell = tell
        self._tracks: dict[tuple[str, int], _Track] = {}
        self._in_event: dict[tuple[str, int], tuple[str, int]] = {}  # name and group of each
        self._told = ((), ())  # type: tuple[tuple[str, ...], tuple[int, ...]]
        self._told_s = -math.inf
        self.over_s = over_s
        self._by_wall = by_wall
        self._looked_s = -math.inf
        self._pace = Pace()
        self._still_s: float | None = None
        self._gone_s: float | None = None

    # What happens.

    def look(self, look: Look, now_s: float) -> None:
        """Take in what was seen in a picture.

        Args:
            now_s: When, Unix s of the camera's clock.
        """
        self.wants_picture = False
        self._pace.look(now_s)
        match self.rule.kind:
            case "object" | "face":
                self._look_for_things(look, now_s)
            case "line":
                self._look_for_steps(look, now_s)
            case "motion":
                if moved := self._moved(look):
                    largest = max(moved, key=lambda box: box[2] * box[3])
                    self._see(_Sight("motion", look.share, largest), now_s)
            case "no_motion":
                self._look_for_stillness(look, now_s)
        self._looked_s = now_s
        self.tick(now_s)

    def state(self, state: State, now_s: float) -> None:
        """Take in what the camera is doing."""
        if self.rule.kind != "offline":
            return
        if state is State.LIVE:
            self._gone_s = None
            self.end(now_s)
        elif self._gone_s is None:
            self._gone_s = now_s

    def tick(self, now_s: float) -> None:
        """Let time pass."""
        event, rule = self.event, self.rule
        if rule.kind == "offline":
            if self._gone_s is not None and event is None and now_s - self._gone_s >= max(rule.for_s, LEAST_GONE_S):
                self._begin(_Sight(), now_s, start_s=self._gone_s)
            return
        if event is None:
            return
        if now_s - event.seen_s > self._at_least(LINGER_S.get(rule.kind, math.inf)):
            self.end(event.seen_s)
        elif (event.names, event.groups) != self._told and now_s - self._told_s >= UPDATE_S:
            self._say(event, Phase.UPDATE, now_s)

    def _at_least(self, seconds: float) -> float:
        """So long, or longer where looks are so rare that it says nothing that there was none meanwhile."""
        return max(seconds, self._pace.pause_s * MISSED)

    def forget(self) -> None:
        """Know nothing of tracks any more: their numbers begin anew, and pictures from before may not be shown."""
        self._tracks.clear()
        self._still_s = None
        self.wants_picture = False

    def forget_picture(self) -> None:
        """Take the next sight for the best one: the best so far may not be shown any more."""
        self.forget()
        self.best = 0.0

    def end(self, at_s: float) -> None:
        """Close the event, if there is one."""
        event, self.event = self.event, None
        if event is not None:
            self.over_s = max(at_s, event.seen_s)
            self._tell(self, replace(event, end_s=max(at_s, event.start_s)), Phase.END)
        self._in_event.clear()
        self.best = 0.0

    # Things, faces and names.

    def _look_for_things(self, look: Look, now_s: float) -> None:
        here = [thing for thing in look.things if self._is_wanted(thing) and self._is_inside(look, thing)]
        staying = [thing for thing in here if self._known(thing, now_s).since_s + self.rule.for_s <= now_s]
        if staying:
            self._see_things(staying, now_s)
        self._follow_names(look)
        self._forget(now_s)

    def _known(self, thing: Thing, now_s: float) -> _Track:
        if not thing.track and thing.label != "face":
            return _Track(now_s, now_s)  # seen for the first time; the next of these is another one
        key = thing.label, thing.track
        track = self._tracks.get(key)
        if track is None or now_s - track.seen_s > self._at_least(FORGET_S):
            track = self._tracks[key] = _Track(now_s, now_s)
        track.seen_s = now_s
        return track

    def _forget(self, now_s: float) -> None:
        forget_s = self._at_least(FORGET_S)
        for key in [key for key, track in self._tracks.items() if now_s - track.seen_s > forget_s]:
            del self._tracks[key]

    def _is_wanted(self, thing: Thing) -> bool:
        rule = self.rule
        if thing.score < rule.min_score or (rule.names and thing.name not in rule.names):
            return False
        if rule.kind == "face":
            return thing.label == "face" or bool(thing.name)
        return thing.label in rule.labels if rule.labels else thing.label != "face"

    def _is_inside(self, look: Look, thing: Thing) -> bool:
        if not isinstance(self.drawn, Zone):
            return True
        if thing.label != "face":
            return self.drawn.holds(thing.foot)
        # A face is where its owner stands.
        owner = next((each for each in look.things if each.track == thing.track != 0 and each is not thing), None)
        x, y, width, height = thing.box
        return self.drawn.holds(owner.foot if owner is not None else (x + width / 2, y + height / 2))

    def _see_things(self, things: Iterable[Thing], now_s: float) -> None:
        sights = [_Sight(each.label, each.score, each.box) for each in things if each.seen]
        if self.event is None and not sights:
            return  # none of them was found in this very picture
        self._see(max(sights, key=lambda sight: sight.worth, default=_Sight()), now_s, things)

    def _follow_names(self, look: Look) -> None:
        """Who is in the event may be recognised only later, and at first be taken for somebody else."""
        if self.event is None:
            return
        for thing in look.things:
            if (thing.label, thing.track) in self._in_event and thing.track:
                self._in_event[thing.label, thing.track] = thing.name, thing.group
        self._name(self.event)

    # Lines.

    def _look_for_steps(self, look: Look, now_s: float) -> None:
        line = self.drawn
        if not isinstance(line, Line):
            return
        crossing, sides = [], []
        for thing in look.things:
            if not thing.track or not self._is_wanted(thing):
                continue
            track = self._known(thing, now_s)
            if line.distance(thing.foot) < NEAR_LINE:
                continue
            side = line.crossed(track.foot, thing.foot) if track.foot is not None else None
            track.foot = thing.foot
            if side is not None and self.rule.direction in ("both", side.value):
                crossing.append(thing)
                sides.append(side.value)
        if crossing:
            best = max((_Sight(each.label, each.score, each.box) for each in crossing), key=lambda sight: sight.worth)
            self._see(best, now_s, crossing, direction=sides[0])
        self._follow_names(look)
        self._forget(now_s)

    # Motion.

    def _moved(self, look: Look) -> list[Box]:
        zone = self.drawn
        if not isinstance(zone, Zone):
            return list(look.motion)
        return [box for box in look.motion if _touches(zone, box)]

    def _look_for_stillness(self, look: Look, now_s: float) -> None:
        if look.state:  # there is nothing to be seen: who knows what moves
            self._still_s = None
        elif self._moved(look):
            self._still_s = None
            self.end(now_s)
        else:
            if self._still_s is None or now_s - self._looked_s > self._at_least(LINGER_S["motion"]):
                self._still_s = now_s  # it was not looked for a while
            if self.event is not None:
                self.event = replace(self.event, seen_s=now_s)
            elif now_s - self._still_s >= self.rule.for_s:
                self._see(_Sight(), now_s)

    # The event.

    def _see(self, sight: _Sight, now_s: float, things: Iterable[Thing] = (), direction: str = "") -> None:
        """What is wanted is there now."""
        things = tuple(things)
        if self.event is None:
            self._begin(sight, now_s, things, direction=direction)
            return
        event = replace(self.event, seen_s=now_s)
        if sight.worth > self.best * BETTER:
            self.best, self.wants_picture = sight.worth, True
            event = replace(event, label=sight.label, score=max(event.score, sight.score), box=sight.box)
        self.event = event
        self._note(things)
        self._name(event)

    def _begin(
        self,
        sight: _Sight,
        now_s: float,
        things: tuple[Thing, ...] = (),
        *,
        direction: str = "",
        start_s: float | None = None,
    ) -> None:
        rule = self.rule
        if now_s < self.over_s + rule.cooldown_s:
            return
        start_s = now_s if start_s is None else start_s
        event = Event(
            ulid.new(start_s),
            self.camera_id,
            rule.id,
            rule.kind,
            start_s,
            seen_s=now_s,
            camera_name=self.camera_name,
            rule_name=rule.name,
            label=sight.label,
            score=sight.score,
            zone=rule.area,
            direction=direction,
            box=sight.box,
            notify=rule.notify,
            quiet=rule.is_quiet(self._by_wall(now_s)),
        )
        self._in_event.clear()
        self._note(things)
        self._name(event)
        self.best, self.wants_picture = sight.worth, True
        assert self.event is not None
        if not self._say(self.event, Phase.START, now_s):
            self.event = None

    def _note(self, things: Iterable[Thing]) -> None:
        for thing in things:
            self._in_event[thing.label, thing.track] = thing.name, thing.group
        while len(self._in_event) > MOST_IN_EVENT:
            nameless = (key for key, (name, group) in self._in_event.items() if not name and not group)
            del self._in_event[next(nameless, next(iter(self._in_event)))]

    def _name(self, event: Event) -> None:
        """Let the event have the names of those in it; a name that no track bears any more was a mistake."""
        names = dict.fromkeys(name for name, _ in self._in_event.values() if name)
        groups = dict.fromkeys(group for _, group in self._in_event.values() if group)
        self.event = replace(event, names=tuple(names), groups=tuple(groups))

    def _say(self, event: Event, phase: Phase, now_s: float) -> bool:
        self._told, self._told_s = (event.names, event.groups), now_s
        return self._tell(self, event, phase)


def _touches(zone: Zone, box: Box) -> bool:
    """Whether a box reaches into a zone, near enough: its middle, a corner, or the zone's corner in it."""
    x, y, width, height = box
    points = [(x + width / 2, y + height / 2)]
    points += [(x + across, y + down) for across in (0, width) for down in (0, height)]
    if any(zone.holds(point) for point in points):
        return True
    return any(x <= corner_x <= x + width and y <= corner_y <= y + height for corner_x, corner_y in zone.points)
