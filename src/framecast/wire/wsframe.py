"""One WebSocket frame as a server sends it: unmasked, unfragmented (RFC 6455, section 5.2).

Fan-out needs the bytes of a message once for all viewers; a library would frame them anew for each.
"""

from __future__ import annotations

import struct
from enum import IntEnum

MAX_CONTROL_BYTES = 125
"""A control frame must not be longer (section 5.5)."""


class Opcode(IntEnum):
    """What a frame is (section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


_KNOWN = frozenset(Opcode)


def server_header(opcode: int, length_bytes: int) -> bytes:
    """The 2, 4 or 10 bytes in front of a payload of ``length_bytes``.

    Raises:
        ValueError: An opcode that RFC 6455 doesn't know, or a control frame of more than 125 bytes.
    """
    if opcode not in _KNOWN:
        raise ValueError(f"opcode {opcode} is none of RFC 6455's")
    if length_bytes < 126:
        return bytes((0x80 | opcode, length_bytes))
    if opcode >= Opcode.CLOSE:
        raise ValueError(f"a control frame of {length_bytes} bytes; {MAX_CONTROL_BYTES} are allowed")
    if length_bytes < 0x10000:
        return struct.pack("!BBH", 0x80 | opcode, 126, length_bytes)
    return struct.pack("!BBQ", 0x80 | opcode, 127, length_bytes)


def server_frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame, FIN set, not masked.

    Raises:
        ValueError: As ``server_header``.
    """
    return server_header(opcode, len(payload)) + payload


def close_payload(code: int, reason: str = "") -> bytes:
    """The payload of a close frame (section 5.5.1), the reason cut to fit without splitting a character.

    Raises:
        ValueError: A code that may not be sent (below 1000, above 4999, or 1005, 1006, 1015).
    """
    if not 1000 <= code <= 4999 or code in (1005, 1006, 1015):
        raise ValueError(f"close code {code} must not be sent")
    text = reason.encode("utf-8", "replace")[: MAX_CONTROL_BYTES - 2]
    return struct.pack("!H", code) + text.decode("utf-8", "ignore").encode()
