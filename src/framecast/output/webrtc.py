"""WebRTC viewers of one camera (WHEP): one encode, one cutting into packets, a transport for each.

    offer -> plan() -> Peer: Link (ICE, DTLS, SRTP) <- RtpSeat <- RtpFanout <- track h264, track opus

aiortc and aioice (extra ``webrtc``) are imported when the first peer comes, on a thread, since that takes a third of a
second.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from framecast.core.errors import LimitReached
from framecast.core.rendition import OPUS, Rendition
from framecast.core.stream import Stream
from framecast.core.viewer import Viewer
from framecast.output.farewell import see_through
from framecast.output.lipsync import Hold
from framecast.output.rtpfanout import RtpFanout, RtpSeat, whole
from framecast.wire import h264, rtp, sdp, sdpanswer

if TYPE_CHECKING:
    from framecast.output.icedtls import Link

log = logging.getLogger("framecast.output.webrtc")

CONNECT_TIMEOUT_S = 20.0
REPORT_INTERVAL_S = 1.0
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")


class Unacceptable(ValueError):
    """An offer that is right in itself but asks for what is not sent here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What of an offer is accepted.

    Attributes:
        transport: The section whose ICE and DTLS parameters hold for all.
        sound: None when the offer has none that can be sent.
    """

    offer: sdp.Offer
    transport: sdp.Media
    video: sdp.Media
    video_codec: sdp.Codec
    sound: sdp.Media | None = None
    sound_codec: sdp.Codec | None = None


def plan(offer: sdp.Offer, *, profile: int = 66, with_sound: bool = True) -> Plan:
    """What of an offer can be answered.

    Args:
        profile: profile_idc of the camera's H.264.

    Raises:
        SdpError: It lacks what every offer of a browser has.
        Unacceptable: It takes no H.264 as it is sent here.
    """
    video = offer.find("video")
    if video is None:
        raise Unacceptable("the offer takes no video: it needs a section m=video that is recvonly or sendrecv")
    codec = sdpanswer.choose_h264(video, profile)
    if codec is None:
        raise Unacceptable("the offer takes no H.264 with packetization-mode=1, and nothing else is sent here")
    sound = offer.find("audio") if with_sound else None
    sound_codec = sdpanswer.choose_opus(sound) if sound is not None else None
    if sound is not None and (
        sound_codec is None or not sound.rtcp_mux or not {sound.mid, video.mid} <= set(offer.bundle)
    ):
        sound = sound_codec = None
    accepted = [media for media in offer.media if media is video or media is sound]
    transport = accepted[0]  # the first one's parameters hold for the bundle (RFC 9143)
    if not video.rtcp_mux:
        raise sdp.SdpError("RTCP has to share the port of RTP (a=rtcp-mux)")
    if not transport.ufrag or not transport.pwd:
        raise sdp.SdpError("the offer has no ice-ufrag and ice-pwd")
    if not transport.fingerprints:
        raise sdp.SdpError("the offer has no fingerprint that is understood (sha-256)")
    if transport.setup not in ("actpass", "active", "passive"):
        raise sdp.SdpError("the offer has no a=setup")
    return Plan(offer, transport, video, codec, sound, sound_codec)


class Output:
    """All WebRTC viewers of one camera: a fan-out for each rendition in use, and one for sound.

    Attributes:
        peers: Those there are, connected or about to be.
        connects: Peers that got through so far.
        failures: Peers that came and did not get through.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.peers: set[Peer] = set()
        self.connects = 0
        self.failures = 0
        self._hold = Hold()
        self._fanouts: dict[tuple[Rendition, bool], RtpFanout] = {}
        self._key_requests = 0
        self._keys_asked = 0
        self._packets = 0
        self._resent = 0

    @property
    def key_requests(self) -> int:
        """Wishes of peers for a picture that can be decoded alone."""
        return self._key_requests + sum(fanout.key_requests for fanout in self._fanouts.values())

    @property
    def keys_asked(self) -> int:
        """What became of them: wishes handed on to the encoder."""
        return self._keys_asked + sum(fanout.keys_asked for fanout in self._fanouts.values())

    @property
    def packets(self) -> int:
        """RTP packets sent."""
        return self._packets + sum(seat.packets for peer in self.peers for seat in peer.seats)

    @property
    def resent(self) -> int:
        """RTP packets sent again, since a peer had lost them."""
        return self._resent + sum(seat.resent for peer in self.peers for seat in peer.seats)

    @property
    def profile(self) -> int:
        """profile_idc of the camera's own H.264 where that is passed on, as far as it is known; else ours."""
        newest = self.stream.native.ring
        if self.stream.passes_native and newest and newest[0].key:
            sets = h264.parameter_sets(newest[0].payload)
            if sets is not None and len(sets.sps) > 1:
                return sets.sps[1]
        return 66

    def join(self, rendition: Rendition, seat: RtpSeat, *, with_sound: bool) -> None:
        """Give a peer its place; pictures for one that hears are sent in step with the sound.

        Raises:
            LimitReached: The camera has too many renditions already.
        """
        key = rendition, with_sound
        fanout = self._fanouts.get(key)
        if fanout is None:
            track = self.stream.track(rendition)
            cut, clock_hz = (whole, rtp.SOUND_HZ) if rendition.is_sound else (rtp.h264_payloads, rtp.VIDEO_HZ)
            fanout = RtpFanout(
                track,
                cut,
                clock_hz,
                on_empty=lambda: self._end(key),
                hold=self._hold if with_sound else None,
                clock=self.stream.clock,
            )
            self._fanouts[key] = fanout
        fanout.add(seat)

    def leave(self, rendition: Rendition, seat: RtpSeat, *, with_sound: bool) -> None:
        """Take it back. Safe to call twice."""
        fanout = self._fanouts.get((rendition, with_sound))
        if fanout is not None:
            fanout.remove(seat)

    def want_key(self, rendition: Rendition, *, with_sound: bool) -> None:
        """A peer wants a picture that can be decoded alone."""
        fanout = self._fanouts.get((rendition, with_sound))
        if fanout is not None:
            fanout.want_key()

    def close(self) -> None:
        """Let all peers go."""
        for peer in tuple(self.peers):
            peer.end()

    def count_out(self, peer: Peer) -> None:
        """A peer has gone; what it counted stays."""
        if peer in self.peers:
            self.peers.discard(peer)
            self._packets += sum(seat.packets for seat in peer.seats)
            self._resent += sum(seat.resent for seat in peer.seats)

    def _end(self, key: tuple[Rendition, bool]) -> None:
        fanout = self._fanouts.pop(key)
        self._key_requests += fanout.key_requests
        self._keys_asked += fanout.keys_asked


