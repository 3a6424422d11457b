"""ICE by aioice: finding a path to a peer, and keeping strangers out of it. Imported only when a peer comes.

The few names with an underscore belong to the version that ``pyproject.toml`` pins; tests/service/test_whep.py and
test_turn.py run through all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import math
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, cast

from aioice import Candidate as IceCandidate
from aioice import Connection
from aioice.ice import CandidatePair, StunProtocol, relayed_candidate
from aioice.stun import Message, TransactionError

from framecast.core import names
from framecast.core.seat import GONE
from framecast.output.webrtc import outside, relays
from framecast.wire.sdp import Candidate

log = logging.getLogger("framecast.output.webrtc")

MOST_WAITING_DATAGRAMS = 256
"""Datagrams of one peer that wait to be read; further ones are dropped, as a network would."""
MOST_DATAGRAM_BYTES = 1500
"""A longer one is none of a peer's; the library that decrypts would end the connection over it."""
DTLS_FROM, STUN_BELOW = 20, 4
"""First bytes, by which what comes over the one socket is told apart (RFC 7983)."""
MOST_REMOTE_CANDIDATES = 32
MOST_PATHS = 128
"""Addresses of one peer, those that its checks came from too: each is checked, and looked at with each datagram."""
BUFFER_BYTES = 256 * 1024
"""What may wait in one peer's socket, or in the one to its relay, before it loses pictures."""
FAREWELL_S = 2.0
ANSWER_S = 0.5
"""What an answer usually takes at most."""
CONSENT_REPEATS = 2
"""Of a question without an answer, after 0.5 and 1.5 s; one that comes within 3.5 s counts."""
PORT_TRIES = 64


@dataclass(frozen=True, slots=True)
class IceOptions:
    """Where peers can reach this machine.

    Attributes:
        stun: Host and port of the STUN server that tells our public address; None for none.
        turn: Host and port of the TURN server that relays for us; None for none.
        turn_tcp: Reach it over TCP; with ``turn_tls`` over TLS.
        addresses: Local addresses to use; empty: all but loopback.
        public_addresses: Addresses by which this machine is known outside, where the router maps ports one to one.
        ports: First and last UDP port; (0, 0): any.
        consent_interval_s: Pause between questions whether the peer still wants to listen.
        consent_failures: Unanswered ones after which it is gone.
        silence: What all peers of these options know of those who do not answer.
    """

    stun: tuple[str, int] | None = None
    turn: tuple[str, int] | None = None
    turn_tcp: bool = False
    turn_tls: bool = False
    username: str = ""
    credential: str = ""
    addresses: tuple[str, ...] = ()
    public_addresses: tuple[str, ...] = ()
    ports: tuple[int, int] = (0, 0)
    consent_interval_s: float = 4.0
    consent_failures: int = 5
    silence: outside.Silence = field(default_factory=outside.Silence, compare=False)


def ports_to_try(first: int, last: int, begin: int) -> list[int]:
    """Ports of a range, each once, beginning with the one at ``begin`` (modulo the range's size).

    Far from one another: those that viewers who stay have taken stand side by side.
    """
    count = last - first + 1
    step = max(1, round(0.618 * count))  # by the golden ratio they are spread evenly, however many
    while math.gcd(step, count) != 1:
        step += 1
    return [first + (begin + number * step) % count for number in range(min(PORT_TRIES, count))]


class Datagrams(StunProtocol):
    """What comes over a socket of ours: checks of paths from anybody, all else only from where the peer is."""

    receiver: Ice

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if cast(bytes, data)[:1] >= bytes((STUN_BELOW,)) and not self.receiver.knows((addr[0], addr[1])):
            self.receiver.dropped += 1
            return
        try:
            super().datagram_received(data, addr)
        except (struct.error, KeyError):  # a check with attributes that are cut off, or without one
            self.receiver.dropped += 1


