"""A TURN server (RFC 8656) for tests: over UDP or TCP, with long-term credentials, relaying UDP over IPv4."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import cast

from aioice import stun
from aioice.stun import Class, Message, Method

NAME, SECRET, REALM, NONCE = "camera", "s3cret", "tests.invalid", "once"
KEY = hashlib.md5(f"{NAME}:{REALM}:{SECRET}".encode()).digest()
LIFETIME_S = 600
UDP = 17 << 24
MOST_BYTES = 65_536

Reply = Callable[[bytes], None]


class Allocation:
    """One client's relayed address: who may send to it, and by which channels.

    Attributes:
        sent: Datagrams handed on to peers.
        came: Datagrams handed back to the client.
        foreign: Datagrams of peers without a permission, which are dropped.
    """

    def __init__(self, host: str, reply: Reply) -> None:
        self.permitted: set[str] = set()
        self.channels: dict[int, tuple[str, int]] = {}
        self.sent = self.came = self.foreign = 0
        self._reply = reply
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def send(self, data: bytes, peer: tuple[str, int]) -> None:
        """Hand a datagram on, if that is permitted; what the network does not take is lost."""
        if peer[0] not in self.permitted:
            return
        self.sent += 1
        try:
            self._socket.sendto(data, peer)
        except OSError:
            pass

    def _read(self) -> None:
        data, peer = self._socket.recvfrom(MOST_BYTES)
        if peer[0] not in self.permitted:
            self.foreign += 1
            return
        self.came += 1
        for number, bound in self.channels.items():
            if bound == peer:
                self._reply(struct.pack(">HH", number, len(data)) + data)
                return
        self._reply(bytes(Message(Method.DATA, Class.INDICATION, None, {"XOR-PEER-ADDRESS": peer, "DATA": data})))


class TurnServer:
    """What runs.

    Args:
        host: Where relayed addresses are.

    Attributes:
        port: Where clients come, on 127.0.0.1.
        allocations: By client; a client that has let go is not among them.
        allocated: How many there were.
        refused: Requests without credentials, or with wrong ones.
        deaf: Whether it reads nothing of what comes; over TCP it lets it wait.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 0
        self.allocations: dict[Hashable, Allocation] = {}
        self.allocated = 0
        self.refused = 0
        self.streams: set[asyncio.Transport] = set()
        self._deaf = False

    @property
    def deaf(self) -> bool:
        return self._deaf

    @deaf.setter
    def deaf(self, deaf: bool) -> None:
        self._deaf = deaf
        for stream in self.streams:
            if deaf:
                stream.pause_reading()
            else:
                stream.resume_reading()

    def handle(self, data: bytes, client: tuple[str, int], reply: Reply) -> None:
        """Take one message of a client."""
        allocation = self.allocations.get(client)
        if self._deaf:
            return
        if data[0] >> 6 == 1:
            number, length = struct.unpack_from(">HH", data)
            if allocation is not None and number in allocation.channels:
                allocation.send(data[4 : 4 + length], allocation.channels[number])
            return
        message = stun.parse_message(data)
        if message.message_class == Class.INDICATION:
            if allocation is not None and message.message_method == Method.SEND:
                allocation.send(message.attributes["DATA"], message.attributes["XOR-PEER-ADDRESS"])
        elif not self._is_signed(message):
            self.refused += 1
            reply(self._error(message, 401, "Unauthorized"))
        elif message.message_method == Method.ALLOCATE:
            reply(self._allocate(message, client, reply))
        elif allocation is None:
            reply(self._error(message, 437, "Allocation Mismatch"))
        else:
            reply(self._change(message, client, allocation))

    def leave(self, client: tuple[str, int]) -> None:
        """A client has gone, and its relayed address with it."""
        allocation = self.allocations.pop(client, None)
        if allocation is not None:
            allocation.close()

    def _allocate(self, message: Message, client: tuple[str, int], reply: Reply) -> bytes:
        if client in self.allocations:
            return self._error(message, 437, "Allocation Mismatch")
        if message.attributes.get("REQUESTED-TRANSPORT") != UDP:
            return self._error(message, 442, "Unsupported Transport Protocol")
        allocation = self.allocations[client] = Allocation(self.host, reply)
        self.allocated += 1
        relayed = {"XOR-RELAYED-ADDRESS": allocation.address, "XOR-MAPPED-ADDRESS": client}
        return self._success(message, {**relayed, "LIFETIME": LIFETIME_S})

    def _change(self, message: Message, client: tuple[str, int], allocation: Allocation) -> bytes:
        method, attributes = message.message_method, message.attributes
        if method == Method.REFRESH:
            if attributes["LIFETIME"] == 0:
                self.leave(client)
            return self._success(message, {"LIFETIME": min(attributes["LIFETIME"], LIFETIME_S)})
        if method == Method.CREATE_PERMISSION:
            allocation.permitted.add(attributes["XOR-PEER-ADDRESS"][0])
            return self._success(message)
        number, peer = attributes.get("CHANNEL-NUMBER", 0), attributes.get("XOR-PEER-ADDRESS")
        is_taken = any((number == other) != (peer == bound) for other, bound in allocation.channels.items())
        if method != Method.CHANNEL_BIND or not 0x4000 <= number <= 0x4FFF or peer is None or is_taken:
            return self._error(message, 400, "Bad Request")
        allocation.channels[number] = peer
        allocation.permitted.add(peer[0])
        return self._success(message)

    def _is_signed(self, message: Message) -> bool:
        said = message.attributes
        named = (said.get("USERNAME"), said.get("REALM"), said.get("NONCE")) == (NAME, REALM, NONCE.encode())
        return named and message.check_message_integrity(KEY)

    def _success(self, message: Message, attributes: dict[str, object] | None = None) -> bytes:
        answer = Message(message.message_method, Class.RESPONSE, message.transaction_id, attributes)
        answer.add_message_integrity(KEY)
        return bytes(answer)

    def _error(self, message: Message, code: int, words: str) -> bytes:
        attributes: dict[str, object] = {"ERROR-CODE": (code, words)}
        if code == 401:
            attributes |= {"REALM": REALM, "NONCE": NONCE.encode()}
        return bytes(Message(message.message_method, Class.ERROR, message.transaction_id, attributes))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: TurnServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.handle(data, addr, lambda answer: self._transport.sendto(answer, addr))


