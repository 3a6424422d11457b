"""HTTP/1.x answers, read as tolerantly as devices need it. What is asked is written in ``httprequest``.

Theory of operation. A response is a head (status line, header lines, blank line) and a body that is chunked, has a
length, or lasts until the connection closes. The parser gives ``Head`` as soon as the blank line is in, ``Data`` as it
comes (never held back, never joined), and ``End`` when the body is complete.

What devices do: bare LF for CRLF, ``HTTP/1.0`` or no version's worth of headers, neither length nor chunking with
HTTP/1.1 (Tasmota), folded and senseless header lines. All of it is read and counted as a quirk; only what could be
mistaken for something else is refused.

Sources: RFC 9112.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum, auto
from typing import NamedTuple

from framecast.wire.errors import ProtocolError

MAX_HEAD_BYTES = 16 * 1024
MAX_HEADERS = 100
MAX_CHUNK_LINE_BYTES = 1024

MIN_CHUNK_BYTES = 32
"""Chunks must bring so much on average: a body in chunks of one byte costs a hundred times what it brings."""

MAX_CHUNK_DEBT_BYTES = 8192 * MIN_CHUNK_BYTES

_STATUS_LINE = re.compile(rb"(?:HTTP/([0-9])(?:\.([0-9]))?|ICY) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n?")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128})[ \t]*:[ \t]*(.*)", re.S)
_CHUNK_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.S)
_WHOLE_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")


class Head(NamedTuple):
    """Everything in front of the body.

    Attributes:
        version: ``(1, 0)`` or ``(1, 1)``.
        status: The three digits.
        reason: The words behind them, often empty.
        headers: In the order they came, names as they came.
    """

    version: tuple[int, int]
    status: int
    reason: str
    headers: list[tuple[str, str]]

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header, whatever the case of its name."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), default)

    def get_all(self, name: str) -> list[str]:
        """All values of a header, whatever the case of its name."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


class Data(NamedTuple):
    """Some bytes of the body, chunk framing taken off."""

    data: bytes


class End(NamedTuple):
    """The body is complete. ``keep_alive`` says whether the connection can carry another request."""

    keep_alive: bool


Event = Head | Data | End


class _State(Enum):
    HEAD = auto()
    LENGTH = auto()
    UNTIL_CLOSE = auto()
    CHUNK_LINE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    DONE = auto()


