"""The API against its own reference: ``python -m fuzz.api [--seconds N]``.

Requests are made by schemathesis from ``/api/openapi.json``, right ones and wrong ones, and sent to a real server on
loopback. Looked for are: answers of 500 and above that are not the documented 503, 504 and 507; errors that are no
JSON of the documented form; answers of a type that the reference does not name; a server that holds its loop for
100 ms; and descriptors, tasks or memory that grow.
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
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from fuzz.corpus import add_counts, save_crash

CAMERAS = {"cam": "mock:?fps=10&size=160x120&audio=1", "push": "push:"}
URLS = ("push:", "mock:?fps=5&size=64x64", "mock:", "127.0.0.1:9", "http://127.0.0.1:9/stream", "rtsp://localhost/")
PER_TURN = 8
"""Requests to one operation in a row."""
HOLD_S = 0.1
LEFT = {"/api/v1/tokens"}
ALLOWED = {503, 504, 507}
GROWTH_BYTES = 24 << 20
WARM_S = 10.0


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(context: schemathesis.SerializationContext, value: object) -> bytes:
    """What is sent as a description of a session."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Server:
    """``framecast serve`` with two cameras, on a free port of loopback."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "framecast", "serve", "--port", "0", "--data", str(folder / "data")]
        for camera, url in CAMERAS.items():
            command += ["--camera", f"{camera}={url}"]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            unlimited = {**os.environ, "FRAMECAST_LIMITS_REQUESTS_PER_S": "0"}
            self.process = Popen(command, stdout=PIPE, stderr=log, stdin=DEVNULL, cwd=folder, env=unlimited)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line:
            raise RuntimeError(f"the server did not start: {self.log.read_text()}")
        self.url = line.split()[-1].rstrip("/")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Canary(threading.Thread):
    """Asks for the server's health again and again: the longest answer since the last look."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._worst_s = 0.0
        self.stopped = threading.Event()

    def run(self) -> None:
        with requests.Session() as session:
            while not self.stopped.wait(0.01):
                began = time.perf_counter()
                session.get(self._url + "/healthz", timeout=30)
                self._worst_s = max(self._worst_s, time.perf_counter() - began)

    def take(self) -> float:
        """In s."""
        worst, self._worst_s = self._worst_s, 0.0
        return worst


@dataclass
class Findings:
    """What a run has seen."""

    statuses: Counter[int] = field(default_factory=Counter)
    found: dict[str, str] = field(default_factory=dict)
    requests: int = 0

    def add(self, what: str, request: str) -> None:
        """A finding, kept once a kind."""
        if what not in self.found:
            self.found[what] = request
            save_crash("api", request.encode(), what)


