"""Log-ins and changes of accounts that are odd, or come at an odd time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from framecast.service.accounts import desk as desk_module
from tests.service.serving import PASSWORD, serving, until
from tests.service.watching import mjpeg

pytestmark = pytest.mark.anyio

OTHER = "some other good words"


async def test_what_is_no_text_is_answered_like_any_wrong_password(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.owner()
        for name in ("\ud800", "a\x00b", "'; DROP TABLE accounts; --", "x" * 60_000, "\u202egro", "%2e%2e"):
            body = json.dumps({"name": name, "password": "\udfff" * 20})
            await server.error("POST", "/api/v1/session", 401, "wrong_password", data=body)
            server.service.desk.attempts.succeeded("127.0.0.1", "")
        await server.error(
            "POST", "/api/v1/setup", 403, "wrong_code", data=json.dumps({"code": "\ud800", "password": ""})
        )


async def test_a_browser_may_call_itself_anything(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.owner("anna")
        body = json.dumps({"name": "anna", "password": PASSWORD}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: \xff\xfe"
            + b"<script>" * 100
            + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        latest = server.service.keyring.sessions("user:anna")[0]
        assert latest.agent.startswith("??<script>") and len(latest.agent) == 200


async def test_what_changes_nothing_cuts_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "mock:?fps=20&size=96x64"}) as server:
        owner = await server.owner()
        ben = await server.user("ben", cameras=["cam"])
        lines = "".join(f"{name}: {value}\r\n" for name, value in ben.items())
        async with mjpeg(server.port, headers=lines) as viewer:
            for body in ({"role": "viewer", "cameras": ["cam"], "disabled": False}, {"invite": True}):
                await server.json("PATCH", "/api/v1/users/ben", json=body, headers=owner)
            await viewer.part()
            assert len(server.camera().stream.viewers) == 1
            await server.json("PATCH", "/api/v1/users/ben", json={"cameras": None}, headers=owner)
            await viewer.ended()


async def test_a_new_password_ends_an_invitation(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner, ben = await server.owner(), await server.user("ben")
        for change in ("own", "owner's", "disabled"):
            made = await server.json("PATCH", "/api/v1/users/ben", json={"invite": True}, headers=owner)
            if change == "own":
                body = {"old": PASSWORD, "new": OTHER}
                await server.json("POST", "/api/v1/password", json=body, headers=ben, status=204)
            else:
                body = {"password": OTHER} if change == "owner's" else {"disabled": True}
                await server.json("PATCH", "/api/v1/users/ben", json=body, headers=owner)
            use = {"code": made["invite"].partition("#")[2], "password": PASSWORD}
            await server.error("POST", "/api/v1/setup", 403, "wrong_code", json=use)


async def test_one_code_makes_one_owner_whoever_hurries(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"server.host": "0.0.0.0"}) as server:
        code = server.service.desk.owner_link.make().partition("#")[2]

        async def use(name: str) -> int:
            body = {"code": code, "name": name, "password": PASSWORD}
            async with server.client.post(server.url + "/api/v1/setup", json=body) as response:
                return response.status

        statuses = await asyncio.gather(*(use(f"anna{number}") for number in range(5)))
        assert sorted(statuses) == [200, 409, 409, 409, 409]
        assert len(server.service._state.credentials.accounts()) == 1


async def test_one_invitation_is_used_once_whoever_hurries(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        owner = await server.owner()
        made = await server.json(
            "POST", "/api/v1/users", json={"name": "b", "role": "viewer"}, headers=owner, status=201
        )

        async def use(number: int) -> int:
            body = {"code": made["invite"].partition("#")[2], "password": f"{number} of some good words"}
            async with server.client.post(server.url + "/api/v1/setup", json=body) as response:
                return response.status

        assert sorted(await asyncio.gather(*map(use, range(5)))) == [200, 403, 403, 403, 403]


async def test_two_owners_can_not_remove_each_other_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        anna, ben = await server.owner("anna"), await server.owner("ben")

        async def remove(name: str, headers: dict[str, str]) -> int:
            async with server.client.delete(f"{server.url}/api/v1/users/{name}", headers=headers) as response:
                return response.status

        statuses = sorted(await asyncio.gather(remove("ben", anna), remove("anna", ben)))
        assert statuses in ([204, 401], [204, 409])
        assert server.service.keyring.has_owner


async def test_too_many_who_log_in_at_once_are_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "MOST_WAITING", 0)
    async with serving(tmp_path) as server:
        desk = server.service.desk
        await desk.create_user({"name": "anna", "role": "owner", "password": PASSWORD})
        body = {"name": "anna", "password": PASSWORD}
        async with server.client.post(server.url + "/api/v1/session", json=body) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "2"
            assert (await response.json())["error"]["code"] == "busy"
        monkeypatch.undo()
        anna = await server.owner("anna")
        monkeypatch.setattr(desk_module, "MOST_WAITING", 0)
        change = {"old": PASSWORD, "new": "some other good words"}
        await server.error("POST", "/api/v1/password", 429, "busy", json=change, headers=anna)
        change = {"password": "some other good words"}
        await server.json("POST", "/api/v1/users", status=201, json={"name": "ben", "role": "viewer"}, headers=anna)
        await server.json("PATCH", "/api/v1/users/ben", json=change, headers=anna)


async def test_who_logs_in_while_the_server_stops_is_answered(tmp_path: Path) -> None:
    """Cameras and what is kept end before the connections do, which a tunnel may have open for seconds yet."""
    async with serving(tmp_path) as server:
        owner = await server.owner("anna")
        await server.service.stop()
        await server.error("POST", "/api/v1/session", 401, json={"name": "anna", "password": "wrong words, all"})
        await server.json("POST", "/api/v1/session", json={"name": "anna", "password": PASSWORD}, headers=owner)


async def test_sessions_are_ended_after_a_failure_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "KEEP_PERIOD_S", 0.01)
    looks = []

    async def tidy(desk: desk_module.Desk, now_s: float) -> None:
        looks.append(now_s)
        if len(looks) == 1:
            raise RuntimeError("once")

    monkeypatch.setattr(desk_module.Desk, "tidy", tidy)
    async with serving(tmp_path) as server:
        await until(lambda: len(looks) > 1, 5)
        assert server.service.supervisor.failures.pop("accounts") == 1
