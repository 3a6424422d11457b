"""The level a path carries, on a path that is simulated: its rate, its queue, and what is reported of it."""

from __future__ import annotations

import pytest

from framecast.core.ladder import LADDER
from framecast.output.webrtc.quality import LONGEST_PAUSE_S, Controller, _cost

SOURCE_BPS = 1_500_000.0
WIDTH_PX, FPS = 640, 30.0


class Path:
    """A path of a certain rate with a queue of half a second; what does not fit is lost."""

    def __init__(self, rate_bps: float, *, deep: bool = False) -> None:
        self.rate_bps = rate_bps
        self.now_s = 0.0
        self.controller = Controller(0.0, width_px=WIDTH_PX, fps=FPS)
        self.levels: list[int] = []
        self._queue_s = 20.0 if deep else 0.3
        self._queued_bits = 0.0

    def second(self) -> None:
        """One second of sending, and the report at its end."""
        level = LADDER[self.controller.level]
        sent = SOURCE_BPS * _cost(level, WIDTH_PX, FPS) / _cost(LADDER[0], WIDTH_PX, FPS)
        waiting = self._queued_bits + sent
        left = max(0.0, waiting - self.rate_bps)
        kept = min(left, self._queue_s * self.rate_bps)
        self._queued_bits = kept
        self.now_s += 1
        rtt_s = 0.02 + kept / self.rate_bps
        self.controller.report(self.now_s, lost=min(1.0, (left - kept) / sent), rtt_s=rtt_s, sent_bps=sent)
        self.levels.append(self.controller.level)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.second()


def test_a_good_path_stays_at_the_best() -> None:
    path = Path(20e6)
    path.run(60)
    assert set(path.levels) == {0}
    assert "everything" in path.controller.reason


@pytest.mark.parametrize("deep", [False, True])
def test_a_path_that_is_cut_goes_on_within_five_seconds_and_comes_back(deep: bool) -> None:
    path = Path(20e6, deep=deep)
    path.run(10)
    path.rate_bps = 300e3
    path.run(5)
    assert path.controller.level >= 2
    assert "lost" in path.controller.reason or "late" in path.controller.reason
    path.run(60)
    steady = path.levels[-30:]
    assert sum(level >= 2 for level in steady) >= 22  # a try now and then
    path.rate_bps = 20e6
    path.run(15 + round(LONGEST_PAUSE_S))
    assert path.controller.level == 0


def test_a_step_that_was_too_much_is_tried_less_and_less_often() -> None:
    path = Path(250e3)
    path.run(120)
    tries = sum(after < before for before, after in zip(path.levels[60:], path.levels[61:], strict=False))
    assert tries <= 60 / LONGEST_PAUSE_S + 1


def test_a_report_of_loss_by_accident_changes_nothing() -> None:
    controller = Controller(0.0)
    for second in range(1, 60):
        lost = 0.15 if second % 7 == 0 else 0.0
        assert not controller.report(float(second), lost=lost, rtt_s=0.03, sent_bps=1e6)
    assert controller.report(60.0, lost=0.5, rtt_s=None, sent_bps=1e6)
    assert controller.level >= 1


def test_below_the_last_level_there_is_none() -> None:
    controller = Controller(0.0)
    for second in range(1, 30):
        controller.report(float(second), lost=0.9, rtt_s=0.03, sent_bps=1e5)
    assert controller.level == len(LADDER) - 1
    controller.forgo(2, "it can't be made")
    assert (controller.level, controller.reason) == (2, "it can't be made")
