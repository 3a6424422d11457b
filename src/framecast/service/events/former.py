"""Cameras that were removed: what happened before them is not for those who may watch the next one of their id.

Events are kept beyond the end of their camera, by its id. Who may watch all cameras sees them, as before; whoever is
let in by the id alone, or because the camera that has it now is open to everybody, sees what happened since it came.
"""

from __future__ import annotations

from collections.abc import Collection

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
    """

    def __init__(self, cameras: Cameras, database: Database) -> None:
        self._kept = former.ends(database)
        self._ends = dict(self._kept)
        cameras.on_removed.append(self._end)

    def _end(self, camera: Camera) -> None:
        self._ends[camera.camera_id] = former.end_id(SYSTEM.now_ns() / 1e9)

    def is_kept(self, camera_id: str, end: str) -> None:
        """It is kept that a camera ended (`State.delete_camera`): whatever comes under its id is another one."""
        self._kept[camera_id] = end

    def stamp(self, camera_id: str) -> str:
        """What tells a camera from others of its id, before it and after it, over restarts too; empty for the first."""
        return self._kept.get(camera_id, "")

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


def _sees_all(grant: Grant) -> bool:
    return grant.cameras is None and grant.has(Right.WATCH)
