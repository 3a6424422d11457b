"""What ``framecast doctor`` finds on this machine, each fault made for real."""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from framecast.service.access.rights import Right
from framecast.service.accounts.people import People
from framecast.service.config import defaults, load
from framecast.service.front import authority
from framecast.service.operations import checkup, machine
from framecast.service.operations.machine import Finding
from framecast.service.operations.vision import faces, sight
from framecast.service.store.database import FILE_NAME
from framecast.service.store.migrations import MIGRATIONS
from framecast.service.store.state import State
from tests.service.serving import CHEAP, PASSWORD, serving, until
from tests.support.ports import free_port
from tests.vision import tinymodel

Usage = namedtuple("Usage", "total used free")


def only(findings: Iterator[Finding], level: str) -> Finding:
    """The one finding of this level."""
    (found,) = (each for each in findings if each.level == level)
    return found


def levels(findings: Iterator[Finding]) -> set[str]:
    return {each.level for each in findings}


def test_all_is_well_in_a_new_folder(tmp_path: Path) -> None:
    configuration = defaults({"server.data": tmp_path / "new", "server.port": 0})
    findings = list(checkup.look(configuration, runs=False))
    assert {each.area for each in findings} >= {
        "version", "configuration", "data", "disk", "clock", "ports", "descriptors", "memory", "codecs", "vision",
        "faces", "certificate", "tunnel", "access",
    }  # fmt: skip
    assert not [each for each in findings if each.level in ("warning", "error")]
    assert not (tmp_path / "new").exists(), "looking makes nothing"


def test_extras_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, extra in (("av", "media"), ("aiortc", "webrtc"), ("cv2", "vision"), ("ngrok", "tunnel")):
        with monkeypatch.context() as without:
            without.setattr(machine.importlib.util, "find_spec", lambda name, gone=module: None if name == gone else "")
            found = only(machine.version(), "note")
        assert f"the extra {extra} is not installed" in found.text
        assert found.advice == machine.install_command(extra)


def test_a_folder_that_is_open_to_others(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    tmp_path.chmod(0o755)
    (tmp_path / FILE_NAME).chmod(0o644)
    found = [each for each in checkup.folder(tmp_path) if each.level == "warning"]
    assert [each.advice for each in found] == [f"chmod 700 {tmp_path}", f"chmod 600 {tmp_path / FILE_NAME}"]
    tmp_path.chmod(0o700)
    (tmp_path / FILE_NAME).chmod(0o600)
    assert levels(checkup.folder(tmp_path)) == {"ok"}


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is no folder" in only(checkup.folder(tmp_path / "file"), "error").text


def test_a_state_that_is_damaged_or_newer(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    assert only(checkup.state(tmp_path), "ok").text.startswith(f"whole, layout {len(MIGRATIONS)}, ")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    assert "this Framecast knows up to" in only(checkup.state(tmp_path), "error").text
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[200:6000] = bytes(5800)
    (tmp_path / FILE_NAME).write_bytes(content)
    assert "restore" in only(checkup.state(tmp_path), "error").advice


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "error"), (100 << 20, "warning"), (1 << 34, "ok")])
def test_a_disk_that_is_full(tmp_path: Path, free: int, level: str) -> None:
    (found,) = machine.disk(tmp_path / "not" / "yet", lambda _: Usage(1 << 40, 0, free))
    assert found.level == level
    assert str(tmp_path) in found.text


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    assert levels(machine.clock(tmp_path)) <= {"ok", "note"}
    assert "which can't be" in only(machine.clock(tmp_path, lambda: 3600.0), "error").text
    written = (tmp_path / FILE_NAME).stat().st_mtime
    assert "gone back" in only(machine.clock(tmp_path, lambda: written - 600), "error").text


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        configuration = defaults({"server.data": tmp_path, "server.port": 0, "server.listen": [f"127.0.0.1:{port}"]})
        found = only(checkup.ports(configuration), "error")
    assert found.text == f"127.0.0.1:{port} can't be had: another program has it"
    assert found.advice == "change server.listen"
    assert levels(checkup.ports(configuration)) == {"ok"}
    strange = defaults({"server.data": tmp_path, "server.host": "192.0.2.1"})
    assert only(checkup.ports(strange), "error").advice == "change server.port"


def test_too_few_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert levels(machine.descriptors(16)) == {"ok"}
    assert hard == resource.RLIM_INFINITY or levels(machine.descriptors(hard)) == {"warning"}