class Peer:
    """One viewer over WebRTC.

    Args:
        output: The camera's.
        viewer: As which it is counted.
        link: Its transport, sockets open.
        plan: What it gets.
        rendition: Which pictures it gets.

    Attributes:
        token: The unguessable end of its resource's path.
        state: ``connecting``, ``connected``, ``gone``.
        lost: Share of packets lost lately, as it reports.
        rtt_s: Time there and back, None before the first report.
        bitrate_bps: What it thinks its path can carry, None when it does not say.
    """

    def __init__(self, output: Output, viewer: Viewer, link: Link, plan: Plan, rendition: Rendition) -> None:
        self.output = output
        self.viewer = viewer
        self.link = link
        self.rendition = rendition
        self.token = secrets.token_urlsafe(24)
        self.cname = secrets.token_hex(8)
        self.ufrag = plan.transport.ufrag
        self.state = "connecting"
        self.lost = 0.0
        self.rtt_s: float | None = None
        self.bitrate_bps: int | None = None
        self._plan = plan
        self._ended = asyncio.Event()
        dtls, ice = link.dtls, link.ice
        rtx = sdpanswer.choose_rtx(plan.video, plan.video_codec)
        self._video = RtpSeat(
            plan.video_codec.payload_type,
            rtp.VIDEO_HZ,
            dtls.write_rtp,
            lambda: ice.full,
            viewer,
            rtx=rtx.payload_type if rtx else None,
        )
        self.seats = [self._video]
        self._sendings = [
            sdpanswer.Sending(
                plan.video,
                plan.video_codec,
                self._video.ssrc,
                rtx,
                self._video.rtx_ssrc,
                FEEDBACK,
                self._video.offset,
            )
        ]
        self._sound: RtpSeat | None = None
        if plan.sound is not None and plan.sound_codec is not None:
            self._sound = RtpSeat(plan.sound_codec.payload_type, rtp.SOUND_HZ, dtls.write_rtp, lambda: ice.full)
            self.seats.append(self._sound)
            self._sendings.append(
                sdpanswer.Sending(plan.sound, plan.sound_codec, self._sound.ssrc, feedback=FEEDBACK[:1])
            )
        output.peers.add(self)

    def answer(self, candidates: tuple[sdp.Candidate, ...], fingerprint: str) -> str:
        """The SDP answer."""
        ice = self.link.ice
        transport = sdpanswer.Transport(
            ice.local_username, ice.local_password, fingerprint, self.link.setup, candidates
        )
        return sdpanswer.answer(
            self._plan.offer, self._sendings, transport, session_id=secrets.randbits(62), cname=self.cname
        )

    def end(self) -> None:
        """Let it go, soon. Safe to call twice."""
        self._ended.set()

    async def run(self, on_gone: Callable[[], None], *, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Connect, send until the peer goes or is let go, and tidy up; ``on_gone`` is called first of that."""
        try:
            await self._connect(connect_timeout_s)
            if self.state == "connected":
                await self._serve()
        finally:
            self.state = "gone"
            self.output.leave(self.rendition, self._video, with_sound=self._sound is not None)
            if self._sound is not None:
                self.output.leave(OPUS, self._sound, with_sound=True)
            self.output.count_out(self)
            on_gone()
            self.link.dtls.write_rtcp(
                self._video.report(self._now_ns(), self.cname) + rtp.bye(*(seat.ssrc for seat in self.seats))
            )
            await see_through(self.link.close())

    async def _connect(self, timeout_s: float) -> None:
        connecting = asyncio.ensure_future(self.link.connect())
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((connecting, ended), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if (
                connecting.done()
                and not connecting.cancelled()
                and connecting.exception() is None
                and connecting.result()
            ):
                self.state = "connected"
                self.output.connects += 1
                return
            self.output.failures += 1
            log.info("%s: client %d did not connect over WebRTC", self.output.stream.camera_id, self.viewer.number)
        finally:
            for task in (connecting, ended):
                task.cancel()
            await asyncio.gather(connecting, ended, return_exceptions=True)

    async def _serve(self) -> None:
        dtls = self.link.dtls
        dtls.on_end = self.end
        dtls.on_rtcp = self._hear
        if dtls.state != "connected":
            return
        try:
            self.output.join(self.rendition, self._video, with_sound=self._sound is not None)
        except LimitReached as error:
            log.info("%s: client %d gets nothing: %s", self.output.stream.camera_id, self.viewer.number, error)
            return
        if self._sound is not None:
            self.output.join(OPUS, self._sound, with_sound=True)
        log.info(
            "%s: client %d connected over WebRTC from %s",
            self.output.stream.camera_id,
            self.viewer.number,
            self.link.ice.peer,
        )
        while not self._ended.is_set():
            now_ns = self._now_ns()
            for seat in self.seats:
                dtls.write_rtcp(seat.report(now_ns, self.cname))
            try:
                async with asyncio.timeout(REPORT_INTERVAL_S):
                    await self._ended.wait()
            except TimeoutError:
                pass

    def _hear(self, data: bytes) -> None:
        said = rtp.parse_feedback(data)
        now = time.monotonic()
        for seat in self.seats:
            for ssrc, sequence in said.lost:
                if ssrc == seat.ssrc:
                    seat.resend(sequence, now)
        if self._video.ssrc in said.key_wanted:
            self.output.want_key(self.rendition, with_sound=self._sound is not None)
        for report in said.reports:
            if report.ssrc == self._video.ssrc:
                self.lost = report.lost
                if report.last_report:
                    middle = rtp.ntp_of(self._now_ns()) >> 16 & 0xFFFFFFFF
                    round_trip = (middle - report.last_report - report.delay) & 0xFFFFFFFF
                    if round_trip < 0x80000000:
                        self.rtt_s = round_trip / 65_536
        if said.bitrate_bps is not None:
            self.bitrate_bps = said.bitrate_bps

    def _now_ns(self) -> int:
        return self.output.stream.clock.now_ns()
