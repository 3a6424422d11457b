"""Coded video to many: whatever happens, nobody is given a packet that can't be decoded."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

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

    def push(self, *, key: bool = False) -> None:
        self.track.publish(packet(next(self._numbers), key=key, at_ns=self.loop.clock.now_ns()))
        self.loop.advance(0.04)


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


@given(
    st.lists(st.tuples(st.sampled_from(["key", "next", "hold", "drain", "join", "leave", "clear"]), st.integers(0, 3)))
)
@settings(deadline=None)
def test_whatever_happens_everything_can_be_decoded(steps: list[tuple[str, int]]) -> None:
    stage = CodedStage()
    seated: list[Connection] = []
    everybody: list[Connection] = []
    for step, which in steps:
        who = seated[which % len(seated)] if seated else None
        if step in ("key", "next"):
            stage.push(key=step == "key")
        elif step == "join":
            seated.append(stage.join())
            everybody.append(seated[-1])
        elif step == "clear":
            stage.track.clear()
        elif who is not None and step == "hold":
            who.held = True
        elif who is not None and step == "drain":
            who.drain()
        elif who is not None and step == "leave":
            who.seat.leave()
            seated.remove(who)
    for viewer in everybody:
        last = None
        for label in said(viewer).split():
            number = int(label.lstrip("F" + KEY_LABEL))
            assert KEY_LABEL in label or number - 1 == last, said(viewer)
            assert label.startswith("F") == (last is None)
            last = number
