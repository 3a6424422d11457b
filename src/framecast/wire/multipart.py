"""Cuts a device's ``multipart/x-mixed-replace`` stream into parts, whatever its firmware does wrong.

Theory of operation. The parser reads lines until a blank one (or an SOI) ends a header block, then a body:

    LINES ── headers, blank line ──► LENGTH   Content-Length is there: cut when its last byte is in, never wait for the
      ▲                                 │     boundary behind it, since devices send that with the *next* frame
      │                                 ▼
      │                              VERIFY   the promised bytes hold no end of image: was the promise too short?
      │                                 │
      │                                 ▼
      └───────────── part ─────────── SCAN    no length, or a wrong one: a JPEG ends where its segments say, anything
                                              else at the next boundary

A boundary with header lines behind it, found inside promised bytes, ends that part early: the device froze and began
anew, and the next frame must not be swallowed. A JPEG that was cut so is dropped and counted in ``faults``; every
other part is handed over, and judging pictures is left to ``jpeg.Inspector``.

Which parts come out depends on the bytes, never on how they were split. Every byte is searched once, so the time is
linear; the buffer never holds more than one part and one chunk. A stream of nothing but line ends or crumbs costs a
hundred times what pictures cost, so that after half a megabyte of it the parser is ``deaf``: it counts one fault,
ignores the rest, and the reader's stall watchdog does what it does with a camera that sends no picture.

Dialects: docs/devices.md, tests/data/. Sources: RFC 2046, section 5.1; the firmwares named there.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum, auto

from framecast.wire.boundary import Boundary, boundary_of, can_follow
from framecast.wire.jpeg import MAX_BYTES, EndFinder, is_whole
from framecast.wire.part import Part

__all__ = ["Parser", "Part", "boundary_of"]

MAX_LINE_BYTES = 2048
MAX_HEADERS = 32

STEP_BYTES = 64
"""Each line or part must bring so many bytes on average. A picture of 1 KB brings three times that."""

MAX_DEBT_BYTES = 8192 * STEP_BYTES
"""Who is behind by more sends nonsense, and 64 KB of it cost as much time as 200 pictures: it is no longer read."""

TRUE_LENGTHS = 5
"""After so many bodies in a row that were as long as they were said to be, the next one is believed to be too."""

MOST_BETWEEN_BYTES = 1024
"""Between two parts at least so much comes, or an eighth of the last one: its header lines and its first segment."""

_KEEP_BYTES = 256
"""Of a line that is too long only this much of its end is kept: a boundary may stand there."""

_HEADER_LINE = re.compile(rb"([A-Za-z][A-Za-z0-9_-]{0,63})[ \t]*:([^\r\n]*)")
_BLANK = re.compile(rb"(?:\r?\n)*")


class _State(Enum):
    DEAF = auto()
    LINES = auto()
    LENGTH = auto()
    VERIFY = auto()
    SCAN = auto()


class Parser:
    """Cuts one connection's bytes into parts.

    Args:
        boundary: What the response's Content-Type names (``boundary_of``), or None: it is then learned from the body.
        max_part_bytes: A larger part is dropped and counted; the buffer holds no more than this and one chunk.

    Attributes:
        quirks: How often the device did something odd that cost nothing, by name.
        faults: How many parts were lost, by cause.
    """

    def __init__(self, boundary: str | None, *, max_part_bytes: int = MAX_BYTES) -> None:
        self.quirks: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._max_part_bytes = max_part_bytes
        self._buffer = bytearray()
        self._at = 0  # everything before is done with
        self._dropped = 0  # bytes that left the buffer
        self._stepped_at = 0  # bytes of the stream up to the last line or part
        self._debt = 0
        self._state = _State.LINES
        self._parts: list[Part] = []
        self._boundary = Boundary(boundary, self.quirks)
        # Lines
        self._looked = 0  # of the line that is still arriving, without a newline so far
        self._too_long = False
        self._headers: dict[str, str] = {}
        self._behind_boundary = False
        self._candidate: bytes | None = None  # looks like a boundary nobody announced
        self._bodies = 0
        self._lf_only = False
        # Body; offsets count from self._at
        self._length = 0
        self._promised = False
        self._finder: EndFinder | None = None
        self._true_lengths = 0  # bodies in a row that were as long as they were said to be
        self._between_bytes = 1

    @property
    def deaf(self) -> bool:
        """It has been nonsense for so long that the rest is ignored; only a new connection helps."""
        return self._state is _State.DEAF

    @property
    def buffered_bytes(self) -> int:
        """What is held back, at most one part."""
        return len(self._buffer)

    @property
    def awaited_bytes(self) -> int:
        """How many bytes have to come before anything can be made of them; 1 where that isn't known.

        It is known of devices whose lengths have been true several times in a row: whoever reads the socket need not
        look at each of the 20 segments in which a picture comes.
        """
        if self._true_lengths < TRUE_LENGTHS:
            return 1
        if self._state is _State.LENGTH:
            return max(1, self._length - (len(self._buffer) - self._at))
        return self._between_bytes if self._state is _State.LINES else 1

    def feed(self, data: bytes) -> list[Part]:
        """The parts that these bytes complete, each as soon as its last byte is in."""
        if self._state is _State.DEAF:
            return []
        self._buffer += data
        return self._run(final=False)

    def close(self) -> list[Part]:
        """What the end of the connection completes: a part that only a boundary would have ended."""
        parts = self._run(final=True)
        if self._state not in (_State.LINES, _State.DEAF):
            self.faults["truncated"] += 1
        self._buffer.clear()
        self._state = _State.DEAF
        return parts

    def _run(self, *, final: bool) -> list[Part]:
        more = True
        while more:
            state = self._state
            if state is _State.LINES:
                more = self._read_line()
            elif state is _State.LENGTH:
                more = self._read_length(final=final)
            elif state is _State.VERIFY:
                more = self._verify_length(final=final)
            elif state is _State.SCAN:
                more = self._scan(final=final)
            else:
                more = False
                self._at = len(self._buffer)
        if self._at:
            del self._buffer[: self._at]
            self._dropped += self._at
            self._at = 0
        parts, self._parts = self._parts, []
        return parts

    def _step(self) -> None:
        """A line or a part is done: what did it bring?"""
        at = self._dropped + self._at
        self._debt = max(0, self._debt - (at - self._stepped_at)) + STEP_BYTES
        self._stepped_at = at
        if self._debt > MAX_DEBT_BYTES:
            self.faults["not_multipart"] += 1
            self._state = _State.DEAF

    # Lines

    def _read_line(self) -> bool:
        buffer, at = self._buffer, self._at
        size = len(buffer)
        if at >= size:
            return False
        if buffer[at] == 0xFF and not self._too_long:
            if size - at < 3:
                return False
            if buffer.startswith(b"\xff\xd8\xff", at):  # no blank line, or no headers at all
                self._begin_body()
                return True
        end = buffer.find(b"\n", at + self._looked)
        if end < 0:
            self._looked = size - at
            if self._looked > MAX_LINE_BYTES:
                self._at = size - _KEEP_BYTES
                self._looked = _KEEP_BYTES
                self._too_long = True
            return False
        line = bytes(buffer[at:end])
        self._at = end + 1
        self._looked = 0
        self._step()
        if self._too_long or len(line) > MAX_LINE_BYTES:
            self._too_long = False
            self._read_junk(line[-_KEEP_BYTES:])
            return True
        text = line.strip()
        if not text:
            if self._headers:
                self._begin_body()
            else:
                found = _BLANK.match(buffer, self._at)
                self._at = found.end() if found else self._at
        elif text.startswith(b"--"):
            self._read_boundary(text)
        else:
            self._read_header(line, text)
        return True

    def _read_boundary(self, text: bytes) -> None:
        known = self._boundary.recognise(text)
        self._headers = {}
        self._candidate = None
        if known is None and self._boundary.could_be(text):
            self._candidate = text
        elif known is not None and self._behind_boundary:
            self.quirks["doubled_boundary"] += 1
        self._behind_boundary = bool(known)

    def _read_header(self, line: bytes, text: bytes) -> None:
        found = _HEADER_LINE.match(text)
        if found is None or line[0] in b" \t":
            if not self._headers:
                self._read_junk(text)
            return  # folded or senseless: the others still count
        name = found[1].decode("ascii").lower()
        if self._candidate is not None:
            self._boundary.adopt(self._candidate)
            self._candidate = None
            self._behind_boundary = True
        elif not self._headers and not self._behind_boundary and not name.startswith(("content-", "x-")):
            return  # text in front of the first boundary
        if len(self._headers) >= MAX_HEADERS:
            self._headers = {}
            self._behind_boundary = False
            return
        value = found[2]
        if name == "content-length" and (value.startswith(b"  ") or value.lstrip()[:1] == b"0" != value.strip()):
            self.quirks["padded_content_length"] += 1
        self._lf_only = not line.endswith(b"\r")
        self._headers[name] = value.strip().decode("latin-1")

    def _read_junk(self, text: bytes) -> None:
        """What stands between parts; a boundary may be stuck to its end."""
        self._candidate = None
        line = self._boundary.stuck_to(text)
        if line is not None:
            self._read_boundary(line)
        else:
            self._behind_boundary = False

    # Bodies

    def _begin_body(self) -> None:
        if not self._bodies and not self._boundary.seen:
            self.quirks["no_first_boundary"] += 1
        self._bodies += 1
        if self._lf_only:
            self.quirks["lf_only"] += 1
        self._lf_only = self._behind_boundary = False
        self._candidate = None
        self._looked = self._boundary.searched = 0
        self._finder = None
        text = self._headers.get("content-length")
        self._promised = text is not None
        self._state = _State.SCAN
        if text is not None:
            if text.isascii() and text.isdigit() and len(text) <= 20 and 0 < int(text) <= self._max_part_bytes:
                self._length = int(text)
                self._state = _State.LENGTH
            else:
                self.quirks["wrong_content_length"] += 1

    def _read_length(self, *, final: bool) -> bool:
        buffer, at = self._buffer, self._at
        end = at + self._length
        whole = len(buffer) >= end
        stop = end if whole else len(buffer)
        cut = self._boundary.find(buffer, at, stop, whole=whole)
        if cut >= 0:
            self._true_lengths = 0
            self._cut_short(cut)
            return True
        if not whole:
            return final and self._rescue(stop)
        if not buffer.startswith(b"\xff\xd8", at, end) or buffer.startswith(b"\xff\xd9", end - 2):
            self._true_lengths += 1
            self._between_bytes = min(max(1, self._length // 8), MOST_BETWEEN_BYTES)
            self._deliver(end, end)
            return True
        self._true_lengths = 0
        self._finder = EndFinder()
        picture_end = self._finder.find(buffer, at, end)
        if picture_end >= 0 and not self._finder.interrupted:
            if buffer.find(b"\n--", picture_end, end) >= 0:
                self.quirks["wrong_content_length"] += 1  # a piece of the next boundary was promised too
            self._deliver(end, end)  # else it is padded behind its end
            return True
        self._state = _State.VERIFY
        return True

    def _rescue(self, stop: int) -> bool:
        """The connection ended before the promised length: the picture may be whole all the same."""
        if not is_whole(self._buffer, self._at, stop):
            return False
        self.quirks["wrong_content_length"] += 1
        self._deliver(stop, stop)
        return True

    def _verify_length(self, *, final: bool) -> bool:
        """Promised bytes without an end of image: a truncated picture if a boundary follows, else a wrong promise."""
        end = self._at + self._length
        follows = can_follow(bytes(self._buffer[end : end + 6]))
        if final or follows:
            self._deliver(end, end)
            return True
        if follows is None:
            return False
        self.quirks["wrong_content_length"] += 1
        self._finder = EndFinder()
        # A boundary whose header line goes on behind the promised bytes was passed over.
        self._boundary.searched = max(0, self._length - self._boundary.confirm_bytes)
        self._state = _State.SCAN
        return True

    def _scan(self, *, final: bool) -> bool:
        buffer, at = self._buffer, self._at
        size = len(buffer)
        if size - at < 2 and not final:
            return False
        is_jpeg = buffer.startswith(b"\xff\xd8", at)
        if not is_jpeg and not self._boundary.seen and "image" in self._headers.get("content-type", "image"):
            self._drop("not_jpeg", at)  # nothing could end it; read on by lines
            return True
        stop = min(size, at + self._max_part_bytes)
        full = size > stop
        cut = self._boundary.find(buffer, at, stop, whole=full or final, in_text=not is_jpeg)
        if is_jpeg:
            finder = self._finder = self._finder or EndFinder()
            end = finder.find(buffer, at, stop)
            if end >= 0 and (cut < 0 or end <= cut):
                if finder.interrupted:
                    self._drop("truncated", end)
                else:
                    if not self._promised:
                        self.quirks["no_content_length"] += 1
                    self._deliver(end, end)
                return True
        if cut >= 0:
            self._cut_short(cut)
            return True
        if full:
            self._drop("too_many_bytes", stop)
            return True
        if final and not is_jpeg and size > at:
            self._deliver(size, size)
            return True
        return False

    def _cut_short(self, hit: int) -> None:
        """A boundary stands inside the body, or ends it."""
        buffer, at = self._buffer, self._at
        end, hit = self._boundary.trim(buffer, at, hit)
        if buffer.startswith(b"\xff\xd8", at, end) and not is_whole(buffer, at, end):
            self._drop("truncated", hit)
            return
        if self._state is _State.LENGTH:
            self.quirks["wrong_content_length"] += 1
        self._deliver(end, hit)

    def _deliver(self, end: int, resume: int) -> None:
        part = Part(self._headers, bytes(memoryview(self._buffer)[self._at : end]))
        if part.is_text:
            self.quirks["text_part"] += 1
        self._parts.append(part)
        self._resume(resume)

    def _drop(self, cause: str, resume: int) -> None:
        self.faults[cause] += 1
        self._resume(resume)

    def _resume(self, at: int) -> None:
        self._at = at
        self._headers = {}
        self._looked = 0
        self._state = _State.LINES
        self._step()
