"""WebRTC viewers of one camera (WHEP): one encode, one cutting into packets, a transport for each.

    offer -> plan() -> Peer: Link (ICE, DTLS, SRTP) <- RtpSeat <- RtpFanout <- track h264, track opus

aiortc and aioice (extra ``webrtc``) are imported when the first peer comes, on a thread, since that takes a third of a
second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from framecast.core.packet import Packet
from framecast.core.rendition import Rendition
from framecast.core.stream import Stream
from framecast.core.track import Track
from framecast.output.webrtc.lipsync import Hold
from framecast.output.webrtc.rtpfanout import RtpFanout, RtpSeat, whole
from framecast.wire import h264, rtp, sdp, sdpanswer

if TYPE_CHECKING:
    from framecast.output.webrtc.peer import Peer


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
        self._fanout(rendition, with_sound).add(seat)

    def move(
        self, seat: RtpSeat, old: Rendition, new: Rendition, *, with_sound: bool, on_moved: Callable[[], None]
    ) -> Scout:
        """Let a peer have another rendition from its next key picture on; until then it has the one before.

        Raises:
            LimitReached: The camera has too many renditions already.
        """

        def begin(packet: Packet) -> None:
            self.leave(old, seat, with_sound=with_sound)
            fanout = self._fanout(new, with_sound)
            is_first = not len(fanout)
            fanout.add(seat, begins_now=True)
            if is_first:
                fanout.push(packet)  # it came to the track too late to be handed this one
            on_moved()

        return Scout(self.stream.track(new), begin)

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

    def _fanout(self, rendition: Rendition, with_sound: bool) -> RtpFanout:
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
        return fanout

    def _end(self, key: tuple[Rendition, bool]) -> None:
        fanout = self._fanouts.pop(key)
        self._key_requests += fanout.key_requests
        self._keys_asked += fanout.keys_asked


class Scout:
    """Waits at a track for its next key picture, for a peer that is about to move there.

    Args:
        on_key: Called with it, once, before fan-outs get it.
    """

    bulk = False

    def __init__(self, track: Track, on_key: Callable[[Packet], None]) -> None:
        self._track = track
        self._on_key = on_key
        track.attach(self)
        track.want_key()

    def push(self, packet: Packet) -> None:
        """See `Sink`."""
        if packet.key:
            self.cancel()
            self._on_key(packet)

    def clear(self) -> None:
        """See `Sink`."""

    def cancel(self) -> None:
        """Wait no more. Safe to call twice."""
        self._track.detach(self)
