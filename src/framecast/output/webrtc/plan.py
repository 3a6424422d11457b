"""What of a WebRTC peer's offer is accepted."""

from __future__ import annotations

from dataclasses import dataclass

from framecast.wire import sdp, sdpanswer


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
