"""Secrets stay where they belong: in files that nobody else may read, and in no log, page or number."""

from __future__ import annotations

import logging
import secrets
import stat
from pathlib import Path

import pytest

from framecast.service import config
from framecast.service.config.report import exposed
from tests.service.serving import jpeg, serving, until

pytestmark = pytest.mark.anyio


async def test_what_is_kept_is_for_its_owner_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.service.desk.create_token({"name": "wall", "rights": ["watch"]})
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
        assert {"framecast.db", "framecast.db-wal", "framecast.db-shm", "control.sock"} <= modes.keys()
        assert set(modes.values()) == {0o600}, modes
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[cameras.a]\nurl = "http://u:hush@10.0.0.1/"\n', "cameras.a.url"),
        ('[cameras.a]\nurl = "http://10.0.0.1/?token=hush"\n', "cameras.a.url"),
        ('[cameras.a]\nurl = "push:"\npassword = "hush"\n', "cameras.a.password"),
        ('[tunnel]\nauthtoken = "hush"\n', "tunnel.authtoken"),
        ('[webrtc]\nice_servers = ["turn:u:hush@turn.example"]\n', "webrtc.ice_servers"),
    ],
)
def test_a_configuration_file_with_secrets_that_others_may_read_is_told_of(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "framecast.toml"
    file.write_text(text)
    file.chmod(0o644)
    line = exposed(config.load(file=file, folder=tmp_path, environ={}))
    assert key in line
    assert f"chmod 600 {file}" in line
    assert "hush" not in line
    file.chmod(0o600)
    assert exposed(config.load(file=file, folder=tmp_path, environ={})) == ""


def test_one_without_secrets_may_be_read(tmp_path: Path) -> None:
    file = tmp_path / "framecast.toml"
    file.write_text('[cameras.a]\nurl = "http://10.0.0.1/"\n')
    file.chmod(0o644)
    assert exposed(config.load(file=file, folder=tmp_path, environ={})) == ""


async def test_no_log_page_or_number_tells_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hush = [f"hush-{secrets.token_hex(8)}" for _ in range(4)]
    cameras = {
        "login": f"http://user:{hush[0]}@127.0.0.1:9/stream",
        "query": f"http://127.0.0.1:9/stream?token={hush[1]}",
        "field": {"url": "http://127.0.0.1:9/", "username": "user", "password": hush[2]},
        "pushed": {"url": "push:", "allow_query_key": True, "restream": [f"rtmp://127.0.0.1:9/live/{hush[3]}"]},
    }
    async with serving(tmp_path, cameras) as server:
        made = await server.service.desk.create_token({"name": "wall", "rights": ["watch", "publish"]})
        owner = await server.owner()
        known = [*hush, made["secret"], owner["Cookie"].partition("=")[2]]
        key = f"?key={made['secret']}"
        await server.json("POST", "/api/v1/session", json={"key": made["secret"]})
        wrong = f"fc_{secrets.token_urlsafe(32)}"
        await server.error("POST", "/api/v1/session", 401, json={"key": wrong})
        await server.error("GET", f"/api/v1/cameras?key={wrong}", 401)
        async with server.client.post(
            f"{server.url}/api/v1/cameras/pushed/frames{key}", data=jpeg(1), headers={"Content-Type": "image/jpeg"}
        ) as response:
            assert response.status == 200
        link = await server.json(
            "POST", "/api/v1/links", status=201, headers=owner, json={"path": "/api/v1/cameras/pushed/snapshot.jpg"}
        )
        known += [wrong, link["url"].partition("link=")[2]]
        async with server.client.get(link["url"]) as response:
            assert response.status == 200
        for name in ("login", "query", "field"):
            stream = server.camera(name).stream
            async with server.client.get(f"{server.url}/api/v1/cameras/{name}/stream.mjpeg", headers=owner):
                await until(lambda stream=stream: stream.reason)
        told = [caplog.text]
        for path in (
            "/api/v1/cameras", "/api/v1/stats", "/metrics", "/api/v1/audit", "/api/v1/tokens", "/api/v1/users",
            "/api/v1/sessions?all=1", "/api/v1/session", "/api/v1/system", "/api/openapi.json", "/api/v1/history",
            *(f"/api/v1/cameras/{name}{more}" for name in cameras for more in ("", "/stats")),
        ):  # fmt: skip
            async with server.client.get(server.url + path, headers=owner) as response:
                assert response.status == 200, path
                told.append(await response.text())
    for secret in known:
        assert not [text for text in told if secret in text]