class Client:
    """Sends cases and judges the answers."""

    def __init__(self, server: Server, findings: Findings, chance: random.Random) -> None:
        self._server = server
        self._findings = findings
        self._chance = chance
        self._session = requests.Session()
        self._canary = Canary(server.url)
        self._canary.start()

    def close(self) -> None:
        """End the canary."""
        self._canary.stopped.set()
        self._canary.join()
        self._session.close()

    def send(self, case: Case) -> None:
        """Send one, and look at the answer's head and at what has come of its body by then."""
        if "id" in (case.path_parameters or {}) and self._chance.random() < 0.7:
            case.path_parameters["id"] = self._chance.choice(list(CAMERAS))
        if isinstance(case.body, dict) and "url" in case.body and self._chance.random() < 0.5:
            case.body["url"] = self._chance.choice(URLS)  # text made from a schema is hardly ever one
        try:
            options = case.as_transport_kwargs(base_url=self._server.url)
            prepared = self._session.prepare_request(
                requests.Request(**{key: value for key, value in options.items() if key != "timeout"})
            )
        except (UnicodeError, ValueError, requests.RequestException):
            return  # nothing that HTTP can carry
        self._canary.take()
        self._try(case, prepared)
        if self._canary.take() > HOLD_S and all(self._holds(case, prepared) for _ in range(3)):
            self._findings.add(f"{case.operation.label} holds the loop", _text(prepared))
        self._restore()

    def _holds(self, case: Case, prepared: requests.PreparedRequest) -> bool:
        self._canary.take()
        self._try(case, prepared)
        return self._canary.take() > HOLD_S

    def _try(self, case: Case, prepared: requests.PreparedRequest) -> None:
        self._findings.requests += 1
        label = case.operation.label
        try:
            with self._session.send(prepared, stream=True, timeout=(5, 15), allow_redirects=False) as answer:
                self._judge(label, case, prepared, answer)
        except requests.Timeout:
            self._findings.add(f"{label} says nothing for 15 s", _text(prepared))
        except requests.ConnectionError as error:
            if self._server.process.poll() is not None:
                raise RuntimeError("the server has ended") from error
            self._findings.statuses[0] += 1

    def _judge(self, label: str, case: Case, prepared: requests.PreparedRequest, answer: requests.Response) -> None:
        status = answer.status_code
        self._findings.statuses[status] += 1
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
                for one in case.operation.definition.raw.get("responses", {}).values()
                for each in one.get("content", {})
            }
            if named and kind not in named:
                self._findings.add(f"{label} answers {kind}, and not one of {sorted(named)}", _text(prepared))

    def _restore(self) -> None:
        """Bring back cameras that were removed or changed into others, and leave few that were added."""
        have = {each["id"]: each for each in self._session.get(self._server.url + "/api/v1/cameras").json()["cameras"]}
        for camera in set(have) - set(CAMERAS):
            self._session.delete(f"{self._server.url}/api/v1/cameras/{camera}")
        for camera, url in CAMERAS.items():
            if camera not in have:
                self._session.post(self._server.url + "/api/v1/cameras", json={"id": camera, "url": url})
            elif have[camera]["kind"] != url.partition(":")[0]:
                self._session.patch(f"{self._server.url}/api/v1/cameras/{camera}", json={"url": url})


def _text(prepared: requests.PreparedRequest) -> str:
    body = prepared.body
    shown = body[:2000] if isinstance(body, (bytes, str)) else body
    return f"{prepared.method} {prepared.url}\n{dict(prepared.headers)}\n\n{shown!r}"


def operations(document: dict[str, Any]) -> list[Any]:
    """All operations but WebSockets, and those after which there is no server to ask."""
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        kept = {method: one for method, one in methods.items() if "101" not in one["responses"] and path not in LEFT}
        if kept:
            paths[path] = kept
    schema = schemathesis.openapi.from_dict({**document, "paths": paths})
    return [found.ok() for found in schema.get_all_operations()]


def strategies(every: list[Any], seed: int) -> Iterator[Any]:
    """Operations in random order, for ever, with right and wrong requests in turn."""
    chance = random.Random(seed)
    for round_ in itertools.count():
        chance.shuffle(every)
        mode = GenerationMode.POSITIVE if round_ % 2 == 0 else GenerationMode.NEGATIVE
        for operation in every:
            yield operation.as_strategy(generation_mode=mode)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """One in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as running:
        yield running


def process_of(url: str) -> dict[str, float]:
    """What the server's process uses."""
    found: dict[str, float] = requests.get(url + "/api/v1/stats", timeout=10).json()["process"]
    return found


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
            for strategy in itertools.islice(strategies(every, seed), limit):
                if time.monotonic() - began > seconds:
                    break
                if before is None and time.monotonic() - began > min(WARM_S, seconds / 2):
                    before = process_of(running.url)
                turn(client, strategy, per_turn)
        finally:
            client.close()
        after = process_of(running.url)
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
    def send(case: Case) -> None:
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
    for what, request in findings.found.items():
        print(f"\nFOUND {what}\n{json.dumps(request)[:1500]}")
    return 1 if findings.found else 0


if __name__ == "__main__":
    sys.exit(main())
