"""Publishing over RTMP against a server made of the same chunks, one that refuses, and bytes that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.wire import amf, h264, rtmp
from framecast.wire.rtmp import Publisher, RtmpError

SPS, PPS = bytes.fromhex("6742c00bda0a3684000003000400000300f23c50aa80"), bytes.fromhex("68ce023c80")
KEY = h264.join([SPS, PPS, b"\x65" + bytes(range(1, 200))])


class Server:
    """The other end: reads what a publisher sends, as messages."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.messages: list[tuple[int, int, int, bytes]] = []
        self.shaken = False
        self._chunk_bytes = 128
        self._open: dict[int, tuple[int, int, int, int, bytearray]] = {}

    def take(self, data: bytes) -> None:
        self.buffer += data
        if not self.shaken and len(self.buffer) >= 1 + 2 * 1536:
            assert self.buffer[0] == 3
            del self.buffer[: 1 + 2 * 1536]
            self.shaken = True
        while self.shaken and self.buffer:
            form, number = self.buffer[0] >> 6, self.buffer[0] & 0x3F
            at = 1
            if form == 0:
                stamp, length = int.from_bytes(self.buffer[1:4], "big"), int.from_bytes(self.buffer[4:7], "big")
                kind, stream = self.buffer[7], int.from_bytes(self.buffer[8:12], "little")
                at = 12
                if stamp == 0xFFFFFF:
                    stamp = int.from_bytes(self.buffer[12:16], "big")
                    at = 16
                self._open[number] = (stamp, length, kind, stream, bytearray())
            else:
                assert form == 3
                at += 4 if self._open[number][0] >= 0xFFFFFF else 0
            stamp, length, kind, stream, body = self._open[number]
            size = min(self._chunk_bytes, length - len(body))
            body += self.buffer[at : at + size]
            del self.buffer[: at + size]
            if len(body) == length:
                del self._open[number]
                if kind == rtmp.SET_CHUNK_SIZE:
                    self._chunk_bytes = int.from_bytes(body, "big")
                self.messages.append((kind, stamp, stream, bytes(body)))

    def commands(self) -> list[list[Any]]:
        """The commands so far."""
        return [amf.read(body) for kind, _, _, body in self.messages if kind == rtmp.COMMAND]


def said(*values: Any, chunk_bytes: int = 128) -> bytes:
    """A command of the server."""
    return rtmp._message(3, rtmp.COMMAND, 0, 0, amf.write(*values), chunk_bytes)


CREATED = said("_result", 4, None, 1)
STARTED = said("onStatus", 0, None, {"level": "status", "code": "NetStream.Publish.Start"})
HELLO = b"\x03" + bytes(1536) + b"s" * 1536
ANSWERS = [
    HELLO + rtmp._control(rtmp.WINDOW, (2_500_000).to_bytes(4, "big")),
    rtmp._control(rtmp.BANDWIDTH, (2_500_000).to_bytes(4, "big") + b"\x02")
    + said("_result", 1, {"fmsVer": "FMS/3"}, {"level": "status", "code": "NetConnection.Connect.Success"}),
    said("_result", 2, None, None) + said("onFCPublish", 0, None),
    CREATED,
    STARTED,
]


def connected(split: int = 0) -> tuple[Publisher, Server]:
    publisher, server = Publisher("live", "door?k=1", "rtmp://h/live"), Server()
    server.take(publisher.begin())
    data = b"".join(ANSWERS)
    for piece in [data[at : at + split] for at in range(0, len(data), split)] if split else ANSWERS:
        server.take(publisher.feed(piece))
    assert publisher.ready
    return publisher, server


@pytest.mark.parametrize("split", [0, 1, 7, 1000])
def test_it_publishes(split: int) -> None:
    _, server = connected(split)
    names = [command[0] for command in server.commands()]
    assert names == ["connect", "releaseStream", "FCPublish", "createStream", "publish"]
    about = server.commands()[0][2]
    assert about["app"] == "live"
    assert about["tcUrl"] == "rtmp://h/live"
    assert server.commands()[-1][3:] == ["door?k=1", "live"]
    assert (rtmp.WINDOW, 0, 0, (2_500_000).to_bytes(4, "big")) in server.messages


