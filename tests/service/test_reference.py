"""The API against its own reference: requests made from it, right ones and wrong ones (`make fuzz-api` makes more)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fuzz import api

from framecast.service.api import openapi
from tests.service.serving import serving


def test_requests_made_from_the_reference_find_nothing() -> None:
    findings = api.run(60, seed=1, rounds=2, per_turn=1)
    assert not findings.found
    assert {200, 400, 404} <= set(findings.statuses)
    assert findings.requests > 80


@pytest.mark.anyio
async def test_it_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody may ask for it, and making it takes some milliseconds of everybody's pictures."""
    made = []
    real = openapi.document

    def document(routes: Any) -> dict[str, Any]:
        made.append(routes)
        return real(routes)

    monkeypatch.setattr(openapi, "document", document)
    async with serving(tmp_path) as server:
        first = await server.json("GET", "/api/openapi.json")
        assert await server.json("GET", "/api/openapi.json") == first
    assert len(made) == 1
