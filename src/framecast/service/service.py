"""The running service: what handlers work with, and the changes they may make to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from aiohttp import WSCloseCode, web

from framecast.core.clock import SYSTEM, Clock
from framecast.core.errors import ConfigError, LimitReached, Misuse, StateError
from framecast.core.rendition import H264
from framecast.core.source import Source
from framecast.core.supervise import Supervisor
from framecast.output.containers.fragments import FragmentHub
from framecast.output.containers.transportstream import TransportStream
from framecast.output.dashboard.hub import Hub
from framecast.output.hls.playlists import HlsHub
from framecast.output.mp4 import Mp4Output
from framecast.output.restream.dial import CheckAddress
from framecast.service.access.keyring import Keyring
from framecast.service.access.links import Links, Maker
from framecast.service.access.passwords import Passwords
from framecast.service.access.rights import Access, Cut, Grant
from framecast.service.accounts.desk import Desk
from framecast.service.cameras.cameras import Camera, Cameras, Parts
from framecast.service.cameras.changes import PINS, check_changes, checked, free_id, plan, see_that_password_stays
from framecast.service.cameras.peering import Peering
from framecast.service.cameras.reach import check_address, url_refusal
from framecast.service.cameras.restreams import Restreams
from framecast.service.config import CAMERA_ID, Configuration, check_camera
from framecast.service.config.view import View
from framecast.service.errors import ApiError, closing, not_found
from framecast.service.events.events import open_events
from framecast.service.events.former import Former
from framecast.service.events.outside import open_deliveries
from framecast.service.faces.gallery import Gallery
from framecast.service.front.client import Proxies
from framecast.service.front.tls import Https
from framecast.service.operations import openings
from framecast.service.operations.history import History
from framecast.service.operations.readiness import Readiness
from framecast.service.operations.trail import Trail
from framecast.service.store import secrets
from framecast.service.store.audit import AuditLog
from framecast.service.store.history import HistoryStore
from framecast.service.store.state import State
from framecast.service.tunnel.entrance import Entrance
from framecast.service.tunnel.tunnel import Tunnel
from framecast.vision.catalog import folders
from framecast.web import Asset

log = logging.getLogger("framecast.service")

T = TypeVar("T")
FAREWELL_S = 1.0


class Service:
    """Everything of one server but its sockets.

    Args:
        configuration: As loaded, without the changes kept in ``state``.
        state: Open state file.
        parts: How sources and renditions are made.
        supervisor: Owner of all tasks.
        state_executor: One thread, for the state file.
        assets: The pages.
        encodes: Returns how many pictures have been encoded here.
        passwords: How those of accounts are hashed.
    """

    def __init__(
        self,
        configuration: Configuration,
        state: State,
        parts: Parts,
        supervisor: Supervisor,
        *,
        state_executor: Executor,
        assets: Mapping[str, Asset],
        encodes: Callable[[], int] = lambda: 0,
        clock: Clock = SYSTEM,
        passwords: Passwords | None = None,
    ) -> None:
        self.configuration = configuration.with_changes(state.changes())
        self.settings = self.configuration.settings
        self.supervisor = supervisor
        self.assets = assets
        self.encodes = encodes
        self.clock = clock
        self.started_ns = clock.now_ns()
        self.ready = False
        self.closing = False
        self.readiness = Readiness(state.database, self.settings.server.data, state_executor, clock=clock)
        self.readiness.checks.append(lambda: () if self.ready else ("the server is starting or stopping",))
        self.https: Https | None = None
        self.url = ""  # of the pages, once they can be asked for
        self.ports: list[int] = []  # where they are, the main one first
        self.sockets: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()
        self.on_revoked: list[Callable[[Cut], None]] = []
        self.fragments = FragmentHub()
        self.hub = Hub(self.fragments)
        self.mp4 = Mp4Output()
        self.hls = HlsHub()
        self._transport_streams: dict[str, TransportStream] = {}
        self.proxies = Proxies(self.settings.server.trusted_proxies, self.settings.server.base_path)
        credentials = state.credentials
        self.keyring = Keyring(credentials.tokens(), credentials.accounts(), credentials.sessions())
        self.trail = Trail(AuditLog(state.database), self.blocking)
        self.desk = Desk(
            credentials,
            self.keyring,
            blocking=self.blocking,
            cut=self.cut,
            is_open=lambda: self.access.open,
            passwords=passwords or Passwords(),
        )
        self._base = configuration
        self._parts = parts
        self._state = state
        self._executor = state_executor
        self._changing = asyncio.Lock()
        self.cameras = Cameras(self.settings, parts, supervisor, frame_ids=state, executor=state_executor, clock=clock)
        self.cameras.on_removed.append(self._forget_outputs)
        self.peering = Peering(self.settings.webrtc, self.cameras, supervisor)
        self.on_revoked.append(self.peering.drop)
        self.restreams = Restreams(self.peering, supervisor, self._restream_check)
        self.cameras.on_added.append(self.restreams.apply)
        self.cameras.on_changed.append(self.restreams.apply)
        self.history = History(
            self.cameras,
            HistoryStore(state.database, self.settings.server.data),
            hours=self.settings.history.hours,
            blocking=self.blocking,
        )
        where = folders(self.settings.server.data)
        self.gallery = Gallery(self.cameras, state.database, where, self.settings.vision.faces)
        self.events = open_events(self.cameras, state.database, self.settings, supervisor, self.blocking)
        self.former = Former(self.cameras, state.database)
        self.links = Links(secrets.get(state.database, secrets.LINKS), self._grant_of_maker, self.former.stamp)
        self.deliveries = open_deliveries(
            self.events.log,
            self.cameras,
            self.keyring,
            lambda: self.access,
            database=state.database,
            settings=self.settings,
            supervisor=supervisor,
            blocking=self.blocking,
        )
        self.entrance = Entrance()
        self.tunnel = Tunnel(self.settings.tunnel, supervisor, self._exposure_refusal, entrance=self.entrance)
        self.access = self._make_access()
        self.tunnel.on_change.append(lambda status: self._reconsider())
        self.on_revoked.append(lambda cut: self.tunnel.check())

    def transport_stream(self, camera: Camera) -> TransportStream:
        """The camera's MPEG-TS, the same one for everybody."""
        made = self._transport_streams.get(camera.camera_id)
        if made is None:
            made = self._transport_streams[camera.camera_id] = TransportStream(camera.stream, H264)
        return made

    def _forget_outputs(self, camera: Camera) -> None:
        self._transport_streams.pop(camera.camera_id, None)
        self.hub.forget(camera.camera_id)
        self.mp4.close(camera.camera_id)
        self.hls.close(camera.camera_id)
        self.peering.forget(camera)
        self.restreams.forget(camera)
        self.fragments.forget(camera.camera_id)

    async def start(self) -> None:
        """Start all configured cameras; one that can't be started stops the server, with a clear line.

        Raises:
            ConfigError: A camera can't be opened as configured.
        """
        await self.blocking(self._state.date_masks, self.settings.cameras)
        for camera_id, config in self.settings.cameras.items():
            origin = self.configuration.camera_origin(camera_id)
            try:
                await self.cameras.add(camera_id, config, origin, self.configuration.sound_origin(camera_id))
            except ConfigError:
                raise
            except Misuse as error:
                where = self.configuration.origin(f"cameras.{camera_id}.url")
                raise ConfigError(where, f"cameras.{camera_id}.url", config.url, str(error)) from None
        await self.deliveries.start()
        await self.events.start()
        self.supervisor.keep("accounts", self.desk.keep)
        self.supervisor.keep("history", self.history.run)
        self.gallery.start(self.supervisor)
        self.ready = True

    async def stop(self) -> None:
        """End all cameras and keep what is to be kept."""
        self.ready = False
        self.closing = True
        # Nobody waits for the disk, which may be slow, or for somebody else who has the state file to himself. The
        # history looks at the cameras before any of them ends.
        await asyncio.gather(self.blocking(self._state.database.hurry), self.history.close(), self._end_streams())
        await self.events.close()
        await self.gallery.close()
        await self.deliveries.close()
        await self.desk.tidy(time.time())

    async def _end_streams(self) -> None:
        await self.cameras.close()
        await self._close_sockets()

    async def _close_sockets(self) -> None:
        """Tell pages and devices that the server goes, so that they needn't find out by silence."""
        farewells = [each.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops") for each in self.sockets]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.gather(*farewells, return_exceptions=True)

    # Cameras

    def camera(self, camera_id: str) -> Camera:
        """The camera of this id.

        Raises:
            ApiError: There is none.
        """
        camera = self.cameras.get(camera_id)
        if camera is None:
            raise closing() if self.closing else not_found(f"There is no camera {camera_id[:63]!r}")
        return camera

    def compat_camera(self, configured: str) -> Camera:
        """The camera a route of an older program means: the configured one, or the first.

        Raises:
            ApiError: There is none.
        """
        if configured:
            return self.camera(configured)
        camera = self.cameras.first
        if camera is None:
            raise closing() if self.closing else not_found("There is no camera yet")
        return camera

    async def add_camera(self, fields: dict[str, Any], grant: Grant) -> Camera:
        """Add a camera for the API and keep it.

        Raises:
            ApiError: It can't be used, exists, or is where the API may not reach.
        """
        fields = dict(fields)
        camera_id = fields.pop("id", None)
        async with self._changing:
            if camera_id is None:
                camera_id = free_id(str(fields.get("name") or "camera"), self.cameras, self.keyring)
            if not isinstance(camera_id, str) or not CAMERA_ID.fullmatch(camera_id):
                raise ApiError(400, "bad_id", "An id has 1 to 63 of a-z, 0-9, - and _, a letter or digit first")
            if camera_id in self.cameras:
                raise ApiError(409, "exists", f"There is a camera {camera_id!r} already; take another id")
            config = checked(fields, grant, self.settings.network)
            try:
                camera = await self.cameras.add(camera_id, config, "operator" if grant.local else "api")
            except LimitReached:
                raise
            except Misuse as error:
                raise ApiError(400, "bad_camera", str(error)) from None
            try:
                save, view = self._state.save_camera, View.of(config)
                await self.blocking(partial(save, camera_id, fields, trusted=grant.local, view=view, new=True))
            except StateError:
                await self.cameras.remove(camera_id)
                raise
            await self._reload()
        openings.tell(camera.camera_id, None, camera.config, self.access)
        return camera

    async def change_camera(self, camera_id: str, changes: dict[str, Any], grant: Grant) -> Camera:
        """Change a camera for the API and keep the change; viewers stay.

        Raises:
            ApiError: It can't be used, or there is no such camera.
        """
        async with self._changing:
            camera = self.camera(camera_id)
            if "id" in changes and changes["id"] != camera_id:
                raise ApiError(400, "bad_id", "The id of a camera stays; add another one and remove this one")
            before = camera.config
            changes = {key: value for key, value in changes.items() if key != "id"}
            for name in ("url", "audio_url", "restream"):
                if name in changes and changes[name] == getattr(before, name):
                    del changes[name]  # it stays whoever gave it
            check_changes(self.configuration, camera, changes, grant)
            kept = await self.blocking(self._state.changes)
            planned, config = plan(self._base, kept, camera, changes, grant)
            if not grant.local:
                see_that_password_stays(config, changes, before, self._base.settings.cameras.get(camera_id))
            origin = planned.camera_origin(camera_id)
            try:
                self.cameras.check(camera_id, config, origin)
            except Misuse as error:
                raise ApiError(400, "bad_camera", str(error)) from None
            keep = partial(self._state.save_camera, camera_id, changes, trusted=grant.local, view=View.of(config))
            await self.blocking(keep)
            await self._reload()
            camera = await self.cameras.change(camera_id, config, origin, planned.sound_origin(camera_id))
        openings.tell(camera.camera_id, before, config, self.access)
        self.cut(*openings.ended(camera_id, before, config))
        return camera

    async def remove_camera(self, camera_id: str) -> None:
        """Remove a camera for the API, for good.

        Raises:
            ApiError: There is no such camera.
        """
        async with self._changing, self.events.changing:
            camera = self.camera(camera_id)
            given = self.configuration.given[f"cameras.{camera_id}.url"]
            if given.origin in PINS:
                raise ApiError(409, "pinned", f"{given.where} names this camera; leave it out there")
            configured = f"cameras.{camera_id}.url" in self._base.given
            end = await self.blocking(lambda: self._state.delete_camera(camera_id, configured=configured))
            await self._reload()
            self.former.is_kept(camera_id, end)
            await self.cameras.remove(camera_id)
            self.cut(*openings.ended(camera_id, camera.config, None))

    def open_url(self, url: str, *, trusted: bool) -> Source:
        """A source for a URL that is not (yet) a camera's, for a look at it.

        Raises:
            Misuse: It can't be opened, or the API may not reach there.
        """
        config = check_camera({"url": url})
        if config.kind == "push":
            raise Misuse("a camera that pushes can't be opened; it has to come by itself")
        refusal = "" if trusted else url_refusal(url, self.settings.network)
        if refusal:
            raise Misuse(refusal)
        return self._parts.open_source("probe", config, self.settings, "command line" if trusted else "api")

    def _restream_check(self, camera: Camera, url: str) -> CheckAddress | None:
        """What the addresses of a restream have to pass; those that the configuration names may be any."""
        configured = self._base.settings.cameras.get(camera.camera_id)
        is_ours = configured is not None and url in configured.restream
        return None if is_ours else check_address(self.settings.network, "receivers")

    async def _reload(self) -> None:
        """Compute the effective settings anew after a change was kept."""
        self.configuration = self._base.with_changes(await self.blocking(self._state.changes))
        self.settings = self.configuration.settings
        self.cameras.settings = self.settings
        self.access = self._make_access()

    def _grant_of_maker(self, maker: Maker) -> Grant | None:
        """What who made a link may do now, if that is still who it was."""
        if self.keyring.stamp_of_holder(maker.name) != maker.stamp:
            return None
        return self.keyring.grant_of_holder(maker.name, maker.session)

    def _make_access(self) -> Access:
        here_only = self.settings.listens_on_loopback_only and not self.settings.server.trusted_proxies
        here_only = here_only and not self.tunnel.runs
        return Access(self.keyring, self.settings.cameras, loopback_only=here_only, links=self.links)

    def _reconsider(self) -> None:
        self.access = self._make_access()

    def _exposure_refusal(self) -> str:
        """Why this server may not be shown to the internet; empty when it may."""
        if len(self.keyring):
            return ""
        return (
            "This server has neither accounts nor tokens, so that nothing would protect it on the internet. "
            "Make an owner first: framecast user create NAME --role owner"
        )

    def cut(self, *cuts: Cut) -> None:
        """End what these are about; those who still may come back by themselves."""
        for cut in cuts:
            for listener in self.on_revoked:
                listener(cut)

    async def blocking(self, call: Callable[..., T], *args: Any) -> T:
        """Run a blocking call on the state's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*args))
