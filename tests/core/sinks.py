"""What every sink promises, as a suite that each of them passes.

A `Reading` is one reader of a fresh sink, with the means to look like a slow one.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Protocol

from framecast.core.packet import Packet
from framecast.core.supervise import Sink

from .fakes import JPEG

MOST_KEPT = 5
"""Packets that a sink may hold for a reader that reads nothing: the newest, and what is on its way."""


class Reading(Protocol):
    """One reader of one sink."""

    sink: Sink

    def stall(self) -> None:
        """Take nothing more."""

    def go_on(self) -> None:
        """Take what comes again."""

    def seen(self) -> list[int]:
        """Ids of all packets that reached the reader, in order."""

    def drops(self) -> int:
        """What it has lost, by its sink's account."""

    def leave(self) -> None:
        """Give the place up."""


class Weighed(Packet):
    """A packet that can be watched."""


def weighed(number: int) -> Packet:
    """A fresh packet of 25 KB."""
    return Weighed(number.to_bytes(2, "big") * 12_500, JPEG, number, number, 1, number, number)


def check_sink(make: Callable[[], Reading]) -> None:
    """Hold a kind of sink to its promises."""
    _a_reader_that_keeps_up_gets_all(make())
    _one_that_is_behind_gets_the_newest(make())
    _nothing_piles_up(make())
    _what_was_cleared_is_gone(make())
    _a_cleared_sink_goes_on(make())
    _pushing_after_the_reader_left_is_harmless(make())


def _a_reader_that_keeps_up_gets_all(reading: Reading) -> None:
    for number in range(1, 30):
        reading.sink.push(weighed(number))
        assert reading.seen() == list(range(1, number + 1))
    assert reading.drops() == 0
    assert isinstance(reading.sink.bulk, bool)
    reading.leave()


def _one_that_is_behind_gets_the_newest(reading: Reading) -> None:
    reading.sink.push(weighed(1))
    assert reading.seen() == [1]
    reading.stall()
    for number in range(2, 30):
        reading.sink.push(weighed(number))
    reading.go_on()
    reading.sink.push(weighed(30))
    seen = reading.seen()
    assert seen == sorted(set(seen)), "never back, nothing twice"
    assert seen[-2:] == [29, 30], "the newest when it goes on, and the next"
    assert len(seen) <= MOST_KEPT, "and nothing old in between"
    assert len(seen) + reading.drops() == 30, "every one it did not get is counted"
    reading.leave()


def _nothing_piles_up(reading: Reading) -> None:
    watched: list[weakref.ref[Packet]] = []
    reading.stall()
    for number in range(1, 200):
        packet = weighed(number)
        watched.append(weakref.ref(packet))
        reading.sink.push(packet)
    del packet
    gc.collect()
    assert sum(ref() is not None for ref in watched) <= MOST_KEPT
    reading.leave()


def _what_was_cleared_is_gone(reading: Reading) -> None:
    reading.sink.push(weighed(1))
    before = reading.seen()
    reading.stall()
    for number in range(2, 10):
        reading.sink.push(weighed(number))
    before = before + [each for each in reading.seen() if each not in before]
    reading.sink.clear()
    reading.go_on()
    after = reading.seen()
    assert after == before, "nothing that waited comes out"
    reading.sink.push(weighed(10))
    assert reading.seen() == [*after, 10]
    reading.leave()


def _a_cleared_sink_goes_on(reading: Reading) -> None:
    reading.sink.clear()
    reading.sink.push(weighed(1))
    reading.sink.clear()
    reading.sink.clear()
    reading.sink.push(weighed(2))
    assert reading.seen()[-1] == 2
    reading.leave()


def _pushing_after_the_reader_left_is_harmless(reading: Reading) -> None:
    reading.sink.push(weighed(1))
    seen = reading.seen()
    reading.leave()
    reading.sink.push(weighed(2))
    reading.sink.clear()
    assert reading.seen() == seen
