"""RTSP 1.0 as one who publishes speaks it: ANNOUNCE, SETUP, RECORD, then RTP between the lines. No I/O.

Sources: RFC 2326 (10.12 for RTP over the same connection), RFC 6184 and RFC 3640 for what the SDP says.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from framecast.wire import h264
from framecast.wire.aac import specific_config

PORT, TLS_PORT = 554, 322
VIDEO_TYPE, SOUND_TYPE = 96, 97
MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024


_REQUEST = re.compile(r"([A-Z_]{1,32}) +\S+ +RTSP/\d\.\d *")
_DONE = ("GET_PARAMETER", "OPTIONS", "TEARDOWN")
"""What the other end may ask of one who publishes, to see whether it is there, or to end it (RFC 2326, 10)."""


class RtspError(ValueError):
    """What comes back is no RTSP."""


@dataclass(slots=True)
class Response:
    """An answer.

    Attributes:
        headers: By their names in lower case; several of one name joined by commas.
    """

    status: int
    reason: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """What the other end asks for.

    Attributes:
        headers: See `Response`.
    """

    method: str
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self) -> bytes:
        """The answer, as bytes: that it is done, or that one who publishes does no such thing."""
        lines = ["RTSP/1.0 200 OK" if self.method in _DONE else "RTSP/1.0 501 Not Implemented"]
        for name in ("CSeq", "Session"):
            value = self.headers.get(name.lower())
            if value is not None:
                lines.append(f"{name}: {value}")
        if self.method == "OPTIONS":
            lines.append(f"Public: {', '.join(_DONE)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Messages:
    """Cuts answers, and what the other end asks for itself, out of what comes; packets between them are passed over."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Response | Request]:
        """The messages that are whole now.

        Raises:
            RtspError: This is something else.
        """
        self._buffer += data
        found: list[Response | Request] = []
        while True:
            if self._buffer[:1] == b"$":
                end = 4 + int.from_bytes(self._buffer[2:4], "big")
                if len(self._buffer) < max(4, end):
                    return found
                del self._buffer[:end]
                continue
            end = self._buffer.find(b"\r\n\r\n")
            if end > MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > MAX_HEAD_BYTES + 3):
                raise RtspError("a message without end")
            if end < 0:
                return found
            message = _head(bytes(self._buffer[:end]))
            length = message.headers.get("content-length", "0")
            if not (length.isascii() and length.isdecimal() and len(length) < 8 and int(length) <= MAX_BODY_BYTES):
                raise RtspError("a message too long to be read")
            if len(self._buffer) < end + 4 + int(length):
                return found
            del self._buffer[: end + 4 + int(length)]
            found.append(message)


def request(method: str, target: str, number: int, headers: Mapping[str, str], body: str = "") -> bytes:
    """One request."""
    lines = [f"{method} {target} RTSP/1.0", f"CSeq: {number}", "User-Agent: Framecast"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def interleaved(channel: int, packet: bytes) -> bytes:
    """An RTP or RTCP packet between the lines."""
    return b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet


def announcement(sets: h264.ParameterSets, sound: tuple[int, int] | None) -> str:
    """The SDP of what will be sent.

    Args:
        sound: Rate and channels of AAC, None for none.
    """
    sprop = ",".join(base64.b64encode(unit).decode() for unit in (sets.sps, *sets.pps))
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=Framecast",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        f"m=video 0 RTP/AVP {VIDEO_TYPE}",
        f"a=rtpmap:{VIDEO_TYPE} H264/90000",
        f"a=fmtp:{VIDEO_TYPE} packetization-mode=1; sprop-parameter-sets={sprop}; "
        f"profile-level-id={sets.sps[1:4].hex().upper()}",
        "a=control:streamid=0",
    ]
    if sound is not None:
        rate_hz, channels = sound
        lines += [
            f"m=audio 0 RTP/AVP {SOUND_TYPE}",
            f"a=rtpmap:{SOUND_TYPE} MPEG4-GENERIC/{rate_hz}/{channels}",
            f"a=fmtp:{SOUND_TYPE} profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
            f"config={specific_config(rate_hz, channels).hex()}",
            "a=control:streamid=1",
        ]
    return "\r\n".join(lines) + "\r\n"


def aac_payload(frame: bytes) -> bytes:
    """One raw AAC frame as RTP carries it (RFC 3640, AAC-hbr)."""
    return b"\x00\x10" + (len(frame) << 3).to_bytes(2, "big") + frame


def _head(data: bytes) -> Response | Request:
    first, *lines = data.decode("latin-1").lstrip("\r\n").split("\r\n")
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    message: Response | Request
    if asked := _REQUEST.fullmatch(first):
        message = Request(asked[1])
    elif version.startswith("RTSP/") and status.isascii() and status.isdecimal() and len(status) == 3:
        message = Response(int(status), "".join(c for c in reason if c.isprintable())[:100])
    else:
        raise RtspError("it does not speak RTSP")
    for line in lines[:64]:
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            known = message.headers.get(name)
            message.headers[name] = f"{known}, {value}" if known is not None else value
    return message
