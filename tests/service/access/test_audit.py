"""Who changed what: kept, bounded, and without secrets."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framecast.cli import main
from framecast.core.errors import StateError
from framecast.service.access.rights import Right
from framecast.service.api.table import make_table
from framecast.service.operations.trail import ACTIONS, is_kept
from framecast.service.store.audit import AuditLog, Kind
from framecast.service.store.state import State
from tests.service.serving import Server, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(tmp_path) as opened:
        yield opened


async def entries(server: Server, query: str = "", **options: Any) -> list[dict[str, Any]]:
    answer = await server.json("GET", "/api/v1/audit" + query, **options)
    return list(answer["entries"])


def test_the_oldest_go_first_and_each_kind_pushes_out_its_own_only(state: State) -> None:
    kept = AuditLog(state.database, {Kind.CHANGE: 5, Kind.COMMON: 4, Kind.FAILED: 3})
    for number in range(10):
        kept.add("ann", "192.0.2.1", "changed a camera", str(number))
        for _ in range(10):
            kept.add("bob", "192.0.2.2", "made a link", str(number), kind=Kind.COMMON)
            kept.add("somebody", "192.0.2.2", "tried: logged in", str(number), kind=Kind.FAILED)
    rows = kept.page()
    assert [row.target for row in rows if row.who == "ann"] == ["9", "8", "7", "6", "5"]
    assert [row.target for row in rows if row.who == "bob"] == ["9", "9", "9", "9"]
    assert [row.target for row in rows if not row.done] == ["9", "9", "9"]


@pytest.mark.parametrize(("kind", "by"), [(Kind.COMMON, "who"), (Kind.FAILED, "address")])
def test_who_comes_again_and_again_pushes_out_nobody_else(state: State, kind: Kind, by: str) -> None:
    kept = AuditLog(state.database, {Kind.CHANGE: 5, Kind.COMMON: 4, Kind.FAILED: 4})
    kept.add("ann", "192.0.2.1", "logged in", "first", kind=kind)
    for number in range(20):
        busy = ("bob", f"192.0.2.{10 + number}") if by == "who" else (f"bob{number}", "192.0.2.2")
        kept.add(*busy, "logged in", str(number), kind=kind)
    kept.add("cy", "192.0.2.3", "logged in", "last", kind=kind)
    assert [row.target for row in kept.page()] == ["last", "19", "18", "first"]


def test_is_read_page_by_page(state: State) -> None:
    kept = AuditLog(state.database)
    for number in range(10):
        kept.add("ann", "192.0.2.1", "changed a camera", str(number))
    first = kept.page(limit=4)
    second = kept.page(before=first[-1].id, limit=4)
    assert [row.target for row in first + second] == ["9", "8", "7", "6", "5", "4", "3", "2"]


def test_an_entry_is_one_line_and_fits(state: State) -> None:
    kept = AuditLog(state.database)
    kept.add("a\nb", "\x00", "x\u202ey", "\ud800" + "t" * 5000, "d" * 5000)
    (row,) = kept.page()
    assert (row.who, row.address, row.action) == ("a b", " ", "x y")
    assert len(row.target) == 200
    assert len(row.detail) == 1000


async def test_says_who_changed_what_from_where(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "Front door", "password": "hush", "rotate": 90})
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "b", "url": "http://u:hush@10.0.0.9/"})
        await server.json("DELETE", "/api/v1/cameras/b", status=204)
        await server.json("GET", "/api/v1/cameras")
        await server.error("PATCH", "/api/v1/cameras/cam", 400, json={"rotate": 5})
        found = await entries(server)
        assert [(each["action"], each["target"], each["detail"]) for each in found] == [
            ("removed a camera", "b", ""),
            ("added a camera", "b", "id, url=http://u:***@10.0.0.9/"),
            ("changed a camera", "cam", "name=Front door, password, rotate=90"),
        ]
        assert {(each["who"], each["address"], each["done"]) for each in found} == {
            ("anybody at this machine", "127.0.0.1", True)
        }
        assert [each["id"] for each in found] == sorted((each["id"] for each in found), reverse=True)


async def test_keeps_log_ins_and_those_that_failed_but_no_key(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as server:
        made = await server.service.desk.create_token({"name": "wall", "rights": ["watch"]})
        await server.json("POST", "/api/v1/session", json={"key": made["secret"]})
        await server.error("POST", "/api/v1/session", 401, json={"key": "fc_wrong"})
        await server.error("POST", "/api/v1/session", 401, json={"name": "ann", "password": "wrong one"})
        found = server.service.trail.kept.page()
        assert [(each.who, each.action, each.target, each.done) for each in found] == [
            ("somebody", "tried: logged in", "ann", False),
            ("somebody", "tried: logged in", "", False),
            ("wall", "logged in", "", True),
        ]
        everything = "".join(path.read_bytes().decode("latin-1") for path in (tmp_path / "data").glob("framecast.db*"))
        for secret in (made["secret"], "fc_wrong", "wrong one"):
            assert secret not in everything
        await server.error("GET", "/api/v1/audit", 401)
        await server.error("GET", "/api/v1/audit", 403, headers={"Authorization": f"Bearer {made['secret']}"})


async def test_keeps_no_password_of_an_address_as_people_type_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for url in ("admin:hush@192.0.2.1", "http://admin:h#hush@192.0.2.1/"):
            async with server.client.post(server.url + "/api/v1/probe", json={"url": url}) as response:
                assert response.status == 200
                await response.read()
        found = await entries(server)
        assert [each["action"] for each in found] == ["probed a camera"] * 2
        assert "hush" not in str(found)


async def test_keeps_no_path_of_a_webhook_since_it_often_lets_in(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"network.allow_loopback": True}) as server:
        await server.json("POST", "/api/v1/webhooks", status=201, json={"url": "https://127.0.0.1:9/services/hush"})
        (kept,) = await entries(server)
        assert (kept["target"], kept["detail"]) == ("https://127.0.0.1:9/***", "url=https://127.0.0.1:9/***")


async def test_says_what_nothing_means(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.json("POST", "/api/v1/rules", status=201, json={"kind": "motion", "cameras": []})
        await server.json("PATCH", "/api/v1/cameras/cam", json={"rotate": None, "publish_from": []})
        await server.json("POST", "/api/v1/users", status=201, json={"name": "ann", "role": "owner", "cameras": None})
        found = [each.detail for each in server.service.trail.kept.page()]
    assert found == [
        "name=ann, role=owner, cameras=all",
        "rotate=as configured, publish_from=none",
        "kind, cameras=all",
    ]


async def test_is_asked_for_page_by_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name in "abc":
            await server.json("PATCH", "/api/v1/cameras/cam", json={"name": name})
        (newest,) = await entries(server, "?limit=1")
        assert [each["detail"] for each in await entries(server, f"?before={newest['id']}")] == ["name=b", "name=a"]
        for query in ("?limit=0", "?limit=501", "?limit=x", "?before=-1", "?before=0", "?before=9999999999999999999"):
            await server.error("GET", "/api/v1/audit" + query, 400, "bad_value")


async def test_every_route_that_changes_something_is_kept_in_words(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        rows = make_table(server.service).routes
    kept = {f"{route.method} {route.path}" for route in rows if is_kept(route)}
    assert kept == ACTIONS.keys()
    passing = {route.path for route in rows if route.method != "GET" and not is_kept(route)}
    publishing = {route.path for route in rows if route.right is Right.PUBLISH}
    assert {path.rpartition("/")[2] for path in passing - publishing} <= {"whep", "{viewer}", "talk"}


async def test_a_change_holds_where_the_log_can_t_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as server:

        def full(*args: object, **options: object) -> None:
            raise StateError("the state can't be written: disk full") from sqlite3.OperationalError()

        monkeypatch.setattr(server.service.trail.kept, "add", full)
        with caplog.at_level(logging.ERROR):
            await server.json("PATCH", "/api/v1/cameras/cam", json={"name": "x"})
        assert "the audit log can't be written" in caplog.text


def test_what_commands_change_while_no_server_runs_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAMECAST_DATA", str(tmp_path / "data"))
    for command in (
        ["user", "create", "anna", "--role", "owner"],
        ["token", "create", "wall", "--right", "watch"],
        ["token", "create", "wall", "--right", "watch"],
        ["user", "invite", "anna"],
        ["token", "revoke", "wall"],
        ["token", "list"],
        ["user", "list"],
    ):
        main(command)
    told = capsys.readouterr().out
    with State.open(tmp_path / "data") as state:
        rows = AuditLog(state.database).page()
    assert [(row.who, row.action, row.target) for row in reversed(rows)] == [
        ("command line", "added a person", "anna"),
        ("command line", "made a token", "wall"),
        ("command line", "changed a person", "anna"),
        ("command line", "revoked a token", "wall"),
    ]
    assert "fc_" in told and not any("fc_" in row.detail + row.target for row in rows)


def test_a_command_that_can_not_be_logged_says_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StateError("database or disk is full")

    monkeypatch.setattr(AuditLog, "add", full)
    assert main(["token", "create", "wall", "--right", "watch", "--data", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("fc_")
