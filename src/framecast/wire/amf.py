"""AMF0, in which RTMP's commands are written: the part of it that publishing needs.

Numbers, booleans, texts, objects, arrays of names, lists, dates and null are read; all but arrays, lists and dates are
written. Source: Action Message Format, AMF 0, Adobe 2007.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

MOST_VALUES = 512
MOST_DEPTH = 8

_NUMBER, _BOOLEAN, _TEXT, _OBJECT, _NULL, _UNDEFINED, _NAMED, _END, _LIST, _DATE, _LONG_TEXT = (
    0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 12,
)  # fmt: skip


class AmfError(ValueError):
    """These bytes are no AMF0 that is read here."""


def write(*values: Any) -> bytes:
    """Values one after the other."""
    return b"".join(map(_write, values))


def read(data: bytes) -> list[Any]:
    """All values in ``data``.

    Raises:
        AmfError: There are none, they end early, or are too many or too deep.
    """
    reader = _Reader(data)
    values = []
    while reader.at < len(data):
        values.append(reader.value(0))
    return values


def _write(value: Any) -> bytes:
    if value is None:
        return bytes((_NULL,))
    if isinstance(value, bool):
        return bytes((_BOOLEAN, value))
    if isinstance(value, (int, float)):
        return struct.pack(">Bd", _NUMBER, value)
    if isinstance(value, Mapping):
        parts = [bytes((_OBJECT,))]
        for name, each in value.items():
            parts += (_text(name), _write(each))
        return b"".join((*parts, b"\x00\x00", bytes((_END,))))
    return bytes((_TEXT,)) + _text(str(value))


def _text(text: str) -> bytes:
    data = text.encode()[:65_535]
    return len(data).to_bytes(2, "big") + data


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data
        self._left = MOST_VALUES

    def value(self, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MOST_DEPTH:
            raise AmfError("too many values")
        kind = self._take(1)[0]
        if kind == _NUMBER:
            return struct.unpack(">d", self._take(8))[0]
        if kind == _BOOLEAN:
            return self._take(1) != b"\x00"
        if kind == _TEXT:
            return self._text(2)
        if kind == _LONG_TEXT:
            return self._text(4)
        if kind == _OBJECT:
            return self._fields(depth)
        if kind in (_NULL, _UNDEFINED):
            return None
        if kind == _NAMED:
            self._take(4)
            return self._fields(depth)
        if kind == _LIST:
            count = int.from_bytes(self._take(4), "big")
            if count > self._left:
                raise AmfError("too many values")
            return [self.value(depth + 1) for _ in range(count)]
        if kind == _DATE:
            return struct.unpack(">d", self._take(10)[:8])[0]
        raise AmfError(f"a value of type {kind}")

    def _fields(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while True:
            name = self._text(2)
            if not name and self._data[self.at : self.at + 1] == bytes((_END,)):
                self.at += 1
                return found
            found[name] = self.value(depth + 1)

    def _text(self, length_bytes: int) -> str:
        return self._take(int.from_bytes(self._take(length_bytes), "big")).decode(errors="replace")

    def _take(self, size: int) -> bytes:
        data = self._data[self.at : self.at + size]
        if len(data) != size:
            raise AmfError("it ends early")
        self.at += size
        return data
