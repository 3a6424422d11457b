"""JSON logs: one object a line, for everything that a server writes to standard error."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from framecast.service.operations.logs import JsonFormatter

EVERYTHING = """
import logging, threading, warnings
from framecast.service.operations import logs
logs.configure("info", "json")
logging.getLogger("framecast.x").info("two\\nlines %s", "\\u2028 \\ud800", extra={"camera": "door", "level": "mine"})
warnings.warn("an old way")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()

class Broken:
    def __del__(self):
        raise KeyError("gone")

Broken()
raise ValueError("nobody's")
"""


def objects(text: str) -> list[dict[str, Any]]:
    """Each line as what it holds; all have the same four at least."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(line)
    return lines


def test_whatever_happens_becomes_an_object() -> None:
    done = subprocess.run([sys.executable, "-c", EVERYTHING], capture_output=True, text=True)
    assert done.returncode == 1
    said, warned, thread, unraisable, last = objects(done.stderr)
    assert said["message"] == "two\nlines \u2028 \ud800"
    assert (said["level"], said["camera"], said["logger"]) == ("info", "door", "x")
    assert "an old way" in warned["message"]
    assert "ZeroDivisionError" in thread["traceback"]
    assert "KeyError" in unraisable["traceback"]
    assert (last["level"], last["message"]) == ("critical", "nobody caught this: nobody's")


def test_numbers_that_json_lacks_break_no_line() -> None:
    record = logging.LogRecord("framecast.x", logging.INFO, "", 0, "%s", (1,), None)
    record.__dict__["rate"] = float("nan")
    assert json.loads(JsonFormatter().format(record), parse_constant=lambda _: 1 / 0)["rate"] == "nan"


def serve(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "framecast", "serve", "--data", str(folder / "data"), "--log-format", "json"]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    )


def test_a_server_writes_nothing_else(tmp_path: Path) -> None:
    cameras = ("--camera", "door=mock:?fps=10", "--camera", "yard=http://127.0.0.1:9/stream")
    server = serve(tmp_path, "--port", "0", *cameras, "--log-level", "debug")
    assert server.stdout is not None
    url = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
    port = int(url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /api/v1/cameras/door/snapshot.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"\x00\xff nonsense\r\n\r\n")
        while client.recv(4096):
            pass
    second = serve(tmp_path, "--port", str(port))
    said = objects(second.communicate(timeout=60)[1])
    assert second.returncode == 2
    assert "already runs" in said[-1]["message"]
    server.terminate()
    lines = objects(server.communicate(timeout=60)[1])
    assert server.returncode == 0
    assert "Server is ready!" in [line["message"] for line in lines]


def test_a_port_that_is_taken_is_said_in_json(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = serve(tmp_path, "--port", str(taken.getsockname()[1]))
        out, err = server.communicate(timeout=60)
    assert (server.returncode, out) == (2, "")
    last = objects(err)[-1]
    assert last["level"] == "critical"
    assert "the address is in use" in last["message"]
