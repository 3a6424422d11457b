"""Listening, serving and stopping.

Order of a stop: no new connections, cameras and their viewers are closed, then what is left of the connections, then
tasks. All of it within a few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from framecast.service.api import m5
from framecast.service.api.table import make_table
from framecast.service.cameras import views
from framecast.service.config import Address, Settings
from framecast.service.front import control
from framecast.service.front.handshake import TlsListener
from framecast.service.front.http import Front, Rules
from framecast.service.front.routing import Table
from framecast.service.front.tls import Files, Https, Tls
from framecast.service.service import Service

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
        self._handlers: list[Callable[[float], Coroutine[Any, Any, None]]] = []

    async def open(self) -> None:
        """Open all that is configured.

        Raises:
            OSError: An address can't be had.
            ConfigError: The control socket can't be made.
        """
        service, settings = self._service, self._service.settings
        main = self._front(make_table(service))
        for address in settings.server.addresses:
            port = await self._listen(main, address.host, address.port)
            self.addresses.append(Address(address.host, port))
        service.url = url_of(self.addresses[0])
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
            self._servers.append(
                await asyncio.get_running_loop().create_unix_server(self._handler(main, local=True), sock=listener)
            )

    async def _open_tls(self, front: Front) -> None:
        """Serve the same by HTTPS, when there is a certificate."""
        service, server = self._service, self._service.settings.server
        self.tls = Tls.open(service.configuration)
        if self.tls is None:
            return
        port = await self._listen_tls(front, server.host, server.tls_port, self.tls.context)
        self.tls_address = Address(server.host, port)
        service.https = Https(port, Files.of(server.data).authority if self.tls.pair.is_own else None, self.tls)
        service.supervisor.spawn("certificate", self.tls.keep())

    def stop_listening(self) -> None:
        """Take no further connections; those there are go on."""
        for server in self._servers:
            server.close()

    async def close(self) -> None:
        """Close sockets and connections."""
        self.stop_listening()
        control.unlink(self._service.settings.server.data)
        await asyncio.gather(*(shutdown(SHUTDOWN_S) for shutdown in self._handlers))

    def _front(self, table: Table) -> Front:
        service = self._service
        front = Front(table, lambda: service.access, rules(service.settings), service.proxies)
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
        return await listener.open(host, port, BACKLOG)


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
        service.supervisor.spawn("reports", _report(service))
        yield listeners
    finally:
        service.closing = True
        listeners.stop_listening()
        await service.stop()
        await listeners.close()
        await service.supervisor.stop()


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
        # What lives as long as the process is taken out of the collector's full passes: they would stop the loop
        # for tens of milliseconds.
        gc.collect()
        gc.freeze()
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
    if listeners.tls_address is not None:
        print(f"and by HTTPS at {url_of(listeners.tls_address, 'https')}", flush=True)
    elif not settings.listens_on_loopback_only:
        log.info("browsers of other machines keep microphone and fast decoders for HTTPS: framecast tls init")
    if service.access.open:
        log.info("everything is open to this machine, and to nobody else")
    else:
        log.info("a token is needed (framecast token create NAME --right watch)")
    for camera_id, config in settings.cameras.items():
        if config.public and not service.access.open:
            log.warning("%s: anybody who can connect may watch (public)", camera_id)
        if config.publish_from and not service.access.open:
            log.warning("%s: devices in %s may push without a token", camera_id, ", ".join(config.publish_from))
    for text in service.configuration.warnings:
        log.warning("%s", text)


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


def _own_address() -> str:
    """An address of this machine that others may reach; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
