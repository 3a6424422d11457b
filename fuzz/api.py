"""The API against its own reference: ``python -m fuzz.api [--seconds N]``.

Requests are made by schemathesis from ``/api/openapi.json``, right ones and wrong ones, and sent to a real server on
loopback (``fuzz/house.py``), by its owner mostly, and now and then by a viewer, with a token, and by nobody. Looked for
are: answers of 500 and above that are not the documented 503, 504 and 507; errors that are no JSON of the documented
form; answers of a type that the reference does not name; what somebody did without the right; a server that holds its
loop for 100 ms; and descriptors, tasks or memory that grow.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Err

from fuzz.corpus import add_counts, save_crash
from fuzz.house import BODIES, CALLERS, MEDIA, Canary, House, path_of, session_from, session_of_many

URLS = ("push:", "mock:?fps=5&size=64x64", "mock:", "127.0.0.1:9", "http://127.0.0.1:9/stream", "rtsp://localhost/")
PER_TURN = 8
"""Requests to one operation in a row."""
HOLD_S = 0.1
LEFT: dict[str, str] = {}
"""Operations that are left out, and why. WebSockets are no requests: tests/service/test_hostile_sockets.py has them."""
ALLOWED = {503, 504, 507}
GROWTH_BYTES = 24 << 20
WARM_ROUNDS = 2
"""So often all operations are asked for before what the server uses counts as its own: much is loaded at first use."""
LOG_IN = {"/api/v1/session", "/api/v1/setup", "/api/v1/setup/code", "/api/v1/password"}
"""Slowed down by address and account, whatever is configured."""
READING = {"get", "head", "options"}
NOT_THEIRS = {"operate", "own"}
"""Rights that none but the owner has here."""


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(context: schemathesis.SerializationContext, value: object) -> bytes:
    """What is sent as a description of a session."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@dataclass
class Findings:
    """What a run has seen."""

    statuses: Counter[int] = field(default_factory=Counter)
    found: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    """Requests by operation."""
    done: set[str] = field(default_factory=set)
    """Operations that have said yes."""

    def add(self, what: str, request: str) -> None:
        """A finding, kept once a kind."""
        if what not in self.found:
            self.found[what] = request
            save_crash("api", request.encode(), what)


