"""The API against its own reference: requests made from it, right ones and wrong ones (`make fuzz-api` makes more)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fuzz import api

from framecast.service.api import answers, openapi, schemas
from framecast.service.api.table import make_table
from tests.service.serving import serving


def test_requests_made_from_the_reference_find_nothing() -> None:
    findings = api.run(80, seed=1, rounds=2, per_turn=1)
    assert not findings.found
    assert {200, 400, 404} <= set(findings.statuses)
    assert findings.requests > 80


@pytest.mark.anyio
async def test_no_operation_is_left_out_without_a_reason(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        rows = [row for row in make_table(server.service).routes if not row.websocket]
        asked = {each.label for each in api.operations(await server.json("GET", "/api/openapi.json"))}
    every = {f"{row.method} {row.path.replace(':path}', '}')}" for row in rows}
    assert asked == every - api.LEFT.keys()
    assert api.LEFT.keys() <= every
    assert all(api.LEFT.values())


@pytest.mark.anyio
async def test_says_what_each_request_holds_and_each_answer_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        rows = make_table(server.service).routes
        paths = (await server.json("GET", "/api/openapi.json"))["paths"]
    for row in rows:
        operation = paths[row.path.replace(":path}", "}")][row.method.lower()]
        code, answer = next(iter(operation["responses"].items()))
        assert code in ("101", "200", "201", "204"), row
        assert bool(answer.get("content")) == (code not in ("101", "204") and row.answer != "200"), row
        assert all(re.fullmatch(r"[\w*-]+/[\w.+*-]+", kind) for kind in answer.get("content", {})), row
        content = operation.get("requestBody", {}).get("content", {})
        assert bool(content) == bool(row.body)
        if "application/json" in content:
            assert (row.method, row.path) in schemas.BODIES, "a program that reads it can't make a request"
        if "application/json" in answer.get("content", {}):
            assert answer["content"]["application/json"]["schema"], row
    every = {(row.method, row.path) for row in rows}
    assert schemas.BODIES.keys() | answers.ANSWERS.keys() | schemas.MAKING <= every


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
