"""Cameras and photos take turns."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from framecast.vision.faces.face import FacesUnavailable
from framecast.vision.faces.turns import LONGEST_PAUSE_S, Turns


def test_a_look_waits_for_no_photo_and_one_photo_for_another() -> None:
    turns, order, at_it = Turns(), [], threading.Event()

    def photo() -> None:
        at_it.set()
        with turns.photo():
            order.append("second")

    with ThreadPoolExecutor(1) as pool, turns.photo():
        pool.submit(photo)
        assert at_it.wait(20)
        with turns.look() as is_given:
            assert not is_given
        order.append("first")
    assert order == ["first", "second"]
    with turns.look() as is_given:
        assert is_given


def test_looks_are_one_at_a_time() -> None:
    turns, at_it, both = Turns(), threading.Event(), []

    def look() -> None:
        at_it.set()
        with turns.look() as is_given:
            both.append(is_given)

    with ThreadPoolExecutor(1) as pool, turns.look() as is_given:
        pool.submit(look)
        assert at_it.wait(20)
        assert is_given and not both
    assert both == [True]


def test_a_photo_leaves_as_much_time_to_looks_that_were_refused_as_it_takes() -> None:
    now_s, pauses = 0.0, []

    def pause(for_s: float) -> None:
        pauses.append(for_s)
        with turns.look() as is_given:
            assert is_given, "nobody has a turn meanwhile"

    turns = Turns(lambda: now_s, pause)
    with turns.photo():
        now_s += 0.5
        with turns.look():
            pass
    with turns.photo():
        now_s += 20.0
        with turns.look():
            pass
    assert pauses == [0.5]
    with turns.photo():
        pass
    assert pauses == [0.5, LONGEST_PAUSE_S]
    with turns.photo():
        pass
    assert pauses == [0.5, LONGEST_PAUSE_S], "nobody was refused"


def test_who_closes_waits_for_the_turn_that_is_and_there_is_no_other() -> None:
    turns, order, closing = Turns(), [], threading.Event()

    def close() -> None:
        closing.set()
        turns.close()
        order.append("closed")

    with ThreadPoolExecutor(1) as pool:
        with turns.photo():
            pool.submit(close)
            assert closing.wait(20)
            order.append("photo")
        pool.submit(order.append, "after it").result(20)
    assert order == ["photo", "closed", "after it"]
    with turns.look() as is_given:
        assert not is_given
    with pytest.raises(FacesUnavailable, match="about to stop"), turns.photo():
        pass
