"""Transports of ICE's paths: sockets, and TURN servers' relays, of which aioice tells less.

The names with an underscore belong to the version of aioice that ``pyproject.toml`` pins; tests/service/test_turn.py
runs through all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aioice.turn import TurnTransport

DATAGRAM_BYTES = 1280
"""As what one that waits for a relay's channel counts."""


def send(transport: asyncio.DatagramTransport | TurnTransport, data: bytes, address: tuple[str, int]) -> None:
    """Send a datagram; lost where the transport is closed."""
    if isinstance(transport, TurnTransport) or not transport.is_closing():  # the former looks for itself
        transport.sendto(data, address)


def waiting(transport: asyncio.DatagramTransport | TurnTransport) -> int:
    """Bytes that have not left yet: in the socket's transport, or in the one to a relay's server and before it."""
    inner: Any = transport
    before = 0
    if isinstance(transport, TurnTransport):
        before = len(inner._TurnTransport__send_tasks) * DATAGRAM_BYTES
        inner = inner._TurnTransport__inner_protocol.transport
    size = getattr(inner, "get_write_buffer_size", None)
    return before + (size() if size is not None else 0)


def abandon(transports: Iterable[asyncio.DatagramTransport | TurnTransport]) -> None:
    """Wait no longer for relays' servers that were told good-bye; they take the relays back by themselves, later."""
    for transport in transports:
        if isinstance(transport, TurnTransport):
            inner: Any = transport
            for task in (*inner._TurnTransport__send_tasks, inner._TurnTransport__close_task):
                if task is not None:
                    task.cancel()
            inner._TurnTransport__inner_protocol.transport.abort()
