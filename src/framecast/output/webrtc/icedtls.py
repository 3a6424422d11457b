"""One peer's transport: ICE by aioice, DTLS and SRTP by aiortc. Imported only when a peer comes (extra ``webrtc``).

What is used of the two: ICE's checks, candidates and consent, the DTLS handshake, and the two SRTP sessions it leaves.
Streams, SDP and RTP are our own: here one encode goes to all peers, with stamps on the capture clock.

The few names with an underscore belong to the versions that ``pyproject.toml`` pins; tests/output/test_webrtc.py runs
through all of them.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

import av  # noqa: F401 (whole, before aiortc begins with a part of it while another thread does too)
import pylibsrtp
from aioice import Candidate as IceCandidate
from aioice import Connection
from aioice.ice import StunProtocol, server_reflexive_candidate
from aioice.stun import TransactionError
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)

from framecast.output.webrtc import relays
from framecast.wire.sdp import Candidate, Fragment, Media

log = logging.getLogger("framecast.output.webrtc")

MOST_WAITING_DATAGRAMS = 256
"""Datagrams of one peer that wait to be read; further ones are dropped, as a network would."""
MOST_REMOTE_CANDIDATES = 32
BUFFER_BYTES = 256 * 1024
"""What may wait in one peer's socket, or in the one to its relay, before it loses pictures."""
GATHER_TIMEOUT_S = 3
FAREWELL_S = 2.0
PORT_TRIES = 64
RENEW = datetime.timedelta(days=2)


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
        if self._queue.qsize() < MOST_WAITING_DATAGRAMS and data:
            super().data_received(data, component)
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
        self, component: int, addresses: list[str], timeout: int = GATHER_TIMEOUT_S
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
        helped = [self._reflexive(bound)] if self.stun_server is not None and not options.public_addresses else []
        if self.turn_server is not None:
            helped.append(super().get_component_candidates(component, [], GATHER_TIMEOUT_S))
        for more in await asyncio.gather(*helped):
            found += more
        return found

    async def close(self) -> None:
        """See `Connection`; a TURN server that does not answer is left alone after `FAREWELL_S`."""
        transports = [each.transport for each in self._protocols]
        timer = asyncio.get_running_loop().call_later(FAREWELL_S, relays.abandon, transports)
        try:
            await super().close()
        finally:
            timer.cancel()

    async def _reflexive(self, bound: list[StunProtocol]) -> list[IceCandidate]:
        assert self.stun_server is not None
        asked = [
            server_reflexive_candidate(protocol, self.stun_server)
            for protocol in bound
            if ipaddress.ip_address(protocol.local_candidate.host).version == 4
        ]
        try:
            async with asyncio.timeout(GATHER_TIMEOUT_S):
                answers = await asyncio.gather(*asked, return_exceptions=True)
        except TimeoutError:
            return []
        return [each[0] for each in answers if not isinstance(each, BaseException)]

    async def _bind(self, address: str, component: int) -> StunProtocol | None:
        """A socket on this address, at any port or at a free one of the range."""
        loop = asyncio.get_running_loop()
        first, last = self.options.ports
        ports = (
            [0]
            if not first
            else [
                first + (self._port + offset) % (last - first + 1)
                for offset in range(min(PORT_TRIES, last - first + 1))
            ]
        )
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
            transport, protocol = await loop.create_datagram_endpoint(lambda: StunProtocol(self), sock=bare)
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
        """Ask now and then whether the peer still listens (RFC 7675), and end when it has not said so for long."""
        assert self.remote_password is not None
        failures = 0
        while failures < self.options.consent_failures:
            await asyncio.sleep(self.options.consent_interval_s)
            for pair in tuple(self._nominated.values()):
                try:
                    await pair.protocol.request(
                        self.build_request(pair, nominate=False),
                        pair.remote_addr,
                        integrity_key=self.remote_password.encode(),
                        retransmissions=0,
                    )
                    failures = 0
                except TransactionError:
                    failures += 1
        self._query_consent_task = None
        await self.close()