def test_pictures_and_sound_as_flv_has_them() -> None:
    publisher, server = connected()
    server.messages.clear()
    sets = h264.parameter_sets(KEY)
    assert sets is not None
    server.take(publisher.metadata({"width": 640, "encoder": "Framecast"}))
    server.take(publisher.video_header(sets) + publisher.sound_header(0, 16_000, 1))
    server.take(publisher.picture(40, KEY, key=True) + publisher.sound(64, b"aac"))
    large = h264.join([b"\x41" + b"\x9a" * 200_000])
    server.take(publisher.picture(20_000_000, large, key=False))
    kinds = [(kind, stamp, stream) for kind, stamp, stream, _ in server.messages]
    assert kinds == [
        (rtmp.DATA, 0, 1),
        (rtmp.VIDEO, 0, 1),
        (rtmp.SOUND, 0, 1),
        (rtmp.VIDEO, 40, 1),
        (rtmp.SOUND, 64, 1),
        (rtmp.VIDEO, 20_000_000, 1),
    ]
    bodies = [body for *_, body in server.messages]
    assert amf.read(bodies[0]) == ["@setDataFrame", "onMetaData", {"width": 640, "encoder": "Framecast"}]
    assert bodies[1] == b"\x17\x00\x00\x00\x00" + h264.avcc(sets)
    assert bodies[2] == b"\xaf\x00\x14\x08"
    assert bodies[3] == b"\x17\x01\x00\x00\x00" + h264.to_avcc(KEY)
    assert bodies[4] == b"\xaf\x01aac"
    assert bodies[5] == b"\x27\x01\x00\x00\x00" + h264.to_avcc(large)


def test_pings_are_answered_and_the_end_is_told() -> None:
    publisher, server = connected()
    server.messages.clear()
    server.take(publisher.feed(rtmp._control(rtmp.CONTROL, b"\x00\x06\x00\x00\x10\x00")))
    assert server.messages == [(rtmp.CONTROL, 0, 0, b"\x00\x07\x00\x00\x10\x00")]
    server.take(publisher.end())
    assert [command[0] for command in server.commands()] == ["FCUnpublish", "deleteStream"]
    assert Publisher("a", "b", "").end() == b""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak RTMP"),
        (HELLO + said("_error", 1, None, {"level": "error", "description": "app not found"}), "app not found"),
        (HELLO + said("onStatus", 0, None, {"level": "error", "code": "NetStream.Publish.BadName"}), "BadName"),
        (HELLO + said("_result", 4, None, "x"), "no number"),
        (HELLO + said("close", 0, None), "closed"),
        (HELLO + b"\x03" + bytes(3) + (2 << 20).to_bytes(3, "big") + bytes(5), "does not speak RTMP"),
        (HELLO + b"\xc3" + bytes(20), "does not speak RTMP"),
        (HELLO + rtmp._message(3, rtmp.COMMAND, 0, 0, b"\x02\xff"), "can't be read"),
    ],
)
def test_a_refusal_is_told_in_words(answer: bytes, words: str) -> None:
    publisher = Publisher("live", "secret", "rtmp://h/live")
    publisher.begin()
    with pytest.raises(RtmpError, match=words) as caught:
        publisher.feed(answer)
    assert "secret" not in str(caught.value)


def test_large_answers_come_in_chunks() -> None:
    publisher = Publisher("live", "door", "rtmp://h/live")
    publisher.feed(HELLO)
    assert b"createStream" in publisher.feed(said("_result", 1, {"x": "y" * 1000}))
    publisher.feed(rtmp._control(rtmp.SET_CHUNK_SIZE, (4096).to_bytes(4, "big")))
    assert b"publish" in publisher.feed(said("_result", 4, {"x": "y" * 1000}, 7, chunk_bytes=4096))


@given(st.binary(max_size=400), st.lists(st.integers(1, 300), max_size=4))
def test_any_bytes_are_read_or_refused(data: bytes, cuts: list[int]) -> None:
    publisher = Publisher("live", "door", "rtmp://h/live")
    stream = HELLO + ANSWERS[1] + data
    at = 0
    try:
        for cut in (*cuts, len(stream)):
            publisher.feed(stream[at : at + cut])
            at += cut
    except RtmpError:
        pass


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=4))
def test_amf_reads_what_it_writes(values: list[Any]) -> None:
    assert amf.read(amf.write(*values)) == values


@given(st.binary(max_size=200))
def test_any_bytes_are_amf_or_not(data: bytes) -> None:
    try:
        amf.read(data)
    except amf.AmfError:
        pass


def test_what_only_others_write() -> None:
    named = b"\x08\x00\x00\x00\x01\x00\x01a\x05\x00\x00\x09"
    listed = b"\x0a\x00\x00\x00\x02\x01\x01\x06"
    dated = b"\x0b" + bytes(10)
    long = b"\x0c\x00\x00\x00\x02hi"
    assert amf.read(named + listed + dated + long) == [{"a": None}, [True, None], 0.0, "hi"]
