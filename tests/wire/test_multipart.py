from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.wire.multipart import MAX_HEADERS, Parser, Part, boundary_of
from tests.data import frame
from tests.support.cost import at_most

B = "123456789000000000000987654321"
LIMIT = 200_000
JPEG = frame("small-0")
OTHER = frame("small-1")


def part(body: bytes, *, length: int | str | None = -1, boundary: str = B) -> bytes:
    line = "" if length is None else f"Content-Length: {len(body) if length == -1 else length}\r\n"
    return f"\r\n--{boundary}\r\nContent-Type: image/jpeg\r\n{line}\r\n".encode() + body


def parse(data: bytes, boundary: str | None = B, *, limit: int = LIMIT) -> tuple[list[Part], Parser]:
    parser = Parser(boundary, max_part_bytes=limit)
    parts = parser.feed(data)
    return parts + parser.close(), parser


def bodies(data: bytes, boundary: str | None = B) -> list[bytes]:
    return [part.body for part in parse(data, boundary)[0]]


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (f"multipart/x-mixed-replace;boundary={B}", B),
        (f'multipart/x-mixed-replace; boundary="{B}"', B),
        ("multipart/x-mixed-replace; BOUNDARY = frame ; charset=x", "frame"),
        ("multipart/x-mixed-replace; charset=x;boundary=--x", "--x"),
        (r'multipart/form-data; boundary="a\"b"', 'a"b'),
        ("multipart/x-mixed-replace", None),
        ("multipart/x-mixed-replace; boundary=", None),
        ("image/jpeg", None),
    ],
)
def test_boundary_of(content_type: str, boundary: str | None) -> None:
    assert boundary_of(content_type) == boundary


def test_headers_have_lower_case_names() -> None:
    data = part(JPEG).replace(b"Content-Type:", b"X-TimeStamp :  12.5 \r\nCONTENT-TYPE:")
    parts, _ = parse(data)
    assert parts[0].headers == {
        "x-timestamp": "12.5",
        "content-type": "image/jpeg",
        "content-length": str(len(JPEG)),
    }
    assert not parts[0].is_text


def test_any_body_with_a_true_length_comes_out() -> None:
    rng = random.Random(1)
    wanted = [rng.randbytes(rng.randint(1, 5000)) for _ in range(50)]
    assert bodies(b"".join(part(body) for body in wanted)) == wanted


def test_a_boundary_inside_a_picture_counts_only_with_headers_behind_it() -> None:
    odd = JPEG[:-100] + b"--x" + JPEG[-100:]
    assert bodies(part(odd, boundary="x") + part(OTHER, boundary="x"), "x") == [odd, OTHER]
    line = JPEG[:-100] + b"\r\n--x\r\n" + JPEG[-100:]
    assert bodies(part(line, boundary="x") + part(OTHER, boundary="x"), "x") == [line, OTHER]


def test_a_frozen_part_does_not_swallow_the_next() -> None:
    data = part(JPEG[:700], length=len(JPEG)) + part(OTHER) + part(JPEG)
    parts, parser = parse(data)
    assert [part.body for part in parts] == [OTHER, JPEG]
    assert parser.faults == {"truncated": 1}
    assert not parser.quirks


def test_a_frozen_part_with_a_great_promise_is_given_up_at_the_boundary() -> None:
    parser = Parser(B, max_part_bytes=LIMIT)
    assert parser.feed(part(JPEG[:700], length=LIMIT)) == []
    assert [part.body for part in parser.feed(part(OTHER))] == [OTHER]


def test_two_frozen_parts_in_a_row() -> None:
    data = part(JPEG[:700], length=len(JPEG)) + part(JPEG[:30], length=len(JPEG)) + part(OTHER)
    parts, parser = parse(data)
    assert [part.body for part in parts] == [OTHER]
    assert parser.faults == {"truncated": 2}


def test_a_length_that_wrapped_at_65536() -> None:
    big = JPEG[:2] + b"\xff\xfe\xff\xfe" + bytes(65_532) + JPEG[2:]
    data = part(big, length=len(big) % 65_536) + part(OTHER)
    parts, parser = parse(data)
    assert [part.body for part in parts] == [big, OTHER]
    assert parser.quirks == {"wrong_content_length": 1}


