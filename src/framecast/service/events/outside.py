"""What deliveries need to know of the server around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from framecast.core.stream import State
from framecast.core.supervise import Supervisor
from framecast.service.access.keyring import Keyring
from framecast.service.access.rights import Access, Right
from framecast.service.cameras.cameras import Cameras, transform_of
from framecast.service.config import Settings
from framecast.service.events.courier import Blocking
from framecast.service.events.deliveries import Deliveries
from framecast.service.events.log import EventLog
from framecast.service.events.mqtt import Seen
from framecast.service.events.push import Holders
from framecast.service.store.database import Database


def open_deliveries(
    log: EventLog,
    cameras: Cameras,
    keyring: Keyring,
    access: Callable[[], Access],
    *,
    database: Database,
    settings: Settings,
    supervisor: Supervisor,
    blocking: Blocking,
) -> Deliveries:
    """Those of a server's events, which tell of all that the log does from now on.

    Args:
        access: Returns the rules that hold now.
    """
    deliveries = Deliveries(
        database,
        settings,
        supervisor,
        blocking=blocking,
        holders=holders(keyring, access),
        cameras=lambda: seen(cameras),
        picture=partial(picture, log),
    )
    log.store.hooks.append(deliveries.fill)
    log.on_announced.append(deliveries.announced)
    log.on_deleted.append(deliveries.deleted)
    cameras.on_forgotten.append(deliveries.forget_picture)
    cameras.on_added.append(lambda camera: deliveries.added(camera.camera_id))
    return deliveries


def holders(keyring: Keyring, access: Callable[[], Access]) -> Holders:
    """Whose browsers are told, by who may be let in: nobody in particular is, as long as everything is open."""

    def exists(holder: str, stamp: str) -> bool:
        return keyring.stamp_of_secret(holder) == stamp if holder else access().open

    def may_watch(holder: str, stamp: str, camera_id: str) -> bool:
        if not holder or not exists(holder, stamp):
            return not holder and access().open
        grant = keyring.grant_of_holder(holder)
        return grant is not None and access().covers(grant, Right.WATCH, camera_id)

    return Holders(exists, may_watch)


def seen(cameras: Cameras) -> dict[str, Seen]:
    """All cameras, whether they can be reached, and how they are shown."""
    away = (State.OFFLINE, State.FAILED)
    return {
        each.camera_id: Seen(each.name, each.stream.state not in away, transform_of(each.config)) for each in cameras
    }


async def picture(log: EventLog, event_id: str, camera: str) -> bytes | None:
    """The picture of an event, if it has one by now that may be sent."""
    try:
        read = await asyncio.to_thread(log.picture_path(event_id).read_bytes)
    except OSError:
        return None
    return read if log.may_send(event_id, camera) else None
