"""Ports for those who can't take any and tell which: other programs, and settings where 0 means none."""

from __future__ import annotations

import random
import socket

_CHANCE = random.SystemRandom()
_GIVEN: set[int] = set()
BELOW_ANY = range(20_000, 32_000)
"""Systems give ports above these to those who ask for any: nobody takes one of these between two lines of a test."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, and that is given once."""
    while True:
        port = _CHANCE.choice(BELOW_ANY)
        if port in _GIVEN:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _GIVEN.add(port)
        return port
