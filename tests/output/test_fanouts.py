"""A WebRTC viewer goes over from one rendition to another at a key picture, and never back in time."""

from __future__ import annotations

from dataclasses import replace

from framecast.core.packet import Packet
from framecast.core.track import Track
from framecast.output.webrtc.fanouts import MOST_LAG, Scout
from tests.core.fakes import packet


class Move:
    """A viewer of one track that is about to move to another."""

    def __init__(self) -> None:
        self.old, self.new = Track("h264", since_key=True), Track("h264/320", since_key=True)
        self.wishes = 0
        self.began: list[int] = []
        self.new.on_key_wanted = self._wish
        self.old.publish(picture(7))
        self.scout = Scout(self.new, lambda key: self.began.append(key.frame_id), self.old)

    def _wish(self) -> None:
        self.wishes += 1


def picture(frame_id: int, *, key: bool = True) -> Packet:
    return packet(frame_id, key=key)


def test_it_begins_with_the_next_key_picture() -> None:
    move = Move()
    assert move.wishes == 1
    move.new.publish(picture(8, key=False))
    assert not move.began
    move.new.publish(picture(9))
    move.new.publish(picture(10))
    assert move.began == [9]
    assert not move.new.wanted
    assert move.wishes == 1


def test_a_key_picture_of_what_was_sent_before_is_no_beginning() -> None:
    move = Move()
    move.new.publish(picture(5))
    move.new.publish(picture(6))
    assert not move.began
    assert move.wishes == 3, "another one is asked for each time"
    move.new.publish(picture(7))
    assert move.began == [7]


def test_of_one_picture_one_that_is_dated_before_what_was_sent_is_no_beginning() -> None:
    move = Move()
    again = replace(picture(7), pts_ns=picture(7).pts_ns + 1)
    move.old.publish(again)
    move.new.publish(picture(7))
    assert not move.began
    move.new.publish(again)
    assert move.began == [7]


def test_one_that_is_always_behind_is_taken_all_the_same() -> None:
    move = Move()
    for frame_id in range(8, 40):
        move.old.publish(picture(frame_id))
        move.new.publish(picture(frame_id - 1))
    assert move.began == [7 + MOST_LAG]


def test_who_had_nothing_begins_with_any() -> None:
    move = Move()
    move.old.clear()
    move.new.publish(picture(1))
    assert move.began == [1]
