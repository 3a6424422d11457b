"""Coded video to many: whatever happens, nobody is given a packet that can't be decoded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.core import fanout
from framecast.core.keyed import MOST_WAITING, KeyedFanout
from framecast.core.packet import Packet
from framecast.core.track import Track

from .fakes import Connection, Labels, ManualLoop, packet

KEY_LABEL = "k"


class KeyLabels(Labels):
    """``Fk3,`` is key packet 3 as a first part, ``4,`` a packet that needs it."""

    def _label(self, prefix: str, packet: Packet) -> bytes:
        return super()._label(prefix + (KEY_LABEL if packet.key else ""), packet) + b","


class CodedStage:
    """A coded track with a fan-out on it."""

    def __init__(self, *, answers_key_wishes: bool = True) -> None:
        self.loop = ManualLoop()
        self.track = Track("h264", ring_packets=100, since_key=True)
        self.key_wishes = 0
        if answers_key_wishes:
            self.track.on_key_wanted = self._wish
        options: dict[str, Any] = {"loop": self.loop.real, "clock": self.loop.clock}
        self.fanout = KeyedFanout(KeyLabels(), self.track, **options)
        self.track.attach(self.fanout)
        self._numbers = itertools.count(1)

    def _wish(self) -> None:
        self.key_wishes += 1

    def join(self, name: str = "") -> Connection:
        connection = Connection(name)
        self.fanout.add(connection.seat)
        return connection

    def push(self, *, key: bool = False, settle: bool = True) -> None:
        self.track.publish(packet(next(self._numbers), key=key, at_ns=self.loop.clock.now_ns()))
        if settle:
            self.loop.advance(0.04)


@contextmanager
def one_write_a_turn() -> Iterator[None]:
    """A pass takes as many iterations of the loop as there are viewers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fanout, "SLICE_S", -1.0)
        patch.setattr(fanout, "WRITES_PER_CLOCK_READ", 1)
        yield


def said(viewer: Connection) -> str:
    """All a viewer was given."""
    return b"".join(viewer.written).decode().replace(",", " ").strip()


def test_a_newcomer_waits_for_a_key_packet_and_asks_for_it() -> None:
    stage = CodedStage()
    stage.push(key=True)
    for _ in range(20):
        stage.push()
    viewer = stage.join()
    assert stage.key_wishes == 1
    stage.push()
    assert viewer.written == []
    stage.push(key=True)
    stage.push()
    assert said(viewer) == "Fk23 24"


def test_a_newcomer_begins_with_a_young_key_packet() -> None:
    stage = CodedStage()
    stage.push(key=True)
    stage.push()
    viewer = stage.join()
    stage.push()
    assert said(viewer) == "Fk1 2 3"
    assert viewer.counts[0] == 3


def test_where_no_key_packet_can_be_asked_for_what_is_kept_is_given() -> None:
    stage = CodedStage(answers_key_wishes=False)
    stage.push(key=True)
    for _ in range(30):
        stage.push()
    viewer = stage.join()
    assert said(viewer).startswith("Fk1 2 3 4 5")


def test_who_is_behind_goes_on_at_a_key_packet() -> None:
    stage = CodedStage()
    viewer, witness = stage.join(), stage.join()
    stage.push(key=True)
    viewer.held = True
    stage.push()
    stage.push()
    wishes = stage.key_wishes
    viewer.drain()
    assert stage.key_wishes == wishes + 1
    stage.push()
    stage.push(key=True)
    stage.push()
    assert said(viewer) == "Fk1 2 k5 6"
    assert said(witness) == "Fk1 2 3 4 k5 6"
    assert (viewer.counts, witness.counts) == ((4, 2, 0), (6, 0, 0))


def test_who_drained_before_the_next_packet_missed_nothing() -> None:
    stage = CodedStage()
    viewer = stage.join()
    stage.push(key=True)
    viewer.held = True
    stage.push()
    viewer.drain()
    stage.push()
    assert said(viewer) == "Fk1 2 3"


def test_a_flood_costs_everybody_the_same() -> None:
    stage = CodedStage()
    viewers = [stage.join() for _ in range(100)]
    stage.push(key=True)
    now = stage.loop.now
    stage.fanout._passing = True  # a pass that does not end
    for number in range(MOST_WAITING + 1):
        stage.fanout.push(packet(100 + number, key=False))
    stage.fanout._passing = False
    stage.fanout._waiting.clear()
    assert stage.loop.now == now
    assert stage.fanout.overruns == MOST_WAITING
    stage.push()
    stage.push(key=True)
    assert {said(viewer) for viewer in viewers} == {"Fk1 k3"}


def test_who_drained_after_a_flood_waits_for_a_key_packet() -> None:
    with one_write_a_turn():
        stage = CodedStage()
        slow, *others = [stage.join() for _ in range(4)]
        stage.push(key=True)
        slow.held = True
        stage.push(settle=False)
        for _ in range(MOST_WAITING + 1):
            stage.push(settle=False)
        slow.drain()
        stage.loop.settle()
        stage.push()
        stage.push(key=True)
        stage.push()
    last = MOST_WAITING + 6
    assert {said(each) for each in (slow, *others)} == {f"Fk1 2 k{last - 1} {last}"}
    assert {each.counts for each in (slow, *others)} == {(4, last - 4, 0)}


def test_who_drained_after_all_was_forgotten_waits_for_a_key_packet() -> None:
    stage = CodedStage()
    slow, witness = stage.join(), stage.join()
    stage.push(key=True)
    slow.held = True
    stage.push()
    stage.track.clear()
    slow.drain()
    stage.push()
    stage.push(key=True)
    assert said(slow) == said(witness) == "Fk1 2 k4"


@dataclass(frozen=True)
class Scene:
    """What happens, in this order; numbers choose a viewer."""

    key: bool
    joins: bool
    leaves: int | None
    stalls: int | None
    packets: int
    turns: int
    clears: bool
    drains: int | None


WHO = st.none() | st.integers(0, 3)
SCENES = st.builds(
    Scene, st.booleans(), st.booleans(), WHO, WHO, st.integers(0, 5), st.integers(0, 5), st.booleans(), WHO
)


@given(st.lists(SCENES, min_size=15, max_size=30))
@settings(max_examples=100, deadline=None)
def test_whatever_happens_everything_can_be_decoded(scenes: list[Scene]) -> None:
    stage = CodedStage()
    stage.fanout.most_waiting = 2
    seated = [stage.join() for _ in range(3)]
    everybody = list(seated)
    with one_write_a_turn():
        stage.push(key=True)
        for scene in scenes:
            if scene.key:
                stage.push(key=True, settle=scene.turns > 0)
            if scene.joins:
                seated.append(stage.join())
                everybody.append(seated[-1])
            if scene.leaves is not None and len(seated) > scene.leaves:
                seated.pop(scene.leaves).seat.leave()
            if scene.stalls is not None and len(seated) > scene.stalls:
                seated[scene.stalls].held = True
            for _ in range(scene.packets):
                stage.push(settle=False)
            for _ in range(scene.turns):
                stage.loop.turn()
            if scene.clears:
                stage.track.clear()
            if scene.drains is not None and len(seated) > scene.drains:
                seated[scene.drains].drain()
        stage.loop.settle()
    for viewer in everybody:
        last = None
        for label in said(viewer).split():
            number = int(label.lstrip("F" + KEY_LABEL))
            assert KEY_LABEL in label or number - 1 == last, said(viewer)
            assert last is None or number > last, said(viewer)
            assert label.startswith("F") == (last is None)
            last = number
