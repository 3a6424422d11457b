"""RTMP as one who publishes speaks it: handshake, commands, then pictures and sound in chunks. No I/O.

    C0 C1 ->            <- S0 S1 S2
    C2, connect ->      <- _result
    createStream ->     <- _result, the stream's number
    publish ->          <- onStatus NetStream.Publish.Start
    sequence headers, pictures, sound ->

Source: Adobe's Real Time Messaging Protocol 1.0; the bodies of pictures and sound are those of FLV (Video File Format
Specification 10.1, annex E).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import Any

from framecast.wire import amf, h264
from framecast.wire.aac import specific_config

PORT, TLS_PORT = 1935, 443
CHUNK_BYTES = 60_000
"""Of what we send: one chunk for all but the largest pictures."""
HANDSHAKE_BYTES = 1536
MAX_MESSAGE_BYTES = 1 << 20
MOST_CHUNK_STREAMS = 64
ACKNOWLEDGE_AFTER_BYTES = 1 << 19

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, CONTROL, WINDOW, BANDWIDTH = 1, 2, 3, 4, 5, 6
SOUND, VIDEO, DATA, COMMAND = 8, 9, 18, 20
_PING, _PONG = 6, 7
_CONTROL_CHUNKS, _COMMAND_CHUNKS, _SOUND_CHUNKS, _DATA_CHUNKS, _VIDEO_CHUNKS = 2, 3, 4, 5, 6
_CONNECT, _RELEASE, _ANNOUNCE, _CREATE, _PUBLISH = 1, 2, 3, 4, 5


class RtmpError(ValueError):
    """The other end is no RTMP server that can be published to, or refused; the message says which."""


@dataclass(slots=True)
class _Incoming:
    stamp: int = 0
    length: int = 0
    kind: int = 0
    extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class Publisher:
    """One publishing connection.

    Args:
        app: The application, ``live``.
        key: Name of the stream, which often is the secret.
        url: What `connect` says it was called by: scheme, host and application.

    Attributes:
        ready: Whether pictures may be sent.
    """

    def __init__(self, app: str, key: str, url: str) -> None:
        self.ready = False
        self._app = app
        self._key = key
        self._url = url
        self._number = 0
        self._buffer = bytearray()
        self._shaken = False
        self._chunk_bytes = 128
        self._incoming: dict[int, _Incoming] = {}
        self._received = 0
        self._acknowledged = 0

    def begin(self) -> bytes:
        """The first bytes to send."""
        return b"\x03" + bytes(8) + os.urandom(HANDSHAKE_BYTES - 8)

    def feed(self, data: bytes) -> bytes:
        """Take what came; what is to be sent in answer.

        Raises:
            RtmpError: The server refuses, or speaks something else.
        """
        self._buffer += data
        self._received += len(data)
        out = []
        if not self._shaken:
            if self._buffer and self._buffer[0] != 3:
                raise RtmpError("it does not speak RTMP")
            if len(self._buffer) < 1 + 2 * HANDSHAKE_BYTES:
                return b""
            out.append(bytes(self._buffer[1 : 1 + HANDSHAKE_BYTES]))  # C2 is S1 again
            del self._buffer[: 1 + 2 * HANDSHAKE_BYTES]
            self._shaken = True
            out.append(_message(_CONTROL_CHUNKS, SET_CHUNK_SIZE, 0, 0, CHUNK_BYTES.to_bytes(4, "big"), 128))
            about = {
                "app": self._app,
                "type": "nonprivate",
                "flashVer": "FMLE/3.0 (compatible; Framecast)",
                "tcUrl": self._url,
            }
            out.append(self._command("connect", _CONNECT, about))
        while (message := self._next()) is not None:
            out.append(self._answer(*message))
        if self._received - self._acknowledged >= ACKNOWLEDGE_AFTER_BYTES:
            self._acknowledged = self._received
            out.append(_control(ACKNOWLEDGEMENT, (self._received & 0xFFFFFFFF).to_bytes(4, "big")))
        return b"".join(out)

    def metadata(self, fields: dict[str, Any]) -> bytes:
        """What players are told beforehand."""
        return _message(_DATA_CHUNKS, DATA, 0, self._number, amf.write("@setDataFrame", "onMetaData", fields))

    def video_header(self, sets: h264.ParameterSets, stamp_ms: int = 0) -> bytes:
        """The parameter sets, before the first picture and whenever they change."""
        return self._video(stamp_ms, b"\x17\x00\x00\x00\x00" + h264.avcc(sets))

    def picture(self, stamp_ms: int, access_unit: bytes, *, key: bool) -> bytes:
        """One picture, given as Annex B."""
        head = b"\x17\x01\x00\x00\x00" if key else b"\x27\x01\x00\x00\x00"
        return self._video(stamp_ms, head + h264.to_avcc(access_unit))

    def sound_header(self, stamp_ms: int, sample_rate_hz: int, channels: int) -> bytes:
        """What the AAC that follows is."""
        return self._sound(stamp_ms, b"\xaf\x00" + specific_config(sample_rate_hz, channels))

    def sound(self, stamp_ms: int, frame: bytes) -> bytes:
        """One raw AAC frame."""
        return self._sound(stamp_ms, b"\xaf\x01" + frame)

    def end(self) -> bytes:
        """Says that no more comes."""
        if not self.ready:
            return b""
        return self._command("FCUnpublish", 6, None, self._key) + self._command("deleteStream", 7, None, self._number)

    def _video(self, stamp_ms: int, body: bytes) -> bytes:
        return _message(_VIDEO_CHUNKS, VIDEO, stamp_ms, self._number, body)

    def _sound(self, stamp_ms: int, body: bytes) -> bytes:
        return _message(_SOUND_CHUNKS, SOUND, stamp_ms, self._number, body)

    def _command(self, name: str, transaction: int, *values: Any, number: int = 0) -> bytes:
        return _message(_COMMAND_CHUNKS, COMMAND, 0, number, amf.write(name, transaction, *values))

    def _next(self) -> tuple[int, bytes] | None:
        """The next whole message; None until it is here."""
        while True:
            found = self._chunk()
            if found is None:
                return None
            kind, body = found
            if body is not None:
                return kind, body

    def _chunk(self) -> tuple[int, bytes | None] | None:
        data = self._buffer
        if not data:
            return None
        form, number, at = data[0] >> 6, data[0] & 0x3F, 1
        if number < 2:
            at += 1 + number
            if len(data) < at:
                return None
            number = 64 + data[1] + (data[2] << 8 if number else 0)
        known = self._incoming.get(number)
        if known is None:
            if form == 3 or len(self._incoming) >= MOST_CHUNK_STREAMS:
                raise RtmpError("it does not speak RTMP")
            known = _Incoming()
        header = (11, 7, 3, 0)[form]
        if len(data) < at + header:
            return None
        stamp = int.from_bytes(data[at : at + 3], "big") if form < 3 else 0
        length, kind = known.length, known.kind
        if form < 2:
            length, kind = int.from_bytes(data[at + 3 : at + 6], "big"), data[at + 6]
        at += header
        extended = stamp == 0xFFFFFF if form < 3 else known.extended
        at += 4 if extended else 0
        if length > MAX_MESSAGE_BYTES or (form < 3 and known.body):
            raise RtmpError("it does not speak RTMP")
        size = min(self._chunk_bytes, length - len(known.body))
        if len(data) < at + size:
            return None
        self._incoming[number] = known
        known.length, known.kind, known.extended = length, kind, extended
        known.body += data[at : at + size]
        del data[: at + size]
        if len(known.body) < length:
            return kind, None
        body = bytes(known.body)
        known.body.clear()
        return kind, body

    def _answer(self, kind: int, body: bytes) -> bytes:
        if kind == SET_CHUNK_SIZE and len(body) >= 4:
            self._chunk_bytes = max(1, min(int.from_bytes(body[:4], "big") & 0x7FFFFFFF, MAX_MESSAGE_BYTES))
        elif kind == ABORT and len(body) >= 4:
            self._incoming.pop(int.from_bytes(body[:4], "big"), None)
        elif kind == CONTROL and len(body) >= 6 and int.from_bytes(body[:2], "big") == _PING:
            return _control(CONTROL, _PONG.to_bytes(2, "big") + body[2:6])
        elif kind == BANDWIDTH and len(body) >= 4:
            return _control(WINDOW, body[:4])
        elif kind == COMMAND:
            try:
                values = amf.read(body)
            except amf.AmfError:
                raise RtmpError("it sends a command that can't be read") from None
            return self._told(values)
        return b""

    def _told(self, values: list[Any]) -> bytes:
        name, transaction = (*values, None, None)[:2]
        if name == "_error" and transaction in (_CONNECT, _CREATE, _PUBLISH):
            raise RtmpError(f"it refused: {_words(values)}")
        if name == "_result" and transaction == _CONNECT:
            return b"".join((
                self._command("releaseStream", _RELEASE, None, self._key),
                self._command("FCPublish", _ANNOUNCE, None, self._key),
                self._command("createStream", _CREATE, None),
            ))  # fmt: skip
        if name == "_result" and transaction == _CREATE:
            number = values[3] if len(values) > 3 else None
            if not isinstance(number, float) or not 0 <= number < 1 << 31:
                raise RtmpError("it gave the stream no number")
            self._number = int(number)
            return self._command("publish", _PUBLISH, None, self._key, "live", number=self._number)
        if name == "onStatus":
            about = values[3] if len(values) > 3 and isinstance(values[3], dict) else {}
            if about.get("level") == "error":
                raise RtmpError(f"it refused: {_words(values)}")
            if about.get("code") == "NetStream.Publish.Start":
                self.ready = True
            elif about.get("code") in ("NetStream.Unpublish.Success", "NetStream.Publish.BadName"):
                raise RtmpError(f"it ended the stream: {_words(values)}")
        elif name == "close":
            raise RtmpError("it closed the stream")
        return b""


def _words(values: list[Any]) -> str:
    """Why, in the server's words."""
    for value in values[2:]:
        if isinstance(value, dict):
            found = value.get("description") or value.get("code")
            if isinstance(found, str) and found:
                return "".join(c for c in found if c.isprintable())[:200]
    return "without a reason"


def _control(kind: int, body: bytes) -> bytes:
    return _message(_CONTROL_CHUNKS, kind, 0, 0, body)


def _message(chunks: int, kind: int, stamp_ms: int, number: int, body: bytes, chunk_bytes: int = CHUNK_BYTES) -> bytes:
    stamp_ms &= 0xFFFFFFFF
    extension = struct.pack(">I", stamp_ms) if stamp_ms >= 0xFFFFFF else b""
    head = bytes((chunks,)) + min(stamp_ms, 0xFFFFFF).to_bytes(3, "big") + len(body).to_bytes(3, "big")
    parts = [head, bytes((kind,)), number.to_bytes(4, "little"), extension, body[:chunk_bytes]]
    for at in range(chunk_bytes, len(body), chunk_bytes):
        parts += (bytes((0xC0 | chunks,)), extension, body[at : at + chunk_bytes])
    return b"".join(parts)