class Dtls(RTCDtlsTransport):
    """DTLS and SRTP over an `Ice`. RTP that comes in is thrown away, RTCP goes to ``on_rtcp``."""

    def __init__(self, ice: Ice, certificate: RTCCertificate, *, server: bool) -> None:
        super().__init__(ice, [certificate])  # type: ignore[arg-type]
        self.on_rtcp: Callable[[bytes], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self._ice = ice
        self._set_role("server" if server else "client")

    def serve(self) -> None:
        """Let the other end begin the handshake."""
        self._set_role("server")

    def write_rtp(self, data: bytes) -> None:
        """Encrypt and send one RTP packet; lost where that can't be done."""
        if self._state == State.CONNECTED:
            try:
                self._ice.write(self._tx_srtp.protect(data))
            except pylibsrtp.Error as error:
                log.debug("a packet was not encrypted: %s", error)

    def write_rtcp(self, data: bytes) -> None:
        """Encrypt and send one RTCP packet; lost where that can't be done."""
        if self._state == State.CONNECTED:
            try:
                self._ice.write(self._tx_srtp.protect_rtcp(data))
            except pylibsrtp.Error as error:
                log.debug("a report was not encrypted: %s", error)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        if self.on_rtcp is not None:
            self.on_rtcp(data)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        """Nobody sends to us."""

    def _set_state(self, state: State) -> None:
        super()._set_state(state)
        if state in (State.CLOSED, State.FAILED) and self.on_end is not None:
            self.on_end()


class Link:
    """ICE and DTLS of one peer, from its beginning to its end.

    Args:
        media: The section of the peer's SDP that carries the transport's parameters; None while we offer.
        options: Where we can be reached.
        certificate: Ours.
        first_port: Where to begin in the range of ports.

    Attributes:
        setup: Our part in the handshake, as SDP says it.
        fingerprint: SHA-256 of our certificate. It belongs into the SDP; another peer's may differ.
    """

    def __init__(
        self, media: Media | None, options: IceOptions, certificate: RTCCertificate, first_port: int = 0
    ) -> None:
        self.ice = Ice(options, first_port, controlling=media is None)
        self.setup = "actpass"
        self.fingerprint = next(e.value for e in certificate.getFingerprints() if e.algorithm == "sha-256")
        self.dtls = Dtls(self.ice, certificate, server=media is not None and media.setup != "passive")
        self._media = media
        if media is not None:
            self.setup = "active" if media.setup == "passive" else "passive"
            self._meet(media)

    async def gather(self) -> tuple[Candidate, ...]:
        """Open our sockets; the candidates for our SDP."""
        await self.ice.gather_candidates()
        for candidate in self._media.candidates if self._media is not None else ():
            await self.ice.take(candidate)
        return tuple(
            Candidate(
                each.foundation,
                each.priority,
                each.host,
                each.port,
                each.type,
                (each.related_address, each.related_port or 0) if each.related_address else None,
            )
            for each in self.ice.local_candidates
        )

    async def answered(self, media: Media) -> None:
        """Take the answer to what we offered."""
        self._media = media
        self._meet(media)
        if media.setup == "active":
            self.dtls.serve()
        for candidate in media.candidates:
            await self.ice.take(candidate)

    async def trickle(self, fragment: Fragment) -> None:
        """Take what a PATCH brought."""
        for candidate in fragment.candidates:
            await self.ice.take(candidate)

    async def connect(self) -> bool:
        """Connect; False when the handshake fails.

        Raises:
            ConnectionError: No path was found.
        """
        assert self._media is not None
        await self.ice.connect()
        await self.dtls.start(
            RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(*each) for each in self._media.fingerprints])
        )
        return self.dtls.state == "connected"

    async def close(self) -> None:
        """Say good-bye and close the sockets. Safe to call twice."""
        self.dtls.on_end = self.dtls.on_rtcp = None
        await self.dtls.stop()
        await self.ice.close()

    def _meet(self, media: Media) -> None:
        self.ice.remote_username = media.ufrag
        self.ice.remote_password = media.pwd


class Identity:
    """The certificate that peers know us by, renewed long before it ends."""

    def __init__(self) -> None:
        self._certificate = RTCCertificate.generateCertificate()

    @property
    def certificate(self) -> RTCCertificate:
        """The one to use now."""
        if self._certificate.expires - datetime.datetime.now(datetime.UTC) < RENEW:
            self._certificate = RTCCertificate.generateCertificate()
        return self._certificate
