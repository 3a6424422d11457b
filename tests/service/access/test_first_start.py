"""The first start of the real program off loopback, as a person sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.service.serving import PASSWORD


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A server on every address, of which nothing was read yet; it has to stop cleanly."""
    command = [sys.executable, "-m", "framecast", "serve", "--host", "0.0.0.0", "--port", "0", "--data", "data"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FRAMECAST_")}
    with (
        open(folder / "log", "a") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env=environment
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0


def post(port: int | None, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_link_makes_an_owner_once_and_is_printed_no_more(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Framecast is ready at http://")
        link = urlsplit(process.stdout.readline().split()[-1])
        assert link.path == "/setup"
        body = {"code": link.fragment, "name": "anna", "password": PASSWORD}
        status, answer = post(link.port, "/api/v1/setup", body)
        assert (status, answer["role"]) == (200, "owner")
        status, answer = post(link.port, "/api/v1/setup", {**body, "name": "eve"})
        assert (status, answer["error"]["code"]) == (409, "done")
    with started(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Framecast is ready at http://")
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
    log = (tmp_path / "log").read_text()
    assert link.fragment not in log
    assert PASSWORD not in log
    assert "an account or a token is needed" in log