def test_too_little_memory(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 262144 kB\nMemAvailable:   200000 kB\n")
    assert only(machine.memory(tmp_path), "ok").text == "205 MB available"
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000\n")
    assert levels(machine.memory(tmp_path)) == {"ok"}, "the group has no limit"
    (group / "memory.max").write_text("30000000\n")
    assert only(machine.memory(tmp_path), "warning").text.startswith("30.0 MB available")


def test_a_certificate_that_ends(tmp_path: Path) -> None:
    configuration = defaults({"server.data": tmp_path})
    assert levels(checkup.certificate(configuration)) == {"ok"}
    issued = authority.init(tmp_path)
    ends_s = issued.expires.timestamp()
    assert levels(checkup.certificate(configuration)) == {"ok"}
    soon = only(checkup.certificate(configuration, lambda: ends_s - 5 * 86_400), "warning")
    assert soon.text.endswith(", 5 days")
    assert soon.advice == "framecast tls renew"
    assert "has ended" in only(checkup.certificate(configuration, lambda: ends_s + 1), "error").text
    (tmp_path / "tls" / "server.pem").chmod(0o640)
    assert "can be read by others" in only(checkup.certificate(configuration), "warning").text
    (tmp_path / "tls" / "server.pem").write_text("nonsense")
    assert "can't be used" in only(checkup.certificate(configuration), "error").text
    assert issued.expires > datetime.datetime.now(datetime.UTC)


def test_a_tunnel_that_cannot_be_opened(tmp_path: Path) -> None:
    def tunnel(**values: Any) -> set[str]:
        return levels(checkup.tunnel(defaults({"server.data": tmp_path, **values})))

    program = tmp_path / "cloudflared"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    cloudflare = {"tunnel.provider": "cloudflare"}
    assert tunnel() == {"ok"}
    assert tunnel(**cloudflare, **{"tunnel.cloudflared": str(tmp_path / "missing")}) == {"error"}
    assert tunnel(**cloudflare, **{"tunnel.cloudflared": str(program)}) == {"ok"}
    assert tunnel(**{"tunnel.provider": "ngrok"}) == {"error"}


def test_what_would_look_at_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def seen(**values: object) -> machine.Finding:
        settings = {f"vision.{name}": value for name, value in values.items()}
        (finding,) = sight(defaults({"server.data": tmp_path, **settings}))
        return finding

    nothing = seen()
    assert (nothing.level, nothing.advice) == ("note", "framecast models install yolox_nano")
    assert "people only" in nothing.text
    tinymodel.write(tmp_path / "models" / "tiny.onnx")
    assert seen() == machine.Finding("vision", "ok", "tiny: YOLOX, 96x96 px, on CPU")
    other = seen(model="garden")
    assert (other.level, other.advice) == ("warning", "framecast models list")
    assert "no model 'garden'" in other.text
    assert seen(model="yolox_s").advice == "framecast models install yolox_s"
    assert seen(model="hog").text.startswith("hog: HOG")
    assert "switched off" in seen(enabled=False).text
    (tmp_path / "models" / "fake.onnx").write_text("fake")
    fake = seen(model="fake")
    assert (fake.level, fake.advice) == ("error", "framecast models verify")
    assert "it is a text file" in fake.text
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None if name == "cv2" else "")
    assert seen().advice == machine.install_command("vision")


def test_what_would_know_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def seen(**values: object) -> machine.Finding:
        settings = {f"vision.{name}": value for name, value in values.items()}
        (finding,) = faces(defaults({"server.data": tmp_path, **settings}))
        return finding

    assert seen() == machine.Finding("faces", "ok", "found by dlib, told apart by dlib")
    assert "switched off" in seen(faces="off").text
    assert (seen(faces="yunet").level, seen(faces="yunet").advice) == (
        "warning",
        "framecast models install yunet, and sface",
    )
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "face_detection_yunet_2023mar.onnx").write_text("no model")
    broken = seen()
    assert (broken.level, broken.advice) == ("error", "framecast models verify")
    assert "it is a text file" in broken.text
    (tmp_path / "models" / "face_detection_yunet_2023mar.onnx").unlink()
    gone = "dlib"
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == gone else find_spec(name))
    assert (seen().level, seen(faces="dlib").level) == ("note", "warning")
    assert seen(faces="dlib").advice == "pip install 'framecast[faces]'"