class Client:
    """Sends cases and judges the answers."""

    def __init__(self, house: House, findings: Findings, chance: random.Random) -> None:
        self._house = house
        self._findings = findings
        self._chance = chance
        self._session = session_from("127.0.0.1")
        self._changed = False
        self._canary = Canary(house.url, house.process.pid)
        self._canary.start()

    def close(self) -> None:
        """End the canary."""
        self._canary.stopped.set()
        self._canary.join()
        self._session.close()

    def send(self, case: Case[Any]) -> None:
        """Send one, and look at the answer's head and at what has come of its body by then."""
        caller = self._chance.choices([*CALLERS], [*CALLERS.values()])[0]
        self._make_real(case)
        try:
            options = case.as_transport_kwargs(base_url=self._house.url)
            prepared = self._session.prepare_request(
                requests.Request(**{key: value for key, value in options.items() if key != "timeout"})
            )
        except (UnicodeError, ValueError, requests.RequestException):
            return  # nothing that HTTP can carry
        self._house.dress(prepared, caller)
        self._changed = False
        self._canary.take()
        self._try(case, prepared, caller)
        if self._canary.take() > HOLD_S and all(self._holds(case, prepared, caller) for _ in range(3)):
            self._findings.add(f"{case.operation.label} holds the loop", _text(prepared))
        if self._changed:
            self._house.restore()

    def _make_real(self, case: Case[Any]) -> None:
        """Put what there is in place of what was made up, now and then."""
        path, chance = case.operation.path, self._chance
        for name in case.path_parameters or {}:
            if chance.random() < 0.7 and (found := self._house.real(path, name)):
                case.path_parameters[name] = chance.choice(found)
        bodies = BODIES.get((case.operation.method.lower(), path))
        if bodies is not None and chance.random() < 0.3:
            case.body = dict(chance.choice(bodies(self._house)))
        elif isinstance(case.body, dict) and path == "/api/v1/tunnel":
            case.body.pop("authtoken", None)  # with one, ngrok would be asked what it is worth
        elif isinstance(case.body, dict) and "url" in case.body and chance.random() < 0.5:
            case.body["url"] = chance.choice(URLS)
        elif case.media_type in MEDIA and chance.random() < 0.5:
            case.body = MEDIA[case.media_type]

    def _holds(self, case: Case[Any], prepared: requests.PreparedRequest, caller: str) -> bool:
        self._canary.take()
        self._try(case, prepared, caller)
        return self._canary.take() > HOLD_S

    def _try(self, case: Case[Any], prepared: requests.PreparedRequest, caller: str) -> None:
        self._findings.requests += 1
        label = case.operation.label
        self._findings.operations[label] += 1
        refused = False
        try:
            with (
                self._from(case.operation.path) as session,
                session.send(prepared, stream=True, timeout=(5, 15), allow_redirects=False) as answer,
            ):
                self._judge(label, case, prepared, answer)
                right = case.operation.definition.raw["x-right"]
                if (
                    caller != "boss"
                    and right in NOT_THEIRS
                    and answer.status_code < 300
                    and prepared.method != "OPTIONS"
                ):
                    self._findings.add(f"{label} is done by {caller}, without the right", _text(prepared))
                if case.operation.path.endswith("/whep") and answer.status_code == 201:
                    self._house.viewers = [*self._house.viewers[-1:], path_of(answer.headers["Location"])]
        except requests.Timeout:
            self._findings.add(f"{label} says nothing for 15 s", _text(prepared))
        except requests.ConnectionError as error:
            if self._house.process.poll() is not None:
                raise RuntimeError("the server has ended") from error
            self._findings.statuses[0] += 1
        if not refused and case.operation.method.lower() not in READING:
            self._changed = True

    def _compare(self, label: str, case: Case[Any], prepared: requests.PreparedRequest, said: Any) -> None:
        """Hold an answer against its schema."""
        for code, one in case.operation.definition.raw["responses"].items():
            schema = one.get("content", {}).get("application/json", {}).get("schema", {})
            if code.startswith("2"):
                for error in jsonschema_rs.validator_for(schema).iter_errors(said):
                    where = "/".join(str(each) for each in error.instance_path if isinstance(each, str))
                    self._findings.add(
                        f"{label} answers {where or 'something'} wrong: {error.message}"[:300], _text(prepared)
                    )

    @contextlib.contextmanager
    def _from(self, path: str) -> Iterator[requests.Session]:
        """The session that this is to be asked in."""
        if path not in LOG_IN:
            yield self._session
            return
        with session_of_many(self._chance) as session:
            yield session

    def _judge(
        self, label: str, case: Case[Any], prepared: requests.PreparedRequest, answer: requests.Response
    ) -> None:
        status = answer.status_code
        self._findings.statuses[status] += 1
        if status < 300:
            self._findings.done.add(label)
        if status >= 500 and status not in ALLOWED:
            self._findings.add(f"{label} answers {status}", _text(prepared))
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if status >= 400 and prepared.method != "HEAD":
            try:
                error = answer.json()["error"]
                whole = isinstance(error["code"], str) and isinstance(error["message"], str)
            except (ValueError, KeyError, TypeError):
                whole = kind == "text/html" and "text/html" in (prepared.headers.get("Accept") or "")
            if not whole:
                self._findings.add(f"{label}: the error {status} is none", _text(prepared))
        elif status < 300 and kind:
            named = {
                each
                for code, one in case.operation.definition.raw["responses"].items()
                for each in one.get("content", {})
                if code.startswith("2")
            }
            if named and not named & {kind, "*/*"}:
                self._findings.add(f"{label} answers {kind}, and not one of {sorted(named)}", _text(prepared))
            if kind == "application/json" and prepared.method != "HEAD":
                self._compare(label, case, prepared, answer.json())


