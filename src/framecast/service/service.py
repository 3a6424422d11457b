"""The running service: what handlers work with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

from aiohttp import WSCloseCode, web

from framecast.core.clock import SYSTEM, Clock
from framecast.core.errors import ConfigError, Misuse
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
from framecast.service.administration import Administration
from framecast.service.cameras.cameras import Camera, Cameras, Parts
from framecast.service.cameras.peering import Peering
from framecast.service.cameras.reach import check_address, url_refusal
from framecast.service.cameras.restreams import Restreams
from framecast.service.config import Configuration, check_camera
from framecast.service.errors import closing, not_found
from framecast.service.events.events import open_events
from framecast.service.events.former import Former
from framecast.service.events.outside import open_deliveries
from framecast.service.faces.gallery import Gallery
from framecast.service.front.client import Proxies
from framecast.service.front.tls import Https
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
        self._configured = configuration
        self._parts = parts
        self._state = state
        self._executor = state_executor
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
        where = folders(self.settings.server.data, self.settings.vision.model_dir)
        self.gallery = Gallery(self.cameras, state.database, where, self.settings.vision.faces)
        self.events = open_events(self.cameras, state.database, self.settings, supervisor, self.blocking)
        self.former = Former(self.cameras, state.database)
        self.links = Links(secrets.get(state.database, secrets.LINKS), self._grant_of_maker, self.former.stamp)
        self.administration = Administration(
            configuration,
            state,
            self.cameras,
            keyring=self.keyring,
            events=self.events,
            former=self.former,
            camera=self.camera,
            blocking=self.blocking,
            access=lambda: self.access,
            cut=self.cut,
        )
        self.administration.on_change.append(self._adopt)
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

    def open_url(self, url: str, *, trusted: bool) -> Source:
        """A source for a URL that is not (yet) a camera's, for a look at it.

        Raises:
            Misuse: It can't be opened, or the API may not reach there.
        """
        config = check_camera({"url": url})
        if config.kind == "push":
            raise Misuse("a camera that pushes can't be opened; it has to come by itself")
        refusal = "" if trusted else url_refusal(url, self.configuration.settings.network)
        if refusal:
            raise Misuse(refusal)
        return self._parts.open_source("probe", config, self.settings, "command line" if trusted else "api")

    def _restream_check(self, camera: Camera, url: str) -> CheckAddress | None:
        """What the addresses of a restream have to pass; those that the configuration names may be any."""
        configured = self._configured.settings.cameras.get(camera.camera_id)
        is_ours = configured is not None and url in configured.restream
        return None if is_ours else check_address(self.configuration.settings.network, "receivers")

    def _adopt(self, configuration: Configuration) -> None:
        """Work with other settings from now on."""
        self.configuration, self.settings = configuration, configuration.settings
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
