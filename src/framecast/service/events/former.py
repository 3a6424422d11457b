"""Cameras that were removed: what is kept of before that is not for those who may watch the next one of their id.

Events and history are kept beyond the end of their camera, by its id. Who may watch all cameras sees them, as before;
whoever is let in by the id alone, or because the camera that has it now is open to everybody, sees what is of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from framecast.core.clock import SYSTEM
from framecast.service.access.rights import Access, Grant, Right
from framecast.service.cameras.cameras import Camera, Cameras
from framecast.service.store import former
from framecast.service.store.database import Database


class Former:
    """All of one server's.

    Args:
        cameras: Those there are; one that is removed is kept to be so by who forgets its settings.
        database: The state file; read here and now.
        now_s: Unix time as people have it, which names the minutes of the history.
    """

    def __init__(self, cameras: Cameras, database: Database, now_s: Callable[[], float] = time.time) -> None:
        kept = former.ends(database)
        self._stamps = {camera_id: end.before for camera_id, end in kept.items()}
        self._ends = dict(self._stamps)
        self._minutes = {camera_id: end.minute for camera_id, end in kept.items()}
        self._now_s = now_s
        cameras.on_removed.append(self._end)

    def _end(self, camera: Camera) -> None:
        self._later(camera.camera_id, former.end_id(SYSTEM.now_ns() / 1e9), former.end_minute(self._now_s()))

    def _later(self, camera_id: str, event_id: str, minute: int) -> None:
        self._ends[camera_id] = max(event_id, self._ends.get(camera_id, ""))
        self._minutes[camera_id] = max(minute, self._minutes.get(camera_id, 0))

    def is_kept(self, camera_id: str, end: former.End) -> None:
        """It is kept that a camera ended (`State.delete_camera`): whatever comes under its id is another one."""
        for each in end.forgotten:
            for known in (self._stamps, self._ends, self._minutes):
                known.pop(each, None)
        self._stamps[camera_id] = end.before
        self._later(camera_id, end.before, end.minute)

    def stamp(self, camera_id: str) -> str:
        """What tells a camera from others of its id, before it and after it, over restarts too; empty for the first."""
        return self._stamps.get(camera_id, "")

    def may_see(self, access: Access, grant: Grant, camera_id: str, event_id: str, peer: str) -> bool:
        """Whether an event before this camera, or an earlier one of its id, may be seen."""
        if _sees_all(grant):
            return True
        return event_id >= self._ends.get(camera_id, "") and access.covers(grant, Right.WATCH, camera_id, peer)

    def since(self, grant: Grant, cameras: Collection[str]) -> dict[str, list[str]]:
        """These cameras by the event from which on what happened before them may be seen; empty for the first."""
        found: dict[str, list[str]] = {}
        for camera_id in cameras:
            since = "" if _sees_all(grant) else self._ends.get(camera_id, "")
            found.setdefault(since, []).append(camera_id)
        return found

    def minutes(self, grant: Grant, cameras: Collection[str]) -> dict[str, int]:
        """For each of these cameras the first minute of history, in Unix minutes, that may be seen."""
        return {} if _sees_all(grant) else {each: self._minutes[each] for each in cameras if each in self._minutes}


def _sees_all(grant: Grant) -> bool:
    return grant.cameras is None and grant.has(Right.WATCH)
