from __future__ import annotations

import pytest

from framecast.wire.wsframe import Opcode, close_payload, server_frame, server_header


def test_rfc_6455_section_5_7() -> None:
    assert server_frame(Opcode.TEXT, b"Hello") == bytes((0x81, 0x05)) + b"Hello"
    assert server_frame(Opcode.PING, b"Hello") == bytes((0x89, 0x05)) + b"Hello"
    assert server_header(Opcode.BINARY, 256) == bytes((0x82, 0x7E, 0x01, 0x00))
    assert server_header(Opcode.BINARY, 65_536) == bytes((0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0))


@pytest.mark.parametrize(
    ("length", "header_bytes"), [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (5_000_000, 10)]
)
def test_lengths_use_the_shortest_form(length: int, header_bytes: int) -> None:
    assert len(server_header(Opcode.BINARY, length)) == header_bytes


def test_misuse() -> None:
    for opcode, length in ((3, 0), (-1, 0), (16, 0), (Opcode.PING, 126), (Opcode.CLOSE, 126)):
        with pytest.raises(ValueError, match=r"opcode|control"):
            server_header(opcode, length)


def test_close_payload() -> None:
    assert close_payload(1001, "going") == b"\x03\xe9going"
    long = close_payload(4000, "ä" * 100)
    assert len(long) == 2 + 122
    assert long[2:].decode() == "ä" * 61
    server_frame(Opcode.CLOSE, long)
    for code in (0, 999, 1005, 1006, 1015, 5000):
        with pytest.raises(ValueError, match="close code"):
            close_payload(code)