class Ice(Connection):
    """An ICE connection with our choice of addresses and ports, bounded, and with a quicker end for dead peers."""

    def __init__(self, options: IceOptions, first_port: int = 0, *, controlling: bool = False) -> None:
        super().__init__(
            ice_controlling=controlling,
            stun_server=options.stun,
            turn_server=options.turn,
            turn_username=options.username or None,
            turn_password=options.credential or None,
            turn_ssl=options.turn_tls,
            turn_transport="tcp" if options.turn_tcp or options.turn_tls else "udp",
        )
        self.options = options
        self.dropped = 0
        self._port = first_port
        self._taken = 0

    @property
    def role(self) -> str:
        """What `RTCDtlsTransport` wants to know; it is told its own role otherwise."""
        return "controlled"

    async def _recv(self) -> bytes:
        if not self._queue.empty():
            await asyncio.sleep(0)  # others run between two datagrams of a flood
        return await self.recv()

    async def _send(self, data: bytes) -> None:
        self.write(data)

    def write(self, data: bytes) -> None:
        """Send a datagram; one that can't be sent is lost."""
        pair = self._nominated.get(1)
        if pair is not None:
            relays.send(pair.protocol.transport, data, pair.remote_addr)

    @property
    def full(self) -> bool:
        """Whether more waits in the socket than a peer that keeps up would leave there."""
        pair = self._nominated.get(1)
        return pair is not None and relays.waiting(pair.protocol.transport) > BUFFER_BYTES

    @property
    def peer(self) -> str:
        """The address that was chosen."""
        pair = self._nominated.get(1)
        return f"{pair.remote_addr[0]}:{pair.remote_addr[1]}" if pair is not None else ""

    def data_received(self, data: bytes, component: int) -> None:
        """See `Connection`; bounded here."""
        good = data[:1] >= bytes((DTLS_FROM,)) and len(data) <= MOST_DATAGRAM_BYTES
        if good and self._queue.qsize() < MOST_WAITING_DATAGRAMS:
            super().data_received(data, component)
        else:
            self.dropped += 1

    def knows(self, address: tuple[str, int]) -> bool:
        """Whether a path to this address was asked for by the peer, or has been taken."""
        return any(pair.remote_addr == address for pair in self._check_list)

    def check_incoming(self, message: Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """See `Connection`; bounded here, for who is let in may send checks from ever other addresses."""
        if len(self._remote_candidates) < MOST_PATHS or self.knows((addr[0], addr[1])):
            super().check_incoming(message, addr, protocol)
        else:
            self.dropped += 1

    async def take(self, candidate: Candidate) -> None:
        """Take a candidate of the peer; those beyond a bound are left out."""
        self._taken += 1
        if self._taken > MOST_REMOTE_CANDIDATES or self._remote_candidates_end:
            return
        await self.add_remote_candidate(
            IceCandidate(
                candidate.foundation, 1, "udp", candidate.priority, candidate.address, candidate.port, candidate.kind
            )
        )

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: float = outside.PATIENCE_S
    ) -> list[IceCandidate]:
        """See `Connection`; with our ports and addresses."""
        options = self.options
        wanted = list(options.addresses) or addresses
        bound = [protocol for address in wanted if (protocol := await self._bind(address, component)) is not None]
        found = [protocol.local_candidate for protocol in bound]
        for public in options.public_addresses:
            version = ipaddress.ip_address(public).version
            for protocol in bound:
                own = protocol.local_candidate
                if ipaddress.ip_address(own.host).version == version:
                    found.append(
                        IceCandidate(
                            f"p{len(found)}",
                            component,
                            "udp",
                            own.priority - 1,
                            public,
                            own.port,
                            "srflx",
                            own.host,
                            own.port,
                        )
                    )
        found += await self._helped(bound, component)
        return found

    async def close(self) -> None:
        """See `Connection`; a TURN server that does not answer is left alone after `FAREWELL_S`."""
        transports = [each.transport for each in self._protocols]
        timer = asyncio.get_running_loop().call_later(FAREWELL_S, relays.abandon, transports)
        try:
            await super().close()
        finally:
            timer.cancel()

    async def _helped(self, bound: list[StunProtocol], component: int) -> list[IceCandidate]:
        """Candidates that a STUN server tells or a TURN server gives."""
        asked: dict[asyncio.Task[IceCandidate], str] = {}
        if self.stun_server is not None and not self.options.public_addresses:
            for protocol in bound:
                host = protocol.local_candidate.host
                if ipaddress.ip_address(host).version == 4:
                    asked[asyncio.ensure_future(outside.reflexive(protocol, self.stun_server))] = host
        if self.turn_server is not None:
            asked[asyncio.ensure_future(self._relayed(component, self.turn_server))] = outside.RELAY
        return await outside.gather(asked, self.options.silence, alone=not bound)

    async def _relayed(self, component: int, server: tuple[str, int]) -> IceCandidate:
        """A candidate of the TURN server's. From then on it is ours to give back."""
        await names.SHARED.addresses(server[0])  # one that nobody answers for holds no thread of the loop's, too
        candidate, protocol = await relayed_candidate(
            component=component,
            hide_related_address=False,
            protocol_factory=lambda: Datagrams(self),
            turn_server=server,
            turn_username=self.turn_username,
            turn_password=self.turn_password,
            turn_ssl=self.turn_ssl,
            turn_transport=self.turn_transport,
        )
        self._protocols.append(protocol)
        return candidate

    async def _bind(self, address: str, component: int) -> StunProtocol | None:
        """A socket on this address, at any port or at a free one of the range."""
        loop = asyncio.get_running_loop()
        first, last = self.options.ports
        ports = ports_to_try(first, last, self._port) if first else [0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port in ports:
            # Bound here: uvloop leaves one behind that can't be bound.
            bare = socket.socket(family, socket.SOCK_DGRAM)
            try:
                bare.bind((address, port))
            except OSError:
                bare.close()
                continue
            bare.setblocking(False)
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            transport, protocol = await loop.create_datagram_endpoint(lambda: Datagrams(self), sock=bare)
            host, number = transport.get_extra_info("sockname")[:2]
            preference = 65_535 - len(self._protocols)
            protocol.local_candidate = IceCandidate(
                f"h{len(self._protocols)}",
                component,
                "udp",
                (126 << 24) + (preference << 8) + 255,
                host,
                number,
                "host",
            )
            self._protocols.append(protocol)
            return protocol
        log.debug("no UDP port at %s", address)
        return None

    async def query_consent(self) -> None:
        """Ask now and then whether the peer still listens (RFC 7675), and end when it has not said so for long.

        One question does not wait for the answer to the one before: paths whose queues are full take seconds.
        """
        password = self.remote_password
        assert password is not None
        loop, options = asyncio.get_running_loop(), self.options
        heard_s = loop.time()
        asking: set[asyncio.Task[None]] = set()

        async def ask(pair: CandidatePair) -> None:
            nonlocal heard_s
            request = self.build_request(pair, nominate=False)
            with contextlib.suppress(TransactionError, *GONE):
                await pair.protocol.request(
                    request, pair.remote_addr, integrity_key=password.encode(), retransmissions=CONSENT_REPEATS
                )
                heard_s = loop.time()

        try:
            while loop.time() - heard_s < options.consent_failures * (options.consent_interval_s + ANSWER_S):
                await asyncio.sleep(options.consent_interval_s)
                for pair in tuple(self._nominated.values()):
                    task = asyncio.ensure_future(ask(pair))
                    asking.add(task)
                    task.add_done_callback(asking.discard)
        finally:
            for task in asking:
                task.cancel()
        self._query_consent_task = None
        await self.close()
