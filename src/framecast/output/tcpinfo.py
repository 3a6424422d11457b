"""What the kernel says of a TCP connection (Linux, ``struct tcp_info`` of linux/tcp.h)."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import NamedTuple

_UNACKED = struct.Struct("=24xI")
_COUNTS = struct.Struct("=120xQ16xI")
"""tcpi_bytes_acked at 120, tcpi_notsent_bytes at 144; tcpi_unacked above at 24."""


class TcpInfo(NamedTuple):
    """How far a connection's peer has come.

    Attributes:
        acked_bytes: Acknowledged by the peer, since the connection began.
        flying: Segments on their way.
        unsent_bytes: In the kernel, not sent yet.
    """

    acked_bytes: int
    flying: int
    unsent_bytes: int


def read(transport: asyncio.Transport) -> TcpInfo | None:
    """What there is to know of ``transport``; None where it is no TCP, or the system does not say."""
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(socket, "TCP_INFO") or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return None
    if len(data) < _COUNTS.size:
        return None
    (flying,) = _UNACKED.unpack_from(data)
    acked, unsent = _COUNTS.unpack_from(data)
    return TcpInfo(acked, flying, unsent)
