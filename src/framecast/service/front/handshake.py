"""Listening for TLS so that a connection counts from its first moment, not only once its handshake is done.

The loop's own way (``create_server(ssl=…)``) tells nobody of a connection before the handshake is through, so that who
opens thousands and says nothing takes all descriptors. Here connections are accepted one by one, counted among the
places like any idle one, and give way like one, while the handshake goes on. After it they are the handler's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from framecast.service.front.places import Places

log = logging.getLogger("framecast.service.front.handshake")

Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]

SHUTDOWN_S = 2.0
"""How long the peer may take to say good-bye before its connection is cut."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE_S = 0.5
"""How long nobody is accepted when the system has no room for them."""


class Handshake:
    """One connection until its handshake is through.

    Attributes:
        task: Does it.
        begun: Whether the socket is the transport's by now.
    """

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.task: asyncio.Task[None] | None = None
        self.begun = False

    @property
    def idle(self) -> bool:
        """Nothing was asked over it yet."""
        return True

    def evict(self) -> None:
        """Close it, since others need the room."""
        if self.task is not None:
            self.task.cancel()


class TlsListener:
    """Accepts connections on an address and speaks TLS with them.

    Args:
        make: Makes what serves a connection after the handshake; it counts itself, and counts the handshake out before.
        context: The server's.
        places: Where connections are counted.
        spawn: Starts a task that somebody owns.
        timeout_s: How long a handshake may take.
    """

    def __init__(
        self,
        make: Callable[[Handshake], asyncio.Protocol],
        context: ssl.SSLContext,
        places: Places,
        spawn: Spawn,
        *,
        timeout_s: float,
    ) -> None:
        self._make = make
        self._context = context
        self._places = places
        self._spawn = spawn
        self._timeout_s = timeout_s
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._handshakes: set[Handshake] = set()

    async def open(self, host: str, port: int, backlog: int) -> int:
        """Listen on every address that ``host`` stands for; returns the port.

        Raises:
            OSError: It can't be had.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            self._sockets.append(sock)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((address[0], port, *address[2:]))
                sock.listen(backlog)
            except OSError as error:
                self.close()
                raise OSError(error.errno, f"{error.strerror}: {(address[0], port)!r}") from None
            port = sock.getsockname()[1]  # all of them on the same
        self._accepting = [self._spawn("accepting", self._accept(sock)) for sock in self._sockets]
        return port

    def is_serving(self) -> bool:
        """Whether all of its sockets are being accepted from."""
        return bool(self._accepting) and not any(task.done() for task in self._accepting)

    def close(self) -> None:
        """Accept nobody any more; handshakes are broken off, connections stay."""
        for task in (*self._accepting, *(each.task for each in self._handshakes if each.task is not None)):
            task.cancel()
        self._accepting = []
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in EXHAUSTED:
                    log.warning("no connection can be accepted: %s", error.strerror)
                    await asyncio.sleep(PAUSE_S)
                elif listener.fileno() < 0:
                    return
                continue
            handshake = Handshake(str(address[0]))
            if self._places.opened(handshake):
                self._handshakes.add(handshake)
                handshake.task = self._spawn("handshake", self._shake_hands(handshake, sock))
                # Cancelled before its first step, it would close nothing.
                handshake.task.add_done_callback(partial(self._done, handshake, sock))
            else:
                self._done(handshake, sock)

    async def _shake_hands(self, handshake: Handshake, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            # No TLS, no cipher in common, hung up, too slow: nobody is there to be told.
            handshake.begun = True
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._make(handshake),
                sock,
                ssl=self._context,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )

    def _done(self, handshake: Handshake, sock: socket.socket, _: object = None) -> None:
        self._handshakes.discard(handshake)
        self._places.closed(handshake)
        if not handshake.begun:
            sock.close()
