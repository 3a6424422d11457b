from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.wire.errors import ProtocolError
from framecast.wire.http1 import MAX_HEAD_BYTES, Data, End, Event, Head, ResponseParser

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def joined(events: list[Event]) -> list[Event]:
    """Neighbouring pieces of a body as one: how they were cut says nothing."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, Data) and isinstance(last, Data):
            out[-1] = Data(last.data + event.data)
        else:
            out.append(event)
    return out


def read(*pieces: bytes, method: str = "GET") -> list[Event]:
    parser = ResponseParser(method)
    events: list[Event] = []
    for piece in pieces:
        events += parser.feed(piece)
    return joined(events + parser.eof())


def test_length() -> None:
    head, data, end = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:b\r\n\r\nhello")
    assert head == Head((1, 1), 200, "OK", [("Content-Length", "5"), ("X-A", "b")])
    assert isinstance(head, Head)
    assert head.get("x-a") == "b"
    assert head.get("none", "default") == "default"
    assert (data, end) == (Data(b"hello"), End(keep_alive=True))


def test_until_close() -> None:
    parser = ResponseParser()
    (_head,) = parser.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    assert parser.quirks == {"no_length_no_chunking": 1}
    assert parser.feed(b"abc") == [Data(b"abc")]
    assert parser.feed(b"") == []
    assert parser.eof() == [End(keep_alive=False)]
    assert parser.eof() == []


def test_http10_is_a_quirk_and_closes() -> None:
    parser = ResponseParser()
    events = parser.feed(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert events[-1] == End(keep_alive=False)
    assert parser.quirks == {"http10": 1}


def test_chunked_with_extensions_trailers_and_bare_lf() -> None:
    body = b'5;a="b"\r\nhello\r\n1\n \n0006 \r\nthere!\r\n000;last\r\nX-Trailer: 1\r\n\r\n'
    assert read(CHUNKED + body)[1:] == [Data(b"hello there!"), End(keep_alive=True)]


def test_data_is_never_held_back() -> None:
    parser = ResponseParser()
    parser.feed(CHUNKED + b"100\r\n")
    assert parser.feed(b"a") == [Data(b"a")]
    assert parser.feed(b"bc") == [Data(b"bc")]


def test_lines_that_make_no_sense_are_counted() -> None:
    parser = ResponseParser()
    (head, _end) = parser.feed(b"HTTP/1.1 200\nA: 1\n folded\nno colon\n: no name\nB : 2 \nContent-Length: 0\n\n")
    assert isinstance(head, Head)
    assert head.headers == [("A", "1"), ("B", "2"), ("Content-Length", "0")]
    assert parser.quirks == {"lf_only": 1, "junk_header": 3}


@pytest.mark.parametrize(
    "status", [b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1 200 ", b"ICY 200 OK", b"HTTP/1.1  200  OK"]
)
def test_status_lines(status: bytes) -> None:
    head = read(status + b"\r\n\r\n")[0]
    assert isinstance(head, Head)
    assert head.status == 200


def test_interim_answers_are_passed_over() -> None:
    events = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n")
    assert [type(event) for event in events] == [Head, End]


def test_the_answer_to_head_has_no_body() -> None:
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method="HEAD")[1:] == [End(keep_alive=True)]


def test_two_responses_on_one_connection() -> None:
    parser = ResponseParser()
    one = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"
    events = parser.feed(one + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny")
    assert events[-1] == End(keep_alive=True)
    assert parser.done
    parser.next_request()
    assert joined(parser.feed(b""))[1:] == [Data(b"y"), End(keep_alive=True)]


def test_next_request_waits_for_the_end() -> None:
    with pytest.raises(RuntimeError):
        ResponseParser().next_request()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03\x04\x05",
        b"SSH-2.0-dropbear\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        CHUNKED + b"xyz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"1\r\nab",
        CHUNKED + b"1;" + b"x" * 2000,
        CHUNKED + b"0\r\n" + b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 600,
        CHUNKED + b"1\r\na\r\n",
        CHUNKED + b"1\r\na\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nA:",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + bytes(MAX_HEAD_BYTES + 1),
    ],
)
def test_refusals_whole_and_byte_by_byte(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(data)
    with pytest.raises(ProtocolError):
        read(*(bytes((byte,)) for byte in data))


def test_what_came_before_an_error_is_given_first() -> None:
    parser = ResponseParser()
    events = parser.feed(CHUNKED + b"3\r\nabc\r\njunk\r\n")
    assert events[1:] == [Data(b"abc")]
    with pytest.raises(ProtocolError):
        parser.feed(b"1\r\n")
    with pytest.raises(ProtocolError):
        parser.eof()


def test_a_connection_that_brings_nothing() -> None:
    assert ResponseParser().eof() == []


ATOMS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 404 \n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b" folded\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"5\r\n",
        b"hello",
        b"0\r\n\r\n",
        b"1;x\n",
        b"A: b\r\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ATOMS | st.binary(max_size=4), max_size=20), st.lists(st.integers(0, 200), max_size=8))
def test_events_never_depend_on_splits(atoms: list[bytes], cuts: list[int]) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + b"".join(atoms)
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})

    def outcome(pieces: list[bytes]) -> tuple[list[Event], bool]:
        parser = ResponseParser()
        events: list[Event] = []
        try:
            for piece in pieces:
                events += parser.feed(piece)
            events += parser.eof()
        except ProtocolError:
            return joined(events), False
        return joined(events), True

    assert outcome([data[a:b] for a, b in itertools.pairwise(edges)]) == outcome([data])
