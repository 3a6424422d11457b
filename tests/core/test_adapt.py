"""The choice of a level, on simulated links in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.core.adapt import Controller, _cost
from framecast.core.ladder import LADDER
from tests.support.link import STEP_S, Link

FAST = 12_500_000.0
"""100 Mbit/s."""
CUT = 37_500.0
"""300 kbit/s."""
PICTURE_BYTES = 25_000


@dataclass
class Viewer:
    """A sender of pictures that each stand alone, its link, and who watches at the other end.

    Attributes:
        levels: (time, level) of each change.
        ages: (time, age of the newest picture shown), every 10 ms.
    """

    link: Link
    fps: float = 30.0
    picture_bytes: int = PICTURE_BYTES
    credit: int = 2
    pads: bool = True
    levels: list[tuple[float, int]] = field(default_factory=list)
    ages: list[tuple[float, float]] = field(default_factory=list)
    sent_bytes: int = 0
    padding_bytes: int = 0

    def __post_init__(self) -> None:
        self.now = 0.0
        self.controller = Controller(0.0, pads=self.pads)
        self.controller.source(640, self.fps)
        self._on_the_way: deque[tuple[int, float, int, float]] = deque()
        self._pending: float | None = None
        self._next_picture_s = 0.0
        self._due_s = 0.0
        self._number = 0
        self._shown_s = 0.0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            if self.now >= self._next_picture_s:
                self._next_picture_s += 1 / self.fps
                self._picture()
            for number in self.link.arrived(self.now):
                self._ack(number)
            if round(self.now * 1000) % 10 == 0:
                self.ages.append((self.now, self.now - self._shown_s))

    def oldest_age(self, since_s: float, until_s: float) -> float:
        return max(age for at, age in self.ages if since_s <= at <= until_s)

    def level_at(self, at_s: float) -> int:
        return next((level for since, level in reversed(self.levels) if since <= at_s), 0)

    def _size(self) -> int:
        level, top = LADDER[self.controller.level], LADDER[0]
        share = _cost(level, 640, 30) / min(level.fps or 30, 30) / (_cost(top, 640, 30) / 30)
        return max(300, round(self.picture_bytes * share))

    def _picture(self) -> None:
        controller, level = self.controller, LADDER[self.controller.level]
        fps = min(level.fps or self.fps, self.fps)
        controller.takes(controller.level, self._size() * fps)
        if self.now >= self._due_s:
            self._due_s = max(self._due_s + 1 / fps, self.now)
            if self._pending is not None:
                controller.dropped(self.now)
            self._pending = self.now
            self._pump()
        self._review()

    def _pump(self) -> None:
        if self._pending is None or len(self._on_the_way) >= self.credit:
            return
        padding, size = self.controller.padding(self.now), self._size()
        self.padding_bytes += padding
        self.sent_bytes += size + padding
        self._number += 1
        self._on_the_way.append((self._number, self.now, size + padding, self._pending))
        self.link.send(self._number, size + padding)
        self._pending = None

    def _ack(self, number: int) -> None:
        while self._on_the_way and self._on_the_way[0][0] <= number:
            _, sent_at, size, captured = self._on_the_way.popleft()
            self._shown_s = captured
            self.controller.acked(self.now, sent_at, size)
        self._pump()
        self._review()

    def _review(self) -> None:
        oldest = (self._on_the_way[0][1], self._on_the_way[0][2]) if self._on_the_way else None
        if self.controller.review(self.now, oldest):
            self.levels.append((self.now, self.controller.level))


def cut(since_s: float, until_s: float, rate: float = CUT) -> Callable[[float], float]:
    return lambda now: rate if since_s <= now < until_s else FAST


@pytest.mark.parametrize("burst_bytes", [0, 8_000, 16_000])
@pytest.mark.parametrize("picture_bytes", [25_000, 10_000, 60_000])
def test_a_link_cut_to_300_kbit(burst_bytes: int, picture_bytes: int) -> None:
    viewer = Viewer(Link(cut(10, 20), burst_bytes=burst_bytes), picture_bytes=picture_bytes)
    viewer.run(40)
    assert viewer.level_at(10) == 0
    assert viewer.level_at(12.5) > 0, "quickly down"
    assert viewer.oldest_age(15, 20) < 1.0
    assert viewer.level_at(35) == 0, "full quality within 15 s"
    assert viewer.oldest_age(25, 40) < 0.5


@pytest.mark.parametrize("seconds", [3, 30, 120])
def test_however_long_it_was_cut_it_returns(seconds: int) -> None:
    viewer = Viewer(Link(cut(5, 5 + seconds)))
    viewer.run(5 + seconds + 15)
    assert viewer.controller.level == 0
    assert seconds < 5 or viewer.oldest_age(10, 5 + seconds) < 1.0


def test_a_link_that_carries_everything_is_left_alone() -> None:
    viewer = Viewer(Link(lambda _: FAST, delay_s=0.1, jitter_s=0.05))
    viewer.run(60)
    assert viewer.levels == []
    assert viewer.padding_bytes == 0


def test_a_long_way_is_no_thin_one() -> None:
    viewer = Viewer(Link(lambda _: FAST, delay_s=0.15))
    viewer.run(30)
    assert viewer.levels == [], "credit runs out, and the link is idle"


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    rate=st.sampled_from([20_000.0, 37_500.0, 80_000.0, 200_000.0, 400_000.0, 600_000.0]),
    burst_s=st.sampled_from([0, 0.05, 0.1]),
    delay_s=st.sampled_from([0.002, 0.03, 0.1]),
    jitter_s=st.sampled_from([0.0, 0.016, 0.03]),
    fps=st.sampled_from([10.0, 25.0, 30.0]),
)
def test_on_a_steady_link_it_settles(rate: float, burst_s: float, delay_s: float, jitter_s: float, fps: float) -> None:
    viewer = Viewer(Link(lambda _: rate, burst_bytes=rate * burst_s, delay_s=delay_s, jitter_s=jitter_s), fps=fps)
    viewer.run(120)
    late = [at for at, _ in viewer.levels if at > 60]
    assert len(late) <= 8, viewer.levels
    assert viewer.oldest_age(60, 120) < 2.0, "a picture of the last level takes a while, and so does padding"
