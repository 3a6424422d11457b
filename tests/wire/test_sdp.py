"""Offers of browsers are read, answers are what the offer allows, and hostile text gets a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import sdp, sdpanswer
from framecast.wire.sdp import SdpError

FINGERPRINT = ":".join(["AB"] * 32)
SESSION = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
"""
TRANSPORT = f"""a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg12
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""
VIDEO = f"""m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 106 107 39
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 9b8c1f6e-0b5c-4d4e-8f4b-1a2b3c4d5e6f.local 51234 typ host generation 0
a=candidate:2 1 udp 1677729535 198.51.100.7 51234 typ srflx raddr 0.0.0.0 rport 0 generation 0
a=candidate:3 1 tcp 1518280447 192.168.1.2 9 typ host tcptype active
{TRANSPORT}a=mid:0
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=rtcp-fb:102 goog-remb
a=rtcp-fb:102 transport-cc
a=rtcp-fb:102 ccm fir
a=rtcp-fb:102 nack
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rtpmap:104 H264/90000
a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f
a=rtpmap:106 H264/90000
a=rtcp-fb:106 nack
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:107 rtx/90000
a=fmtp:107 apt=106
a=rtpmap:39 H264/90000
a=fmtp:39 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f
"""
AUDIO = f"""m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9
c=IN IP4 0.0.0.0
{TRANSPORT}a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=rtpmap:9 G722/8000
"""
OFFER = (SESSION + VIDEO + AUDIO).replace("\n", "\r\n")
CANDIDATES = (sdp.Candidate("h0", 2130706431, "192.168.1.10", 40000), sdp.Candidate("p1", 5, "203.0.113.9", 40000))


def video(text: str = OFFER) -> sdp.Media:
    found = sdp.parse_offer(text).find("video")
    assert found is not None
    return found


def test_chromiums_offer() -> None:
    offer = sdp.parse_offer(OFFER)
    assert offer.bundle == ["0", "1"]
    assert [media.kind for media in offer.media] == ["video", "audio"]
    media = offer.media[0]
    assert (media.ufrag, media.pwd) == ("8hhY", "asd88fgpdd777uzjYhagZg12")
    assert media.fingerprints == [("sha-256", FINGERPRINT)]
    assert (media.setup, media.mid, media.rtcp_mux, media.reduced_size) == ("actpass", "0", True, True)
    assert [each.address for each in media.candidates] == ["198.51.100.7"]
    assert media.codecs[102].feedback == ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]


@pytest.mark.parametrize(("profile", "expected"), [(66, 106), (77, 39), (100, 39)])
def test_the_payload_type_that_says_what_is_sent(profile: int, expected: int) -> None:
    chosen = sdpanswer.choose_h264(video(), profile)
    assert chosen is not None
    assert chosen.payload_type == expected
    assert chosen.parameters["packetization-mode"] == "1"


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ([], 106),
        (["a=fmtp:106"], 102),
        (["a=fmtp:106", "a=fmtp:102"], 39),
        (["a=fmtp:106", "a=fmtp:102", "a=fmtp:39"], None),
    ],
)
def test_packetization_mode_1_or_nothing(gone: list[str], expected: int | None) -> None:
    lines = [line for line in OFFER.split("\r\n") if not line.startswith(tuple(gone))] if gone else OFFER.split("\r\n")
    chosen = sdpanswer.choose_h264(video("\r\n".join(lines)))
    assert (chosen.payload_type if chosen else None) == expected


def answer_to(text: str = OFFER, *, sound: bool = True) -> list[str]:
    offer = sdp.parse_offer(text)
    pictures, voices = offer.find("video"), offer.find("audio")
    assert pictures is not None
    codec = sdpanswer.choose_h264(pictures)
    assert codec is not None
    sendings = [
        sdpanswer.Sending(
            pictures, codec, 1, sdpanswer.choose_rtx(pictures, codec), 2, ("nack", "nack pli", "ccm fir"), 4_000_000_000
        )
    ]
    if sound and voices is not None:
        opus = sdpanswer.choose_opus(voices)
        assert opus is not None
        sendings.append(sdpanswer.Sending(voices, opus, 3))
    transport = sdpanswer.Transport("ours", "o" * 22, FINGERPRINT, "passive", CANDIDATES)
    return sdpanswer.answer(offer, sendings, transport, session_id=7, cname="c").split("\r\n")


def test_the_answer() -> None:
    lines = answer_to()
    assert lines[-1] == ""
    assert "a=group:BUNDLE 0 1" in lines
    assert "m=video 9 UDP/TLS/RTP/SAVPF 106 107" in lines
    assert "a=rtpmap:106 H264/90000" in lines
    assert "a=rtcp-fb:106 nack" in lines
    assert "a=rtcp-fb:106 nack pli" not in lines  # it was not offered for this one
    assert "a=fmtp:106 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1" in lines
    assert "a=ssrc-group:FID 1 2" in lines
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111" in lines
    assert "a=rtpmap:111 opus/48000/2" in lines
    assert lines.count("a=sendonly") == 2
    assert [line for line in lines if line.startswith("a=mediaclk")] == ["a=mediaclk:direct=4000000000"]
    assert lines.count("a=setup:passive") == 2
    assert [line for line in lines if line.startswith("a=candidate")] == [
        "a=candidate:h0 1 udp 2130706431 192.168.1.10 40000 typ host",
        "a=candidate:p1 1 udp 5 203.0.113.9 40000 typ host",
    ]


def test_what_is_not_sent_is_refused_in_its_place() -> None:
    lines = answer_to(sound=False)
    assert "a=group:BUNDLE 0" in lines
    at = lines.index("m=audio 0 UDP/TLS/RTP/SAVPF 111 63 9")
    assert "a=inactive" in lines[at:]
    assert "a=mid:1" in lines[at:]


def test_parameters_of_the_session_hold_for_all_sections() -> None:
    bare = VIDEO.replace(TRANSPORT, "")
    media = video(SESSION + TRANSPORT + bare)
    assert (media.ufrag, media.setup, len(media.fingerprints)) == ("8hhY", "actpass", 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0",
        "v=1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96",
        "v=0\r\nm=video",
        "v=0\r\nm=video x UDP/TLS/RTP/SAVPF 96",
        "v=0\r\nm=video 9 U\tDP 96",
        "v=0\r\nm=video 99999999 UDP/TLS/RTP/SAVPF 96",
        "v=0\r\nnonsense",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:a b",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=setup:now",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:x",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-pwd:" + "x" * 300,
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=fingerprint:sha-256 AB:CD",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:x",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 1.2.3.4 99999 typ host",
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=fmtp:96 profile-level-id=zz",
        OFFER.replace("a=mid:1", "a=mid:0"),
        "v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 17,
        "v=0\r\n" + "a=x\r\n" * 40_000,
        OFFER.replace("8hhY", "8h\x00Y"),
        OFFER.replace("\r\n", "\r"),
    ],
)
def test_what_is_no_offer_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SdpError) as caught:
        sdp.parse_offer(text)
    assert len(str(caught.value)) > 10


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("1 1 udp 2113937151 192.168.1.5 5000 typ host", True),
        ("1 1 UDP 1677729535 2001:db8::5 5000 typ srflx raddr :: rport 0", True),
        ("1 1 udp 1 127.0.0.1 5000 typ host", False),
        ("1 1 udp 1 ::1 5000 typ host", False),
        ("1 1 udp 1 ::ffff:127.0.0.1 5000 typ host", False),
        ("1 1 udp 1 2001:db8::5%eth0 5000 typ host", False),
        ("1 1 udp 1 169.254.169.254 80 typ host", False),
        ("1 1 udp 1 224.0.0.1 5000 typ host", False),
        ("1 1 udp 1 0.0.0.0 5000 typ host", False),
        ("1 1 udp 1 abc.local 5000 typ host", False),
        ("1 2 udp 1 192.168.1.5 5000 typ host", False),
        ("1 1 tcp 1 192.168.1.5 9 typ host tcptype active", False),
        ("1 1 udp 1 192.168.1.5 0 typ host", False),
    ],
)
def test_candidates_that_lead_nowhere_are_passed_over(line: str, kept: bool) -> None:
    assert (sdp.parse_candidate(line) is not None) is kept


def test_a_fragment() -> None:
    fragment = sdp.parse_fragment(
        "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg12\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2113937151 192.168.1.5 5000 typ host\r\na=end-of-candidates\r\n"
    )
    assert fragment.ufrag == "8hhY"
    assert [each.port for each in fragment.candidates] == [5000]
    assert fragment.ended


@pytest.mark.parametrize("text", ["hello", "x=1", "a=candidate:1", "a=ice-ufrag:!", "m=video\r\n" * 17])
def test_what_is_no_fragment(text: str) -> None:
    with pytest.raises(SdpError):
        sdp.parse_fragment(text)


@given(st.lists(st.sampled_from(OFFER.split("\r\n")), max_size=80), st.text(max_size=20))
def test_any_order_of_lines_is_read_or_refused(lines: list[str], junk: str) -> None:
    try:
        offer = sdp.parse_offer("\r\n".join(["v=0", *lines, junk]))
    except SdpError:
        return
    assert 1 <= len(offer.media) <= sdp.MAX_MEDIA
    assert all(len(media.candidates) <= sdp.MAX_CANDIDATES for media in offer.media)