def test_labels_that_no_model_knows_are_named(tmp_path: Path) -> None:
    names = {"names": "['cat', 'dog', 'hen']"}
    tinymodel.write(tmp_path / "models" / "tiny.onnx", metadata=names)
    found = only(sight(defaults({"server.data": tmp_path, "vision.labels": ["person", "cat"]})), "warning")
    assert "tiny knows no person" in found.text
    assert "cat, dog, hen" in found.advice


def test_what_is_open_to_whom(tmp_path: Path) -> None:
    file = tmp_path / "framecast.toml"
    file.write_text(
        '[server]\nhost = "0.0.0.0"\n[cameras.door]\nurl = "push:"\npublic = ["watch"]\nallow_query_key = true\n'
        'publish_from = ["192.168.1.0/24"]\n'
    )
    file.chmod(0o644)
    configuration = load(file=file, options={"server.data": tmp_path / "data"}, environ={}, folder=tmp_path)
    notes = [each.text for each in checkup.access(configuration) if each.level == "note"]
    assert len(notes) == 5
    assert "nobody can log in" in notes[0]
    assert "read on the way" in notes[1]
    assert notes[2].startswith("door: anybody")
    with State.open(tmp_path / "data") as state:
        state.credentials.create_token("k", frozenset({Right.WATCH}))
    (found,) = (each for each in checkup.access(configuration) if "log in" in each.text)
    assert "nobody can log in as an owner" in found.text
    assert "framecast user create NAME --role owner" in found.advice
    with State.open(tmp_path / "data") as state:
        people = People(state.credentials, CHEAP)
        people.create({"name": "anna", "role": "owner"})
        (found,) = (each for each in checkup.access(configuration) if "own" in each.text)
        assert "is invited" in found.text
        people.change("anna", {"password": PASSWORD})
    assert not [each for each in checkup.access(configuration) if "own" in each.text or "log in" in each.text]
    assert only(checkup.config_file(configuration), "warning").advice == f"chmod 600 {file}"


def doctor(*arguments: str, folder: Path) -> tuple[int, str, str]:
    """The command, as a person gives it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FRAMECAST_")}
    done = subprocess.run(
        [sys.executable, "-m", "framecast", "doctor", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environ, "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)},
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_says_all_and_exits_by_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        (tmp_path / "framecast.toml").write_text(f"[server]\nport = {taken.getsockname()[1]}\n")
        (tmp_path / "framecast.toml").chmod(0o600)
        status, out, err = doctor(folder=tmp_path)
        assert (status, err) == (1, "")
        assert "ERROR  ports" in out
        assert "> change server.port" in out
        assert out.endswith("\n1 error.\n")
        status, out, _ = doctor("--json", folder=tmp_path)
        assert status == 1
        answer = json.loads(out)
        assert answer["ok"] is False
        assert {"area", "level", "text", "advice"} == set(answer["findings"][0])
    status, out, _ = doctor(folder=tmp_path)
    assert status == 0
    assert out.endswith("\nNothing is wrong.\n")


def test_the_command_explains_a_bad_configuration(tmp_path: Path) -> None:
    (tmp_path / "framecast.toml").write_text("[server]\nport = 70000\n")
    status, out, err = doctor(folder=tmp_path)
    assert (status, err) == (1, "")
    assert "ERROR  configuration  " in out
    assert "server.port = 70000" in out


@pytest.mark.anyio
async def test_the_running_server_is_asked(tmp_path: Path) -> None:
    cameras = {"door": "push:", "yard": "http://127.0.0.1:9/stream"}
    async with serving(tmp_path, cameras, options={"stream.policy": "always"}) as server:
        await until(lambda: server.camera("yard").stream.state == "offline")
        status, out, err = await asyncio.to_thread(doctor, "--data", str(tmp_path / "data"), folder=tmp_path)
        assert (status, err) == (0, "")
        assert f"   ok  server         runs at http://127.0.0.1:{server.port}/ for" in out
        assert "warn  cameras        yard is offline: " in out
        assert "> framecast doctor yard" in out
        assert "ports" not in out, "they are its own"
        server.service.readiness.checks.append(lambda: ["The disk is full"])
        status, out, _ = await asyncio.to_thread(doctor, "--data", str(tmp_path / "data"), folder=tmp_path)
        assert status == 1
        assert "not ready: " in out
        assert "The disk is full" in out
