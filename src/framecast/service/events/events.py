"""Zones, rules and what came of them: all of one server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from framecast.core.errors import Misuse
from framecast.core.limits import Quietly
from framecast.core.supervise import Supervisor
from framecast.service.cameras.cameras import Camera, Cameras
from framecast.service.config import Settings
from framecast.service.config.view import View
from framecast.service.errors import ApiError, not_found
from framecast.service.events import rules, zones
from framecast.service.events.log import Blocking, EventLog
from framecast.service.events.lookout import Lookout
from framecast.service.events.rules import Rule
from framecast.service.events.zones import Drawing, Drawn
from framecast.service.store import ulid
from framecast.service.store.database import Database
from framecast.service.store.events import EventStore
from framecast.service.store.rules import RuleStore
from framecast.vision.catalog import PEOPLE

log = logging.getLogger("framecast.service.events")

TICK_S = 1.0
PERSON = "person"
"""All that a detector without a model finds."""
TOUCH_S = 60.0
"""How often it is kept until when events under way have lasted."""


def open_events(
    cameras: Cameras, database: Database, settings: Settings, supervisor: Supervisor, blocking: Blocking
) -> Events:
    """Those of a server whose state file is ``database``."""
    kept = EventLog(
        EventStore(database),
        settings.server.data,
        blocking=blocking,
        keep_days=settings.events.keep_days,
        most_picture_bytes=settings.events.max_picture_bytes,
    )
    return Events(cameras, kept, RuleStore(database), supervisor, blocking)


class Events:
    """What is looked for at the cameras, and what was found.

    Args:
        cameras: Whose.
        log: Where events go.
        store: Where rules and zones are kept.
        supervisor: Owner of its tasks.
        blocking: Runs a call on the state's thread.

    Attributes:
        log: What happened, and who hears of it.
        changing: Held while rules and zones are changed, and while a camera is removed: nothing is drawn on it then.
    """

    def __init__(
        self, cameras: Cameras, events: EventLog, store: RuleStore, supervisor: Supervisor, blocking: Blocking
    ) -> None:
        self.log = events
        self._cameras = cameras
        self._store = store
        self._supervisor = supervisor
        self._blocking = blocking
        self.changing = asyncio.Lock()
        self._rules: dict[str, Rule] = {}
        self._drawn: dict[str, Drawing] = {}
        self._lookouts: dict[str, Lookout] = {}
        self._ended: dict[str, dict[str, float]] = {}
        self._runs = False
        cameras.on_added.append(self._come)
        cameras.on_changed.append(self._apply)
        cameras.on_removed.append(self._leave)
        cameras.on_forgotten.append(events.forget_pictures)

    async def start(self) -> None:
        """Let the rules hold that are kept; those that can't be used, of another version say, stay where they are.

        Raises:
            StateError: They can't be read.
        """
        for rule_id, fields in (await self._blocking(self._store.rules)).items():
            try:
                self._rules[rule_id] = rules.read(rule_id, fields)
            except Misuse as error:
                log.warning("the rule %s can't be used: %s", rule_id, error)
        undated = {}
        for camera_id, (described, view) in (await self._blocking(self._store.zones)).items():
            camera = self._cameras.get(camera_id)
            if camera is None:
                continue  # it may be back in the configuration file at another start
            now = View.of(camera.config)
            try:
                self._drawn[camera_id] = Drawing(zones.read(described), now if view is None else View(*view))
            except Misuse as error:
                log.warning("the zones of %s can't be used: %s", camera_id, error)
                continue
            if view is None:  # kept by an older version
                undated[camera_id] = now
        await self._blocking(self._store.date_zones, undated)
        await self.log.begin()
        self._ended = await self.log.ended(max((rule.cooldown_s for rule in self._rules.values()), default=0.0))
        self._runs = True
        for camera in self._cameras:
            self._apply(camera)
        self._supervisor.keep("events", self.log.run)
        self._supervisor.keep("rules", self._keep_time)

    async def close(self) -> None:
        """End all events that are under way, and keep that."""
        self._runs = False
        for lookout in self._lookouts.values():
            lookout.close()
        self._lookouts.clear()
        await self.log.close()

    # Zones.

    def zones(self, camera: Camera) -> list[dict[str, Any]]:
        """What is drawn on a camera's picture, as the API has it."""
        drawing = self._drawn.get(camera.camera_id)
        now = View.of(camera.config)
        return [zones.described(drawing.seen(each, now)) for each in drawing.drawn] if drawing else []

    async def set_zones(self, camera: Camera, value: object) -> None:
        """Draw these in place of those that are there.

        Raises:
            ApiError: They can't be read, or the camera is gone.
        """
        try:
            drawn = zones.read(value)
        except Misuse as error:
            raise ApiError(400, "bad_value", str(error)) from None
        async with self.changing:
            here = self._cameras.get(camera.camera_id)
            if here is None or not self._cameras.has(camera):
                raise not_found("The camera has been removed")
            view = View.of(here.config)
            described = [zones.described(each) for each in drawn]
            await self._blocking(self._store.save_zones, camera.camera_id, described, view)
            self._drawn[camera.camera_id] = Drawing(drawn, view)
            if (here := self._cameras.get(camera.camera_id)) is not None:
                self._apply(here)

    # Rules.

    @property
    def rules(self) -> list[dict[str, Any]]:
        """All rules as the API has them, the oldest first."""
        return [self._described(rule) for rule in self._rules.values()]

    def rule(self, rule_id: str) -> Rule:
        """The rule of this id.

        Raises:
            ApiError: There is none.
        """
        rule = self._rules.get(rule_id)
        if rule is None:
            raise not_found(f"There is no rule {rule_id[:40]!r}")
        return rule

    async def add_rule(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a rule, and let it hold.

        Raises:
            ApiError: It can't be used, or there are as many as there may be.
        """
        async with self.changing:
            if len(self._rules) >= rules.MOST_RULES:
                raise ApiError(409, "limit_reached", f"There are {rules.MOST_RULES} rules already; delete one first")
            return await self._keep(ulid.new(time.time()), fields)

    async def change_rule(self, rule_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change a rule; events under way that it made end.

        Raises:
            ApiError: It can't be used, or there is no such rule.
        """
        async with self.changing:
            return await self._keep(rule_id, {**self._fields(self.rule(rule_id)), **changes})

    async def remove_rule(self, rule_id: str) -> None:
        """Forget a rule; its events stay.

        Raises:
            ApiError: There is none.
        """
        async with self.changing:
            self.rule(rule_id)
            await self._blocking(self._store.delete_rule, rule_id)
            del self._rules[rule_id]
            self._apply_all()
            for ended in self._ended.values():
                ended.pop(rule_id, None)

    async def _keep(self, rule_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        try:
            rule = rules.read(rule_id, fields)
        except Misuse as error:
            raise ApiError(400, "bad_value", str(error)) from None
        await self._blocking(self._store.save_rule, rule_id, self._fields(rule))
        self._rules[rule_id] = rule
        self._apply_all()
        return self._described(rule)

    @staticmethod
    def _fields(rule: Rule) -> dict[str, Any]:
        listed = {name: _listed(value) for name, value in rule.described().items()}
        del listed["id"]
        return listed

    def _described(self, rule: Rule) -> dict[str, Any]:
        return {**rule.described(), "reason": self._obstacle(rule)}

    def _obstacle(self, rule: Rule) -> str:
        """Why no event can come of a rule as things are, in words; empty where one can."""
        covered = [camera for camera in self._cameras if not rule.cameras or camera.camera_id in rule.cameras]
        if rule.enabled and not covered:
            return "none of its cameras is there"
        if rule.area and all(self._area(rule, camera) is None for camera in covered):
            return f"none of its cameras has {'a line' if rule.kind == 'line' else 'a zone'} named {rule.area!r}"
        if not rule.enabled or not rule.needs_looks:
            return ""
        reasons = [self._blindness(rule, camera) for camera in covered]
        return reasons[0] if all(reasons) else ""

    def _blindness(self, rule: Rule, camera: Camera) -> str:
        """Why a camera can't see what a rule wants, in words; empty where it can, as far as is known."""
        lookout, seeks = self._lookouts.get(camera.camera_id), camera.seeks
        if not seeks.enabled:
            return "nothing is looked at (vision.enabled is off)"
        if rule.kind == "face" and seeks.faces == "off":
            return f"no faces are looked for at {camera.name}"
        if rule.kind in ("object", "line") and not seeks.labels & {*(rule.labels or seeks.labels)}:
            looked_for = ", ".join(sorted(seeks.labels)) or "nothing"
            return f"what is looked for at {camera.name} is {looked_for}"
        if lookout is not None and lookout.refusal:
            return lookout.refusal
        sight = camera.sight
        if rule.kind in ("object", "line", "face") and sight.working and not sight.model:
            return sight.reason
        wants_others = bool(rule.labels) and PERSON not in rule.labels
        return sight.reason if sight.working and sight.model == PEOPLE and wants_others else ""

    # What has to run for them.

    def _area(self, rule: Rule, camera: Camera) -> Drawn | None:
        """The rule's zone or line where it is in this camera's picture."""
        drawing = self._drawn.get(camera.camera_id)
        if drawing is None:
            return None
        kind = zones.Line if rule.kind == "line" else zones.Zone
        found = next((each for each in drawing.drawn if isinstance(each, kind) and each.name == rule.area), None)
        return None if found is None else drawing.seen(found, View.of(camera.config))

    def _apply_all(self) -> None:
        for camera in self._cameras:
            self._apply(camera)

    def _apply(self, camera: Camera) -> None:
        if not self._runs:
            return
        here: list[tuple[Rule, Drawn | None]] = []
        for rule in self._rules.values():
            area = self._area(rule, camera)
            if rule.holds_for(camera.camera_id) and (area is not None or not rule.area):
                here.append((rule, area))
        lookout = self._lookouts.get(camera.camera_id)
        if lookout is None:
            if not here:
                return
            lookout = self._lookouts[camera.camera_id] = Lookout(
                camera, self.log, self._ended.setdefault(camera.camera_id, {})
            )
        lookout.apply(here, camera.name)
        if not here:
            del self._lookouts[camera.camera_id]

    def _come(self, camera: Camera) -> None:
        if self._runs:  # what was drawn for one of its id that left the configuration file is not for it
            self._drawn.pop(camera.camera_id, None)
        self._apply(camera)

    def _leave(self, camera: Camera) -> None:
        self._drawn.pop(camera.camera_id, None)
        self.log.uncount(camera.camera_id)
        lookout = self._lookouts.pop(camera.camera_id, None)
        if lookout is not None:
            lookout.close()
        self._ended.pop(camera.camera_id, None)  # of another camera of its id nothing was seen

    async def _keep_time(self) -> None:
        touch = Quietly(TOUCH_S)
        while True:
            await asyncio.sleep(TICK_S)
            for lookout in tuple(self._lookouts.values()):
                lookout.tick()
                await asyncio.sleep(0)  # all at once they would hold the loop: 200 rules at 256 cameras, 10 ms
            if touch.due():
                seen = {each: at_s for lookout in self._lookouts.values() for each, at_s in lookout.seen.items()}
                if seen:
                    await self.log.touch(seen)


def _listed(value: Any) -> Any:
    """Tuples as lists, as they come in JSON."""
    return [_listed(each) for each in value] if isinstance(value, tuple) else value
