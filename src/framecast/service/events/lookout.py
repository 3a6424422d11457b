"""One camera under its rules: the sink on its track ``detections``, and the pictures of its events."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, MutableMapping, Sequence

from framecast.core.errors import LimitReached
from framecast.core.packet import Packet
from framecast.core.rendition import DETECTIONS
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.service.cameras.cameras import Camera
from framecast.service.events.case import Case
from framecast.service.events.log import EventLog
from framecast.service.events.rules import Rule
from framecast.service.events.zones import Drawn
from framecast.service.store.events import Event, Phase
from framecast.wire.detections import unpack

log = logging.getLogger("framecast.service.events.lookout")

LATE_S = 0.5
"""How much later a picture may be taken than the one that was looked at."""
LASTING = ("offline", "no_motion")
"""Kinds of what goes on without being seen."""


class _Awake:
    """A sink that only keeps the camera read: whether it can be is what is looked for."""

    bulk = False

    def push(self, packet: Packet) -> None:
        """See `core.supervise.Sink`."""

    def clear(self) -> None:
        """See `core.supervise.Sink`."""


class Lookout:
    """What watches over one camera.

    Args:
        camera: The camera.
        events: Where events go.
        ended: When the last event of each rule here was over, by the rule's id; Unix s. What is over when a rule is
            changed or switched off is noted there: as it holds next, its cooldown goes on.
        wall_s: Unix time as people have it.

    Attributes:
        refusal: Why its pictures can't be looked at; empty when they can.
    """

    bulk = False

    def __init__(
        self,
        camera: Camera,
        events: EventLog,
        ended: MutableMapping[str, float],
        *,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.stream = camera.stream
        self.refusal = ""
        self._name = camera.name
        self._events = events
        self._ended = ended
        self._wall_s = wall_s
        self._cases: list[Case] = []
        self._better: dict[Case, bytes] = {}
        self._looks: Track | None = None
        self._awake: _Awake | None = None
        self._frame_id = self._pts_ns = 0
        self._epoch = 0

    @property
    def cases(self) -> tuple[Case, ...]:
        """One for each rule that holds here."""
        return tuple(self._cases)

    @property
    def seen(self) -> dict[str, float]:
        """When what the events under way are about was there last, by their ids; Unix s."""
        now_s = self._now_s()
        events = [case.event for case in self._cases if case.event is not None]
        return {each.event_id: now_s if each.kind in LASTING else each.seen_s for each in events}

    def apply(self, rules: Sequence[tuple[Rule, Drawn | None]], name: str) -> None:
        """Let these rules hold, each with its zone or line; those that are as before go on with their events."""
        self._name = name
        before = {(case.rule, case.drawn): case for case in self._cases}
        kept = [(each, before.pop(each, None)) for each in rules]
        for case in before.values():
            case.end(self._now_s())
            self._ended[case.rule.id] = case.over_s
        self._cases = [case or self._open(*each) for each, case in kept]
        for case in self._cases:
            case.camera_name = name
        self._attach()
        self._on_state(self.stream)

    def _open(self, rule: Rule, drawn: Drawn | None) -> Case:
        # A clock that was ahead when that was kept must not make the cooldown any longer.
        over_s = min(self._ended.get(rule.id, -math.inf), self._now_s())
        return Case(rule, self.stream.camera_id, self._name, drawn, self._tell, over_s=over_s, by_wall=self._by_wall)

    def _by_wall(self, now_s: float) -> float:
        """What people's clocks say at a time of the camera's, which no step of the wall clock moves."""
        return now_s + self._wall_s() - self._now_s()

    def close(self) -> None:
        """Let no rule hold any more."""
        self.apply((), self._name)

    def tick(self) -> None:
        """Let time pass."""
        now_s = self._now_s()
        for case in self._cases:
            case.tick(now_s)

    # As a sink of the track `detections`.

    def push(self, packet: Packet) -> None:
        """Take in what was seen in a picture."""
        look = unpack(packet.payload)
        if look.epoch != self._epoch:
            self._epoch = look.epoch
            for case in self._cases:
                case.forget()
        self._frame_id, self._pts_ns = look.frame_id, look.pts_ns
        now_s = look.pts_ns / 1e9
        for case in self._cases:
            case.look(look, now_s)
            if case.wants_picture and case.event is not None:
                case.wants_picture = False
                picture = self._picture()
                if picture is not None:
                    self._better[case] = picture

    def clear(self) -> None:
        """Forget pictures that may not be shown any more: a mask was set."""
        self._better.clear()
        for case in self._cases:
            case.forget_picture()

    def _tell(self, case: Case, event: Event, phase: Phase) -> bool:
        picture = self._better.pop(case, None)
        if phase is Phase.START:
            picture = self._picture() if case.rule.needs_looks else None
            if picture is None and self.stream.video.latest is not None:
                picture = self.stream.video.latest.payload
            case.wants_picture = False
        return self._events.put(event, phase, picture)

    def _picture(self) -> bytes | None:
        """The picture that was looked at last; of large ones few are kept, and the one after it does as well."""
        ring = self.stream.video.ring
        packet = next((each for each in ring if each.frame_id >= self._frame_id), None)
        return None if packet is None or packet.pts_ns > self._pts_ns + LATE_S * 1e9 else packet.payload

    # What has to run for the rules.

    def _attach(self) -> None:
        if any(case.rule.needs_looks for case in self._cases):
            self._look()
        elif self._looks is not None:
            self._looks.detach(self)
            self._looks = None
        watches = any(not case.rule.needs_looks for case in self._cases)
        if watches and self._awake is None:
            self._awake = _Awake()
            self.stream.video.attach(self._awake)
            self.stream.on_state.append(self._on_state)
        elif not watches and self._awake is not None:
            self.stream.video.detach(self._awake)
            self.stream.on_state.remove(self._on_state)
            self._awake = None

    def _look(self) -> None:
        if self._looks is not None:
            return
        try:
            self._looks = self.stream.track(DETECTIONS)
        except LimitReached as error:
            if not self.refusal:
                log.warning("%s: rules can't be watched over: %s", self.stream.camera_id, error)
            self.refusal = str(error)
            return
        self.refusal = ""
        self._looks.attach(self)

    def _on_state(self, stream: Stream) -> None:
        now_s = self._now_s()
        for case in self._cases:
            case.state(stream.state, now_s)

    def _now_s(self) -> float:
        return self.stream.clock.now_ns() / 1e9
