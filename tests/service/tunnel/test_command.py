"""`framecast tunnel` as a person gives it, with a real server and the stand-in for `cloudflared`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from framecast.cli import main
from framecast.service.accounts import tokenapi
from framecast.service.front import control
from framecast.service.store.state import State
from tests.service.tunnel.edge import NAME, Standin
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


class Shell:
    """Where commands are given: a folder, and an environment without secrets."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture
        self.data = folder / "data"
        self.environment = {name: text for name, text in os.environ.items() if not name.startswith("FRAMECAST_")}
        self.environment |= {
            "FRAMECAST_DATA": str(self.data),
            "FRAMECAST_TUNNEL_STATUS_PORT": "0",
            "PATH": f"{folder}:{os.environ['PATH']}",
            "COLUMNS": "200",
        }
        self.environment.pop("NGROK_AUTHTOKEN", None)
        for name in set(os.environ) - set(self.environment):
            patch.delenv(name)
        for name, text in self.environment.items():
            patch.setenv(name, text)
        patch.chdir(folder)

    async def begin(self, *words: str) -> asyncio.subprocess.Process:
        """Begin a command."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "framecast", *words)
        return await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=pipe, env=self.environment, cwd=self.folder
        )

    async def run(self, *words: str) -> tuple[int | None, str, str]:
        """A command that ends; its exit status, and what it printed."""
        status = await asyncio.to_thread(main, list(words))
        told = self._capture.readouterr()
        return status, told.out, told.err

    @asynccontextmanager
    async def running(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A command that goes on, for the length of the block; at the end it stops as it should."""
        process = await self.begin(*words)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                async with asyncio.timeout(30):
                    _, err = await process.communicate()
                assert process.returncode == 0, err

    def make_token(self) -> None:
        """Protect the server."""
        with State.open(self.data) as state:
            tokenapi.create(state.credentials, {"name": "me", "rights": ["operate"]})


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    Standin(tmp_path)
    return Shell(tmp_path, monkeypatch, capsys)


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    """The next line it prints with these words."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode():
            if words in line:
                return line
    raise AssertionError(f"it never said {words!r}")


async def test_a_running_server_is_put_on_the_internet_and_taken_off(shell: Shell) -> None:
    shell.make_token()
    port = free_port()
    (shell.folder / "framecast.toml").write_text('[cameras.yard]\nurl = "push:"\npublic = ["watch"]\n')
    async with shell.running("serve", "--port", str(port)) as server:
        await line_with(server, "Framecast is ready")
        status, out, err = await shell.run("tunnel", "start", str(port))
        assert "anybody who finds this address may watch yard" in err
        assert (status, out.splitlines()[0]) == (0, f"https://{NAME}")
        assert "▄" in out  # the code
        assert "http://localhost:" in err
        assert f"https://{NAME}/" in await line_with(server, "from the internet")
        status, out, _ = await shell.run("tunnel", "status", "--json")
        assert (status, json.loads(out)["state"], json.loads(out)["ports"]) == (0, "online", [port])
        status, out, err = await shell.run("user", "create", "anna", "--role", "owner")
        assert (status, out.startswith("http://127.0.0.1:")) == (0, True)
        assert f"https://{NAME}/setup#{out.strip().partition('#')[2]}" in err
        assert (await shell.run("tunnel", "stop"))[:2] == (0, "The tunnel is closed\n")
        assert (await shell.run("tunnel", "status"))[1].startswith("There is no tunnel")


async def test_what_it_refuses(shell: Shell) -> None:
    async with shell.running("serve", "--port", "0") as server:
        await line_with(server, "Framecast is ready")
        status, _, err = await shell.run("tunnel", "start")
        assert (status, "framecast user create" in err) == (1, True)
        status, _, err = await shell.run("tunnel", "start", "1")
        assert (status, "not on 1" in err) == (1, True)


async def test_without_a_server_one_is_started_with_it(shell: Shell) -> None:
    shell.make_token()
    port = free_port()
    async with shell.running("tunnel", "start", str(port)) as server:
        assert str(port) in await line_with(server, "Framecast is ready")
        assert f"https://{NAME}/" in await line_with(server, "from the internet")
        status, out, _ = await shell.run("tunnel", "status")
        assert (status, "online" in out) == (0, True)
    with pytest.raises(FileNotFoundError):
        control.connect(shell.data)


async def test_none_is_started_that_nobody_has_protected(shell: Shell) -> None:
    process = await shell.begin("tunnel", "start", "--provider", "cloudflare")
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    err = error.decode()
    assert (process.returncode, out) == (2, b"")
    assert "--tunnel: tunnel.provider = 'cloudflare' can't be used: This server has neither accounts nor tokens" in err
    assert "Traceback" not in err


def test_without_a_server_there_is_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("status", "stop"):
        assert main(["tunnel", word, "--data", str(tmp_path)]) == 1
        assert "no server runs" in capsys.readouterr().err


def test_tokens_of_tunnels_are_shown_to_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NGROK_AUTHTOKEN", "2abc_secret")
    monkeypatch.setenv("FRAMECAST_TUNNEL_CLOUDFLARE_TOKEN", "eyJ_secret\x7f" * 1000)  # too long: it is named
    assert main(["config", "show", "--data", str(tmp_path)]) == 2
    monkeypatch.setenv("FRAMECAST_TUNNEL_CLOUDFLARE_TOKEN", "")
    assert main(["config", "show", "--data", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert re.search(r'tunnel\.authtoken +"\*\*\*" +NGROK_AUTHTOKEN', told.out)
    assert re.search(r'tunnel\.cloudflare_token +"" +default', told.out)
    assert "_secret" not in told.out + told.err
