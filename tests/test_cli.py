"""Commands as a person gives them: what they print, where, and how they exit."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from framecast import __version__
from framecast.cli import main
from framecast.cli.control import Server as Running
from framecast.core.errors import ConfigError
from framecast.service.front import control

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder and environment, with the data folder below it."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("FRAMECAST_", "STREAM_", "CAMERA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("FRAMECAST_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")

    def execute(*arguments: str) -> tuple[int, str, str]:
        status = main(list(arguments))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return execute


class Answers(http.server.BaseHTTPRequestHandler):
    """What a server says over its control socket; requests are kept in ``server.seen``."""

    def address_string(self) -> str:
        return "control socket"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append((self.command, self.path, body))  # type: ignore[attr-defined]
        status, answer = self.server.answers.get((self.command, self.path), (404, None))  # type: ignore[attr-defined]
        self.send_response(status)
        if answer is None:
            answer = b"" if status == 204 else b"<html>"
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = answer


class Server(socketserver.UnixStreamServer):
    """Serves prepared answers on a socket that listens already."""

    def __init__(self, folder: Path, answers: dict[tuple[str, str], tuple[int, bytes | None]]) -> None:
        listener = control.listen(folder)
        assert listener is not None
        super().__init__(str(folder / "unused"), Answers, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.answers = answers
        self.seen: list[tuple[str, str, Any]] = []

    def handle_error(self, *where: Any) -> None:
        # Somebody looked whether a server is here, or had read enough, and was gone before us.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*where)


@contextmanager
def running(folder: Path, **answers: tuple[int, Any]) -> Iterator[Server]:
    """A server with the data folder below ``folder``; ``GET_cameras=(200, {...})`` answers GET /api/v1/cameras."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    table: dict[tuple[str, str], tuple[int, bytes | None]] = {}
    for name, (status, answer) in answers.items():
        method, _, path = name.partition("_")
        payload = answer if isinstance(answer, bytes) or answer is None else json.dumps(answer).encode()
        table[method, "/api/v1/" + path.replace("__", "/")] = (status, payload)
    with Server(data, table) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            control.unlink(data)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A framecast process of its own, from when it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "framecast", *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Framecast is ready at http://127.0.0.1:")
            yield process
        finally:
            process.kill()


CAMERA = {
    "id": "door",
    "name": "Front door",
    "url": "http://192.168.1.20:81/stream",
    "state": "live",
    "reason": "",
    "viewers": 3,
    "video": {"width": 640, "height": 480, "fps": 14.93},
}


