from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.core.packet import Packet
from framecast.core.supervise import Sink
from framecast.core.track import Track

from .fakes import Collector, packet


class Broken(Collector):
    """Raises at its second packet."""

    def push(self, packet: Packet) -> None:
        super().push(packet)
        if len(self.packets) == 2:
            raise ZeroDivisionError


def test_every_sink_gets_every_packet_and_those_of_one_reader_come_first() -> None:
    order: list[str] = []

    class Named(Collector):
        def __init__(self, name: str, *, bulk: bool) -> None:
            super().__init__(bulk=bulk)
            self.name = name

        def push(self, packet: Packet) -> None:
            order.append(self.name)

    track = Track("video")
    for name, bulk in (("many", True), ("one", False), ("many more", True), ("another", False)):
        track.attach(Named(name, bulk=bulk))
    track.publish(packet(1))
    assert order == ["one", "another", "many", "many more"]


def test_a_sink_that_raises_is_taken_off_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    track = Track("video")
    before, broken, after = Collector(), Broken(), Collector(bulk=True)
    for sink in (before, broken, after):
        track.attach(sink)
    with caplog.at_level(logging.ERROR):
        for number in range(4):
            track.publish(packet(number))
    assert before.numbers == after.numbers == [0, 1, 2, 3]
    assert broken.numbers == [0, 1]
    assert len(caplog.records) == 1


def test_sinks_may_come_and_go_during_a_packet() -> None:
    track = Track("video")
    late = Collector()

    class Fickle(Collector):
        def push(self, packet: Packet) -> None:
            super().push(packet)
            track.detach(self)
            track.attach(late)

    fickle, steady = Fickle(), Collector(bulk=True)
    track.attach(fickle)
    track.attach(steady)
    track.publish(packet(1))
    track.publish(packet(2))
    assert (fickle.numbers, steady.numbers, late.numbers) == ([1], [1, 2], [2])


@given(st.lists(st.integers(1, 400), max_size=60))
def test_the_ring_is_bounded_by_packets_and_by_bytes(sizes: list[int]) -> None:
    track = Track("video", ring_packets=10, ring_bytes=1000)
    for number, size in enumerate(sizes):
        track.publish(packet(number, bytes(size)))
        assert len(track.ring) <= track.ring_bound == 10
        assert sum(len(each.payload) for each in track.ring) <= 1000
        assert track.ring[-1] is track.latest
    numbers = [each.frame_id for each in track.ring]
    assert numbers == list(range(len(sizes)))[len(sizes) - len(numbers) :]


def test_a_packet_larger_than_the_ring_is_still_the_latest() -> None:
    track = Track("video", ring_bytes=100)
    track.publish(packet(1))
    track.publish(packet(2, bytes(5000)))
    assert [each.frame_id for each in track.ring] == [2]
    track.publish(packet(3))
    assert [each.frame_id for each in track.ring] == [3]


def test_demand_is_told_at_the_first_and_the_last() -> None:
    told: list[bool] = []
    track = Track("video", on_demand=told.append)
    one, two = Collector(), Collector()
    track.detach(one)
    track.attach(one)
    track.attach(one)
    track.attach(two)
    track.detach(one)
    assert track.wanted and told == [True]
    track.detach(two)
    track.detach(two)
    assert not track.wanted and told == [True, False]


def test_clearing_forgets_here_and_in_the_sinks() -> None:
    track = Track("video", ring_bytes=1000)
    sinks: list[Sink] = [Collector(), Collector(bulk=True)]
    for sink in sinks:
        track.attach(sink)
    for number in range(3):
        track.publish(packet(number, bytes(300)))
    track.clear()
    assert (track.latest, track.ring) == (None, ())
    assert all(isinstance(sink, Collector) and sink.clears == 1 for sink in sinks)
    for number in range(3):
        track.publish(packet(number, bytes(300)))
    assert len(track.ring) == 3, "bytes are counted from nothing again"
