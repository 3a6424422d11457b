from __future__ import annotations

from framecast.core.limits import Quietly


def test_one_a_period_goes_and_the_others_are_counted() -> None:
    now = [100.0]
    quietly = Quietly(1.0, lambda: now[0])
    assert [quietly.due() for _ in range(4)] == [True, False, False, False]
    assert quietly.withheld == 3
    now[0] += 1.0
    assert quietly.due()
    now[0] += 0.99
    assert not quietly.due()
