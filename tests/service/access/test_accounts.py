"""Accounts through the real routes: made, invited, entered, changed and removed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from framecast.service.access.accounts import INVITATION_LIFE_S
from framecast.service.access.rights import COOKIE
from framecast.service.access.sessions import SESSION_LIFE_S
from framecast.service.accounts import people
from framecast.service.server import announce
from framecast.service.store.state import State
from tests.service.serving import CHEAP, PASSWORD, Server, serving

pytestmark = pytest.mark.anyio

ANYWHERE = {"server.host": "0.0.0.0"}
OTHER = "some other good words"


@asynccontextmanager
async def entered(server: Server, path: str, body: dict[str, Any], **options: Any) -> AsyncIterator[Any]:
    """What a log-in answers, and the headers that a browser sends from then on."""
    async with server.client.post(server.url + path, json=body, **options) as response:
        answer = await response.json()
        assert response.status == 200, answer
        cookie = response.cookies[COOKIE]
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/"
        yield answer, {"Cookie": f"{COOKIE}={cookie.value}", "Origin": server.url}


def link_of(printed: str) -> str:
    """The code in what a server prints."""
    (line,) = [line for line in printed.splitlines() if "/setup#" in line]
    return line.partition("#")[2]


async def test_the_first_owner_comes_by_a_link_that_is_printed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path, options=ANYWHERE) as server:
        announce(server.service, server.listeners)
        printed = capsys.readouterr().out
        assert printed.splitlines()[0].startswith("Framecast is ready at http://")
        code = link_of(printed)
        state = await server.json("GET", "/api/v1/session")
        assert (state["setup"], state["accounts"], state["open"], state["kind"]) == (True, False, False, "none")
        await server.error("GET", "/api/v1/cameras", 401)
        body = {"code": code, "name": "anna", "password": PASSWORD}
        wrong = {**body, "code": code[:-1] + ("A" if code[-1] != "A" else "B")}
        await server.error("POST", "/api/v1/setup", 403, "wrong_code", json=wrong)
        await server.error("POST", "/api/v1/setup", 400, "bad_account", json={**body, "password": "short"})
        await server.error("POST", "/api/v1/setup", 400, "bad_account", json={**body, "name": "a/b"})
        await server.error("POST", "/api/v1/setup", 400, "bad_value", json={"code": code})
        await server.error("POST", "/api/v1/setup", 400, "bad_value", json={**body, "role": "owner"})
        async with entered(server, "/api/v1/setup", body) as (answer, headers):
            assert answer == {
                "open": False,
                "rights": ["operate", "own", "publish", "watch"],
                "cameras": None,
                "name": "anna",
                "kind": "user",
                "role": "owner",
                "accounts": True,
                "setup": False,
                "public_url": None,
            }
            assert await server.json("GET", "/api/v1/session", headers=headers) == answer
            await server.json("GET", "/api/v1/users", headers=headers)
        await server.error("POST", "/api/v1/setup", 409, "done", json={**body, "name": "eve"})
        announce(server.service, server.listeners)
        assert "#" not in capsys.readouterr().out
    async with serving(tmp_path, options=ANYWHERE) as server:
        announce(server.service, server.listeners)
        assert "#" not in capsys.readouterr().out
        await server.error("POST", "/api/v1/setup", 403, "wrong_code", json={**body, "name": "eve"})
        async with entered(server, "/api/v1/session", {"name": "ANNA", "password": PASSWORD}) as (answer, _):
            assert answer["name"] == "anna"


async def test_a_link_is_worth_nothing_once_somebody_else_is_the_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path, options=ANYWHERE) as server:
        announce(server.service, server.listeners)
        code = link_of(capsys.readouterr().out)
        await server.owner()
        assert (await server.json("GET", "/api/v1/session"))["setup"] is False
        body = {"code": code, "name": "eve", "password": PASSWORD}
        await server.error("POST", "/api/v1/setup", 409, "done", json=body)


async def test_who_is_invited_to_own_it_is_waited_for_instead_of_printing_a_second_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with State.open(tmp_path / "data") as state:
        people.People(state.credentials, CHEAP).create({"name": "Anna B", "role": "owner"})
    async with serving(tmp_path, options=ANYWHERE) as server:
        announce(server.service, server.listeners)
        printed = capsys.readouterr().out
        assert "#" not in printed
        assert "Anna B is invited to; a new link: framecast user invite 'Anna B'" in printed


async def test_an_open_server_prints_no_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path) as server:
        announce(server.service, server.listeners)
        assert "#" not in capsys.readouterr().out
        await server.error("POST", "/api/v1/setup", 403, "wrong_code", json={"code": "", "password": PASSWORD})


async def test_the_first_account_closes_what_was_open(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        guest = {"name": "guest", "role": "viewer"}
        await server.error("POST", "/api/v1/users", 409, "owner_first", json=guest)
        await server.json("GET", "/api/v1/cameras")
        body = {"name": "anna", "role": "owner", "password": PASSWORD}
        made = await server.json("POST", "/api/v1/users", json=body, status=201)
        assert "invite" not in made and "password" not in made
        await server.error("GET", "/api/v1/cameras", 401)
        await server.json("POST", "/api/v1/users", json=guest, headers=await server.owner("anna"), status=201)


async def test_who_is_invited_chooses_a_password(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner()
        body = {"name": "Ben", "role": "viewer", "cameras": ["cam"]}
        made = await server.json("POST", "/api/v1/users", json=body, headers=owner, status=201)
        path, code = made.pop("invite").split("#")
        assert path == "/setup"
        assert (made["name"], made["cameras"], made["last_used"], made["disabled"]) == ("Ben", ["cam"], None, None)
        assert made["invited"] == pytest.approx(made["created"] + INVITATION_LIFE_S, abs=5)
        data = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir() if file.is_file())
        assert code.endswith(".Ben")
        assert code.partition(".")[0].encode() not in data
        log_in = {"name": "ben", "password": PASSWORD}
        await server.error("POST", "/api/v1/session", 401, "wrong_password", json=log_in)
        use = {"code": code, "password": PASSWORD}
        await server.error("POST", "/api/v1/setup", 400, "bad_account", json={**use, "password": "ben"})
        async with entered(server, "/api/v1/setup", use) as (answer, headers):
            assert (answer["name"], answer["role"], answer["rights"]) == ("Ben", "viewer", ["watch"])
            await server.error("POST", "/api/v1/setup", 403, "wrong_code", json=use)
        again = await server.json("PATCH", "/api/v1/users/ben", json={"invite": True}, headers=owner)
        await server.json("GET", "/api/v1/cameras", headers=headers)
        code = again["invite"].partition("#")[2]
        use = {"code": code, "password": OTHER}
        async with entered(server, "/api/v1/setup", use):
            await server.error("GET", "/api/v1/cameras", 401, headers=headers)
        late = await server.json("PATCH", "/api/v1/users/ben", json={"invite": True}, headers=owner)
        real = people.time.time()
        server.service.desk._people._clock = lambda: real + INVITATION_LIFE_S + 60
        use = {"code": late["invite"].partition("#")[2], "password": PASSWORD}
        await server.error("POST", "/api/v1/setup", 403, "wrong_code", json=use)
        (_, ben) = (await server.json("GET", "/api/v1/users", headers=owner))["users"]
        assert ben["invited"] is None


async def test_a_code_is_asked_about_without_using_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "/api/v1/setup/code"
    async with serving(tmp_path, options=ANYWHERE) as server:
        announce(server.service, server.listeners)
        first = link_of(capsys.readouterr().out)
        for body in ({"code": 5}, {}, {"code": first, "password": PASSWORD}):
            await server.error("POST", asked, 400, "bad_value", json=body)
        await server.error("POST", asked, 403, "wrong_code", json={"code": first[:-2]})
        for _ in range(20):  # a good one costs nothing
            await server.json("POST", asked, status=204, json={"code": first})
        owner = await server.owner()
        await server.error("POST", asked, 409, "done", json={"code": first})
        guest = {"name": "ben", "role": "viewer"}
        made = await server.json("POST", "/api/v1/users", json=guest, headers=owner, status=201)
        code = made["invite"].partition("#")[2]
        await server.json("POST", asked, status=204, json={"code": code})
        async with entered(server, "/api/v1/setup", {"code": code, "password": PASSWORD}):
            await server.error("POST", asked, 403, "wrong_code", json={"code": code})
        again = await server.json("PATCH", "/api/v1/users/ben", json={"invite": True}, headers=owner)
        code = again["invite"].partition("#")[2]
        await server.json("PATCH", "/api/v1/users/ben", json={"disabled": True}, headers=owner)
        await server.error("POST", asked, 403, "wrong_code", json={"code": code})
        log = json.dumps(await server.json("GET", "/api/v1/audit", headers=owner))
        assert "tried: opened a link for a password" in log and code not in log


async def test_codes_are_guessed_as_slowly_as_passwords(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.owner()
        for _ in range(10):
            await server.error("POST", "/api/v1/setup/code", 403, "wrong_code", json={"code": "a guess"})
        await server.error("POST", "/api/v1/setup/code", 429, "too_many_attempts", json={"code": "a guess"})
        log_in = {"name": "owner", "password": "wrong words, all of them"}
        await server.error("POST", "/api/v1/session", 429, "too_many_attempts", json=log_in)


async def test_a_name_that_nobody_has_is_answered_like_a_wrong_password(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.owner("anna")
        await server.user("gone")
        await server.json("PATCH", "/api/v1/users/gone", json={"disabled": True}, headers=await server.owner("anna"))
        asked: list[str | None] = []
        verify = server.service.desk._people._passwords.verify
        server.service.desk._people._passwords.verify = lambda password, kept: (  # type: ignore[method-assign]
            asked.append(kept),
            verify(password, kept),
        )[1]
        answers = set()
        for name in ("anna", "nobody", "gone"):
            body = {"name": name, "password": "wrong words, all of them"}
            answers.add(await server.error("POST", "/api/v1/session", 401, "wrong_password", json=body))
        assert len(answers) == 1
        assert len(asked) == 3, "each takes a hash's time"
        for body in ({"name": "anna"}, {"name": 5, "password": "x"}, {"name": "a", "password": "b", "key": "c"}):
            await server.error("POST", "/api/v1/session", 400, "bad_value", json=body)


async def test_passwords_are_guessed_slowly(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner("anna")
        for _ in range(10):
            body = {"name": "anna", "password": "wrong words, all of them"}
            await server.error("POST", "/api/v1/session", 401, json=body)
        right = {"name": "anna", "password": PASSWORD}
        async with server.client.post(server.url + "/api/v1/session", json=right) as response:
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0
        await server.error("POST", "/api/v1/setup", 429, "too_many_attempts", json={"code": "x", "password": PASSWORD})
        change = {"old": "wrong words, all of them", "new": OTHER}
        await server.error("POST", "/api/v1/password", 429, "too_many_attempts", json=change, headers=owner)
        await server.json("GET", "/api/v1/cameras", headers=owner)


async def test_an_owner_s_own_password_takes_the_old_one_whichever_way_it_is_changed(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner("anna")
        for change in ({"password": OTHER}, {"invite": True}):
            message = await server.error("PATCH", "/api/v1/users/Anna", 400, "bad_account", json=change, headers=owner)
            assert "with the old one" in message
        await server.json("PATCH", "/api/v1/users/anna", json={"role": "owner", "invite": False}, headers=owner)


async def test_the_last_owner_stays(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner("anna")
        await server.user("ben")
        for change in ({"role": "viewer"}, {"disabled": True}):
            await server.error("PATCH", "/api/v1/users/anna", 409, "last_owner", json=change, headers=owner)
        await server.error("DELETE", "/api/v1/users/Anna", 409, "last_owner", headers=owner)
        invited = {"name": "carl", "role": "owner"}
        await server.json("POST", "/api/v1/users", json=invited, headers=owner, status=201)
        await server.error("DELETE", "/api/v1/users/anna", 409, "last_owner", headers=owner)
        await server.json("PATCH", "/api/v1/users/ben", json={"role": "owner"}, headers=owner)
        ben = await server.owner("ben")
        await server.json("DELETE", "/api/v1/users/anna", status=204, headers=owner)
        await server.error("GET", "/api/v1/users", 401, headers=owner)
        assert [user["name"] for user in (await server.json("GET", "/api/v1/users", headers=ben))["users"]] == [
            "ben",
            "carl",
        ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"name": "x"}, 400),
        ({"name": "x", "role": "admin"}, 400),
        ({"name": "x", "role": ["owner"]}, 400),
        ({"name": "x", "role": None}, 400),
        ({"name": "x\n", "role": "viewer"}, 400),
        ({"name": "x ", "role": "viewer"}, 400),  # what is typed to log in is stripped
        ({"name": "user:x", "role": "viewer"}, 400),
        ({"name": "", "role": "viewer"}, 400),
        ({"name": "x", "role": "viewer", "cameras": []}, 400),
        ({"name": "x", "role": "viewer", "cameras": ["../x"]}, 400),
        ({"name": "x", "role": "owner", "cameras": ["cam"]}, 400),
        ({"name": "x", "role": "viewer", "password": "short"}, 400),
        ({"name": "x", "role": "viewer", "password": 5}, 400),
        ({"name": "x", "role": "viewer", "disabled": True}, 400),
        ({"name": "OWNER", "role": "viewer"}, 409),
        ({"name": "ow\uff4eer", "role": "viewer"}, 409),
    ],
)
async def test_what_is_no_account(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner()
        assert await server.error("POST", "/api/v1/users", status, json=body, headers=owner)
        assert len((await server.json("GET", "/api/v1/users", headers=owner))["users"]) == 1


async def test_what_is_no_change_of_an_account(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner()
        await server.user("ben")
        for body in (
            {},
            {"name": "carl"},
            {"role": "god"},
            {"disabled": "yes"},
            {"invite": 1},
            {"cameras": "cam"},
            {"role": "owner", "cameras": ["cam"]},
            {"password": "short"},
            {"id": 1},
        ):
            await server.error("PATCH", "/api/v1/users/ben", 400, "bad_account", json=body, headers=owner)
        await server.error("PATCH", "/api/v1/users/nobody", 404, json={"disabled": True}, headers=owner)
        await server.error("DELETE", "/api/v1/users/nobody", 404, headers=owner)
        own = {"password": OTHER}
        await server.error("PATCH", "/api/v1/users/OWNER", 400, "bad_account", json=own, headers=owner)
        for right in ("disabled", "enabled"):
            change = {"disabled": right == "disabled"}
            changed = await server.json("PATCH", "/api/v1/users/ben", json=change, headers=owner)
            assert bool(changed["disabled"]) is change["disabled"]
        await server.json("PATCH", "/api/v1/users/ben", json={"disabled": True}, headers=owner)
        await server.error("PATCH", "/api/v1/users/ben", 409, "disabled", json={"invite": True}, headers=owner)


async def test_ones_own_password_ends_the_other_sessions(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.owner()
        here, there = await server.user("ben"), await server.user("ben")
        body = {"old": PASSWORD, "new": OTHER}
        await server.error("POST", "/api/v1/password", 403, "wrong_password", json={**body, "old": "x"}, headers=here)
        await server.error("POST", "/api/v1/password", 400, "bad_account", json={**body, "new": "x"}, headers=here)
        await server.error("POST", "/api/v1/password", 400, "bad_value", json={"new": OTHER}, headers=here)
        await server.json("POST", "/api/v1/password", json=body, headers=here, status=204)
        await server.json("GET", "/api/v1/cameras", headers=here)
        await server.error("GET", "/api/v1/cameras", 401, headers=there)
        log_in = {"name": "ben", "password": PASSWORD}
        await server.error("POST", "/api/v1/session", 401, json=log_in)
        async with entered(server, "/api/v1/session", {**log_in, "password": OTHER}):
            pass
        made = await server.service.desk.create_token({"name": "t", "rights": ["watch"]})
        headers = {"X-API-Key": made["secret"]}
        await server.error("POST", "/api/v1/password", 403, "no_account", json=body, headers=headers)
    async with serving(tmp_path) as server:
        await server.json("GET", "/api/v1/cameras", headers={**here, "Origin": server.url})
        await server.error("GET", "/api/v1/cameras", 401, headers=there)


async def test_a_log_in_gets_a_cookie_of_its_own_and_ends_the_one_before(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner("anna")
        body = {"name": "anna", "password": PASSWORD}
        planted = {"Cookie": f"{COOKIE}=chosen-by-somebody-else", "Origin": server.url}
        async with entered(server, "/api/v1/session", body, headers=planted) as (_, headers):
            assert "chosen" not in headers["Cookie"]
        async with entered(server, "/api/v1/session", body, headers=headers) as (_, later):
            assert later["Cookie"] != headers["Cookie"]
            await server.error("GET", "/api/v1/cameras", 401, headers=headers)
            await server.json("GET", "/api/v1/cameras", headers=later)
            await server.json("GET", "/api/v1/cameras", headers=owner)


async def test_sessions_are_listed_and_ended(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner("anna")
        ben, again = await server.user("ben"), await server.user("ben")
        listed = (await server.json("GET", "/api/v1/sessions", headers=ben))["sessions"]
        assert [each["current"] for each in listed] == [False, True]
        mine = listed[1]
        assert (mine["holder"], mine["kind"], mine["role"]) == ("ben", "user", "viewer")
        assert (mine["address"], mine["agent"]) == ("127.0.0.1", "a test")
        assert mine["expires"] == pytest.approx(mine["created"] + SESSION_LIFE_S)
        assert mine["last_used"] >= mine["created"]
        assert all(each["id"] not in header["Cookie"] for each in listed for header in (ben, again))
        await server.error("GET", "/api/v1/sessions?all=1", 403, headers=ben)
        everybodys = (await server.json("GET", "/api/v1/sessions?all=1", headers=owner))["sessions"]
        assert sorted(each["holder"] for each in everybodys) == ["anna", "ben", "ben"]
        (annas,) = (await server.json("GET", "/api/v1/sessions", headers=owner))["sessions"]
        await server.error("DELETE", f"/api/v1/sessions/{annas['id']}", 404, headers=ben)
        await server.json("DELETE", f"/api/v1/sessions/{listed[0]['id']}", status=204, headers=ben)
        await server.error("GET", "/api/v1/cameras", 401, headers=again)
        await server.json("DELETE", f"/api/v1/sessions/{mine['id']}", status=204, headers=owner)
        await server.error("GET", "/api/v1/cameras", 401, headers=ben)
        assert len(server.service._state.credentials.sessions()) == 1


async def test_nobody_has_no_sessions(tmp_path: Path) -> None:
    cameras = {"cam": {"url": "push:", "public": ["watch"], "allow_query_key": True}}
    async with serving(tmp_path, cameras) as server:
        await server.owner()
        key = (await server.service.desk.create_token({"name": "t", "rights": ["watch"]}))["secret"]
        async with entered(server, "/api/v1/session", {"key": key}) as (_, headers):
            assert len((await server.json("GET", "/api/v1/sessions", headers=headers))["sessions"]) == 1
        for path in ("/api/v1/sessions", f"/api/v1/sessions?key={key}"):
            assert (await server.json("GET", path)) == {"sessions": []}
        (session,) = server.service.keyring.sessions("t")
        await server.error("DELETE", f"/api/v1/sessions/{session.id}", 404)
        await server.error("DELETE", f"/api/v1/sessions/{session.id}?key={key}", 404)


async def test_a_log_out_everywhere(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.owner()
        ben, again, carl = await server.user("ben"), await server.user("ben"), await server.user("carl")
        await server.json("DELETE", "/api/v1/session?everywhere=1", status=204, headers=ben)
        for headers in (ben, again):
            await server.error("GET", "/api/v1/cameras", 401, headers=headers)
        await server.json("GET", "/api/v1/cameras", headers=carl)


async def test_a_session_ends_with_its_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.owner()
        ben = await server.user("ben")
        (session,) = server.service.keyring.sessions("user:ben")
        async with server.client.ws_connect(server.url + "/api/v1/ws", headers=ben) as socket:
            for day in range(int(SESSION_LIFE_S // 86_400)):  # a clock that is at once there is not believed
                await server.service.desk.tidy(session.created_s + day * 86_400)
            await server.service.desk.tidy(session.expires_s - 1)
            assert len(server.service.keyring.sessions("user:ben")) == 1
            await server.service.desk.tidy(session.expires_s)
            while not socket.closed:
                await socket.receive(timeout=5)
        assert not server.service.keyring.sessions("user:ben")
        await server.error("GET", "/api/v1/cameras", 401, headers=ben)


async def test_last_use_outlives_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner("anna")
        (anna,) = (await server.json("GET", "/api/v1/users", headers=owner))["users"]
        assert anna["last_used"] >= anna["created"]
    async with serving(tmp_path) as server:
        (kept,) = (await server.json("GET", "/api/v1/users", headers={**owner, "Origin": server.url}))["users"]
        assert kept["last_used"] == pytest.approx(anna["last_used"], abs=60)


async def test_tokens_can_not_make_owners(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        body = {"name": "t", "rights": ["watch", "operate", "publish"]}
        key = (await server.service.desk.create_token(body))["secret"]
        for secret in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            user = {"name": "eve", "role": "owner", "password": PASSWORD}
            await server.error("POST", "/api/v1/users", 403, json=user, headers=secret)
            await server.error("POST", "/api/v1/tokens", 403, json={**body, "name": "u"}, headers=secret)
        await server.error(
            "POST", "/api/v1/tokens", 400, "bad_token", json={**body, "rights": ["own"]}, headers=await server.owner()
        )
