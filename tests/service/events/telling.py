"""An event log with its deliveries, and a receiver that answers as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import RawTestServer

from framecast.core.supervise import Supervisor
from framecast.service.config.resolve import defaults
from framecast.service.events.deliveries import Deliveries
from framecast.service.events.log import EventLog
from framecast.service.events.mqtt import Seen
from framecast.service.events.outside import picture
from framecast.service.events.push import Holders
from framecast.service.store import ulid
from framecast.service.store.events import Event, EventStore, Phase
from framecast.service.store.state import State

START_S = 1_790_000_000.0
EVERYBODY = Holders(lambda holder, stamp: True, lambda holder, stamp, camera_id: True)


def happening(number: int = 0, **fields: Any) -> Event:
    """An event of its own."""
    start_s = START_S + number
    made = {"camera": "door", "rule": "r1", "kind": "object", "camera_name": "Front door", "label": "person"}
    return Event(ulid.new(start_s), start_s=start_s, **{**made, **fields})


@dataclass
class Told:
    """What one request brought."""

    body: bytes
    headers: Mapping[str, str]
    path: str


@dataclass
class Receiver:
    """Somebody who is told by POST.

    Attributes:
        statuses: What is answered, one after the other; then 204.
    """

    url: str = ""
    told: list[Told] = field(default_factory=list)
    statuses: Iterator[int] = field(default_factory=lambda: iter(()))
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Receiver]:
        """One on a port of its own."""
        receiver = cls()
        async with RawTestServer(receiver._answer) as server:
            receiver.url = str(server.make_url("/hook"))
            yield receiver

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.told.append(Told(await request.read(), dict(request.headers), request.path))
        return web.Response(status=next(self.statuses, 204), headers=self.headers)


class Office:
    """Events, and the deliveries of them."""

    def __init__(self, log: EventLog, deliveries: Deliveries, supervisor: Supervisor, cameras: dict[str, Seen]) -> None:
        self.log = log
        self.deliveries = deliveries
        self.supervisor = supervisor
        self.cameras = cameras

    async def announce(self, event: Event, phase: Phase = Phase.START, picture: bytes | None = None) -> None:
        """Have this told."""
        assert self.log.put(event, phase, picture)
        assert await self.log.flush()

    async def sinks(self) -> dict[str, dict[str, Any]]:
        """How all are, by name."""
        return {each["sink"]: each for each in await self.deliveries.described()}


@asynccontextmanager
async def office(
    folder: Path,
    options: Mapping[str, Any] | None = None,
    holders: Holders | None = None,
    shown: tuple[object, ...] = (),
) -> AsyncIterator[Office]:
    """One over a state file in this folder, with a camera that is shown so."""
    settings = defaults(options or {}).settings
    with ThreadPoolExecutor(1) as executor, State.open(folder) as state:
        blocking = partial(asyncio.get_running_loop().run_in_executor, executor)
        async with Supervisor() as supervisor:
            log = EventLog(EventStore(state.database), folder, blocking=blocking)
            cameras = {"door": Seen("Front door", True, shown)}
            deliveries = Deliveries(
                state.database,
                settings,
                supervisor,
                blocking=blocking,
                holders=holders or EVERYBODY,
                cameras=lambda: cameras,
                picture=partial(picture, log),
            )
            log.store.hooks.append(deliveries.fill)
            log.on_announced.append(deliveries.announced)
            log.on_deleted.append(deliveries.deleted)
            await deliveries.start()
            try:
                yield Office(log, deliveries, supervisor, cameras)
            finally:
                await deliveries.close()
        assert not supervisor.failures, supervisor.failures
