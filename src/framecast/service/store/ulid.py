"""Ids that sort by time: 26 characters of Crockford's base 32, of which the first ten are Unix milliseconds (ULID)."""

from __future__ import annotations

import re
import secrets

LENGTH = 26
PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_TIME_LENGTH = 10
_MOST_MS = (1 << 48) - 1


def new(time_s: float) -> str:
    """An id of this Unix time that nobody has."""
    return _text(time_s, secrets.randbits(_RANDOM_BITS))


def first(time_s: float) -> str:
    """What no id of this Unix time or a later one sorts before."""
    return _text(time_s, 0)


def time_s(event_id: str) -> float:
    """The Unix time of an id, to the millisecond."""
    number = 0
    for sign in event_id[:_TIME_LENGTH]:
        number = number << 5 | _ALPHABET.index(sign)
    return number / 1000


def is_one(text: str) -> bool:
    """Whether this is written as such an id is."""
    return PATTERN.fullmatch(text) is not None


def _text(time_s: float, low: int) -> str:
    number = min(max(int(time_s * 1000), 0), _MOST_MS) << _RANDOM_BITS | low
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))
