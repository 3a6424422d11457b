"""One peer's transport: ICE (`ice`), then DTLS and SRTP by aiortc. Imported only when a peer comes (extra ``webrtc``).

What is used of the two: ICE's checks, candidates and consent, the DTLS handshake, and the two SRTP sessions it leaves.
Streams, SDP and RTP are our own: here one encode goes to all peers, with stamps on the capture clock.

The few names with an underscore belong to the versions that ``pyproject.toml`` pins; tests/service/test_whep.py and
test_whip.py run through all of them.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable

import av  # noqa: F401 (whole, before aiortc begins with a part of it while another thread does too)
import pylibsrtp
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)
from cryptography.x509 import InvalidVersion

from framecast.output.webrtc.ice import Ice, IceOptions
from framecast.wire.sdp import Candidate, Fragment, Media

log = logging.getLogger("framecast.output.webrtc")

RENEW = datetime.timedelta(days=2)


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

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        try:
            super()._validate_peer_identity(remoteParameters)
        except (ValueError, InvalidVersion) as error:  # OpenSSL takes certificates that can't be read here
            log.debug("a certificate can't be read: %s", error)
            self._set_state(State.FAILED)

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
