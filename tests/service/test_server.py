"""The server as a process: how it starts, what it says, how it stops."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from framecast.cli import main
from framecast.service.cameras.cameras import Camera
from framecast.service.front.control import SOCKET_NAME
from framecast.service.store.names import FILE_NAME
from tests.service.serving import jpeg, serving, until
from tests.service.watching import mjpeg

READY = re.compile(r"Framecast is ready at http://127\.0\.0\.1:(\d+)/\n")


class Process:
    """One `framecast serve`, from when it is ready."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "framecast", "serve", "--port", "0", "--data", str(folder / "data"), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
                env={key: value for key, value in os.environ.items() if not key.startswith(("FRAMECAST_", "STREAM_"))},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = READY.fullmatch(line)
        assert match, (line, self.log.read_text())
        self.port = int(match[1])

    def connect(self, request: str = "", timeout_s: float = 10) -> socket.socket:
        """A connection on which a request was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout_s)
        connection.sendall(request.replace("\n", "\r\n").encode())
        return connection

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit status, and how long it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(15)
        return status, time.monotonic() - began


@contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[Process]:
    """A server that is gone at the end."""
    server = Process(folder, *arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()


STOPS_IN_S = 5.0
"""As promised; the tests here that ask for it are timed ones."""
STREAM = "GET /api/v1/cameras/cam/stream.mjpeg HTTP/1.1\nHost: localhost\n\n"
UPGRADE = (
    "GET {} HTTP/1.1\nHost: localhost\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_whoever_is_connected(tmp_path: Path, number: int) -> None:
    """Viewers who read and who don't, pages, devices, half of a request, half of a body, and one who says nothing."""
    arguments = ("--camera", "cam=mock:?fps=60", "--camera", "door=push:")
    with ExitStack() as opened, serve(tmp_path, *arguments) as server:
        connections = [
            *(server.connect(STREAM) for _ in range(20)),
            *(server.connect(UPGRADE.format("/api/v1/ws")) for _ in range(5)),
            server.connect(UPGRADE.format("/api/v1/cameras/door/publish")),
            server.connect("GET /api/v1/cam"),
            server.connect("POST /api/v1/cameras/door/frames HTTP/1.1\nHost: localhost\nContent-Length: 5000\n\nabc"),
            server.connect("GET /api/v1/cameras/door/snapshot.jpg HTTP/1.1\nHost: localhost\n\n"),
            server.connect(),
        ]
        for connection in connections:
            opened.enter_context(connection)
        for connection in connections[:20]:
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        for connection in connections[20:26]:
            assert connection.recv(100).startswith(b"HTTP/1.1 101 ")
        status, took_s = server.stop(number)
        assert status == 0
        assert took_s < STOPS_IN_S
        for connection in connections[:26]:
            connection.settimeout(1)
            try:
                while connection.recv(1 << 20):
                    pass
            except ConnectionError:
                pass
        log = server.log.read_text()
        assert "Traceback" not in log
        assert " ERROR " not in log
        assert "Server is ready!\n" in log
        assert not (tmp_path / "data" / SOCKET_NAME).exists()


def test_it_stops_in_time_while_somebody_else_has_the_state_file(tmp_path: Path) -> None:
    with serve(tmp_path, "--camera", "cam=mock:?fps=5") as server, server.connect(STREAM) as viewer:
        assert viewer.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            status, took_s = server.stop()
        assert status == 0
        assert took_s < STOPS_IN_S
        assert "the history of the last minutes waits in memory" in server.log.read_text()


@pytest.mark.anyio
async def test_nobody_comes_in_while_it_stops(tmp_path: Path) -> None:
    tried: list[int] = []
    async with serving(tmp_path) as server:

        def come(_: Camera) -> None:
            with socket.socket() as late:
                tried.append(late.connect_ex(("127.0.0.1", server.port)))

        server.service.cameras.on_removed.append(come)
    assert tried == [errno.ECONNREFUSED]


@pytest.mark.anyio
async def test_lines_that_people_are_told_to_look_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.service.server.REPORT_PERIOD_S", 0.3)
    caplog.set_level(logging.INFO)

    async def logged(pattern: str) -> str:
        await until(lambda: re.search(pattern, caplog.text))
        match = re.search(pattern, caplog.text)
        assert match
        return match[1] if match.groups() else ""

    url = "mock:?fps=30&size=64x64"
    async with serving(tmp_path, {"cam": url, "door": "push:"}) as server:
        await logged(r"Background streaming thread started\n")
        await logged(rf"Broadcaster ID created for: {re.escape(url)}\n")
        async with mjpeg(server.port) as viewer:
            await viewer.part()
            await logged(rf"Connected to stream at {re.escape(url)}")
            await logged(r"subscriber added \(total: 1\)")
            await logged(r"Client \d+ connected\. Total active clients: 1\n")
            await logged(r"Frame \d+ \| FPS: \d+\.\d \| Subs: 1R \+ 0D\n")
            sent = await server.push(jpeg(1), "door")
            async with mjpeg(server.port, "/api/v1/cameras/door/stream.mjpeg") as other:
                number = await logged(
                    r"subscriber added \(total: 1\)\. Client (\d+) connected\. Total active clients: 2\n"
                )
                await other.part()
                await logged(rf"Client {number} heartbeat sent \(frame {sent['frame_id']}\)\n")


def test_a_data_folder_is_for_one_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what devices and viewers say to it makes no lines of its own in its log."""
    monkeypatch.chdir(tmp_path)
    with serve(tmp_path, "--camera", "door=push:") as server:
        assert main(["serve", "--port", "0", "--data", str(tmp_path / "data")]) == 2
        told = capsys.readouterr().err
        assert "Framecast already runs at http://127.0.0.1:" in told
        assert "Traceback" not in told
        for target in ("/%0d%0aINJECTED", "/x?y=%0aINJECTED"):
            with server.connect(f"GET {target} HTTP/1.1\nHost: a\x0bINJECTED\n\n") as connection:
                connection.recv(1000)
        assert server.stop()[0] == 0
        assert "INJECTED" not in server.log.read_text()
