"""Sockets that let go of what is not theirs, on real connections."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

import pytest

from framecast.core.descriptors import borrow, entrusted
from tests.support.resetting import RESET, leaked

pytestmark = pytest.mark.anyio


class Occupied:
    """Holds the descriptor that a socket has or had, as an open file that is somebody else's."""

    def __init__(self, number: int) -> None:
        self.number = number
        os.dup2(2, number)

    def close(self) -> bool:
        """Whether it was still open."""
        was_open = _is_open(self.number)
        if was_open:
            os.close(self.number)
        return was_open


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


async def test_a_connection_that_is_reset_before_tls_begins_costs_nobody_a_descriptor() -> None:
    loop = asyncio.get_running_loop()
    with leaked() as told, socket.create_server(("127.0.0.1", 0)) as server:
        near = entrusted((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", server.getsockname()))
        near.setblocking(False)
        await loop.sock_connect(near, server.getsockname())
        number = near.fileno()
        with server.accept()[0] as far:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        context = ssl.create_default_context()
        with pytest.raises(OSError):
            await loop.create_connection(asyncio.Protocol, sock=near, ssl=context, server_hostname="x")
        for _ in range(3):
            await asyncio.sleep(0)
        assert not _is_open(number)
        others = Occupied(number)
        del near
    assert others.close()
    assert told == []


async def test_what_was_never_given_away_is_closed_and_told_of() -> None:
    with leaked() as told:
        sock = entrusted((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1)))
        number = sock.fileno()
        del sock
    assert not _is_open(number)
    assert len(told) == 1 and told[0].startswith("unclosed <framecast.core.descriptors.Entrusted")


async def test_what_is_borrowed_stays_its_owners() -> None:
    near, far = socket.socketpair(socket.AF_UNIX)
    with leaked() as told, near, far:
        borrowed = borrow(near)
        borrowed.send(b"a")
        del borrowed
        near.send(b"b")
        assert far.recv(9) == b"ab"
    assert told == []
