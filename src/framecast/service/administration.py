"""What is changed while the server runs: cameras and settings, each checked, kept, and only then done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from framecast.core.errors import LimitReached, Misuse, StateError
from framecast.service.access.keyring import Keyring
from framecast.service.access.rights import Access, Grant
from framecast.service.cameras.cameras import Camera, Cameras
from framecast.service.cameras.changes import (
    check_changes,
    check_changes_of_settings,
    checked,
    free_id,
    plan,
    see_that_password_stays,
)
from framecast.service.config import CAMERA_ID, Configuration
from framecast.service.config.view import View
from framecast.service.errors import ApiError
from framecast.service.events.courier import Blocking
from framecast.service.events.events import Events
from framecast.service.events.former import Former
from framecast.service.operations import openings
from framecast.service.store.state import State


class Administration:
    """The changes that people and programs may make to a running server.

    Args:
        base: The configuration as loaded, without the changes kept in ``state``.
        camera: Finds a camera, or raises ApiError.
        blocking: Runs a call on the state's thread.
        access: The rules that hold now.
        cut: Ends what is open that may not be any more.

    Attributes:
        configuration: What holds now.
        on_change: Told of it whenever it is another one, before the cameras are.
    """

    def __init__(
        self,
        base: Configuration,
        state: State,
        cameras: Cameras,
        *,
        keyring: Keyring,
        events: Events,
        former: Former,
        camera: Callable[[str], Camera],
        blocking: Blocking,
        access: Callable[[], Access],
        cut: Callable[..., None],
    ) -> None:
        self.configuration = base.with_changes(state.changes())
        self.on_change: list[Callable[[Configuration], None]] = []
        self._base = base
        self._state = state
        self._cameras = cameras
        self._keyring = keyring
        self._events = events
        self._former = former
        self._camera = camera
        self._blocking = blocking
        self._access = access
        self._cut = cut
        self._changing = asyncio.Lock()

    async def add_camera(self, fields: dict[str, Any], grant: Grant) -> Camera:
        """Add a camera and keep it.

        Raises:
            ApiError: It can't be used, exists, or is where the API may not reach.
        """
        fields = dict(fields)
        camera_id = fields.pop("id", None)
        async with self._changing:
            if camera_id is None:
                camera_id = free_id(str(fields.get("name") or "camera"), self._cameras, self._keyring)
            if not isinstance(camera_id, str) or not CAMERA_ID.fullmatch(camera_id):
                raise ApiError(400, "bad_id", "An id has 1 to 63 of a-z, 0-9, - and _, a letter or digit first")
            if camera_id in self._cameras:
                raise ApiError(409, "exists", f"There is a camera {camera_id!r} already; take another id")
            config = checked(fields, grant, self.configuration.settings.network)
            try:
                camera = await self._cameras.add(camera_id, config, "operator" if grant.local else "api")
            except LimitReached:
                raise
            except Misuse as error:
                raise ApiError(400, "bad_camera", str(error)) from None
            try:
                save, view = self._state.save_camera, View.of(config)
                await self._blocking(partial(save, camera_id, fields, trusted=grant.local, view=view, new=True))
            except StateError:
                await self._cameras.remove(camera_id)
                raise
            await self._reload()
        openings.tell(camera.camera_id, None, camera.config, self._access())
        return camera

    async def change_camera(self, camera_id: str, changes: dict[str, Any], grant: Grant) -> Camera:
        """Change a camera and keep the change; viewers stay.

        Raises:
            ApiError: It can't be used, or there is no such camera.
        """
        async with self._changing:
            camera = self._camera(camera_id)
            if "id" in changes and changes["id"] != camera_id:
                raise ApiError(400, "bad_id", "The id of a camera stays; add another one and remove this one")
            before = camera.config
            changes = {key: value for key, value in changes.items() if key != "id"}
            for name in ("url", "audio_url", "restream"):
                if name in changes and changes[name] == getattr(before, name):
                    del changes[name]  # it stays whoever gave it
            check_changes(self.configuration, camera, changes, grant)
            kept = await self._blocking(self._state.changes)
            planned, config = plan(self._base, kept, camera, changes, grant)
            if not grant.local:
                see_that_password_stays(config, changes, before, self._base.settings.cameras.get(camera_id))
            origin = planned.camera_origin(camera_id)
            try:
                self._cameras.check(camera_id, config, origin)
            except Misuse as error:
                raise ApiError(400, "bad_camera", str(error)) from None
            keep = partial(self._state.save_camera, camera_id, changes, trusted=grant.local, view=View.of(config))
            await self._blocking(keep)
            await self._reload()
            camera = await self._cameras.change(camera_id, config, origin, planned.sound_origin(camera_id))
        openings.tell(camera.camera_id, before, config, self._access())
        self._cut(*openings.ended(camera_id, before, config))
        return camera

    async def remove_camera(self, camera_id: str) -> None:
        """Remove a camera, for good.

        Raises:
            ApiError: There is no such camera.
        """
        async with self._changing, self._events.changing:
            camera = self._camera(camera_id)
            if where := self.configuration.pinned(f"cameras.{camera_id}.url"):
                raise ApiError(409, "pinned", f"{where} names this camera; leave it out there")
            configured = f"cameras.{camera_id}.url" in self._base.given
            end = await self._blocking(lambda: self._state.delete_camera(camera_id, configured=configured))
            await self._reload()
            self._former.is_kept(camera_id, end)
            await self._cameras.remove(camera_id)
            self._cut(*openings.ended(camera_id, camera.config, None))

    async def change_settings(self, changes: Mapping[str, Any]) -> None:
        """Change settings of the server, by dotted key, and keep them; None takes one back.

        Viewers stay. Cameras are read anew where what they are read by is another.

        Raises:
            ApiError: One can't be used, can't be changed here, or is given where it wins over any change.
        """
        async with self._changing:
            check_changes_of_settings(self.configuration, changes)
            kept = await self._blocking(self._state.changes)
            planned = self._base.with_changes(kept.with_settings(changes)).settings
            for camera in self._cameras:
                try:
                    self._cameras.check(camera.camera_id, camera.config, camera.origin, planned)
                except Misuse as error:
                    raise ApiError(400, "bad_camera", f"{camera.camera_id}: {error}") from None
            await self._blocking(self._state.save_settings, changes)
            await self._reload()
            for camera in self._cameras:
                sound_origin = self.configuration.sound_origin(camera.camera_id)
                await self._cameras.change(camera.camera_id, camera.config, camera.origin, sound_origin)

    async def _reload(self) -> None:
        """Compute what holds anew after a change was kept."""
        self.configuration = self._base.with_changes(await self._blocking(self._state.changes))
        for listener in self.on_change:
            listener(self.configuration)
