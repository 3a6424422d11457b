"""What anybody may send to the UDP port of a WebRTC viewer: checks of paths, true ones and made-up ones, and noise."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Hashable
from functools import cache
from typing import Any

from aioice import Candidate, stun
from aioice.ice import CandidatePair

from framecast.output.webrtc.ice import DTLS_FROM, MOST_DATAGRAM_BYTES, Datagrams, Ice, IceOptions
from fuzz.target import Target, require

USER, PASSWORD, THEIRS = "ours", "o" * 22, "them"
PEER, STRANGER = ("192.0.2.9", 5000), ("192.0.2.66", 6666)
COOKIE = bytes.fromhex("2112a442")
HEAD_BYTES = 20
FRAMED, SIGNED, KNOWN = 1, 2, 4
"""Bits of an input's first byte: its length is mended, it is signed with our password, it comes from the peer."""


class Sent(asyncio.DatagramTransport):
    """Takes what is sent, in place of a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[bytes, Any]] = []

    def sendto(self, data: Any, addr: Any = None) -> None:
        self.sent.append((bytes(data), addr))

    def close(self) -> None:
        """Nothing to close."""


def datagram(data: bytes) -> Hashable:
    """No datagram raises; a stranger gets through nothing but checks, and is answered by little."""
    if not data:
        return None
    flags, body = data[0], data[1:]
    if flags & FRAMED and len(body) >= HEAD_BYTES:
        body = body[:2] + struct.pack(">H", (len(body) - HEAD_BYTES) & 0xFFFF) + COOKIE + body[8:]
    if flags & SIGNED:
        try:
            message = stun.parse_message(body)
            message.add_message_integrity(PASSWORD.encode())
            body = bytes(message)
        except (ValueError, struct.error):
            pass
    return _loop().run_until_complete(_hear(body, known=bool(flags & KNOWN)))


async def _hear(body: bytes, *, known: bool) -> Hashable:
    ice = Ice(IceOptions())
    ice._local_username, ice._local_password = USER, PASSWORD
    ice.remote_username, ice.remote_password = THEIRS, "t" * 22
    ice._early_checks_done = True
    protocol, transport = Datagrams(ice), Sent()
    protocol.connection_made(transport)
    protocol.local_candidate = Candidate("1", 1, "udp", 1, "192.0.2.1", 4000, "host")
    ice._protocols.append(protocol)
    pair = CandidatePair(protocol, Candidate("2", 1, "udp", 1, *PEER, "host"))
    ice._check_list.append(pair)
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    protocol.datagram_received(body, PEER if known else STRANGER)
    for _ in range(3):
        await asyncio.sleep(0)
    tasks = [each.task for each in ice._check_list if each.task is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    require(not faults, f"something broke later: {faults[:1]}")
    waiting = ice._queue.qsize()
    require(not waiting or (body[0] >= DTLS_FROM and len(body) <= MOST_DATAGRAM_BYTES), "noise got through")
    require(not waiting or known, "a stranger got through")
    answers = [each for each, address in transport.sent if address == STRANGER]
    require(known or sum(map(len, answers)) <= 100 + 2 * len(body), "a stranger is answered by much")
    return (known, waiting, ice.dropped, len(transport.sent), len(ice._check_list), body[:1] < b"\4")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def close() -> None:
    """End the loop, where there is one."""
    if _loop.cache_info().currsize:
        _loop().close()
        _loop.cache_clear()


_WORDS = (
    *(COOKIE, b"\x00\x01", b"\x01\x01", b"\x01\x11", b"\x00\x11", b"\x80\xc8", b"\x16\xfe\xfd"),
    *(struct.pack(">HH", kind, 4) for kind in (0x01, 0x06, 0x08, 0x09, 0x12, 0x20, 0x24, 0x25, 0x8028, 0x8029, 0x802A)),
    b"ours:them",
)

TARGETS = (Target("stun", datagram, _WORDS, base_s=0.05),)
