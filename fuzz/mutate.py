"""Damages inputs the way devices, networks and attackers do: one to four small changes."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

MAX_BYTES = 8192
"""Of an ordinary input; an amplified one may have ``AMPLIFIED_BYTES``."""

AMPLIFIED_BYTES = 65_536

_NUMBER = re.compile(rb"[0-9]{1,12}")
_NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"2",
    b"7",
    b"40",
    b"255",
    b"65535",
    b"65536",
    b"4294967295",
    b"99999999999999999999",
    b"",
)
_BYTES = (0x00, 0xFF, 0x0A, 0x0D, 0x2D, 0x3A, 0x20, 0xD8, 0xD9, 0xDA, 0x7F, 0x80)


class Mutator:
    """Makes new inputs out of old ones.

    Args:
        rng: Decides everything.
        tokens: Pieces that mean something to the parser.
    """

    def __init__(self, rng: random.Random, tokens: Sequence[bytes]) -> None:
        self._rng = rng
        self._tokens = tokens
        self._ways = (
            self._set,
            self._set,
            self._insert_token,
            self._insert_token,
            self._remove,
            self._remove,
            self._repeat,
            self._number,
            self._move,
            self._truncate,
            self._insert_random,
        )

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """A damaged ``data``, sometimes with a piece of ``other``."""
        rng = self._rng
        roll = rng.random()
        if roll < 0.08:
            data = self._splice(data, other)
        elif roll < 0.083:
            data = self._amplify(data)
        changes = 1 + int(rng.random() * 4)
        for _ in range(changes):
            data = self._ways[int(rng.random() * len(self._ways))](data)
        return data if len(data) <= MAX_BYTES or (roll >= 0.08 and len(data) <= AMPLIFIED_BYTES) else data[:MAX_BYTES]

    def _at(self, data: bytes) -> int:
        return int(self._rng.random() * (len(data) + 1))

    def _range(self, data: bytes) -> tuple[int, int]:
        rng = self._rng
        start = self._at(data)
        longest = 4 if rng.random() < 0.5 else max(4, len(data) // 4)
        return start, min(len(data), start + 1 + int(rng.random() * longest))

    def _set(self, data: bytes) -> bytes:
        rng = self._rng
        at = self._at(data)
        roll = rng.random()
        if roll < 0.5:
            byte = _BYTES[int(rng.random() * len(_BYTES))]
        elif roll < 0.8 and at < len(data):
            byte = data[at] ^ (1 << int(rng.random() * 8))
        else:
            byte = int(rng.random() * 256)
        return b"%b%c%b" % (data[:at], byte, data[at + 1 :])

    def _insert_token(self, data: bytes) -> bytes:
        at = self._at(data)
        token = self._tokens[int(self._rng.random() * len(self._tokens))]
        return data[:at] + token + data[at:]

    def _insert_random(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._rng.randbytes(1 + int(self._rng.random() * 16)) + data[at:]

    def _remove(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._range(data)
        times = 2 + int(self._rng.random() * 6)
        if (end - start) * times > MAX_BYTES:
            return data
        return data[:start] + data[start:end] * times + data[end:]

    def _move(self, data: bytes) -> bytes:
        start, end = self._range(data)
        rest = data[:start] + data[end:]
        at = self._at(rest)
        return rest[:at] + data[start:end] + rest[at:]

    def _truncate(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] if self._rng.random() < 0.7 else data[at:]

    def _number(self, data: bytes) -> bytes:
        found = _NUMBER.search(data, self._at(data)) or _NUMBER.search(data)
        if found is None:
            return data
        rng = self._rng
        if rng.random() < 0.5:
            text = _NUMBERS[int(rng.random() * len(_NUMBERS))]
        else:
            text = b"%d" % max(0, int(found[0]) + int(rng.random() * 41) - 20)
        return data[: found.start()] + text + data[found.end() :]

    def _splice(self, data: bytes, other: bytes) -> bytes:
        return data[: self._at(data)] + other[self._at(other) :]

    def _amplify(self, data: bytes) -> bytes:
        """A small piece very often: what is quadratic shows itself."""
        start, end = self._range(data)
        end = min(end, start + 64)
        if start == end:
            return data
        times = (AMPLIFIED_BYTES - len(data)) // (end - start) - 64
        return data[:start] + data[start:end] * max(1, times) + data[end:]