class _Stream(asyncio.Protocol):
    """Messages one after the other, each padded to four bytes (RFC 8656, 12.5)."""

    def __init__(self, server: TurnServer) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._client: tuple[str, int] = transport.get_extra_info("peername")
        self._server.streams.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[2:4], "big") + (4 if self._buffer[0] >> 6 == 1 else 20)
            padded = -(-length // 4) * 4
            if len(self._buffer) < padded:
                return
            message, self._buffer = self._buffer[:length], self._buffer[padded:]
            self._server.handle(message, self._client, self._reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.streams.discard(self._transport)
        self._server.leave(self._client)

    def _reply(self, data: bytes) -> None:
        self._transport.write(data + bytes(-len(data) % 4))


@asynccontextmanager
async def turn_server(transport: str, host: str) -> AsyncIterator[TurnServer]:
    """One that runs.

    Args:
        transport: How clients come: ``udp`` or ``tcp``.
        host: Where relayed addresses are.
    """
    loop = asyncio.get_running_loop()
    server = TurnServer(host)
    listening: asyncio.DatagramTransport | asyncio.Server
    if transport == "udp":
        listening, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), ("127.0.0.1", 0))
        server.port = listening.get_extra_info("sockname")[1]
    else:
        listening = await loop.create_server(lambda: _Stream(server), "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for stream in tuple(server.streams):
            stream.abort()
        for client in tuple(server.allocations):
            server.allocations.pop(client).close()
