"""One socket to a camera, and why there is none."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import Callable
from typing import cast

from framecast.core.descriptors import Borrowed, borrow
from framecast.core.errors import ProtocolError, Unreachable
from framecast.ingest.target import Target
from framecast.wire import errors as wire_errors
from framecast.wire import http1

Sink = Callable[[bytes], None]
"""Takes a body's bytes as they come."""

MAX_PENDING_BYTES = 256 * 1024
"""Bytes of a body that may wait for whoever asked; beyond, the socket is left unread."""
MAX_BURST_BYTES = 256 * 1024
"""Most bytes taken from one device before others have their turn."""
BURST_PERIOD_S = 0.002
"""A longer pause between two reads ends a burst."""


MOST_AWAITED_BYTES = 64 * 1024
"""The kernel makes the receive buffer twice as large as what is awaited."""
RELAX_S = 0.25
AWAITS = sys.platform == "linux"
"""Elsewhere the kernel may be asked too, but does not hold a poll back."""


class ConnectFailed(Unreachable):
    """No connection, or it broke before an answer.

    ``reason`` is ``dns refused no_route timeout tls lost silent``; `ingest.diagnosis` explains each.
    """

    def __init__(self, message: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class Connection(asyncio.Protocol):
    """One socket. Nothing raises here: what went wrong is kept in ``error`` and the futures are woken."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.parser = http1.ResponseParser()
        self.head: asyncio.Future[http1.Head | None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self.error: BaseException | None = None
        self.complete = False
        self.keep_alive = False
        self.used = False
        self._sink: Sink | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._paused = False
        self._socket: Borrowed | None = None
        self._can_await = AWAITS
        self._awaited = self._wanted = 1
        self._heard_at = 0.0
        self._relaxer: asyncio.TimerHandle
        self._now = loop.time
        self._burst_at = 0.0
        self._burst_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._share_the_loop(len(data))
        try:
            events = self.parser.feed(data)
        except wire_errors.ProtocolError as error:
            self._fail(ProtocolError(f"The camera's answer is no HTTP that could be understood: {error}"))
            return
        for event in events:
            if type(event) is http1.Data:
                if self._sink is not None:
                    self._sink(event.data)
                else:
                    self._keep(event.data)
            elif type(event) is http1.Head:
                if not self.head.done():
                    self.head.set_result(event)
            elif type(event) is http1.End:
                self._end(event)
        if self._wanted != self._awaited:
            self._await_wanted()

    def connection_lost(self, exc: Exception | None) -> None:
        self.keep_alive = False
        self._can_await = False
        if self._socket is not None:
            self._relaxer.cancel()
            self._socket.detach()  # before the transport closes it
            self._socket = None
        if self.done.done():
            return
        self.data_received(b"")  # an error that the parser kept back behind what came before it
        if self.done.done():
            return
        try:
            for event in self.parser.eof():
                if type(event) is http1.End:
                    self._end(event)
        except wire_errors.ProtocolError as error:
            if not self.head.done():
                exc = exc or ConnectFailed(f"The camera hung up: {error}", "lost")
        if self.done.done():
            return
        if isinstance(exc, OSError):
            exc = ConnectFailed(f"The connection broke: {_plain(exc)}", "lost")
        if exc is None and not self.head.done():
            exc = ConnectFailed("The camera hung up without an answer", "lost")
        self._fail(exc)

    def ask(self, request: bytes) -> None:
        """Send a request, the first one or the next one of a kept connection."""
        assert self.transport is not None
        if self.used:
            loop = asyncio.get_running_loop()
            self.parser.next_request()
            self.head, self.done = loop.create_future(), loop.create_future()
            self.complete = self.keep_alive = False
        self.used = True
        self.transport.write(request)

    def deliver_to(self, sink: Sink | None) -> None:
        """Hand the body's bytes to ``sink`` from now on, first those that waited."""
        self._sink = sink
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if sink is not None:
            for data in pending:
                sink(data)
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()

    def await_bytes(self, count: int) -> None:
        """Don't be woken before ``count`` bytes have come, or a silence of `RELAX_S`, or the end of the connection."""
        self._wanted = min(count, MOST_AWAITED_BYTES)

    def _await_wanted(self) -> None:
        if not self._can_await:
            return
        if self._socket is None:
            self._socket = _share(self.transport)
            if self._socket is None:
                self._can_await = False
                return
            self._relaxer = asyncio.get_running_loop().call_later(RELAX_S, self._relax, self._heard_at)
        self._awaited = self._wanted
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._awaited)

    def _relax(self, heard_at: float) -> None:
        """Have what there is, when nothing came for a while: the device has stopped, or counts otherwise."""
        if self._heard_at == heard_at and self._awaited > 1:
            self._wanted = 1
            self._await_wanted()
        self._relaxer = asyncio.get_running_loop().call_later(RELAX_S, self._relax, self._heard_at)

    def abort(self) -> None:
        """Drop the connection now."""
        self._sink = None
        if self.transport is not None:
            self.transport.abort()

    def _share_the_loop(self, size_bytes: int) -> None:
        """Let the loop look at others once this device has sent much without a pause.

        The transport reads up to 32 times in a row: fifty cameras that send as fast as they can would otherwise hold
        the loop for seconds.
        """
        now = self._heard_at = self._now()
        if now - self._burst_at > BURST_PERIOD_S:
            self._burst_at, self._burst_bytes = now, 0
        self._burst_bytes += size_bytes
        if self._burst_bytes > MAX_BURST_BYTES and not self._paused and self.transport is not None:
            self._burst_bytes = 0
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if not self._paused and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _keep(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > MAX_PENDING_BYTES and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()

    def _end(self, event: http1.End) -> None:
        self.complete = True
        self.keep_alive = event.keep_alive
        if not self.done.done():
            self.done.set_result(None)

    def _fail(self, error: BaseException | None) -> None:
        self.error = error
        self.keep_alive = False
        if not self.head.done():
            self.head.set_result(None)
        if not self.done.done():
            self.done.set_result(None)
        self.abort()


def _share(transport: asyncio.Transport | None) -> Borrowed | None:
    """The TCP socket below, whose descriptor stays the transport's; None over TLS, which reads by itself."""
    if transport is None or transport.is_closing() or transport.get_extra_info("ssl_object") is not None:
        return None
    theirs = transport.get_extra_info("socket")
    return None if theirs is None else borrow(theirs)


def explain(error: BaseException, target: Target, timeout_s: float) -> ConnectFailed:
    """Why there is no connection, in words, from what the operating system said."""
    where = target.address
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailed(f"The certificate of {where} can't be trusted: {error.verify_message}", "tls")
    if isinstance(error, ssl.SSLError):
        return ConnectFailed(f"{where} does not speak TLS that could be understood ({error.reason or 'closed'})", "tls")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed(f"{where} refuses: the device is there, but nothing listens on that port", "refused")
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EHOSTUNREACH, errno.EHOSTDOWN):
        return ConnectFailed(f"No device answers at {target.host}: off, or out of the network", "no_route")
    if number in (errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return ConnectFailed(f"There is no route to {target.host} from this machine", "no_route")
    if isinstance(error, TimeoutError):  # also the operating system's own
        return ConnectFailed(f"No answer from {where} within {timeout_s:.0f} s", "timeout")
    if isinstance(error, OSError):
        return ConnectFailed(f"No connection to {where}: {_plain(error)}", "lost")
    return ConnectFailed(f"No connection to {where}", "lost")


def _plain(error: OSError) -> str:
    return error.strerror or type(error).__name__
