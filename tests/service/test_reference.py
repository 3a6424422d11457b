"""The API against its own reference: requests made from it, right ones and wrong ones (`make fuzz-api` makes more)."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fuzz import api, house

from framecast.service.api import answers, openapi, schemas
from framecast.service.api.table import make_table
from tests.service.serving import serving


def test_requests_made_from_the_reference_find_nothing() -> None:
    findings = api.run(80, seed=1, rounds=2, per_turn=1)
    assert not findings.found
    assert {200, 400, 404} <= set(findings.statuses)
    assert findings.requests > 80


LOOP = """
import asyncio, time

async def answer(reader, writer):
    while line := await reader.readline():
        if b"/hold" in line:
            time.sleep(0.4)
        if line == b"\\r\\n":
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextlib.contextmanager
def canary_at_a_loop() -> Iterator[tuple[house.Canary, str, int]]:
    """A canary, and the address and number of the process whose loop it watches."""
    with subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        url = f"http://127.0.0.1:{child.stdout.readline().strip()}"
        canary = house.Canary(url, child.pid)
        canary.start()
        try:
            yield canary, url, child.pid
        finally:
            canary.stopped.set()
            canary.join()
            child.terminate()


def test_a_loop_that_is_held_is_noticed() -> None:
    def held_s() -> float:
        with canary_at_a_loop() as (canary, url, _):
            requests.get(url + "/hold", timeout=30)
            canary.stopped.set()
            canary.join()  # it has its answer
            return canary.take()

    # Where it got no core itself just then, it has noticed nothing.
    assert any(held_s() > api.HOLD_S for _ in range(10))


def test_a_loop_that_waits_for_a_core_is_not_held() -> None:
    """Other work of the machine is no fault of the server's."""
    core = min(os.sched_getaffinity(0))
    busy = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"]

    def held_s() -> float:
        with canary_at_a_loop() as (canary, url, pid):
            os.sched_setaffinity(pid, {core})
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
            with subprocess.Popen(busy) as other:
                requests.get(url, timeout=30)
                while max(house.waited_s(pid).values()) < 0.5:
                    requests.get(url, timeout=30)
                other.kill()
            canary.stopped.set()
            canary.join()
            return canary.take()

    # Where the whole machine stood still just then, it can't tell.
    assert any(held_s() < api.HOLD_S for _ in range(5))


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
