"""Listening, serving and stopping.

Order of a stop: no new connections, cameras and their viewers are closed, then what is left of the connections, then
tasks. All of it within a few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from shlex import quote
from typing import Any

from framecast.core.errors import ConfigError
from framecast.service.api import m5
from framecast.service.api.table import make_table
from framecast.service.cameras import views
from framecast.service.config import Address, Settings
from framecast.service.config.report import exposed
from framecast.service.errors import ApiError
from framecast.service.front import control
from framecast.service.front.client import Proxies
from framecast.service.front.handshake import TlsListener
from framecast.service.front.http import Front, Rules
from framecast.service.front.rates import SWEEP_S
from framecast.service.front.routing import Table
from framecast.service.front.tls import Files, Https, Tls
from framecast.service.operations import openings
from framecast.service.service import Service
from framecast.service.tunnel import qr, statuspage
from framecast.service.tunnel.door import Door
from framecast.service.tunnel.tunnel import Status

log = logging.getLogger("framecast.service.server")

BACKLOG = 4096
"""With the usual 128, hundreds of viewers joining at once overflowed it, and cost twice the CPU ever after."""
SHUTDOWN_S = 2.0
REPORT_PERIOD_S = 10.0


def rules(settings: Settings) -> Rules:
    """What the front needs to know of the settings."""
    limits = settings.limits
    return Rules(
        allowed_origins=tuple(settings.server.allowed_origins),
        allowed_hosts=tuple(settings.server.allowed_hosts),
        max_body_bytes=limits.max_frame_bytes + 65_536,
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        max_connections_per_token=limits.max_connections_per_token,
        requests_per_s=limits.requests_per_s,
        requests_burst=limits.requests_burst,
        received_bytes_per_s=limits.received_bytes_per_s,
        header_timeout_s=limits.header_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
    )


class Listeners:
    """Open listening sockets.

    Attributes:
        addresses: Where each of the main port's sockets listens, with the port that was really taken.
        tls: The certificate, where HTTPS is served.
        tls_address: Where it is.
    """

    def __init__(self, service: Service) -> None:
        self.addresses: list[Address] = []
        self.fronts: list[Front] = []
        self.tls: Tls | None = None
        self.tls_address: Address | None = None
        self._service = service
        self._servers: list[asyncio.Server | TlsListener] = []
        self._serving: list[tuple[int, asyncio.Server | TlsListener]] = []
        self._handlers: list[Callable[[float], Coroutine[Any, Any, None]]] = []
        self._has_control = False

    async def open(self) -> None:
        """Open all that is configured.

        Raises:
            OSError: An address can't be had.
            ConfigError: The control socket can't be made.
        """
        service, settings = self._service, self._service.settings
        table = make_table(service)
        main = self._front(table)
        self._lead_tunnel_to(table)
        for address in settings.server.addresses:
            port = await self._listen(main, address.host, address.port)
            self.addresses.append(Address(address.host, port))
        service.url = url_of(self.addresses[0])
        service.ports = [address.port for address in self.addresses]
        await self._open_tls(main)
        for port, make in (
            (settings.compat.m5_device_port, m5.device_table),
            (settings.compat.m5_viewer_port, m5.viewer_table),
        ):
            if port:
                try:
                    await self._listen(self._front(make(service)), settings.server.host, port)
                except OSError as error:
                    log.warning("the M5Stack port %d can't be opened and stays closed: %s", port, error.strerror)
        listener = control.listen(settings.server.data)
        if listener is not None:
            self._has_control = True
            self._servers.append(
                await asyncio.get_running_loop().create_unix_server(self._handler(main, local=True), sock=listener)
            )
        service.readiness.checks.append(self.complaints)

    async def _open_tls(self, front: Front) -> None:
        """Serve the same by HTTPS, when there is a certificate."""
        service, server = self._service, self._service.settings.server
        self.tls = Tls.open(service.configuration)
        if self.tls is None:
            return
        port = await self._listen_tls(front, server.host, server.tls_port, self.tls.context)
        self.tls_address = Address(server.host, port)
        service.https = Https(port, Files.of(server.data).authority if self.tls.pair.is_own else None, self.tls)
        service.supervisor.keep("certificate", self.tls.keep)

    def _lead_tunnel_to(self, table: Table) -> None:
        """Give the tunnel its ways in, which are opened when there is one."""
        service, tunnel = self._service, self._service.tunnel
        entrance = Door(self._front(table, service.entrance))
        tunnel.open_entrance, tunnel.close_entrance = entrance.open, entrance.close
        front = Front(statuspage.table(tunnel), lambda: statuspage.OPEN, rules(service.settings), Proxies())
        self.fronts.append(front)
        tunnel.open_page, tunnel.close_page = statuspage.doors(service.settings.tunnel, Door(front))

    def complaints(self) -> list[str]:
        """Where nothing listens any more although it should, in words."""
        return [f"nothing listens at port {port} any more" for port, each in self._serving if not each.is_serving()]

    def stop_listening(self) -> None:
        """Take no further connections; those there are go on."""
        for server in self._servers:
            server.close()

    async def close(self) -> None:
        """Close sockets and connections."""
        self.stop_listening()
        if self._has_control:  # else it is another server's, which runs with this folder
            control.unlink(self._service.settings.server.data)
        await asyncio.gather(*(shutdown(SHUTDOWN_S) for shutdown in self._handlers))

    def _front(self, table: Table, proxies: Proxies | None = None) -> Front:
        service = self._service
        front = Front(
            table,
            lambda: service.access,
            rules(service.settings),
            proxies or service.proxies,
            answer=service.trail.answer,
        )
        self.fronts.append(front)
        self._service.on_revoked.append(front.drop)
        return front

    def _handler(self, front: Front, *, local: bool) -> Callable[[], asyncio.Protocol]:
        server = front.server(local=local)
        self._handlers.append(server.shutdown)
        return server

    async def _listen(self, front: Front, host: str, port: int) -> int:
        server = await asyncio.get_running_loop().create_server(
            self._handler(front, local=False), host, port, backlog=BACKLOG, reuse_address=True
        )
        self._servers.append(server)
        taken: int = server.sockets[0].getsockname()[1]
        self._serving.append((taken, server))
        return taken

    async def _listen_tls(self, front: Front, host: str, port: int, context: ssl.SSLContext) -> int:
        server = front.server()
        self._handlers.append(server.shutdown)
        listener = TlsListener(
            server.after,
            context,
            front.places,
            self._service.supervisor.spawn,
            timeout_s=front.rules.header_timeout_s,
        )
        self._servers.append(listener)
        taken = await listener.open(host, port, BACKLOG)
        self._serving.append((taken, listener))
        return taken


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[Listeners]:
    """A serving service, for the length of the block.

    Raises:
        ConfigError: A camera can't be opened as configured.
        OSError: An address can't be had.
    """
    listeners = Listeners(service)
    try:
        await service.start()
        await listeners.open()
        await _open_tunnel(service)
        service.supervisor.keep("reports", partial(_report, service))
        service.supervisor.keep("what is received", partial(_sweep, listeners.fronts))
        yield listeners
    finally:
        service.closing = True
        listeners.stop_listening()
        await asyncio.gather(service.tunnel.stop(), service.stop())
        await listeners.close()
        service.desk.close()
        await service.supervisor.stop()


async def _open_tunnel(service: Service) -> None:
    """Begin to open the tunnel that is configured.

    Raises:
        ConfigError: This server may not be shown to the internet as it is.
    """
    wish = service.tunnel.configured()
    if wish is not None:
        try:
            await service.tunnel.start(wish)
        except ApiError as error:
            where = service.configuration.origin("tunnel.provider")
            raise ConfigError(where, "tunnel.provider", wish.provider, error.message) from None


async def run_until_signal(service: Service, on_ready: Callable[[Listeners], None]) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with running(service) as listeners:
        log.info("Server is ready!")
        on_ready(listeners)
        await stop.wait()
        log.info("stopping: %d viewers, %d cameras", service.cameras.viewers, len(service.cameras))


def url_of(address: Address, scheme: str = "http") -> str:
    """Where a person opens the pages."""
    host = {"0.0.0.0": _own_address(), "::": _own_address()}.get(address.host, address.host)
    return f"{scheme}://[{host}]:{address.port}/" if ":" in host else f"{scheme}://{host}:{address.port}/"


def announce(service: Service, listeners: Listeners) -> None:
    """Tell on standard output where the pages are, and on the log who may see them."""
    print(f"Framecast is ready at {url_of(listeners.addresses[0])}", flush=True)
    settings = service.settings
    link, invited = "", service.keyring.invited_owner(time.time())
    if listeners.tls_address is not None:
        print(f"and by HTTPS at {url_of(listeners.tls_address, 'https')}", flush=True)
    elif not settings.listens_on_loopback_only:
        log.info("browsers of other machines keep microphone and fast decoders for HTTPS: framecast tls init")
    if service.access.open:
        log.info("everything is open to this machine, and to nobody else")
    elif service.keyring.has_owner:
        log.info("an account or a token is needed (framecast user, framecast token)")
    elif invited:
        # A second link would be one more for others to find.
        again = f"framecast user invite {quote(invited)}"
        print(f"Nobody owns it yet. {invited} is invited to; a new link: {again}", flush=True)
    else:
        first = url_of(listeners.tls_address, "https") if listeners.tls_address else url_of(listeners.addresses[0])
        link = service.desk.owner_link.make()
        print(f"Nobody owns it yet. Make yourself its owner, once: {first[:-1]}{link}", flush=True)
    for text in () if service.access.open else openings.of_all(settings):
        log.warning("%s", text)
    for text in (*service.configuration.warnings, *filter(None, [exposed(service.configuration)])):
        log.warning("%s", text)
    told = ""

    def tell(status: Status) -> None:
        nonlocal told
        if status.url and status.url != told:
            told = status.url
            print(f"and from the internet at {told}/", flush=True)
            if link and service.desk.waits_for_owner:
                print(f"where the owner's link is {told}{link}", flush=True)
            if sys.stdout.isatty():
                print(qr.terminal(told), flush=True)
            for camera_id, config in service.settings.cameras.items():
                if config.public:
                    log.warning("%s: anybody who finds the public address may watch (public)", camera_id)

    tell(service.tunnel.status)
    service.tunnel.on_change.append(tell)


def event_loop() -> asyncio.AbstractEventLoop:
    """The fastest loop there is for this system."""
    if sys.platform == "win32":
        import winloop as fast
    else:
        import uvloop as fast
    loop: asyncio.AbstractEventLoop = fast.new_event_loop()
    return loop


async def _report(service: Service) -> None:
    """One line per watched camera now and then, as people expect to see in a terminal."""
    dropped: dict[str, int] = {}
    while True:
        await asyncio.sleep(REPORT_PERIOD_S)
        known, dropped = dropped, {}
        for camera in service.cameras:
            stream = camera.stream
            latest = views.newest(stream)
            if stream.viewers and latest is not None and stream.state == "live":
                fps, _ = stream.meter.rates(stream.clock.now_ns())
                log.info(
                    "%s: Frame %d | FPS: %.1f | Subs: %dR + 0D",
                    camera.camera_id,
                    latest.frame_id,
                    fps,
                    len(stream.viewers),
                )
            drops = views.drops(camera)
            missed = drops - known.get(camera.camera_id, 0)
            if missed > 0:
                log.info("%s: slow viewers missed %d frames", camera.camera_id, missed)
            dropped[camera.camera_id] = drops


async def _sweep(fronts: list[Front]) -> None:
    """Look once a second at how much came in from whom."""
    while True:
        await asyncio.sleep(SWEEP_S)
        for front in fronts:
            front.sweep()


def _own_address() -> str:
    """An address of this machine that others may reach; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