class ResponseParser:
    """Reads one response after another from one connection.

    Call ``next_request`` before each request but the first. After ``End``, bytes are an error unless it was called.

    Args:
        method: Of the first request; the answer to ``HEAD`` has no body.

    Attributes:
        quirks: What the device does oddly but understandably, by name.
    """

    def __init__(self, method: str = "GET") -> None:
        self.quirks: Counter[str] = Counter()
        self._buffer = bytearray()
        self._state = _State.HEAD
        self._method = method
        self._left = 0
        self._looked = 0  # up to here no newline was left unread
        self._line_at = 0  # where the head's current line begins
        self._trailer_bytes = 0
        self._chunk_debt = 0
        self._keep_alive = False
        self._error: ProtocolError | None = None

    @property
    def done(self) -> bool:
        """The response is complete."""
        return self._state is _State.DONE

    @property
    def buffered_bytes(self) -> int:
        """What is held back, at most a head, or what came behind a complete response."""
        return len(self._buffer)

    def next_request(self, method: str = "GET") -> None:
        """Another request goes out over the connection; what came behind the last response belongs to its answer."""
        if self._state is not _State.DONE:
            raise RuntimeError("the response is not complete")
        self._method = method
        self._state = _State.HEAD
        self._looked = 0

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes complete. What came before an error is given first; the next call raises it.

        Raises:
            ProtocolError: It is not HTTP, or a head or chunk line is too long.
        """
        # A camera's stream is nothing but body: its bytes pass through unbuffered.
        if self._state is _State.UNTIL_CLOSE:
            return [Data(data)] if data else []
        if self._error is not None:
            raise self._error
        events: list[Event] = []
        if self._state is _State.CHUNK_LINE and not self._buffer:
            data = self._pass_whole_chunks(data, events)
            if not data:
                return events
        self._buffer += data
        try:
            while self._step(events):
                pass
            if self._state is _State.DONE and len(self._buffer) > MAX_HEAD_BYTES:
                raise ProtocolError("it goes on after its end")
        except ProtocolError as error:
            self._error = error
            self._buffer.clear()
            if not events:
                raise
        return events

    def eof(self) -> list[Event]:
        """What the end of the connection completes.

        Raises:
            ProtocolError: It ended inside the head, inside a chunk, or before the promised length.
        """
        if self._error is not None:
            raise self._error
        if self._state is _State.UNTIL_CLOSE:
            self._state = _State.DONE
            return [End(keep_alive=False)]
        if self._state is _State.DONE or (self._state is _State.HEAD and not self._buffer):
            return []
        if self._state is _State.HEAD:
            raise ProtocolError(f"closed inside the response's head, after {len(self._buffer)} bytes")
        raise ProtocolError("closed before the response was complete")

    def _step(self, events: list[Event]) -> bool:
        state = self._state
        if state is _State.HEAD:
            return self._read_head(events)
        if state is _State.LENGTH or state is _State.CHUNK:
            return self._read_counted(events)
        if state is _State.CHUNK_LINE:
            return self._read_chunk_line()
        if state is _State.CHUNK_END:
            return self._read_chunk_end()
        if state is _State.TRAILERS:
            return self._read_trailer(events)
        if state is _State.UNTIL_CLOSE and self._buffer:
            events.append(Data(self._take(len(self._buffer))))
        return False

    def _pass_whole_chunks(self, data: bytes, events: list[Event]) -> bytes:
        """Take the chunks that lie in ``data`` as a whole, as nearly all do; what is left is read step by step."""
        at = 0
        while True:
            found = _WHOLE_CHUNK_LINE.match(data, at)
            if found is None:
                break
            size, begin = int(found[1], 16), found.end()
            end = begin + size
            if size < MIN_CHUNK_BYTES or not data.startswith(b"\r\n", end):
                break
            events.append(Data(data[begin:end]))
            self._chunk_debt = max(0, self._chunk_debt + MIN_CHUNK_BYTES - size)
            at = end + 2
        return data[at:] if at else data

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer) if count == len(self._buffer) else bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    def _read_counted(self, events: list[Event]) -> bool:
        count = min(self._left, len(self._buffer))
        if count:
            events.append(Data(self._take(count)))
            self._left -= count
        if self._left:
            return False
        if self._state is _State.CHUNK:
            self._state = _State.CHUNK_END
            return True
        self._finish(events)
        return False

    def _finish(self, events: list[Event]) -> None:
        self._state = _State.DONE
        events.append(End(self._keep_alive))

    # Head

    def _read_head(self, events: list[Event]) -> bool:
        """Waits for the blank line; each byte is looked at once."""
        buffer = self._buffer
        if self._looked == 0 and buffer and buffer[0] in b"\r\n":
            del buffer[:1]  # RFC 9112, 2.2: empty lines in front of a message are ignored
            return True
        while True:
            newline = buffer.find(b"\n", self._looked, MAX_HEAD_BYTES + 1)
            at = self._line_at
            if newline < 0:
                if len(buffer) > MAX_HEAD_BYTES:
                    raise ProtocolError(f"a head of more than {MAX_HEAD_BYTES} bytes")
                if at == 0 and len(buffer) >= 5 and not buffer.startswith((b"HTTP/", b"ICY ")):
                    raise ProtocolError(f"not HTTP: it begins with {bytes(buffer[:16])!r}")
                self._looked = len(buffer)
                return False
            self._looked = self._line_at = newline + 1
            if newline == at or (newline == at + 1 and buffer[at] == 0x0D):
                break
            if at == 0 and _STATUS_LINE.fullmatch(buffer, 0, newline + 1) is None:
                raise ProtocolError(f"no status line: {bytes(buffer[:64])!r}")
        head = self._parse_head(self._take(self._looked))
        self._looked = self._line_at = 0
        if 100 <= head.status < 200 and head.status != 101:
            return True  # an interim answer (section 15.2 of RFC 9110); the real one follows
        events.append(head)
        return self._choose_body(head, events)

    def _parse_head(self, block: bytes) -> Head:
        lines = block.split(b"\n")
        found = _STATUS_LINE.fullmatch(lines[0])
        if found is None:
            raise ProtocolError(f"no status line: {lines[0][:64]!r}")
        major, minor, status, reason = found.groups()
        if major not in (None, b"1"):
            raise ProtocolError(f"HTTP version {major.decode()} where 1 is spoken")
        version = (1, 1 if minor is not None and minor != b"0" else 0)
        if version == (1, 0):
            self.quirks["http10"] += 1
        if not lines[0].endswith(b"\r"):
            self.quirks["lf_only"] += 1
        headers: list[tuple[str, str]] = []
        for line in lines[1:]:
            text = line.rstrip(b"\r")
            if not text:
                continue
            match = None if text[0] in b" \t" else _HEADER_LINE.fullmatch(text)
            if match is None:
                self.quirks["junk_header"] += 1
                continue
            if len(headers) >= MAX_HEADERS:
                raise ProtocolError(f"more than {MAX_HEADERS} headers")
            headers.append((match[1].decode("ascii"), match[2].strip().decode("latin-1")))
        return Head(version, int(status), (reason or b"").decode("latin-1").strip(), headers)

    def _choose_body(self, head: Head, events: list[Event]) -> bool:
        """RFC 9112, section 6.3."""
        connection = ",".join(head.get_all("connection")).lower()
        self._keep_alive = "close" not in connection and (head.version == (1, 1) or "keep-alive" in connection)
        if self._method == "HEAD" or head.status in (101, 204, 304):
            self._keep_alive = self._keep_alive and head.status != 101
            self._finish(events)
            return False
        if "chunked" in ",".join(head.get_all("transfer-encoding")).lower():
            self._state = _State.CHUNK_LINE
            return True
        lengths = {value.strip() for line in head.get_all("content-length") for value in line.split(",")}
        if lengths:
            text = lengths.pop()
            if lengths or not (text.isascii() and text.isdigit() and len(text) <= 20):
                raise ProtocolError("a Content-Length that is no number, or several that differ")
            self._left = int(text)
            self._state = _State.LENGTH
            return True
        if head.version == (1, 1):
            self.quirks["no_length_no_chunking"] += 1
        self._keep_alive = False
        self._state = _State.UNTIL_CLOSE
        return True

    # Chunks (RFC 9112, section 7.1)

    def _take_line(self) -> bytes | None:
        """The next line without its end, or None when it is not whole yet."""
        newline = self._buffer.find(b"\n", self._looked, MAX_CHUNK_LINE_BYTES + 1)
        if newline < 0:
            self._looked = len(self._buffer)
            if self._looked > MAX_CHUNK_LINE_BYTES:
                raise ProtocolError(f"a chunk or trailer line of more than {MAX_CHUNK_LINE_BYTES} bytes")
            return None
        self._looked = 0
        return self._take(newline + 1)[:-1].removesuffix(b"\r")

    def _read_chunk_line(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        found = _CHUNK_LINE.fullmatch(line)
        if found is None:
            raise ProtocolError(f"no chunk size: {line[:32]!r}")
        self._left = int(found[1], 16)
        self._chunk_debt = max(0, self._chunk_debt + MIN_CHUNK_BYTES - self._left)
        if self._chunk_debt > MAX_CHUNK_DEBT_BYTES:
            raise ProtocolError("nothing but tiny chunks")
        self._state = _State.CHUNK if self._left else _State.TRAILERS
        self._trailer_bytes = 0
        return True

    def _read_chunk_end(self) -> bool:
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
        elif buffer.startswith(b"\n"):
            del buffer[:1]
        elif not buffer or buffer == b"\r":
            return False
        else:
            raise ProtocolError(f"{bytes(buffer[:8])!r} where a chunk should end")
        self._state = _State.CHUNK_LINE
        return True

    def _read_trailer(self, events: list[Event]) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if line:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_HEAD_BYTES:
                raise ProtocolError(f"trailers of more than {MAX_HEAD_BYTES} bytes")
            return True
        self._finish(events)
        return False
