"""The bytes around pictures: a stream's head, the lines between its parts, and what faults make of them. No I/O."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

_LENGTH = "{length}"
_STAMP = "{stamp}"


@dataclass(frozen=True, slots=True)
class Multipart:
    """How one firmware wraps its stream, as text with CRLF.

    Attributes:
        head: Status line and headers, with the blank line.
        boundary: As in ``head``.
        chunked: HTTP chunks: each of ``before``, ``fields``, the picture and ``after`` is one (empty ones are none).
        opening: Comes once, right after the head.
        before: Comes before each part.
        fields: A part's headers, with the blank line; ``{length}`` and ``{stamp}`` are filled in.
        after: Comes after each picture.
    """

    head: str
    boundary: str
    chunked: bool = False
    opening: str = ""
    before: str = ""
    fields: str = "Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    after: str = ""

    @property
    def stamped(self) -> bool:
        """Whether parts carry the device's time."""
        return _STAMP in self.fields

    def opened(self) -> list[bytes]:
        """The writes that begin the stream: the head, then the opening where there is one."""
        return [self.head.encode(), *self._written(self.opening)]

    def part(self, picture: bytes, *, length: int | None, stamp_s: float) -> list[bytes]:
        """The writes that make one part.

        Args:
            picture: The body.
            length: What Content-Length says; None leaves the line out.
            stamp_s: What X-Timestamp says, where the dialect has it.
        """
        fields = self.fields if length is not None else without_field(self.fields, "Content-Length")
        seconds, micros = divmod(round(stamp_s * 1_000_000), 1_000_000)
        # Padded as C's %10u is where the dialect says so.
        fields = fields.replace("{length:10}", f"{length:10d}" if length is not None else "")
        fields = fields.replace(_LENGTH, str(length)).replace(_STAMP, f"{seconds}.{micros:06d}")
        return [
            *self._written(self.before),
            *self._written(fields),
            *self._framed(picture),
            *self._written(self.after),
        ]

    def text_part(self, text: str) -> list[bytes]:
        """The writes that make a part of words, as ESPHome sends when it has no picture."""
        line = "\r\n" if "\r\n" in self.fields else "\n"
        body = f"Content-Type: text/plain{line}{line}{text}"
        return [*self._written(self.before), *self._written(body), *self._written(self.after)]

    def _written(self, text: str) -> list[bytes]:
        return self._framed(text.encode()) if text else []

    def _framed(self, data: bytes) -> list[bytes]:
        return [chunk(data)] if self.chunked else [data]


def chunk(data: bytes) -> bytes:
    """One HTTP chunk, its length in lower-case hexadecimal as esp_http_server writes it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def with_faults(stream: Multipart, faults: Collection[str]) -> Multipart:
    """``stream`` as a device with ``faults`` (names of the table) writes it."""
    if "no-timestamp" in faults:
        stream = replace(stream, fields=without_field(stream.fields, "X-Timestamp"))
    if "boundary-dashes" in faults:
        stream = replace(stream, head=stream.head.replace("boundary=", "boundary=--"))
    if "doubled-boundary" in faults:
        line = f"--{stream.boundary}\r\n"
        leading = bool(stream.before or stream.opening)
        stream = replace(stream, opening=stream.opening + (line if leading else 2 * line))
    return replace(
        stream,
        head=bent(stream.head, faults),
        opening=bent(stream.opening, faults),
        before=bent(stream.before, faults),
        fields=bent(stream.fields, faults),
        after=bent(stream.after, faults),
    )


def bent(text: str, faults: Collection[str]) -> str:
    """Header lines with the faults that concern lines: odd case, no space, LF alone."""
    if "header-case" in faults:
        text = re.sub(r"(?m)^([A-Za-z-]+)(?=: )", lambda name: name[1].swapcase(), text)
    if "no-space" in faults:
        text = re.sub(r"(?m)^([A-Za-z-]+): ", r"\1:", text)
    if "lf-only" in faults:
        text = text.replace("\r\n", "\n")
    return text


def without_field(text: str, name: str) -> str:
    """Header lines without the one called ``name``, however it is written."""
    return re.sub(rf"(?im)^{name}:.*\r?\n", "", text)


def wrong_length(length: int, chance: random.Random) -> int:
    """A length near the right one that isn't it."""
    return max(0, length + chance.choice((-400, -17, -1, 1, 23, 700)))
