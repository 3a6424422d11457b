"""An MQTT server that is told of events, and of the cameras' states.

Two things go there. *Announcements*, each at least once and in order, as to every sink. And *what holds now*: which
cameras there are, whether they can be reached, whether somebody is before them. That is kept by the broker (retained),
so whoever comes later knows; here it is worked out anew each time, and what differs from what was told is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from framecast.core.errors import StateError
from framecast.core.supervise import Backoff
from framecast.service.config.sections import MqttSettings
from framecast.service.events import homeassistant
from framecast.service.events.courier import GIVE_UP_S, Blocking, Undelivered
from framecast.service.events.homeassistant import OFF, OFFLINE, ON, ONLINE, Topics
from framecast.service.events.mqttlink import Link, LinkError, connected, missing, words
from framecast.service.store.events import Event, Phase
from framecast.service.store.outbox import Delivery
from framecast.service.store.retained import EVENT, IMAGE, Place, Retained

log = logging.getLogger("framecast.service.events.mqtt")

KIND = "mqtt"
NAME = "mqtt"
LOOK_S = 1.0
"""How often what holds is looked at."""
FIRST_S = 1.0
CAP_S = 60.0
STABLE_S = 60.0
FAREWELL_S = 1.0
TRIES = 3
"""How often one picture may cut the connection before it is taken for too large."""
TOO_LARGE_S = 3600.0
"""For how long it is: somebody may have the broker take more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A camera as it is told of.

    Attributes:
        name: What people call it.
        is_there: Whether it can be reached, as far as anybody tried.
        shown: How its pictures are turned and masked.
    """

    name: str
    is_there: bool
    shown: tuple[object, ...] = ()


class _Largest:
    """How large a picture the broker takes. It does not say so, and cuts the connection over one that is too large."""

    def __init__(self) -> None:
        self._event_id, self._cuts = "", 0
        self._too_large_bytes, self._until_s = 0, -math.inf

    def allows(self, size_bytes: int, now_s: float) -> bool:
        """Whether one of this size is worth trying."""
        return size_bytes < self._too_large_bytes or now_s >= self._until_s

    def note_cut(self, event_id: str, size_bytes: int, now_s: float) -> bool:
        """The connection ended over the picture of this event; whether that is taken for too large from now on."""
        self._cuts = self._cuts + 1 if event_id == self._event_id else 1
        self._event_id = event_id
        if self._cuts >= TRIES:
            self._too_large_bytes, self._until_s = size_bytes, now_s + TOO_LARGE_S
        return self._cuts >= TRIES


class MqttSink:
    """The server.

    Args:
        settings: Where it is.
        node: What this server is called there, unlike any other.
        cameras: Returns all there are, by id.
        picture: Returns the picture of an event, by its id and its camera's; None while there is none to be sent.
        retained: Knows of which events something is held there.
        blocking: Runs a call on the state's thread.

    Attributes:
        on_connected: Called when messages can be sent again.
    """

    kind = KIND
    name = NAME
    lasts_s = GIVE_UP_S

    def __init__(
        self,
        settings: MqttSettings,
        node: str,
        cameras: Callable[[], Mapping[str, Seen]],
        picture: Callable[[str, str], Awaitable[bytes | None]],
        *,
        retained: Retained,
        blocking: Blocking,
    ) -> None:
        self.label = settings.url
        self.on_connected: Callable[[], None] = lambda: None
        self._settings = settings
        self._topics = Topics(settings.prefix, settings.discovery_prefix, node)
        self._cameras = cameras
        self._picture = picture
        self._retained = retained
        self._blocking = blocking
        self._link: Link | None = None
        self._trouble = "it was not reached yet"
        self._open: dict[str, tuple[str, str]] = {}
        """Camera and sensor of each event that lasts."""
        self._told: dict[str, bytes] = {}
        self._largest = _Largest()
        self._telling = asyncio.Lock()
        self._retaining = asyncio.Lock()
        self._is_stale = False

    def wants(self, event: Event, phase: Phase) -> bool:
        """All of them."""
        return True

    def keep(self, lasting: Collection[str]) -> None:
        """Events that are not among these are over, though that was never told: somebody deleted them, say."""
        self._open = {event_id: where for event_id, where in self._open.items() if event_id in lasting}

    def reconsider(self) -> None:
        """Something may be held there that is no more here: take it back."""
        self._is_stale = True

    async def send(self, delivery: Delivery) -> None:
        """Publish it, and what follows from it."""
        link = self._link
        if link is None:
            raise Undelivered(self._trouble)
        event = json.loads(delivery.body)["event"]
        sensor = homeassistant.sensor(event)
        if delivery.camera and sensor and delivery.phase != Phase.END and event["end"] is None:
            self._open[delivery.event_id] = (delivery.camera, sensor)
        else:
            self._open.pop(delivery.event_id, None)
        body = delivery.body.encode()
        try:
            if delivery.camera:
                async with self._retaining:
                    if event["picture"]:
                        await self._retain(link, delivery, IMAGE)
                    await self._retain(link, delivery, EVENT, body)
                    self._is_stale = True  # the event, or its camera, may have gone meanwhile
                await self._tell(link)
            await link.publish(self._topics.events, body)
        except LinkError as error:
            raise Undelivered(str(error)) from None

    async def _retain(self, link: Link, delivery: Delivery, what: str, payload: bytes = b"") -> None:
        """Have this held, or the event's picture: written down first, so that it is taken back whatever happens."""
        camera, event_id = delivery.camera, delivery.event_id
        await self._blocking(self._retained.note, camera, what, event_id)
        if what != IMAGE:
            await link.publish(self._topics.of(camera, what), payload, retain=True)
            return
        # Asked for only now: a mask that is set later takes back what is written down.
        payload = await self._picture(event_id, camera) or b""
        now_s = asyncio.get_running_loop().time()
        if not self._largest.allows(len(payload), now_s):
            payload = b""
        try:
            await link.publish(self._topics.of(camera, what), payload, retain=True)
        except LinkError:
            if payload and link.is_lost and self._largest.note_cut(event_id, len(payload), now_s):
                log.warning(
                    "%s cuts the connection over a picture of %d bytes; such pictures are not sent for %g s",
                    self.label, len(payload), TOO_LARGE_S,
                )  # fmt: skip
            raise

    async def _take_back(self, link: Link) -> None:
        """Have nothing held of what is no more."""
        async with self._retaining:
            self._is_stale = False
            try:
                for camera, what in await self._blocking(self._retained.lost, tuple(self._cameras())):
                    await link.publish(self._topics.of(camera, what), b"", retain=True)
                    await self._blocking(self._retained.taken_back, camera, what)
                for event_id in await self._blocking(self._retained.deleted, tuple(self._open)):
                    self._open.pop(event_id, None)  # its end is told by nobody
            except StateError as error:
                self._is_stale = True
                log.debug("what was taken back can't be kept: %s", error)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(first_s=FIRST_S, cap_s=CAP_S)
        loop = asyncio.get_running_loop()
        if why := missing():
            self._trouble = why
            log.warning("%s: %s", self.label, why)
            return
        while True:
            began = loop.time()
            try:
                await self._connect()
            except (LinkError, OSError, ValueError) as error:
                self._note(words(error))
            finally:
                self._link = None
            if loop.time() - began > STABLE_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _connect(self) -> None:
        """One connection, from its beginning to its end."""
        async with connected(self._settings, self._topics.node, (self._topics.status, OFFLINE)) as link:
            self._told.clear()
            try:
                await link.subscribe(self._topics.configs)
                former = await self._enter()
                await self._tell(link)
                self._link, self._trouble = link, ""
                log.info("connected to %s", self.label)
                self.on_connected()
                await self._leave(link, former)
                await self._keep(link)
            except asyncio.CancelledError:
                with contextlib.suppress(LinkError, TimeoutError):
                    async with asyncio.timeout(FAREWELL_S):
                        await link.publish(self._topics.status, OFFLINE, retain=True)
                raise

    async def _enter(self) -> list[Place]:
        """Have it written down how topics begin now; how they began before, as far as something may be held there."""
        topics = self._topics
        try:
            former: list[Place] = await self._blocking(self._retained.enter, (topics.prefix, topics.discovery))
        except StateError as error:
            log.debug("where something is held can't be kept: %s", error)
            return []
        return former

    async def _leave(self, link: Link, former: Iterable[Place]) -> None:
        """Have nothing held where topics began before."""
        try:
            for place in former:
                known = {*self._cameras(), *await self._blocking(self._retained.cameras)}
                for topic in Topics(*place, self._topics.node).held(known):
                    if topic not in self._told:
                        await link.publish(topic, b"", retain=True)
                await self._blocking(self._retained.left, place)
                log.info("what %s held under %s is taken back", self.label, " and ".join(place))
        except StateError as error:
            log.debug("what was taken back can't be kept: %s", error)

    async def _keep(self, link: Link) -> None:
        """Tell what changes, and take back what is described and is no more."""
        self._is_stale = True
        while True:
            if self._is_stale:
                await self._take_back(link)
            message = await link.next(LOOK_S)
            if message is None:
                await self._tell(link)
                continue
            topic = str(message.topic)
            if message.retain and message.payload and topic not in self._told:
                for each in (*self._topics.states(topic), topic):  # last what says that there is more
                    if each not in self._told:
                        await link.publish(each, b"", retain=True)

    async def _tell(self, link: Link) -> None:
        """Publish what holds and was not told yet."""
        async with self._telling:
            holds = dict(self._holds())
            for topic, payload in holds.items():
                if self._told.get(topic) != payload:
                    await link.publish(topic, payload, retain=True)
                    self._told[topic] = payload
            for topic in self._told.keys() - holds.keys():
                await link.publish(topic, b"", retain=True)
                del self._told[topic]
                self._is_stale = True  # of a camera that is gone more is held

    def _holds(self) -> Iterable[tuple[str, bytes]]:
        """What holds now, by topic: first what there is, then how it is."""
        topics, lasting = self._topics, set(self._open.values())
        cameras = self._cameras()
        for camera_id, seen in cameras.items():
            yield from homeassistant.discovery(topics, camera_id, seen.name)
        for camera_id, seen in cameras.items():
            for sensor in homeassistant.SENSORS:
                yield topics.of(camera_id, sensor), ON if (camera_id, sensor) in lasting else OFF
            yield topics.of(camera_id, "status"), ONLINE if seen.is_there else OFFLINE
        yield topics.status, ONLINE

    def _note(self, words: str) -> None:
        if words != self._trouble:
            log.warning("%s can't be told: %s", self.label, words)
        self._trouble = words