def test_version_and_help(run: Run) -> None:
    assert run("--version") == (0, f"framecast {__version__}\n", "")
    status, out, _ = run("serve", "--help")
    assert status == 0
    assert "--camera" in out
    assert re.search(r"By default\s.*framecast\b", out, re.DOTALL)
    assert "framecast serve --camera door=" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--port", "x"],
        ["token", "create", "a"],
        ["demo", "--video", "none.mp4"],
    ],
)
def test_misuse_exits_with_2(run: Run, arguments: list[str]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err


def test_bad_configuration_is_one_line_and_exit_status_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "framecast.toml").write_text("[server]\nprot = 1\n")
    status, out, err = run("serve")
    assert (status, out) == (2, "")
    file = tmp_path / "framecast.toml"
    accepted = "there is no such setting; did you mean server.port?"
    assert err == f"framecast: {file}, line 2: server.prot = 1 can't be used: {accepted}\n"
    file.unlink()
    for arguments, words in [
        (["serve", "--port", "70000"], "--port: server.port = 70000 can't be used: a whole number from 0 to 65535"),
        (["serve", "--camera", "door"], "--camera: camera = 'door' can't be used: ID=URL"),
        (["serve", "--preset", "fast"], "--preset: stream.preset = 'fast' can't be used: one of"),
        (["serve", "--config", "none.toml"], "none.toml: file = 'none.toml' can't be used: it can't be read"),
        (["demo", "--host", "a b"], "--host: server.host = 'a b' can't be used"),
    ]:
        status, out, err = run(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert words in err


def test_address_in_use_is_told_with_the_setting_to_change(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = run("serve", "--port", str(port))
        assert (status, out) == (2, "")
        assert f"--port: server.port = {port} can't be used: the address is in use" in err
        assert "Traceback" not in err
        monkeypatch.setenv("FRAMECAST_SERVER_LISTEN", f"127.0.0.1:{port}")
        status, out, err = run("serve", "--port", "0")
        assert (status, out) == (2, "")
        assert err.startswith(
            f"framecast: FRAMECAST_SERVER_LISTEN (environment): server.listen = '127.0.0.1:{port}' can't"
        )


def test_server_is_told_apart_from_commands_and_stops_cleanly(run: Run, tmp_path: Path) -> None:
    """The real server, its control socket, and every command that speaks to it."""
    with started("serve", "--port", "0", "--camera", "door=mock:?fps=5") as server:
        assert run("cameras", "add", "local", "http://127.0.0.1:1/", "--name", "Own")[0] == 0, "the operator may"
        assert "already" in run("cameras", "add", "local", "push:")[2]
        cameras = {item["id"]: item for item in json.loads(run("cameras", "list", "--json")[1])["cameras"]}
        assert {name: item["origin"] for name, item in cameras.items()} == {
            "door": "command line",
            "local": "operator",
        }
        assert cameras["local"]["name"] == "Own"
        assert run("cameras", "remove", "local", "--yes") == (0, "local removed\n", "")
        assert run("cameras", "remove", "local", "--yes")[0] == 1
        assert run("token", "create", "a", "--right", "watch")[1].startswith("fc_")
        assert run("token", "create", "a", "--right", "watch")[0] == 1
        assert run("token", "revoke", "a") == (0, "a revoked\n", "")
        assert run("token", "revoke", "b")[0] == 1
        (token,) = json.loads(run("token", "list", "--json")[1])["tokens"]
        assert token["revoked"]
        assert run("token", "revoke", "a", "--forget")[0] == 0
        status, _, err = run("serve", "--port", "0")
        assert status == 2
        told = re.search(r"Framecast already runs at (http://127\.0\.0\.1:\d+/) ", err)
        assert told is not None, err
        with urllib.request.urlopen(told[1] + "healthz") as answer:
            assert answer.status == 200
        assert err.count("\n") == 1, "nothing is said of what won't be"
        server.terminate()
        assert server.wait(timeout=10) == 0
    assert not (tmp_path / "data" / control.SOCKET_NAME).exists()


def test_demo_needs_nothing_and_reads_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fox.onnx").write_bytes(b"a model")
    monkeypatch.setenv("FRAMECAST_MODEL_DIR", str(tmp_path))
    (tmp_path / "framecast.toml").write_text("this is not TOML")
    (tmp_path / ".env").write_text("STREAM_FPS=nonsense")
    with started("demo", "--port", "0", "--no-m5-ports", "--data", "demo") as server:
        (tmp_path / "framecast.toml").unlink()
        (tmp_path / ".env").unlink()
        cameras = json.loads(run("cameras", "list", "--json", "--data", "demo")[1])["cameras"]
        there = Running.find(tmp_path / "demo")
        assert there is not None
        models = there.call("GET", "/api/v1/models")["models"]
        assert [row["name"] for row in models if not row["listed"]] == ["fox"], "but for where models are"
        assert len(cameras) == 3
        assert "The demo already runs at http://127.0.0.1:" in run("demo", "--port", "0", "--data", "demo")[2]
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=10) == 0


def test_tokens_without_a_server(run: Run) -> None:
    assert run("token", "list")[1] == ""
    status, secret, note = run("token", "create", "front-door", "--right", "publish", "--camera", "door")
    assert status == 0
    assert secret.startswith("fc_")
    assert len(secret) == 47
    assert "only time" in note
    assert "warning: there is no camera door; there are none yet" in note
    assert "From now on every page asks who you are" in note
    assert note.endswith("framecast user create me --role owner\n")
    status, out, err = run("token", "create", "front-door", "--right", "watch")
    assert (status, out) == (1, "")
    assert "a token named front-door already" in err
    status, out, err = run("token", "create", "b", "--right", "wach")
    assert (status, out) == (2, "")
    assert "did you mean watch?" in err
    status, out, _ = run("token", "list")
    assert out.split("\n")[1].split()[:3] == ["front-door", "publish", "door"]
    assert run("token", "revoke", "front-door") == (0, "front-door revoked\n", "")
    assert "revoked 2" in run("token", "list")[1]
    assert run("token", "revoke", "front-door", "--forget") == (0, "front-door forgotten\n", "")
    assert run("token", "revoke", "front-door")[0] == 1
    assert "From now on" in run("token", "create", "me", "-r", "watch", "--data", "data")[2]
    assert "From now on" not in run("token", "create", "other", "-r", "watch")[2]
    for name in ("me", "other"):
        run("token", "revoke", name, "--forget")
    made = json.loads(run("token", "create", "j", "-r", "watch", "-r", "publish", "--json")[1])
    assert made["rights"] == ["publish", "watch"]
    assert made["cameras"] is None
    (listed,) = json.loads(run("token", "list", "--json")[1])["tokens"]
    assert listed == {key: value for key, value in made.items() if key != "secret"}


def test_tokens_of_a_running_server(run: Run, tmp_path: Path) -> None:
    with running(
        tmp_path,
        POST_tokens=(201, {"name": "a", "secret": "fc_x"}),
        GET_tokens=(200, {"tokens": [{"name": "a"}]}),
        GET_users=(200, {"users": []}),
        GET_cameras=(200, {"cameras": [{"id": "yard"}, {"id": "garden"}]}),
        **{"DELETE_tokens__a%20b": (204, None), "DELETE_tokens__c?forget=1": (204, None)},
    ) as server:
        status, out, err = run("token", "create", "a", "-r", "watch", "-c", "yrd", "-c", "yard", "--data", "data")
        assert (status, out) == (0, "fc_x\n")
        assert "warning: there is no camera yrd; there are garden, yard\n" in err
        assert err.endswith("framecast user create me --role owner --data data\n")
        server.answers["GET", "/api/v1/tokens"] = (200, b'{"tokens": []}')
        assert run("token", "list")[0] == 0
        assert run("token", "revoke", "a b")[0] == 0
        assert run("token", "revoke", "c", "--forget")[0] == 0
        assert server.seen[0] == (
            "POST",
            "/api/v1/tokens",
            {"name": "a", "rights": ["watch"], "cameras": ["yrd", "yard"]},
        )
    assert not (tmp_path / "data" / "framecast.db").exists(), "the server keeps the state, nobody beside it"


def test_a_token_that_was_made_is_shown_though_the_server_stops(run: Run, tmp_path: Path) -> None:
    made = {"name": "tablet", "rights": ["watch"], "cameras": ["door"], "secret": "fc_secret"}
    with running(tmp_path, POST_tokens=(201, made)):  # and answers nothing else any more
        status, out, err = run("token", "create", "tablet", "--right", "watch", "--camera", "door")
    assert (status, out) == (0, "fc_secret\n")
    assert err.startswith("This is the only time that the token")


def test_cameras_without_a_server(run: Run, tmp_path: Path) -> None:
    status, out, err = run("cameras", "list")
    assert (status, out) == (0, "")
    assert "framecast cameras add" in err
    assert run("cameras", "add", "yard", "push:", "--name", "Yard") == (0, "yard added\n", "")
    assert run("cameras", "add", "film", "file:a.mp4", "--rotate", "90")[0] == 0
    sound = "http://192.168.1.20:82/audio"
    assert json.loads(run("cameras", "add", "esp", "push:", "--audio-url", sound, "--json")[1])["audio_url"] == sound
    assert run("cameras", "remove", "esp", "--yes")[0] == 0
    assert "already" in run("cameras", "add", "yard", "push:")[2]
    assert run("cameras", "add", "Yard", "push:")[0] == 2
    for bad in (["ftp://x"], ["push:", "--rotate", "45"], ["push:", "--policy", "never"], ["push:", "--mirror", "yes"]):
        assert run("cameras", "add", "other", *bad)[0] == 2
    (tmp_path / "framecast.toml").write_text('[cameras.door]\nurl = "http://u:secret@10.0.0.2/"\n')
    status, out, err = run("cameras", "list")
    assert [line.split() for line in out.splitlines()] == [
        ["ID", "NAME", "URL", "FROM"],
        ["door", "door", "http://u:***@10.0.0.2/", "config"],
        ["film", "film", f"file:{tmp_path}/a.mp4", "operator"],
        ["yard", "Yard", "push:", "operator"],
    ]
    assert "No server is running" in err
    assert run("cameras", "remove", "door") == (0, "door removed\n", "")
    assert run("cameras", "remove", "yard")[0] == 0
    assert "there is no camera door" in run("cameras", "remove", "door")[2]
    (film,) = json.loads(run("cameras", "list", "--json")[1])["cameras"]
    assert (film["id"], film["kind"]) == ("film", "file")


def test_cameras_of_a_running_server(run: Run, tmp_path: Path) -> None:
    idle = {
        **CAMERA,
        "id": "yard",
        "name": "yard",
        "state": "offline",
        "reason": "refused",
        "viewers": 0,
        "video": None,
    }
    with running(
        tmp_path,
        GET_cameras=(200, {"cameras": [CAMERA, idle]}),
        POST_cameras=(201, CAMERA),
        DELETE_cameras__door=(204, None),
        DELETE_cameras__yard=(404, {"error": {"code": "not_found", "message": "There is no camera yard."}}),
    ) as server:
        lines = run("cameras", "list")[1].splitlines()
        assert lines[1].split() == ["door", "Front", "door", "live", "14.9", "640x480", "3", CAMERA["url"]]
        assert lines[2].split()[2:6] == ["offline", "(refused)", "-", "-"]
        assert run("cameras", "add", "door", "http://127.0.0.1/", "--policy", "always")[0] == 0
        assert server.seen[-1][2] == {"id": "door", "url": "http://127.0.0.1/", "policy": "always"}
        assert run("cameras", "remove", "door", "--yes")[0] == 0
        assert run("cameras", "remove", "yard", "--yes") == (1, "", "framecast: There is no camera yard.\n")


def test_server_that_makes_no_sense(run: Run, tmp_path: Path) -> None:
    with running(tmp_path):
        assert run("cameras", "list") == (1, "", "framecast: the server answers 404 Not Found\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a queue that is full looks like no server")
def test_a_server_that_has_hung_for_long_is_there(run: Run, tmp_path: Path) -> None:
    """Who gave up waiting for it stands in its queue nevertheless, and the queue is short."""
    (tmp_path / "data").mkdir()
    listener = control.listen(tmp_path / "data")
    assert listener is not None
    with listener:
        with pytest.raises(BlockingIOError):
            for _ in range(100):
                control.connect(tmp_path / "data").close()
        for command in (("list",), ("add", "door", "http://192.168.1.20/"), ("remove", "door", "--yes")):
            status, out, err = run("cameras", *command)
            assert (status, out) == (1, "")
            assert err.startswith("framecast: the server doesn't answer")
        status, _, err = run("serve", "--port", "0")
        assert status == 2
        assert "Framecast already runs" in err
        with pytest.raises(ConfigError, match="another Framecast is running"):
            control.see_that_none_runs(tmp_path / "data")
    assert run("cameras", "list")[0] == 0  # what is left behind by one that crashed is no server


def test_a_camera_gives_the_terminal_no_orders(run: Run, tmp_path: Path) -> None:
    words = "it is text/\x1b[2Jhtml\r\x9b31m"
    plain = "it is text/\\x1b[2Jhtml\\r\\x9b31m"
    result = {"ok": False, "problems": [{"code": "no_stream", "severity": "error", "title": words, "advice": words}]}
    answer = json.dumps({"step": "request", "text": words, "ok": False}) + "\n" + json.dumps({"result": result}) + "\n"
    camera = {**CAMERA, "state": "offline", "reason": words, "name": "Küche 👨‍👩‍👧\u202e"}
    with running(tmp_path, POST_probe=(200, answer.encode()), GET_cameras=(200, {"cameras": [camera]})):
        told = run("doctor", "door")[1]
        assert told == f"  no  {plain}\n\nERROR: {plain} [no_stream]\n  {plain}\n"
        line = run("cameras", "list")[1].splitlines()[1]
    assert f"Küche 👨‍👩‍👧\\u202e  offline ({plain})" in line


def test_a_server_that_breaks_off(run: Run, tmp_path: Path) -> None:
    answer = b'{"step": "connect", "text": "Connected", "ok": true}\n{"result": {"ok": true, "previ'
    with running(tmp_path, POST_probe=(200, answer)):
        status, out, err = run("doctor", "door")
    assert (status, out) == (1, "  ok  Connected\n")
    assert err == "framecast: the server broke off in the middle of its answer\n"


def test_doctor_asks_the_server_about_its_own_camera(run: Run, tmp_path: Path) -> None:
    result = {
        "ok": True,
        "url": "http://192.168.1.20:81/stream",
        "dialect": "Espressif CameraWebServer",
        "width": 640,
        "height": 480,
        "fps": 12.5,
        "bytes_per_frame": 21000,
        "problems": [
            {
                "code": "uptime_timestamp",
                "severity": "info",
                "title": "Its clock shows uptime",
                "advice": "Nothing to do.",
            }
        ],
        "preview": "AAAA",
    }
    answer = b'{"step": "connect", "text": "Connected", "ok": true}\n{"step": "frames", "text": "None", "ok": false}\n'
    answer += json.dumps({"result": result}).encode() + b"\n"
    with running(tmp_path, POST_probe=(200, answer)) as server:
        status, out, _ = run("doctor", "door")
        assert status == 0
        assert server.seen[-1][2] == {"camera": "door"}
        assert out.splitlines() == [
            "  ok  Connected",
            "  no  None",
            "",
            "http://192.168.1.20:81/stream  Espressif CameraWebServer",
            "640x480  12.5 fps  21 kB a picture",
            "",
            "note: Its clock shows uptime [uptime_timestamp]",
            "  Nothing to do.",
        ]
        printed = json.loads(run("cameras", "probe", "door", "--json")[1])
        assert printed["fps"] == 12.5
        assert "preview" not in printed


def test_doctor_tries_the_encoders(run: Run) -> None:
    status, out, _ = run("doctor", "--encoders")
    assert status == 0
    assert "ok  libx264" in out
    assert 'encoder = "auto" takes' in out


def test_doctor_knows_no_such_camera(run: Run) -> None:
    status, _, err = run("doctor", "door")
    assert status == 1
    assert "there is no camera door" in err


def test_doctor_explains_an_address_of_no_camera(run: Run) -> None:
    status, out, err = run("doctor", "ftp://192.168.1.20/")
    assert status == 1
    assert "ERROR: 'ftp://192.168.1.20/' can't be used: a camera URL:" in out
    assert err == ""


def test_mock_camera(run: Run) -> None:
    status, out, _ = run("mock-camera", "--listen", "0", "--duration", "0.2", "--fault", "truncate=0.5", "--static")
    assert status == 0
    assert "Espressif CameraWebServer" in out
    assert "Listening on http://127.0.0.1:" in out
    assert "With the fault truncate=0.5" in out
    status, out, _ = run("mock-camera", "--list")
    assert status == 0
    assert "prusaconnect" in out
    assert "corrupt-scan" in out
    for bad in (["--dialect", "x"], ["--fault", "x"], ["--fault", "truncate=2"], ["--size", "x"], ["--to", "ftp://x"]):
        status, _, err = run("mock-camera", *bad)
        assert status == 2
        assert err
    assert "did you mean espressif?" in run("mock-camera", "--dialect", "espresif")[2]


def test_a_mock_camera_stops_when_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "framecast", "mock-camera", "--listen", "0", "--static"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as playing:
        assert playing.stdout is not None and playing.stderr is not None
        while "Listening" not in playing.stdout.readline():
            pass
        playing.terminate()
        assert playing.wait(timeout=10) == 0
        assert playing.stderr.read() == "stopped\n"


@pytest.mark.parametrize(
    "address", ["192.168.1.20", "192.168.1.20:81/stream", "cam.local", "localhost:8081", "[fe80::1]"]
)
def test_a_bare_address_is_told_what_it_lacks(run: Run, address: str) -> None:
    status, _, err = run("cameras", "add", "door", address)
    assert status == 2
    assert f"http://{address}" in err
    assert err.count("\n") == 1


def test_tls(run: Run, tmp_path: Path) -> None:
    status, out, err = run("tls", "init", "--host", "cams.example.net")
    assert status == 0
    assert "cams.example.net" in out and "localhost" in out
    assert "/ca.crt" in out and "\u2588" in out, "a QR code"
    for system in ("Android", "iOS", "Windows", "macOS", "Linux", "Firefox"):
        assert f"\n{system} " in out
    assert "--host 0.0.0.0" in err
    assert f"certutil -addstore Root {tmp_path}/data/tls/ca.crt" in out
    assert "Root framecast-ca.crt" not in out
    fingerprint = next(line for line in out.splitlines() if line.count(":") == 31)
    status, _, err = run("tls", "init")
    assert (status, "tls renew" in err) == (1, True)
    status, out, _ = run("tls", "renew")
    assert status == 0
    assert "cams.example.net" in out
    assert fingerprint in run("tls", "trust")[1]
    assert run("tls", "init", "--force")[0] == 0
    assert fingerprint not in run("tls", "trust")[1]
    assert run("tls", "renew", "--host", "no name")[0] == 1
    with started("serve", "--port", "0", "--tls-port", "0") as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("and by HTTPS at https://127.0.0.1:")
        server.terminate()
        assert server.wait(timeout=10) == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, _, err = run("serve", "--port", "0", "--tls-port", port)
        assert status == 2
        assert f"--tls-port: server.tls_port = {port} can't be used: the address is in use" in err
        assert "(--tls-port)" in err
    status, _, err = run("serve", "--port", "0", "--tls-cert", "nothing.pem")
    assert status == 2
    assert "--tls-cert: server.tls_cert = 'nothing.pem' can't be used" in err


def test_tls_without_its_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    assert "\u2588" not in run("tls", "init")[1]
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for command in ("renew", "trust"):
        status, _, err = run("tls", command)
        assert status == 1
        assert "pip install 'framecast[tls]'" in err


def test_config_show(run: Run, tmp_path: Path) -> None:
    (tmp_path / "framecast.toml").write_text(
        '[stream]\npreset = "mobile"\n[cameras.door]\nurl = "http://u:pw@h/"\npassword = "pw"\n'
    )
    (tmp_path / ".env").write_text("ENABLE_FRAME_CACHE=false\nSTREAM_FPS=12\n")
    run("cameras", "add", "yard", "push:", "--name", "Yard")
    status, out, err = run("config", "show")
    assert status == 0
    assert "pw" not in out
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in out.splitlines()}
    assert lines["server.port"] == ["8080", "default"]
    assert lines["stream.fps"] == ["12.0", f"STREAM_FPS in {tmp_path}/.env"]
    assert lines["capture.quality"] == ["60", "preset mobile"]
    assert lines["stream.preset"] == ['"mobile"', f"{tmp_path}/framecast.toml, line 2"]
    assert lines["cameras.door.url"][0] == '"http://u:***@h/"'
    assert lines["cameras.yard.url"] == ['"push:"', "framecast cameras"]
    assert lines["cameras.yard.name"] == ['"Yard"', "framecast cameras, or the API"]
    assert "next start" not in err
    assert err.startswith("warning: ENABLE_FRAME_CACHE=false")
    rows = json.loads(run("config", "show", "--json")[1])
    assert {"key": "stream.fps", "toml": "12.0", "origin": f"STREAM_FPS in {tmp_path}/.env"} in rows
    with running(tmp_path, GET_system=(200, {"url": "http://127.0.0.1:18480/"})):
        assert "A server is running at http://127.0.0.1:18480/" in run("config", "show")[2]


def test_how_to_trust_is_told_for_the_server_that_runs(run: Run, tmp_path: Path) -> None:
    run("tls", "init")
    with running(tmp_path, GET_system=(200, {"url": "http://192.0.2.7:18480/"})):
        status, out, err = run("tls", "trust")
    assert (status, err) == (0, "")
    assert "it is at http://192.0.2.7:18480/ca.crt\n" in out


def test_that_nobody_reaches_it_is_told_before_the_code(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "framecast", "tls", "init", "--data", str(tmp_path)]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path).stdout
    assert told.index("for this machine only") < told.index("\u2588")