def _text(prepared: requests.PreparedRequest) -> str:
    body = prepared.body
    shown = body[:2000] if isinstance(body, (bytes, str)) else body
    return f"{prepared.method} {prepared.url}\n{dict(prepared.headers)}\n\n{shown!r}"


def operations(document: dict[str, Any]) -> list[Any]:
    """All operations but WebSockets, and those that `LEFT` names."""
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        kept = {
            method: one
            for method, one in methods.items()
            if "101" not in one["responses"] and f"{method.upper()} {path}" not in LEFT
        }
        if kept:
            paths[path] = kept
    schema = schemathesis.openapi.from_dict({**document, "paths": paths})
    every = []
    for found in schema.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        every.append(found.ok())
    return every


def strategies(every: list[Any], seed: int) -> Iterator[Any]:
    """Operations in random order, for ever, with right and wrong requests in turn."""
    chance = random.Random(seed)
    for round_ in itertools.count():
        chance.shuffle(every)
        mode = GenerationMode.POSITIVE if round_ % 2 == 0 else GenerationMode.NEGATIVE
        for operation in every:
            yield operation.as_strategy(generation_mode=mode)


@contextlib.contextmanager
def server() -> Iterator[House]:
    """One in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, House(Path(folder)) as running:
        yield running


def run(seconds: float, seed: int, rounds: int | None = None, per_turn: int = PER_TURN) -> Findings:
    """Send requests for so long, and no more often round all operations than ``rounds``."""
    findings = Findings()
    with server() as running:
        document = requests.get(running.url + "/api/openapi.json", timeout=10).json()
        client = Client(running, findings, random.Random(seed))
        before: dict[str, float] | None = None
        began = time.monotonic()
        try:
            every = operations(document)
            limit = None if rounds is None else rounds * len(every)
            for number, strategy in enumerate(itertools.islice(strategies(every, seed), limit)):
                if time.monotonic() - began > seconds:
                    break
                if number == WARM_ROUNDS * len(every):
                    before = running.figures()
                turn(client, strategy, per_turn)
        finally:
            client.close()
        after = running.figures()
        for name, most in (("fds", 10), ("tasks", 10), ("rss_bytes", GROWTH_BYTES)):
            if before is not None and after[name] - before[name] > most:
                findings.add(f"{name} grew from {before[name]} to {after[name]}", "the whole run")
        log = running.log.read_text(errors="replace")
        for line in re.findall(r"^.*(?:a request failed|Traceback).*$", log, re.M):
            findings.add(f"the log says: {line}", log[-20_000:])
    return findings


def turn(client: Client, strategy: Any, count: int) -> None:
    """A few requests to one operation."""

    @settings(
        max_examples=count,
        deadline=None,
        verbosity=Verbosity.quiet,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def send(case: Case[Any]) -> None:
        client.send(case)

    # Nothing about some operations can be made wrong.
    with contextlib.suppress(Unsatisfiable):
        send()


def main() -> int:
    """Runs it; the exit status is 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.api", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers (default: the clock)")
    options = parser.parse_args()
    os.environ["PYTHONWARNINGS"] = "ignore"
    findings = run(options.seconds, time.time_ns() if options.seed is None else options.seed)
    sums = add_counts({"api": findings.requests, "api seconds": round(options.seconds)})
    print(f"{findings.requests:,} requests, {sums['api']:,} in {sums['api seconds']:,} s over all runs")
    print(
        "answers:", ", ".join(f"{status or 'none'}: {count:,}" for status, count in sorted(findings.statuses.items()))
    )
    refused = sorted(findings.operations.keys() - findings.done)
    print(f"operations: {len(findings.operations)}; none but refusals from: {', '.join(refused) or 'none of them'}")
    for what, request in findings.found.items():
        print(f"\nFOUND {what}\n{json.dumps(request)[:1500]}")
    return 1 if findings.found else 0


if __name__ == "__main__":
    sys.exit(main())
