"""Sockets over descriptors that are, or become, somebody else's.

A socket that goes closes the number it holds, and by then that number may be another's: a camera's connection, the
database. So each socket that does not own its descriptor to the end is one of these, which let go of it instead.
"""

from __future__ import annotations

import socket
from typing import Any


class Borrowed(socket.socket):
    """Speaks over a descriptor that stays its owner's; `detach` it once the owner is about to close it."""

    __slots__ = ()

    def __del__(self) -> None:
        self.detach()


class Entrusted(socket.socket):
    """A socket made to be given to the event loop (``create_connection(sock=…)``), which closes it then.

    uvloop lets a socket know when it closed the descriptor, but not when a TLS connection is reset before the first
    byte could be sent: the socket is attached after it was closed (0.23). What it attached, it closes in any case.
    """

    __slots__ = ()

    def __del__(self) -> None:
        if getattr(self, "_io_refs", 0):  # uvloop's mark of what it attached
            self.detach()
        super().__del__()  # type: ignore[misc]  # closes what was never given away, with a warning


def borrow(theirs: Any) -> Borrowed:
    """A socket over the descriptor of ``theirs``, an event loop's stand-in for one (``get_extra_info("socket")``)."""
    return Borrowed(theirs.family, theirs.type, theirs.proto, fileno=theirs.fileno())


def entrusted(info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address as ``getaddrinfo`` gives it; what aiohttp takes as its ``socket_factory``."""
    family, kind, protocol, *_ = info
    return Entrusted(family, kind, protocol)