def test_a_length_that_ends_inside_the_header() -> None:
    assert bodies(part(JPEG, length=40) + part(OTHER)) == [JPEG, OTHER]


def test_a_missing_boundary_costs_no_picture() -> None:
    data = part(JPEG, length=None) + b"\r\nContent-Type: image/jpeg\r\n\r\n" + OTHER + part(JPEG)
    assert bodies(data) == [JPEG, OTHER, JPEG]


def test_a_truncated_picture_before_another_without_a_boundary() -> None:
    parts, parser = parse(part(JPEG[:800], length=None) + OTHER + part(JPEG))
    assert [part.body for part in parts] == [OTHER, JPEG]
    assert parser.faults == {"truncated": 1}


def test_text_without_a_boundary_behind_it_comes_out_at_the_end() -> None:
    data = f"--{B}\r\nContent-Type: text/plain\r\n\r\nNo frames send.".encode()
    parser = Parser(B, max_part_bytes=LIMIT)
    assert parser.feed(data) == []
    (part,) = parser.close()
    assert part.is_text
    assert part.body == b"No frames send."


def test_dashes_in_text_are_no_boundary() -> None:
    data = f"--{B}\r\nContent-Type: text/plain\r\n\r\na --{B} b\r\n--{B}x\r\n--{B}\r\n".encode()
    assert bodies(data) == [f"a --{B} b\r\n--{B}x".encode()]


def test_parts_that_are_too_large_are_dropped() -> None:
    large = JPEG[:-2] + bytes(LIMIT) + JPEG[-2:]
    for length in (-1, None):
        parts, parser = parse(part(large, length=length) + part(OTHER))
        assert [part.body for part in parts] == [OTHER], length
        assert parser.faults == {"too_many_bytes": 1}
    text = f"--{B}\r\nContent-Type: text/plain\r\n\r\n".encode() + b"x" * (LIMIT + 1)
    parts, parser = parse(text + part(OTHER))
    assert [part.body for part in parts] == [OTHER]


@pytest.mark.parametrize(
    "filler", [b"\x00", b"\n", b"a\n", b"--", b"-", b"\xff", b"\xff\xd8\xff", b"x: y\r\n", b"x" * 99]
)
def test_memory_is_bounded(filler: bytes) -> None:
    limit = 20_000
    parser = Parser(B, max_part_bytes=limit)
    parser.feed(part(JPEG, length=None)[:-2])
    piece = filler * (4096 // len(filler))
    for _ in range(200):
        parser.feed(piece)
        assert parser.buffered_bytes <= limit + len(piece)
    if not parser.deaf:
        assert [part.body for part in parser.feed(b"\r\n" + part(OTHER))][-1:] == [OTHER]


@pytest.mark.parametrize("crumb", [b"a\n", b"\xff\xd8\xff\xd9", b"--x\r\n", b"Content-Length: 1\r\n\r\na"], ids=repr)
def test_a_stream_of_crumbs_is_no_longer_read(crumb: bytes) -> None:
    """They cost microseconds each: a fast link full of them would stop everybody else's pictures."""
    parser = Parser(B, max_part_bytes=LIMIT)
    parser.feed(part(JPEG))
    data = crumb * (65_536 // len(crumb))
    with at_most(60_000_000):
        for _ in range(100):
            parser.feed(data)
    assert parser.deaf
    assert parser.faults == {"not_multipart": 1}
    assert parser.feed(part(OTHER)) == []
    assert parser.close() == []


def test_small_pictures_are_no_crumbs() -> None:
    data = part(frame("grey")) * 20_000
    parser = Parser(B, max_part_bytes=LIMIT)
    assert len(parser.feed(data)) == 20_000
    assert not parser.deaf


def test_too_many_headers_are_no_part() -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_HEADERS + 1))
    parts, _ = parse(f"--{B}\r\n".encode() + lines + b"\r\n" + part(OTHER))
    assert [part.body for part in parts] == [OTHER]


def test_a_boundary_that_makes_no_sense_is_ignored() -> None:
    for boundary in ("", "--", "\r\nX: y", "ä" * 300, " "):
        assert bodies(part(JPEG) + part(OTHER), boundary) == [JPEG, OTHER], boundary


