"""``framecast user``, with the state alone and with a running server."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from framecast.cli import main
from tests.service.serving import PASSWORD, Server, serving

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with the data folder ``data`` below the test's; what is piped into it is ``typed``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAMECAST_DATA", str(tmp_path / "data"))

    def execute(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main(["user", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return execute


def test_accounts_without_a_server(run: Run) -> None:
    assert "framecast user create NAME --role owner" in run("list")[2]
    assert run("create", "guest")[0] == 1, "somebody has to be able to manage the others"
    status, out, err = run("create", "anna", "--role", "owner")
    assert status == 0
    assert out.startswith("http://127.0.0.1:8080/setup#")
    assert "once the server runs" in err
    assert run("create", "Anna", "--role", "owner")[2] == (
        "framecast: There is an account named Anna already; take another name\n"
    )
    assert run("passwd", "ANNA", typed=f"{PASSWORD}\n")[1] == "anna has a new password, and has to log in again\n"
    assert run("create", "ben", "--camera", "door", "--password", typed=f"{PASSWORD}\n")[1] == (
        "ben can log in now, as viewer\n"
    )
    heads, anna, ben = run("list")[1].splitlines()
    assert heads.split() == ["NAME", "ROLE", "CAMERAS", "CREATED", "LAST", "USED", "STATE"]
    assert anna.split()[:3] == ["anna", "owner", "all"]
    assert ben.split()[:3] == ["ben", "viewer", "door"]
    assert run("disable", "ben")[0] == 0
    assert " disabled 2" in run("list")[1]
    assert "disabled; enable the account first" in run("invite", "ben")[2]
    assert run("enable", "ben") == (0, "ben can log in again\n", "")
    assert "#" in run("invite", "ben")[1]
    assert " invited until 2" in run("list")[1]
    assert run("remove", "ben") == (0, "ben removed\n", "")
    for refused in (["remove", "anna"], ["disable", "anna"]):
        status, out, err = run(*refused)
        assert (status, out) == (1, "")
        assert "the last owner" in err
    (user,) = json.loads(run("list", "--json")[1])["users"]
    assert user["name"] == "anna"
    assert "password" not in user


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["create", "anna", "--role", "onwer"], 2, "did you mean owner?"),
        (["create", "-x", "--role", "owner"], 2, "No such option"),
        (["create", "a/b", "--role", "owner"], 1, "An account's name has 1 to 64 letters"),
        (["create", "anna", "--role", "owner", "--camera", "door"], 1, "An owner has all cameras"),
        (["create", "anna", "--role", "owner", "--password"], 1, "no password came"),
        (["passwd", "nobody"], 1, "no password came"),
        (["remove", "nobody"], 1, "There is no account 'nobody'"),
    ],
)
def test_what_can_not_be_done(run: Run, arguments: list[str], status: int, words: str) -> None:
    result = run(*arguments)
    assert result[:2] == (status, "")
    assert words in result[2]


@pytest.mark.anyio
async def test_accounts_of_a_running_server(run: Run, tmp_path: Path) -> None:
    async with serving(tmp_path) as server:

        async def command(*arguments: str, typed: str = "") -> tuple[int, str, str]:
            return await asyncio.to_thread(run, *arguments, typed=typed)

        status, out, err = await command("create", "anna", "--role", "owner")
        assert (status, err.count("72 hours")) == (0, 1)
        assert out.startswith(f"{server.url}/setup#")
        await server.error("GET", "/api/v1/cameras", 401)
        await set_up(server, out.partition("#")[2].strip())
        assert (await command("create", "ben", "--password", typed=f"{PASSWORD}\n"))[0] == 0
        ben = await server.user("ben")
        await server.json("GET", "/api/v1/cameras", headers=ben)
        assert (await command("disable", "ben"))[0] == 0
        await server.error("GET", "/api/v1/cameras", 401, headers=ben)
        assert "the last owner" in (await command("remove", "anna"))[2]
        assert (await command("remove", "ben"))[0] == 0
        assert [user["name"] for user in json.loads((await command("list", "--json"))[1])["users"]] == ["anna"]


async def set_up(server: Server, code: str) -> None:
    """Choose a password by an invitation."""
    answer = await server.json("POST", "/api/v1/setup", json={"code": code, "password": PASSWORD})
    assert answer["role"] == "owner"
