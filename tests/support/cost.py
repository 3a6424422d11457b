"""What something costs, by what else costs so much on the same machine at the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

TURNS = 200_000


@contextmanager
def at_most(turns: int) -> Iterator[None]:
    """What is done within takes this thread no more CPU than so many turns of an empty loop; a turn is some 30 ns."""
    before = _turn_s()
    began = time.thread_time()
    yield
    taken_s = time.thread_time() - began
    turn_s = max(before, _turn_s())
    assert taken_s < turns * turn_s, f"{taken_s / turn_s:,.0f} turns"


def _turn_s() -> float:
    began = time.thread_time()
    for _ in range(TURNS):
        pass
    return (time.thread_time() - began) / TURNS
