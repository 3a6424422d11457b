"""Everybody who is told of events outside of this server, and what is on its way to them."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from framecast.core.clock import SYSTEM
from framecast.core.errors import StateError
from framecast.core.supervise import Supervisor
from framecast.service.cameras.reach import check_address, url_refusal
from framecast.service.config import Settings
from framecast.service.config.eventurls import check_webhook_url, mask_webhook_url, split_webhook_url
from framecast.service.errors import ApiError, not_found
from framecast.service.events.browsers import Browsers
from framecast.service.events.courier import Blocking, Courier, Sink, Undelivered, given_up_before_s
from framecast.service.events.mqtt import MqttSink, Seen
from framecast.service.events.poster import Poster
from framecast.service.events.push import Holders, PushSink
from framecast.service.events.settling import Settling
from framecast.service.events.webhooks import WebhookSink, new_secret, webhook_id
from framecast.service.store import secrets, ulid
from framecast.service.store.database import Database
from framecast.service.store.events import Announcement, Event, EventStore
from framecast.service.store.outbox import MOST_WAITING, Delivery, Outbox, fill
from framecast.service.store.receivers import Receivers, Webhook
from framecast.service.store.retained import Retained

log = logging.getLogger("framecast.service.events.deliveries")

TIDY_S = 600.0
TEST_S = 30.0
NODE = "node"
"""Name among the secrets of what makes this server unlike any other."""
CLOSE_S = 2.0
MOST_WEBHOOKS = 16
"""That may be added over the API."""


class Deliveries:
    """All sinks, and what carries to them.

    Args:
        database: The state file.
        settings: As they are at the start.
        supervisor: Owner of all tasks.
        blocking: Runs a call on the state's thread.
        holders: Knows whose browsers are told.
        cameras: Returns all there are, by id.
        picture: Returns the picture of an event, by its id and its camera's; None while there is none to be sent.
        now_s: Unix time.

    Attributes:
        browsers: Those that are told.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        supervisor: Supervisor,
        *,
        blocking: Blocking,
        holders: Holders,
        cameras: Callable[[], Mapping[str, Seen]],
        picture: Callable[[str, str], Awaitable[bytes | None]],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.receivers = Receivers(database)
        self._settings = settings
        self._supervisor = supervisor
        self._blocking = blocking
        self._database = database
        self._cameras = cameras
        self._picture = picture
        self._now_s = now_s
        self._outbox = Outbox(database)
        self._settling = Settling(self._outbox, blocking)
        self._retained = Retained(database)
        self._unsendable: frozenset[str] = frozenset()
        """Of those before the start; `EventLog` knows of what came since."""
        self._is_mqtt_told = False
        self._couriers: dict[str, Courier] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._changing = asyncio.Lock()
        self._pushed_out: dict[int, dict[str, int]] = {}
        """By announcement: what had to go for it. Counted once that is kept; a number that is not comes back."""
        self._sinks: tuple[Sink, ...] = ()
        """Read on the state's thread, and so replaced as a whole."""
        self._poster = Poster()
        self._checked = Poster(check_address(settings.network, "webhooks"))
        self.browsers = Browsers(
            database,
            settings.push,
            self.receivers,
            blocking=blocking,
            holders=holders,
            add=self._add,
            forget=self._forget,
        )

    # What is told.

    def fill(self, connection: sqlite3.Connection, event: Event, announcement: Announcement) -> None:
        """Have an announcement sent to whom it concerns (a hook of `EventStore`)."""
        wanted = [
            sink.name
            for sink in self._sinks
            if (not event.notify or sink.kind in event.notify) and sink.wants(event, announcement.phase)
        ]
        self._pushed_out[announcement.seq] = fill(connection, announcement.seq, wanted, announcement.at_s)

    def announced(self, announcement: Announcement) -> None:
        """There is something to carry (a listener of `EventLog`)."""
        for sink, count in self._pushed_out.pop(announcement.seq, {}).items():
            if (courier := self._couriers.get(sink)) is not None:
                courier.note_lost(count, f"more than {MOST_WAITING:,} messages wait for it, and the oldest go")
        for courier in self._couriers.values():
            courier.wake()

    def deleted(self) -> None:
        """Events or pictures are no more (a listener of `EventLog`)."""
        for sink in self._sinks:
            if isinstance(sink, MqttSink):
                sink.reconsider()

    def forget_picture(self, camera: str) -> None:
        """Have the picture taken back that was sent of a camera (a listener of `Cameras`)."""
        self._supervisor.spawn(f"picture:{camera}", self._forget_picture(camera, _now_id()))

    async def _forget_picture(self, camera: str, since: str) -> None:
        seen = self._cameras().get(camera)  # asked for in a task of its own: as it is after the change
        if seen is None:
            return  # all is taken back of a camera that is gone
        try:
            await self._blocking(self._retained.forget_picture, camera, since, json.dumps(seen.shown))
        except StateError as error:
            log.warning("%s: the picture that was sent by MQTT can't be taken back: %s", camera, error)
        self.deleted()

    def added(self, camera: str) -> None:
        """A camera has come (a listener of `Cameras`)."""
        if self._is_mqtt_told:
            self._supervisor.spawn(f"picture:{camera}", self._begin(camera))

    async def _begin(self, camera: str) -> None:
        seen = self._cameras().get(camera)
        if seen is None:
            return
        try:
            await self._blocking(self._retained.begin, camera, json.dumps(seen.shown))
        except StateError as error:
            log.warning("%s: how it is shown can't be kept: %s", camera, error)

    # Who is told.

    async def start(self) -> None:
        """Carry what was left, and what comes from now on."""
        for url in self._settings.events.webhooks:
            asked, secret = split_webhook_url(url)
            if f"webhook-{webhook_id(asked)}" in self._couriers:
                log.warning("events.webhooks names %s twice; the first holds", mask_webhook_url(asked))
            self._add(WebhookSink(asked, secret, self._poster, origin="config"))
        for webhook in await self._blocking(self.receivers.webhooks):
            self._add_kept(webhook)
        await self._start_mqtt()
        await self.browsers.start()
        self._supervisor.keep("deliveries", self._tidy)

    async def close(self) -> None:
        """Carry no more."""
        tasks = [task for each in self._tasks.values() for task in each]
        for task in tasks:
            task.cancel()
        if tasks:
            # Who wants to say farewell to somebody who does not listen is cut off by the supervisor.
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for poster in (self._poster, self._checked):
            await poster.close()
        await self.browsers.close()

    async def _start_mqtt(self) -> None:
        settings = self._settings.mqtt
        if not settings.url:
            return
        seed: bytes = await self._blocking(secrets.get, self._database, NODE)
        node = f"framecast_{seed.hex()[:8]}"
        retained, blocking = self._retained, self._blocking
        shown = {camera: json.dumps(seen.shown) for camera, seen in self._cameras().items()}
        for camera in await blocking(retained.compare, shown, _now_id()):
            log.info("%s: its pictures are turned or masked otherwise; what was sent by MQTT is taken back", camera)
        self._is_mqtt_told = True
        self._unsendable = await blocking(retained.unsendable)
        sink = MqttSink(settings, node, self._cameras, self._sendable, retained=retained, blocking=blocking)
        self._add(sink, sink.run)
        sink.on_connected = self._couriers[sink.name].hurry

    async def _sendable(self, event_id: str, camera: str) -> bytes | None:
        return None if event_id in self._unsendable else await self._picture(event_id, camera)

    def _add(self, sink: Sink, *runs: Callable[[], Any]) -> None:
        if sink.name in self._couriers:
            return
        courier = Courier(sink, self._outbox, self._blocking, self._settling.note, self._gone, now_s=self._now_s)
        self._couriers[sink.name] = courier
        keep = self._supervisor.keep
        self._tasks[sink.name] = [keep(f"courier:{sink.name}", run) for run in (courier.run, *runs)]
        self._sinks = tuple(each.sink for each in self._couriers.values())

    def _forget(self, sink: Sink) -> None:
        """Tell a sink no more."""
        self._couriers.pop(sink.name, None)
        self._sinks = tuple(each.sink for each in self._couriers.values())
        asking = asyncio.current_task()
        for task in self._tasks.pop(sink.name, []):
            if task is not asking:
                task.cancel()

    def _gone(self, sink: Sink) -> None:
        """A sink said that it is no more."""
        self._forget(sink)
        if isinstance(sink, PushSink):
            self._supervisor.spawn(f"gone:{sink.name}", self.browsers.gone(sink))

    async def _tidy(self) -> None:
        while True:
            older_than_s = given_up_before_s(self._now_s()) - TIDY_S
            try:
                await self._see_what_lasts()
                lost = await self._blocking(self._outbox.tidy, list(self._couriers), older_than_s)
                for sink, count in lost.items():
                    if (courier := self._couriers.get(sink)) is not None:
                        courier.note_lost(count, "messages about events could not be sent for a day")
            except StateError as error:
                log.debug("the outbox can't be tidied: %s", error)
            await asyncio.sleep(TIDY_S)

    async def _see_what_lasts(self) -> None:
        for sink in self._sinks:
            if isinstance(sink, MqttSink):
                lasting: list[Event] = await self._blocking(EventStore(self._database).open)
                sink.keep({each.event_id for each in lasting})

    # Webhooks that are added over the API.

    def _add_kept(self, webhook: Webhook) -> None:
        poster = self._poster if webhook.trusted else self._checked
        self._add(WebhookSink(webhook.url, webhook.secret, poster, origin="api"))

    async def add_webhook(self, url: Any, secret: Any, *, trusted: bool) -> tuple[WebhookSink, str]:
        """Tell one more receiver; the sink and its secret, which is made when none is given.

        Args:
            trusted: Whether the operator gives it on this machine, so that it may point anywhere.

        Raises:
            ApiError: It can't be used, or is known already.
        """
        if not isinstance(url, str) or not isinstance(secret, str | None) or len(secret or "") > 256:
            raise ApiError(400, "bad_value", "url has to be a text, and secret one of at most 256 characters")
        try:
            url, written = split_webhook_url(check_webhook_url(url))
        except ValueError as error:
            raise ApiError(400, "bad_value", f"url has to be {error}") from None
        refusal = "" if trusted else url_refusal(url, self._settings.network, "webhooks")
        if refusal:
            raise ApiError(400, "bad_value", f"url: {refusal}; one that stands in events.webhooks may be anywhere")
        async with self._changing:
            return await self._keep_webhook(url, secret or written or new_secret(), trusted=trusted)

    async def _keep_webhook(self, url: str, secret: str, *, trusted: bool) -> tuple[WebhookSink, str]:
        if f"webhook-{webhook_id(url)}" in self._couriers:
            raise ApiError(409, "exists", "There is a webhook of this URL already")
        kept = await self._blocking(self.receivers.webhooks)
        if len(kept) >= MOST_WEBHOOKS:
            raise ApiError(409, "too_many_webhooks", f"There are {MOST_WEBHOOKS} webhooks already; remove one first")
        webhook = Webhook(webhook_id(url), url, secret, trusted, self._now_s())
        await self._blocking(self.receivers.add_webhook, webhook)
        self._add_kept(webhook)
        sink = self._couriers[f"webhook-{webhook.id}"].sink
        assert isinstance(sink, WebhookSink)
        return sink, secret

    async def remove_webhook(self, webhook_id: str) -> None:
        """Tell a receiver no more.

        Raises:
            ApiError: There is none of this id, or it stands in the configuration.
        """
        sink = self._courier(f"webhook-{webhook_id}").sink
        if isinstance(sink, WebhookSink) and sink.origin == "config":
            raise ApiError(409, "pinned", "events.webhooks of the configuration names this webhook; leave it out there")
        async with self._changing:
            courier = self._couriers.get(sink.name)
            if courier is None or courier.sink is not sink:
                return  # somebody else removed it meanwhile
            await self._blocking(self.receivers.remove_webhook, webhook_id)
            self._forget(sink)
            try:
                await self._blocking(self._outbox.forget, sink.name)
            except StateError as error:
                log.debug("%s: what waits for it is forgotten later: %s", sink.name, error)

    def webhooks(self) -> Iterable[WebhookSink]:
        """All there are."""
        return [each.sink for each in self._couriers.values() if isinstance(each.sink, WebhookSink)]

    # How they are.

    def counts(self) -> Iterable[tuple[str, int, int, bool]]:
        """Of each sink: its name, what it took, what was given up, and whether it takes messages."""
        for name, each in self._couriers.items():
            yield name, each.delivered, each.given_up, each.state != "failing"

    async def described(self) -> list[dict[str, Any]]:
        """Each sink as the API shows it."""
        waiting = await self._blocking(self._outbox.waiting)
        return [_described(each, waiting.get(each.sink.name, 0)) for each in self._couriers.values()]

    async def test(self, name: str) -> None:
        """Send a sink something that says that it is a test, at once and once.

        Raises:
            ApiError: It did not take it, or there is none of this name.
        """
        courier = self._courier(name)
        try:
            async with asyncio.timeout(TEST_S):
                await courier.sink.send(_test_delivery(self._now_s()))
        except Undelivered as error:
            raise ApiError(503, "undelivered", f"{courier.sink.label}: {error}") from None
        except TimeoutError:
            raise ApiError(503, "undelivered", f"{courier.sink.label}: no answer within {TEST_S:g} s") from None
        courier.hurry()

    def _courier(self, name: str) -> Courier:
        courier = self._couriers.get(name)
        if courier is None:
            raise not_found(f"There is no receiver of events {name[:80]!r}")
        return courier


def _described(courier: Courier, waiting: int) -> dict[str, Any]:
    retry_in_s = courier.retry_in_s
    return {
        "sink": courier.sink.name,
        "kind": courier.sink.kind,
        "label": courier.sink.label,
        "state": courier.state,
        "waiting": waiting,
        "delivered": courier.delivered,
        "given_up": courier.given_up,
        "last": None if courier.last_s is None else round(courier.last_s, 3),
        "last_error": courier.last_error,
        "retry_in_s": None if retry_in_s is None else round(retry_in_s, 1),
    }


def _now_id() -> str:
    """What no event up to now sorts behind."""
    return ulid.first(SYSTEM.now_ns() / 1e9 + 0.001)


def _test_delivery(now_s: float) -> Delivery:
    """What a test sends."""
    event_id = ulid.new(now_s)
    event = Event(event_id, "", "", "test", now_s, now_s, now_s, camera_name="Test", rule_name="Test")
    body = json.dumps({"event": event.described(), "phase": "test"}, separators=(",", ":"))
    return Delivery(0, event_id, "", "test", body, now_s)
