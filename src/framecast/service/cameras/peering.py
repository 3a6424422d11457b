"""WebRTC peers of all cameras: who comes in, under which path each is found, and who goes."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any

from framecast.core.errors import LimitReached
from framecast.core.rendition import Rendition
from framecast.core.supervise import Supervisor
from framecast.output.webrtc.peer import CONNECT_TIMEOUT_S, Peer
from framecast.output.webrtc.plan import Plan, Unacceptable, plan
from framecast.output.webrtc.viewers import Output
from framecast.service.access.rights import Cut, Grant, Right
from framecast.service.cameras.cameras import Camera, Cameras
from framecast.service.config.iceurls import IceServer, parse_ice_server
from framecast.service.config.sections import WebrtcSettings
from framecast.service.errors import ApiError, not_found
from framecast.wire import sdp

if TYPE_CHECKING:
    from framecast.output.webrtc.ice import IceOptions
    from framecast.output.webrtc.icedtls import Identity

log = logging.getLogger("framecast.service.webrtc")

CONSENT_INTERVAL_S = 4.0
"""A peer that has disappeared is gone after five of these and the time its last answer may take."""


def summary(output: Output | None, *, named: bool) -> dict[str, Any] | None:
    """One camera's WebRTC viewers as the API shows them; None before the first.

    Args:
        named: Whether to say where they are.
    """
    if output is None:
        return None
    return {
        "connects": output.connects,
        "failures": output.failures,
        "packets": output.packets,
        "resent": output.resent,
        "key_requests": output.key_requests,
        "keys_asked": output.keys_asked,
        "peers": [
            {
                "id": peer.viewer.number,
                "state": peer.state,
                "address": (peer.link.ice.peer or None) if named else None,
                "lost": round(peer.lost, 3),
                "rtt_ms": None if peer.rtt_s is None else round(peer.rtt_s * 1000, 1),
                "bitrate_bps": peer.bitrate_bps,
            }
            for peer in output.peers
        ],
    }


class Peering:
    """All peers, by the unguessable end of their resource's path.

    Args:
        settings: ``[webrtc]``.

    Attributes:
        connect_timeout_s: How long a peer may take to connect.
        consent_interval_s: How often a peer is asked whether it still listens; it may fail to say so five times.
    """

    def __init__(self, settings: WebrtcSettings, cameras: Cameras, supervisor: Supervisor) -> None:
        self.settings = settings
        self.ice_servers: list[IceServer] = [parse_ice_server(text) for text in settings.ice_servers]
        self.connect_timeout_s = CONNECT_TIMEOUT_S
        self.consent_interval_s = CONSENT_INTERVAL_S
        self._cameras = cameras
        self._supervisor = supervisor
        self._outputs: dict[str, Output] = {}
        self._peers: dict[str, tuple[Camera, Peer, Grant]] = {}
        self._opening = 0
        self._opened = 0
        self._loading = asyncio.Lock()
        self._library: ModuleType | None = None
        self._identity: Identity | None = None
        self._options: IceOptions | None = None

    def __len__(self) -> int:
        return len(self._peers)

    def output(self, camera: Camera) -> Output:
        """The camera's; made when first asked for."""
        found = self._outputs.get(camera.camera_id)
        if found is None:
            found = self._outputs[camera.camera_id] = Output(camera.stream)
        return found

    def known(self, camera: Camera) -> Output | None:
        """The camera's, if it ever had a peer."""
        return self._outputs.get(camera.camera_id)

    def find(self, token: str) -> tuple[Camera, Peer] | None:
        """The peer whose path ends like this, and its camera."""
        found = self._peers.get(token)
        return None if found is None else found[:2]

    def of(self, camera: Camera) -> Iterator[Peer]:
        """The camera's peers."""
        output = self._outputs.get(camera.camera_id)
        return iter(()) if output is None else iter(tuple(output.peers))

    async def open(
        self, camera: Camera, offer: str, rendition: Rendition, *, address: str, grant: Grant, adapts: bool = False
    ) -> tuple[Peer, str]:
        """Take a peer in; the answer to its offer is the second of what is returned.

        Args:
            rendition: The pictures it wants, at most.
            adapts: Whether it may get less while its path carries no more.
            address: Of the peer, for the owner's eyes.
            grant: What let it in.

        Raises:
            ApiError: Its offer can't be answered, the camera is gone, or WebRTC can't be had here.
            LimitReached: There are as many as the operator allows.
        """
        if not self.settings.enabled:
            raise ApiError(501, "webrtc_off", "WebRTC is switched off here (webrtc.enabled)")
        self._see_that_it_is_here(camera)
        output = self.output(camera)
        try:
            planned = plan(sdp.parse_offer(offer), profile=output.profile)
        except sdp.SdpError as error:
            raise ApiError(400, "bad_sdp", f"This offer can't be answered: {error}") from None
        except Unacceptable as error:
            raise ApiError(406, "not_acceptable", f"This offer can't be answered: {error}") from None
        camera.stream.check(rendition)
        limit = self.settings.max_peers
        if len(self._peers) + self._opening >= limit:
            raise LimitReached(f"there are {limit} WebRTC viewers already (webrtc.max_peers)", limit)
        self._opening += 1
        try:
            return await self._open(camera, output, planned, rendition, address, grant, adapts)
        finally:
            self._opening -= 1

    def drop(self, cut: Cut) -> None:
        """Let those go whom this is about."""
        for camera, peer, grant in tuple(self._peers.values()):
            if cut.hits(grant, Right.WATCH, camera.camera_id):
                peer.end()

    def forget(self, camera: Camera) -> None:
        """The camera is gone, and so are its peers."""
        output = self._outputs.pop(camera.camera_id, None)
        if output is not None:
            output.close()

    async def _open(
        self,
        camera: Camera,
        output: Output,
        planned: Plan,
        rendition: Rendition,
        address: str,
        grant: Grant,
        adapts: bool,
    ) -> tuple[Peer, str]:
        library = await self._load()
        assert self._identity is not None and self._options is not None
        self._opened += 1
        async with AsyncExitStack() as undo:
            viewer = self._cameras.admit(camera, "webrtc", address, rendition=rendition.name, holder=grant.counted_as)
            undo.callback(self._cameras.dismiss, camera, viewer)
            link = library.Link(planned.transport, self._options, self._identity.certificate, first_port=self._opened)
            undo.push_async_callback(link.close)
            candidates = await link.gather()
            if not candidates:
                raise ApiError(503, "no_network", "No UDP port could be opened for WebRTC (webrtc.udp_ports)")
            self._see_that_it_is_here(camera)
            peer = Peer(output, viewer, link, planned, rendition, adapts=adapts)
            undo.pop_all()
        output.peers.add(peer)
        self._peers[peer.token] = (camera, peer, grant)

        def gone() -> None:
            output.count_out(peer)
            self._peers.pop(peer.token, None)
            self._cameras.dismiss(camera, viewer)

        self._supervisor.spawn(f"webrtc:{camera.camera_id}", peer.run(gone, connect_timeout_s=self.connect_timeout_s))
        await asyncio.sleep(0)  # one that has not begun could not tidy up when it is cancelled
        return peer, peer.answer(candidates)

    def _see_that_it_is_here(self, camera: Camera) -> None:
        """An output of a camera that is gone would be its successor's of the same id."""
        if not self._cameras.has(camera):
            raise not_found("The camera has been removed")

    async def options(self) -> IceOptions:
        """How ICE finds its way here, once the libraries are there.

        Raises:
            ApiError: They are not.
        """
        await self._load()
        assert self._options is not None
        return self._options

    async def _load(self) -> Any:
        """The libraries, imported on a thread when first needed; those who come meanwhile wait for the same."""
        async with self._loading:
            if self._library is None:
                try:
                    library, self._identity = await asyncio.to_thread(_library)
                except (ImportError, OSError) as error:
                    log.warning("WebRTC can't be had: %s", error)
                    raise ApiError(
                        501, "webrtc_missing", "WebRTC needs further packages here: pip install 'framecast[webrtc]'"
                    ) from None
                self._options = self._ice_options(library)
                self._library = library
        return self._library

    def _ice_options(self, library: Any) -> Any:
        stun = next((each for each in self.ice_servers if each.scheme == "stun"), None)
        turn = next((each for each in self.ice_servers if each.scheme in ("turn", "turns")), None)
        settings = self.settings
        return library.IceOptions(
            stun=(stun.host, stun.port) if stun else None,
            turn=(turn.host, turn.port) if turn else None,
            turn_tcp=turn is not None and turn.transport == "tcp",
            turn_tls=turn is not None and turn.scheme == "turns",
            username=turn.username if turn else "",
            credential=turn.credential if turn else "",
            addresses=tuple(settings.addresses),
            public_addresses=tuple(settings.public_addresses),
            ports=settings.ports,
            consent_interval_s=self.consent_interval_s,
        )


def _library() -> tuple[Any, Identity]:
    """The libraries, and the certificate, whose making imports more of them and takes a while."""
    library = importlib.import_module("framecast.output.webrtc.icedtls")
    return library, library.Identity()
