"""The API against its own reference: requests made from it, right ones and wrong ones (`make fuzz-api` makes more)."""

from __future__ import annotations

from fuzz import api


def test_requests_made_from_the_reference_find_nothing() -> None:
    findings = api.run(60, seed=1, rounds=2, per_turn=1)
    assert not findings.found
    assert {200, 400, 404} <= set(findings.statuses)
    assert findings.requests > 80
