"""Publishing over RTSP: what is announced, and answers cut out of what comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import h264, rtsp

SETS = h264.ParameterSets(bytes.fromhex("6742c00bda0a3684000003000400000300f23c50aa80"), (bytes.fromhex("68ce023c80"),))
ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 12345;timeout=60\r\nContent-Length: 3\r\n\r\nabc"
PACKET = b"$\x01\x00\x04rtcp"


def test_what_is_announced() -> None:
    text = rtsp.announcement(SETS, (16_000, 1))
    assert "a=rtpmap:96 H264/90000\r\n" in text
    assert "profile-level-id=42C00B" in text
    assert "sprop-parameter-sets=Z0LAC9oKNoQAAAMABAAAAwDyPFCqgA==,aM4CPIA=" in text
    assert "a=rtpmap:97 MPEG4-GENERIC/16000/1\r\n" in text
    assert "config=1408\r\n" in text
    assert "m=audio" not in rtsp.announcement(SETS, None)


def test_a_request() -> None:
    data = rtsp.request("ANNOUNCE", "rtsp://h/x", 3, {"Session": "7"}, "v=0\r\n")
    assert data.startswith(b"ANNOUNCE rtsp://h/x RTSP/1.0\r\nCSeq: 3\r\n")
    assert data.endswith(b"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n")


@pytest.mark.parametrize("split", [1, 3, 1000])
def test_answers_between_packets(split: int) -> None:
    data = PACKET + ANSWER + PACKET * 2 + ANSWER.replace(b"200 OK", b"401 Unauthorized")
    messages = rtsp.Messages()
    cut = [each for at in range(0, len(data), split) for each in messages.feed(data[at : at + split])]
    found = [each for each in cut if isinstance(each, rtsp.Response)]
    assert len(found) == len(cut)
    assert [(each.status, each.reason) for each in found] == [(200, "OK"), (401, "Unauthorized")]
    assert found[0].headers["session"] == "12345;timeout=60"


@pytest.mark.parametrize("split", [1, 7, 1000])
def test_the_other_end_asks_between_packets_and_answers(split: int) -> None:
    ping = b"GET_PARAMETER rtsp://h/x RTSP/1.0\r\nCSeq: 12\r\nSession: 7\r\nContent-Length: 4\r\n\r\nping"
    data = (
        PACKET + ping + ANSWER + b"OPTIONS * RTSP/1.0\r\nCSeq: 13\r\n\r\n" + PACKET + b"PLAY_NOTIFY x RTSP/2.0\r\n\r\n"
    )
    messages = rtsp.Messages()
    found = [each for at in range(0, len(data), split) for each in messages.feed(data[at : at + split])]
    assert [each.answer() if isinstance(each, rtsp.Request) else each.status for each in found] == [
        b"RTSP/1.0 200 OK\r\nCSeq: 12\r\nSession: 7\r\n\r\n",
        200,
        b"RTSP/1.0 200 OK\r\nCSeq: 13\r\nPublic: GET_PARAMETER, OPTIONS, TEARDOWN\r\n\r\n",
        b"RTSP/1.0 501 Not Implemented\r\n\r\n",
    ]


def test_several_challenges_are_joined() -> None:
    data = b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=x\r\nWWW-Authenticate: Basic realm=y\r\n\r\n"
    (found,) = rtsp.Messages().feed(data)
    assert found.headers["www-authenticate"] == "Digest realm=x, Basic realm=y"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"x" * 20_000,
        ANSWER.replace(b": 3", b": 99999999"),
        b"RTSP/1.0 \xb2\r\n\r\n",
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(rtsp.RtspError):
        rtsp.Messages().feed(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_answers_or_not(data: bytes) -> None:
    try:
        rtsp.Messages().feed(ANSWER + data)
    except rtsp.RtspError:
        pass


def test_packets() -> None:
    assert rtsp.interleaved(2, b"xyz") == b"$\x02\x00\x03xyz"
    assert rtsp.aac_payload(b"abc") == b"\x00\x10\x00\x18abc"
