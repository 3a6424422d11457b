"""The one kind of answer there is here: H.264 and Opus go out, over one transport, and nothing comes in.

Sources: RFC 8829 (JSEP), RFC 9143 (BUNDLE), RFC 6184 (H.264), RFC 7587 (Opus), RFC 4588 (RTX).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from framecast.wire.sdp import Candidate, Codec, Media, Offer


def choose_h264(media: Media, profile: int = 66) -> Codec | None:
    """The payload type over which H.264 of a profile goes best: packetization mode 1 and the nearest profile.

    Args:
        profile: profile_idc of the stream: 66 (constrained baseline), 77, 100.
    """

    def rank(codec: Codec) -> int:
        offered = codec.parameters["profile-level-id"]
        idc, constrained = int(offered[:2], 16), int(offered[2:4], 16) & 0x40
        if profile == 66:
            # Constrained baseline can be decoded by all of these; what is offered as just that is meant for it.
            return {66: 0 if constrained else 1, 77: 2, 88: 3, 100: 4}.get(idc, 5)
        return 0 if idc == profile else 1 if idc > profile and idc != 88 else 2

    fitting = [
        codec
        for codec in media.codecs.values()
        if codec.name == "h264" and codec.clock_hz == 90_000 and codec.parameters.get("packetization-mode") == "1"
    ]
    return min(fitting, key=rank, default=None)


def choose_opus(media: Media) -> Codec | None:
    """The payload type of Opus."""
    return next((each for each in media.codecs.values() if each.name == "opus" and each.clock_hz == 48_000), None)


def choose_rtx(media: Media, codec: Codec) -> Codec | None:
    """The payload type under which lost packets of ``codec`` are sent again (RFC 4588)."""
    wanted = str(codec.payload_type)
    return next(
        (each for each in media.codecs.values() if each.name == "rtx" and each.parameters.get("apt") == wanted), None
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent over one accepted media section.

    Attributes:
        stamp_offset: RTP time of the Unix epoch, so that a player can tell when a picture was taken (RFC 7273). None
            where it is not told.
    """

    media: Media
    codec: Codec
    ssrc: int
    rtx: Codec | None = None
    rtx_ssrc: int = 0
    feedback: tuple[str, ...] = ()
    stamp_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """This end of the one transport that all accepted sections share."""

    ufrag: str
    pwd: str
    fingerprint: str
    setup: str
    candidates: tuple[Candidate, ...]


def answer(offer: Offer, sendings: Iterable[Sending], transport: Transport, *, session_id: int, cname: str) -> str:
    """The answer that sends and receives nothing, all sections bundled; those not among ``sendings`` are refused."""
    accepted = {id(sending.media): sending for sending in sendings}
    mids = [media.mid for media in offer.media if id(media) in accepted]
    lines = ["v=0", f"o=- {session_id} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if offer.bundle:
        lines.append("a=group:BUNDLE " + " ".join(mids))
    lines.append("a=ice-options:trickle")
    first = True
    for media in offer.media:
        sending = accepted.get(id(media))
        if sending is None:
            lines += [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
            if media.mid:
                lines.append(f"a=mid:{media.mid}")
            continue
        lines += _section(sending, transport, cname, with_candidates=first)
        first = False
    return "\r\n".join(lines) + "\r\n"


def _section(sending: Sending, transport: Transport, cname: str, *, with_candidates: bool) -> list[str]:
    media, codec, rtx = sending.media, sending.codec, sending.rtx
    types = [codec, *([rtx] if rtx else [])]
    lines = [
        f"m={media.kind} 9 {media.protocol} {' '.join(str(each.payload_type) for each in types)}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{transport.ufrag}",
        f"a=ice-pwd:{transport.pwd}",
        f"a=fingerprint:sha-256 {transport.fingerprint}",
        f"a=setup:{transport.setup}",
        *([f"a=mid:{media.mid}"] if media.mid else []),
        "a=sendonly",
        f"a=msid:{cname} {cname}-{media.kind}",
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if media.reduced_size else []),
    ]
    for each in types:
        channels = f"/{each.channels}" if each.channels > 1 else ""
        name = {"h264": "H264"}.get(each.name, each.name)
        lines.append(f"a=rtpmap:{each.payload_type} {name}/{each.clock_hz}{channels}")
    lines += [f"a=rtcp-fb:{codec.payload_type} {each}" for each in sending.feedback if each in codec.feedback]
    for each in types:
        if each.parameters:
            values = ";".join(f"{key}={value}" for key, value in each.parameters.items())
            lines.append(f"a=fmtp:{each.payload_type} {values}")
    if sending.stamp_offset is not None:
        lines += ["a=ts-refclk:local", f"a=mediaclk:direct={sending.stamp_offset}"]
    if rtx:
        lines.append(f"a=ssrc-group:FID {sending.ssrc} {sending.rtx_ssrc}")
    lines += [f"a=ssrc:{ssrc} cname:{cname}" for ssrc in (sending.ssrc, *([sending.rtx_ssrc] if rtx else []))]
    if with_candidates:
        lines += [f"a=candidate:{each.line()}" for each in transport.candidates]
        lines.append("a=end-of-candidates")
    return lines


def offer(codecs: Iterable[tuple[str, Codec, int]], transport: Transport, *, session_id: int, cname: str) -> str:
    """An offer to send, bundled, as WHIP begins (RFC 9725).

    Args:
        codecs: Kind of media, what is sent over it, and its source's number.
    """
    media = [(kind, codec, ssrc, str(index)) for index, (kind, codec, ssrc) in enumerate(codecs)]
    lines = ["v=0", f"o=- {session_id} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines.append("a=group:BUNDLE " + " ".join(mid for *_, mid in media))
    for kind, codec, ssrc, mid in media:
        section = Media(kind, 9, "UDP/TLS/RTP/SAVPF", [], mid=mid, reduced_size=True)
        sending = Sending(section, codec, ssrc, feedback=tuple(codec.feedback))
        lines += _section(sending, transport, cname, with_candidates=mid == "0")
    return "\r\n".join(lines) + "\r\n"
