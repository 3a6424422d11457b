"""What one deploys with: files that name each other, settings that exist, commands that do what they say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from framecast.cli import main
from framecast.service import config
from framecast.service.config import schema
from tests.service.serving import serving
from tests.support.ports import free_port

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = (ROOT / "compose.yaml").read_text()
FLY_TEXT = (ROOT / "deploy" / "fly.toml").read_text()
FLY = tomllib.loads(FLY_TEXT)
UNIT = (ROOT / "deploy" / "framecast.service").read_text()
MOST_EXPOSED = 20
"""Of 100, as `systemd-analyze security` counts; services without a sandbox have 96."""


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, with those of the stage it is made from in front; the last one is ``""``."""
    made: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in DOCKERFILE.splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            made[name] = list(made.get(base, ()))
        elif name in made:
            made[name].append((word, rest))
    return made


STAGES = stages()


def last(stage: str, word: str) -> str:
    """What the last instruction of this kind says in a stage."""
    return next(rest for each, rest in reversed(STAGES[stage]) if each == word)


def test_all_that_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [source for word, rest in STAGES["build"] if word == "COPY" for source in shlex.split(rest)[:-1]]
    assert "src" in copied
    assert set(copied) == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_what_the_build_reads_is_copied() -> None:
    """pyproject.toml names files without which pip can't build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = " ".join(rest for word, rest in STAGES["build"] if word == "COPY").split()
    for file in ("pyproject.toml", project["readme"], *project["license-files"]):
        assert file in copied
    (extra,) = [rest for word, rest in STAGES["build"] if word == "ARG"]
    assert extra.removeprefix("EXTRA=") in project["optional-dependencies"]
    assert FLY["build"]["args"]["EXTRA"] in project["optional-dependencies"]


def test_the_image_runs_without_root() -> None:
    assert last("", "USER") == "10001:10001"
    assert "useradd --uid 10001 " in DOCKERFILE
    assert json.loads(last("", "ENTRYPOINT")) == ["framecast"]
    # Where it has to begin as root, it goes on without any right, and can't get one back.
    command = json.loads(last("takes-data-over", "ENTRYPOINT"))[2]
    assert " && exec setpriv --reuid=framecast " in command
    assert "--no-new-privs" in command
    assert "--bounding-set=-all" in command


async def test_its_health_is_that_of_the_server(tmp_path: Path, anyio_backend: object) -> None:
    """The image's own command, against a server that is there, and one that is not."""
    _, _, command = last("", "HEALTHCHECK").partition("CMD ")
    python, *rest = json.loads(command)
    assert python == "python"

    async def ask(port: int) -> int:
        asked = await asyncio.create_subprocess_exec(
            sys.executable, *rest, env={**os.environ, "FRAMECAST_PORT": str(port)}, stderr=subprocess.DEVNULL
        )
        return await asked.wait()

    async with serving(tmp_path, options={"server.port": free_port()}, tokens=True) as server:
        assert await ask(server.port) == 0
        server.service.ready = False
        assert await ask(server.port) == 1
        server.service.ready = True
        port = server.port
    assert await ask(port) == 1


def test_every_setting_that_they_give_exists() -> None:
    known = {name for setting in schema.settings_table().values() for name in setting.env}
    known |= {"FRAMECAST_CAMERAS", "FRAMECAST_CONFIG"}
    for text in (DOCKERFILE, COMPOSE, UNIT, json.dumps(FLY)):
        for name in re.findall(r"FRAMECAST_[A-Z_]+", text):
            assert name in known, name


def test_every_value_that_they_give_is_accepted(tmp_path: Path) -> None:
    for given in (FLY["env"], dict(re.findall(r"(FRAMECAST_[A-Z_]+)=(\S+)", DOCKERFILE))):
        assert config.load(environ={**given, "FRAMECAST_DATA": str(tmp_path)}, folder=tmp_path).warnings == ()


def test_the_first_start_prints_an_owner_link_where_they_say_so(tmp_path: Path) -> None:
    image = dict(re.findall(r"(FRAMECAST_[A-Z_]+)=(\S+)", DOCKERFILE))
    unit = dict(re.findall(r"^Environment=(FRAMECAST_[A-Z_]+)=(\S+)", UNIT, re.MULTILINE))
    told = [(DOCKERFILE, image), (COMPOSE, image), (FLY_TEXT, image | FLY["env"]), (UNIT, unit)]
    for text, given in told:
        assert "the first start prints a link by which you become its owner" in text
        environ = {**given, "FRAMECAST_DATA": str(tmp_path)}
        assert not config.load(environ=environ, folder=tmp_path).settings.listens_on_loopback_only


@pytest.mark.parametrize("name", ["nginx.conf", "nginx-subpath.conf", "Caddyfile"])
def test_the_command_for_the_first_account_makes_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMECAST_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"\((framecast user create [^)]+)\)", (ROOT / "deploy" / name).read_text())
    assert main(shlex.split(command)[1:]) == 0


def test_fly_has_what_it_is_told() -> None:
    assert (ROOT / "deploy" / FLY["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert FLY["build"]["build-target"] in STAGES
    assert FLY["env"]["FRAMECAST_SERVER_ALLOWED_HOSTS"] == f"{FLY['app']}.fly.dev"
    (machine,) = FLY["vm"]
    assert machine["memory"] == "256mb"
    assert f"FRAMECAST_DATA={FLY['mounts']['destination']}" in DOCKERFILE
    assert f"FRAMECAST_PORT={FLY['http_service']['internal_port']}" in DOCKERFILE
    assert [check["path"] for check in FLY["http_service"]["checks"]] == ["/readyz"]


def test_compose_takes_away_what_is_not_needed() -> None:
    for line in ("read_only: true", "- ALL", "- no-new-privileges:true", "- data:/data", "init: true"):
        assert f"{line}\n" in COMPOSE
    assert 'ports:\n      - "8080:8080"' in COMPOSE


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a command that exists on this machine."""
    path = tmp_path / "framecast.service"
    command = Path(sys.executable).parent / "framecast"
    path.write_text(UNIT.replace("/opt/framecast/bin/framecast", str(command)))
    return path


def test_systemd_takes_the_unit(unit: Path) -> None:
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_systemd_finds_the_unit_locked_in(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit]
    said = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SYSTEMD_PAGER": ""})
    assert said.returncode == 0, said.stdout.splitlines()[-1]


def test_every_starter_does_the_same() -> None:
    for name in ("start.sh", "start.bat", "start.ps1"):
        text = (ROOT / name).read_text()
        assert "Framecast needs Python 3.11 or newer" in text
        assert "Installing Framecast and what it needs into" in text
        assert re.search(r"framecast(\.exe)?[\"']? demo ", text)
        assert ".installed-" in text
        assert "pyproject.toml" in text, "what an update needs is installed, too"
