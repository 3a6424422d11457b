"""What a target is, and how it says that a property does not hold."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import zlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass


class Broken(AssertionError):
    """A property that must hold for any input does not."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser.

    Attributes:
        name: For the command line, the corpus folder and the counts.
        run: Takes an input; see the module's docstring.
        tokens: What to damage inputs with.
        kinds: Samples of tests/data that are seeds too.
        base_s: CPU time any input may take.
        per_byte_s: CPU time each byte may take on top.
    """

    name: str
    run: Callable[[bytes], Hashable]
    tokens: tuple[bytes, ...] = (b"\x00", b"\xff")
    kinds: tuple[str, ...] = ()
    base_s: float = 0.02
    per_byte_s: float = 5e-6


def require(holds: bool, what: str) -> None:
    """Raises:
    Broken: It does not hold.
    """
    if not holds:
        raise Broken(what)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Without what libraries in C print of damage, some of it for every input."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def pieces(data: bytes) -> Iterator[bytes]:
    """The input in pieces that its own bytes settle: mostly a few, sometimes of a byte or two where it is short."""
    rng = random.Random(zlib.crc32(data))
    size = len(data)
    if size < 600 and rng.random() < 0.15:
        edges = list(range(0, size, 1 + int(rng.random() * 2)))
    elif rng.random() < 0.15:
        edges = list(range(0, size, (64, 200, 1460)[int(rng.random() * 3)]))
    else:
        edges = [0, *sorted(int(rng.random() * size) for _ in range(1 + int(rng.random() * 8)))]
    for at, end in itertools.pairwise((*edges, size)):
        yield data[at:end]
