"""The boundary of a multipart stream: announced, seen, learned, and found inside bodies.

What the response's header announces and what the body uses differ: dashes may be part of the announced text or not,
the two may have nothing in common, or nothing is announced. So the first boundary line that is seen decides.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

_DASH = 0x2D
_MAX_EXTRA_DASHES = 8
_MAX_ADOPTED = 16  # each costs a compiled pattern; a device changes its mind once at most, an attacker with each part
_BEHIND_BODY = tuple(newlines + b"--" for newlines in (b"", b"\n", b"\r\n", b"\n\n", b"\n\r\n", b"\r\n\n", b"\r\n\r\n"))
_PRINTABLE = re.compile(rb"[!-~][ -~]{0,199}")
_PARAMETER = re.compile(r";\s*boundary\s*=\s*(?:\"((?:[^\"\\]|\\.){0,200})\"|([^\s;\"]{1,200}))", re.I)


@lru_cache(maxsize=64)
def boundary_of(content_type: str) -> str | None:
    """The boundary that a Content-Type header names, quoted or not; None when it names none."""
    found = _PARAMETER.search(content_type)
    if found is None:
        return None
    quoted, bare = found.groups()
    return re.sub(r"\\(.)", r"\1", quoted) if bare is None else bare


def can_follow(behind: bytes) -> bool | None:
    """Whether a boundary's line begins with these first bytes behind a body; None while too few of them came."""
    if behind.startswith(_BEHIND_BODY):
        return True
    return None if any(each.startswith(behind) for each in _BEHIND_BODY) else False


class Boundary:
    """What is known about one stream's boundary.

    Args:
        announced: As ``boundary_of`` gave it; None or nonsense when it must be learned.
        quirks: Where oddities are counted.

    Attributes:
        seen: How many boundary lines came so far.
        confirm_bytes: No boundary with what confirms it is longer.
        searched: So many bytes of the body that is being read need not be searched again.
    """

    def __init__(self, announced: str | None, quirks: Counter[str]) -> None:
        self.seen = 0
        self.confirm_bytes = 0
        self.searched = 0
        self._adopted = 0
        self._quirks = quirks
        self._announced: bytes | None = None
        self._needle: bytes | None = None
        text = (announced or "").encode("utf-8", "replace")
        if _PRINTABLE.fullmatch(text):
            self._announced = text
            # Until the first one is seen nobody knows whether announced dashes are part of it.
            self._look_for(b"--" + (text.lstrip(b"-") or text))

    def recognise(self, line: bytes) -> bool | None:
        """True for a boundary, False for the closing one, None for another line; blanks must be stripped."""
        known: bool | None = None
        if self.seen and self._needle is not None:
            if line in (self._needle, self._needle + b"--"):
                known = line == self._needle
        elif self._announced is not None:
            for candidate in (b"--" + self._announced, self._announced):
                if candidate.startswith(b"--") and line in (candidate, candidate + b"--"):
                    if candidate is self._announced:
                        self._quirks["boundary_with_dashes"] += 1
                    self._look_for(candidate)
                    known = line == candidate
                    break
        self.seen += known is not None
        return known

    def could_be(self, line: bytes) -> bool:
        """A line that nobody announced may be a boundary; header lines behind it are what makes it one."""
        return self._adopted < _MAX_ADOPTED and line.startswith(b"--") and _PRINTABLE.fullmatch(line) is not None

    def adopt(self, line: bytes) -> None:
        """Header lines stood behind this unknown line: from now on it is the boundary."""
        if self._announced is not None:
            self._quirks["boundary_not_found"] += 1
        self._look_for(line)
        self._adopted += 1
        self.seen += 1

    def stuck_to(self, junk: bytes) -> bytes | None:
        """The boundary that ends a line of junk, as a line of its own; None when there is none."""
        needle = self._needle
        at = junk.rfind(needle) if needle is not None else -1
        if needle is None or at < 0 or junk[at + len(needle) :].strip() not in (b"", b"--"):
            return None
        return junk[at:].strip()

    def find(self, buffer: bytearray, start: int, stop: int, *, whole: bool, in_text: bool = False) -> int:
        """Where a boundary stands in the body's bytes up to ``stop``, or -1; none is searched twice.

        Random bytes may look like a short boundary, so inside a picture it counts only with a header line behind it,
        and in text only as a line of its own.

        Args:
            buffer: Holds the body.
            start: Where it begins.
            stop: Nothing from here on belongs to it.
            whole: More bytes will not come, so what is undecided is none.
            in_text: The body is no picture.
        """
        needle = self._needle
        if needle is None:
            return -1
        searched = self.searched
        pattern = self._line if in_text else self._confirmed
        at = start + searched
        undecided = -1
        while (hit := buffer.find(needle, at, stop)) >= 0:
            at = hit + 1
            if in_text and not self._begins_line(buffer, start, hit):
                continue
            if pattern.match(buffer, hit, stop):
                return hit
            # What would confirm it may still come; a later one may be confirmed before that.
            if undecided < 0 and not whole and stop - hit < self.confirm_bytes:
                undecided = hit
        if undecided >= 0:
            self.searched = undecided - start
        else:
            self.searched = max(searched, at - start, stop - start - len(needle) + 1)
        return -1

    def trim(self, buffer: bytearray, start: int, hit: int) -> tuple[int, int]:
        """For a boundary found at ``hit``: where the body ends, and where the boundary's line begins."""
        hit = _before_dashes(buffer, start, hit)
        end = hit
        if end > start and buffer[end - 1] == 0x0A:
            end -= 1
            if end > start and buffer[end - 1] == 0x0D:
                end -= 1
        return end, hit

    def _look_for(self, line: bytes) -> None:
        self._needle = line
        ending = re.escape(line) + rb"(?:--)?[ \t]{0,8}\r?\n"
        doubled = rb"(?:-{0,8}" + ending + rb")?"
        self._line = re.compile(ending)
        self._confirmed = re.compile(ending + doubled + rb"[A-Za-z][A-Za-z0-9_-]{0,40}[ \t]{0,4}:")
        self.confirm_bytes = 2 * len(line) + 96

    @staticmethod
    def _begins_line(buffer: bytearray, start: int, hit: int) -> bool:
        hit = _before_dashes(buffer, start, hit)
        return hit == start or buffer[hit - 1] == 0x0A


def _before_dashes(buffer: bytearray, start: int, hit: int) -> int:
    """Steps back over the dashes of a boundary that what was searched for left out."""
    last = max(start, hit - _MAX_EXTRA_DASHES)
    while hit > last and buffer[hit - 1] == _DASH:
        hit -= 1
    return hit
