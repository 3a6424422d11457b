"""What WebRTC's peers and the servers of restreams send: offers, feedback, and answers of RTMP and RTSP."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from framecast.wire import amf, rtmp, rtp, rtsp, sdp, sdpanswer
from fuzz.target import Target, pieces, require

_SDP = (
    b"\r\n",
    b"a=",
    b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
    b"a=mid:0\r\n",
    b"a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n",
    b"a=fmtp:96 ",
    b"profile-level-id=42e01f;packetization-mode=1",
    b"a=rtpmap:96 H264/90000\r\n",
    b"a=fingerprint:sha-256 ",
    b"999999",
    b"\xc3\xa4",
)
_FRAMES = (b"\x80\xc8\x00\x06", b"\x81\xcd\x00\x03", b"\x8f\xce\x00\x05", b"REMB", b"\x00\x00", b"\xff\xff")
_RTMP = (b"\x03", b"\xc3", b"\x43", b"\x14", b"\x00\x00\x09", b"\x02\x00\x07_result", b"\xff\xff\xff", b"\x08", b"\x0a")
_RTSP = (b"RTSP/1.0 200 OK\r\n", b"\r\n\r\n", b"Content-Length: ", b"$\x00\x00\x04", b"CSeq: 1\r\n", b"401")
_HELLO = b"\x03" + bytes(2 * rtmp.HANDSHAKE_BYTES)


def offer(data: bytes) -> Hashable:
    """Only SdpError escapes; what is read stays within its bounds, and its answer is read again and says as much."""
    try:
        read = sdp.parse_offer(data.decode("utf-8", "replace"))
    except sdp.SdpError as error:
        return str(error)[:20]
    require(1 <= len(read.media) <= sdp.MAX_MEDIA, "too many sections")
    sendings = []
    for media in read.media:
        require(len(media.candidates) <= sdp.MAX_CANDIDATES, "too many candidates")
        codec = sdpanswer.choose_h264(media)
        if codec is not None:
            sendings.append(sdpanswer.Sending(media, codec, 1, sdpanswer.choose_rtx(media, codec), 2, ("nack",)))
    transport = sdpanswer.Transport("ours", "o" * 22, "AB", "passive", ())
    text = sdpanswer.answer(read, sendings, transport, session_id=1, cname="c")
    require(text.count("\nm=") == len(read.media), "a section was slipped in, or left out")
    require(text.isprintable() or text.replace("\r\n", "").isprintable(), "a line was slipped in")
    return (len(read.media), len(sendings), len(read.bundle))


def fragment(data: bytes) -> Hashable:
    """Only SdpError escapes."""
    try:
        read = sdp.parse_fragment(data.decode("utf-8", "replace"))
    except sdp.SdpError as error:
        return str(error)[:20]
    return (len(read.candidates), read.ended, bool(read.ufrag))


def feedback(data: bytes) -> Hashable:
    """Anything is read, and no more is found than fits in."""
    said = rtp.parse_feedback(data)
    require(len(said.lost) <= len(data) * 17 // 4, "more lost than written down")
    require(len(said.reports) <= len(data) // 24, "more reports than fit")
    return (len(said.reports) > 0, len(said.lost) > 0, len(said.key_wanted) > 0, said.bitrate_bps is None, said.ended)


def publishing(data: bytes) -> Hashable:
    """What is answered does not depend on splits; only RtmpError escapes."""

    def run(chunks: Iterator[bytes]) -> tuple[bytes, str, bool]:
        publisher = rtmp.Publisher("live", "key", "rtmp://h/live")
        out = publisher.feed(_HELLO)
        try:
            for chunk in chunks:
                out += publisher.feed(chunk)
        except rtmp.RtmpError as error:
            return b"", str(error), publisher.ready
        return out, "", publisher.ready

    whole = run(iter((data,)))
    require(whole == run(pieces(data)), "another answer when split")
    return (len(whole[0]), whole[1][:20], whole[2])


def values(data: bytes) -> Hashable:
    """Only AmfError escapes."""
    try:
        found = amf.read(data)
    except amf.AmfError as error:
        return str(error)[:16]
    return (len(found), *(type(each).__name__ for each in found[:3]))


def answers(data: bytes) -> Hashable:
    """The messages do not depend on splits, and what is asked for is answered in one; only RtspError escapes."""

    def run(chunks: Iterator[bytes]) -> tuple[list[int | bytes], str]:
        messages = rtsp.Messages()
        found: list[int | bytes] = []
        try:
            for chunk in chunks:
                came = messages.feed(chunk)
                found += [each.answer() if isinstance(each, rtsp.Request) else each.status for each in came]
        except rtsp.RtspError as error:
            return [], str(error)
        return found, ""

    whole = run(iter((data,)))
    require(whole == run(pieces(data)), "other messages when split")
    given = [each for each in whole[0] if isinstance(each, bytes)]
    require(all(each.find(b"\r\n\r\n") == len(each) - 4 for each in given), "an answer that is more than one")
    return (len(whole[0]), len(given), whole[1])


TARGETS = (
    Target("sdp", offer, _SDP, per_byte_s=15e-6),
    Target("sdpfragment", fragment, _SDP),
    Target("rtcp", feedback, _FRAMES),
    Target("rtmp", publishing, _RTMP, per_byte_s=30e-6),
    Target("amf", values, _RTMP),
    Target("rtsp", answers, _RTSP, per_byte_s=15e-6),
)
