"""A data folder from before there were accounts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from framecast.service.access.rights import COOKIE
from framecast.service.access.sessions import SESSION_LIFE_S
from framecast.service.access.tokens import digest
from framecast.service.store.database import FILE_NAME
from framecast.service.store.migrations import MIGRATIONS
from tests.service.serving import serving

pytestmark = pytest.mark.anyio

FOREVER_S = 1e11
BEFORE_ACCOUNTS = 2


def old_folder(folder: Path) -> None:
    """A token with a session, and a revoked one, as they were kept then."""
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / FILE_NAME)
    for migration in MIGRATIONS[:BEFORE_ACCOUNTS]:
        connection.executescript(migration)
    connection.execute(f"PRAGMA user_version = {BEFORE_ACCOUNTS}")
    token = (
        "INSERT INTO tokens (id, name, digest, rights, cameras, created_s, revoked_s) VALUES (?, ?, ?, ?, ?, 1.0, ?)"
    )
    connection.execute(token, (3, "wall", digest("fc_a"), "operate", None, None))
    connection.execute(token, (4, "old", digest("fc_b"), "watch", "door", 2.0))
    session = "INSERT INTO sessions (digest, token_id, expires_s) VALUES (?, ?, ?)"
    connection.execute(session, (digest("biscuit"), 3, FOREVER_S))
    connection.execute(session, (digest("crumb"), 3, 5.0))
    connection.commit()
    connection.close()


async def test_tokens_and_the_browsers_that_showed_them_stay_in(tmp_path: Path) -> None:
    old_folder(tmp_path / "data")
    async with serving(tmp_path) as server:
        cookie = {"Cookie": f"{COOKIE}=biscuit", "Origin": server.url}
        answer = await server.json("GET", "/api/v1/session", headers=cookie)
        assert (answer["kind"], answer["name"], answer["rights"]) == ("token", "wall", ["operate", "watch"])
        assert (answer["accounts"], answer["open"]) == (False, False)
        (session,) = (await server.json("GET", "/api/v1/sessions", headers=cookie))["sessions"]
        assert session["created"] == FOREVER_S - SESSION_LIFE_S
        assert session["id"] not in ("", "biscuit")
        for headers, status in (
            ({"X-API-Key": "fc_a"}, 200),
            ({"X-API-Key": "fc_b"}, 401),
            ({"Cookie": f"{COOKIE}=crumb"}, 401),
        ):
            async with server.client.get(server.url + "/api/v1/cameras", headers=headers) as response:
                assert response.status == status
        owner = await server.owner()
        await server.json("DELETE", "/api/v1/tokens/wall", status=204, headers=owner)
        await server.error("GET", "/api/v1/cameras", 401, headers=cookie)


async def test_a_token_that_managed_tokens_does_so_no_more(tmp_path: Path) -> None:
    old_folder(tmp_path / "data")
    async with serving(tmp_path) as server:
        await server.error("GET", "/api/v1/tokens", 403, headers={"X-API-Key": "fc_a"})
        assert server.service.keyring.has_owner is False
