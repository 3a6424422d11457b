"""Reads a posted ``multipart/form-data`` body whole (RFC 7578), as devices write it.

Sketches post a picture as one field among few. The body is here already, so it is cut by searching for the boundary;
nothing is scanned twice. Devices keep the length in a ``uint16_t``: the request then ends 65,536 bytes (or several
times that) too early, without its closing boundary, and what follows would be read as another request.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from framecast.wire.errors import FormError
from framecast.wire.multipart import boundary_of

MAX_FIELDS = 32
MAX_HEAD_BYTES = 4096
MAX_FALSE_ENDS = 10_000
"""Places in one field that look like its end and are none. A picture has none; a million took 2 s."""

PICTURE_FIELDS = ("frame", "imageFile", "image")
"""Names under which devices post their picture, the most likely first."""

_PARAMETER = re.compile(rb';\s*(name|filename)\s*=\s*(?:"([^"\r\n]*)"|([^\s;"]+))', re.I)


class Field(NamedTuple):
    """One field of a form.

    Attributes:
        name: As sent; empty when the part has none.
        filename: As sent; empty when there is none. Never a path to open.
        content_type: In lower case, without parameters; empty when there is none.
        value: The bytes.
    """

    name: str
    filename: str
    content_type: str
    value: bytes


def parse_form(body: bytes, content_type: str) -> list[Field]:
    """The fields of a form, in order.

    Tolerated: bare LF, header names in any case, a missing final line end, a boundary announced with its dashes, text
    in front of the first boundary and behind the last.

    Args:
        body: Exactly the bytes that the request's Content-Length announced.
        content_type: The request's header; when it names no boundary, the body's first line is taken.

    Raises:
        FormError: ``cause`` is ``content_length_wrapped`` when the closing boundary is missing, ``bad_form`` for
            everything else that can't be read.
    """
    delimiter, start = _first_delimiter(body, content_type)
    fields: list[Field] = []
    while True:
        behind = body[start : start + 4]
        if behind.startswith(b"--"):
            return fields
        if behind.startswith(b"\r\n"):
            start += 2
        elif behind.startswith(b"\n"):
            start += 1
        elif not behind or behind == b"\r" or behind == b"-":
            raise _wrapped(body, fields)
        else:
            raise FormError("bad_form", f"{behind!r} behind a boundary")
        if len(fields) >= MAX_FIELDS:
            raise FormError("bad_form", f"more than {MAX_FIELDS} fields")
        head, value_at = _head(body, start, fields)
        end, start = _next_delimiter(body, delimiter, value_at)
        if end < 0:
            raise _wrapped(body, fields)
        fields.append(_field(head, body[value_at:end]))


def picture(fields: list[Field]) -> bytes | None:
    """The value of the field that holds a picture: by its name, else by its type, else by its first bytes."""
    for name in PICTURE_FIELDS:
        for field in fields:
            if field.name == name:
                return field.value
    for field in fields:
        if field.content_type.startswith("image/") or field.value.startswith(b"\xff\xd8\xff"):
            return field.value
    return None


def _first_delimiter(body: bytes, content_type: str) -> tuple[bytes, int]:
    """The boundary line as the body writes it, and the index behind its first occurrence."""
    boundary = boundary_of(content_type)
    if boundary:
        name = boundary.encode("utf-8", "replace")
        for line in (b"--" + name, name):
            if body.startswith(line):
                return line, len(line)
        for line in (b"--" + name, name):
            at = body.find(b"\n" + line, 0, MAX_HEAD_BYTES)
            if line.startswith(b"--") and at >= 0:
                return line, at + 1 + len(line)
        if not body:
            raise FormError("bad_form", "the body is empty")
        raise FormError("bad_form", "the announced boundary does not begin the body")
    end = body.find(b"\n", 0, 256)
    line = body[: max(end, 0)].rstrip(b"\r \t")
    if len(line) < 3 or not line.startswith(b"--"):
        raise FormError("bad_form", "no boundary is announced and the body begins with none")
    return line, len(line)


def _head(body: bytes, start: int, fields: list[Field]) -> tuple[bytes, int]:
    """The header block at ``start`` and the index behind its blank line."""
    if body.startswith((b"\r\n", b"\n"), start):
        return b"", start + (2 if body[start] == 0x0D else 1)
    limit = start + MAX_HEAD_BYTES
    at = body.find(b"\r\n\r\n", start, limit)
    bare = body.find(b"\n\n", start, at if at >= 0 else limit)
    if bare >= 0:
        return body[start:bare], bare + 2
    if at >= 0:
        return body[start:at], at + 4
    if len(body) <= limit:
        raise _wrapped(body, fields)
    raise FormError("bad_form", f"a field's headers exceed {MAX_HEAD_BYTES} bytes")


def _next_delimiter(body: bytes, delimiter: bytes, start: int) -> tuple[int, int]:
    """Where the value that begins at ``start`` ends, and the index behind the boundary; (-1, -1) for none."""
    size = len(body)
    at = start
    if body.startswith(delimiter, start):
        return start, start + len(delimiter)
    for _ in range(MAX_FALSE_ENDS):
        at = body.find(delimiter, at)
        if at < 0:
            return -1, -1
        behind = at + len(delimiter)
        if body[at - 1] == 0x0A and (behind >= size or body.startswith((b"--", b"\r\n", b"\n"), behind)):
            end = at - 1
            if end > start and body[end - 1] == 0x0D:
                end -= 1
            return end, behind
        at += 1
    raise FormError("bad_form", f"more than {MAX_FALSE_ENDS} places in a field look like its end")


def _wrapped(body: bytes, fields: list[Field]) -> FormError:
    return FormError(
        "content_length_wrapped",
        f"the form ends after {len(body)} bytes and {len(fields)} whole fields, without its closing boundary",
    )


def _field(head: bytes, value: bytes) -> Field:
    return Field(*_described(head), value)


@lru_cache(maxsize=256)
def _described(head: bytes) -> tuple[str, str, str]:
    """Name, file name and type from the lines above a value; a device writes the same ones for each picture."""
    name = filename = content_type = ""
    for line in head.split(b"\n"):
        key, _, rest = line.partition(b":")
        key = key.strip().lower()
        if key == b"content-disposition":
            for which, quoted, bare in _PARAMETER.findall(rest):
                text = (quoted or bare).decode("utf-8", "replace")
                if which.lower() == b"name":
                    name = text
                else:
                    filename = text
        elif key == b"content-type":
            content_type = rest.partition(b";")[0].strip().lower().decode("latin-1")
    return name, filename, content_type