def test_close_counts_what_it_loses() -> None:
    parts, parser = parse(part(JPEG) + part(OTHER)[:-1])
    assert [part.body for part in parts] == [JPEG]
    assert parser.faults == {"truncated": 1}


@pytest.mark.parametrize(
    "data",
    [
        part(bytes(100_000)),
        part(JPEG[:-2] + bytes(100_000) + JPEG[-2:], length=None),
        b"x" * 100_000,
        b"\n" * 100_000,
        b"-" * 100_000,
        f"--{B}\r\nContent-Type: text/plain\r\n\r\n".encode() + f"--{B}x".encode() * 3000,
        part(JPEG[:-2] + f"--{B}\r\n".encode() * 3000 + JPEG[-2:]),
        part(JPEG[:-2] + b"\xff" * 100_000 + JPEG[-2:], length=None),
    ],
    ids=["zeros", "scan", "line", "newlines", "dashes", "almost", "unconfirmed", "fill"],
)
def test_time_is_linear_byte_by_byte(data: bytes) -> None:
    """A rescan for every byte of 100 KB would take minutes."""
    parser = Parser(B, max_part_bytes=LIMIT)
    with at_most(1_300 * len(data)):
        for byte in data:
            parser.feed(bytes((byte,)))


ATOMS = st.sampled_from(
    [
        f"--{B}".encode(),
        f"\r\n--{B}\r\n".encode(),
        f"--{B}--\r\n".encode(),
        b"--other\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"--",
        b"Content-Type: image/jpeg\r\n",
        b"Content-Type: text/plain\r\n",
        f"Content-Length: {len(JPEG)}\r\n".encode(),
        b"Content-Length: 40\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 3000\r\n",
        b"X-Timestamp: 1.0\r\n\r\n",
        b"Content-Length: 7\r\n\r\n",
        JPEG,
        JPEG[:600],
        JPEG[700:],
        b"\xff",
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"\xff\xda\x00\x02",
        bytes(300),
        b"hello",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ATOMS | st.binary(max_size=8), max_size=25), st.sampled_from([B, None, "x", "--x"]), st.randoms())
def test_parts_never_depend_on_splits(atoms: list[bytes], boundary: str | None, rng: random.Random) -> None:
    data = b"".join(atoms)
    whole, whole_parser = parse(data, boundary, limit=2500)
    parser = Parser(boundary, max_part_bytes=2500)
    parts, rest = [], data
    longest = rng.choice((1, 4, 40, 400))
    while rest:
        size = rng.randint(1, longest)
        parts += parser.feed(rest[:size])
        rest = rest[size:]
    parts += parser.close()
    assert parts == whole
    assert parser.quirks == whole_parser.quirks
    assert parser.faults == whole_parser.faults


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff--"
        + B.encode()
        + b"\x01\r\n--"
        + B.encode()
        + b"\r\nContent-Type: image/jpeg\r\nX\rh: 4\r\n\r\n"
        + JPEG,
        b"Content-Length:1\r\n\n\xff\xd8",
        b"\n\r\xff\xd8\xff",
    ],
    ids=["undecided-boundary", "length-of-one", "half-a-line-end"],
)
@pytest.mark.parametrize("boundary", [B, "x"])
def test_splits_the_fuzzer_found(data: bytes, boundary: str) -> None:
    whole, whole_parser = parse(data, boundary)
    parser = Parser(boundary, max_part_bytes=LIMIT)
    parts = [part for byte in data for part in parser.feed(bytes((byte,)))] + parser.close()
    assert parts == whole
    assert (parser.quirks, parser.faults) == (whole_parser.quirks, whole_parser.faults)


def test_a_boundary_that_always_changes_costs_no_more() -> None:
    data = b"".join(part(JPEG, boundary=f"b{number}") for number in range(2000))
    with at_most(60_000_000):
        assert bodies(data) == [JPEG] * 2000


def test_a_boundary_of_dashes_costs_no_more() -> None:
    data = b"-----\r\nContent-Type: text/plain\r\n\r\n" + b"-" * 150_000
    with at_most(60_000_000):
        parse(data, "---")
