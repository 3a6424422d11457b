"""What every answer tells a browser not to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from framecast.service.api.table import make_table
from tests.service.serving import Server, jpeg, serving

pytestmark = pytest.mark.anyio

CAMERA = "/api/v1/cameras/cam"
PICTURES = [f"{CAMERA}/snapshot.jpg", f"{CAMERA}/stream.mjpeg"]
SITE = "https://home.example"


async def headers(server: Server, path: str, **options: str) -> Mapping[str, str]:
    """Those of the answer, whose body is left."""
    async with server.client.get(server.url + path, headers=options) as response:
        return response.headers


async def test_every_route_answers_with_a_policy_and_is_kept_by_nobody_unless_it_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, tokens=True) as server:
        for route in make_table(server.service).routes:
            path = route.path.replace("{path:path}", "css/app.css").replace("{name:path}", "index.m3u8")
            path = path.replace("{id}", "cam").replace("{name}", "x")
            async with server.client.request(route.method, server.url + path, json={}) as response:
                found = response.headers
                assert found["X-Content-Type-Options"] == "nosniff", path
                assert found["Referrer-Policy"] == "no-referrer", path
                assert "default-src 'none'" in found["Content-Security-Policy"] or path.endswith(".js"), path
                assert "frame-ancestors" in found["Content-Security-Policy"], path
                if not found.get("Content-Type", "").startswith(("image/", "multipart/")):
                    assert "unsafe" not in found["Content-Security-Policy"], path
                    assert found["Cross-Origin-Resource-Policy"] == "same-origin", path
                assert found["Cache-Control"] in ("no-store", "no-store, no-transform", "no-cache"), path
                assert found["Server"] == "Framecast", path
                assert ("Permissions-Policy" in found) == found.get("Content-Type", "").startswith("text/html"), path


async def test_a_page_gets_at_no_device_but_the_microphone(server: Server) -> None:
    found = await headers(server, "/")
    assert "microphone=(self)" in found["Permissions-Policy"]
    assert "camera=()" in found["Permissions-Policy"]
    assert "script-src 'self'" in found["Content-Security-Policy"]
    assert "Cross-Origin-Opener-Policy" not in found, "browsers take it by HTTPS only"


async def test_what_nobody_may_see_is_shown_in_no_frame(server: Server) -> None:
    for path in ("/api/v1/cameras", "/api/v1/session", "/metrics", "/nowhere"):
        assert (await headers(server, path))["Content-Security-Policy"].endswith("frame-ancestors 'none'")


async def test_a_script_may_load_ours_since_a_service_worker_asks_by_its_policy(server: Server) -> None:
    name = next(name for name in server.service.assets if name.endswith(".js") and name.startswith("static/"))
    assert (await headers(server, "/" + name))["Content-Security-Policy"].startswith("default-src 'self';")


@pytest.mark.parametrize("path", PICTURES)
async def test_pictures_are_shown_by_other_sites_only_where_they_come_without_a_cookie(
    tmp_path: Path, path: str
) -> None:
    async with serving(tmp_path / "open") as server:
        await server.push(jpeg(1))
        assert (await headers(server, path))["Cross-Origin-Resource-Policy"] == "same-site"
    cameras = {"cam": {"url": "push:", "public": ["watch"], "publish_from": ["127.0.0.1"]}}
    async with serving(tmp_path / "public", cameras, tokens=True) as server:
        await server.push(jpeg(1))
        assert (await headers(server, path))["Cross-Origin-Resource-Policy"] == "cross-origin"
    cameras = {"cam": {"url": "push:", "allow_query_key": True, "publish_from": ["127.0.0.1"]}}
    async with serving(tmp_path / "key", cameras) as server:
        made = await server.json("POST", "/api/v1/tokens", status=201, json={"name": "wall", "rights": ["watch"]})
        await server.push(jpeg(1))
        found = await headers(server, f"{path}?key={made['secret']}")
        assert found["Cross-Origin-Resource-Policy"] == "cross-origin"
        found = await headers(server, path, Authorization=f"Bearer {made['secret']}")
        assert found["Cross-Origin-Resource-Policy"] == "same-site"


async def test_allowed_sites_may_show_pages_and_pictures(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"server.allowed_origins": [SITE]}) as server:
        await server.push(jpeg(1))
        for path in ("/", *PICTURES):
            found = await headers(server, path)
            assert found["Content-Security-Policy"].endswith(f"frame-ancestors 'self' {SITE}"), path
            assert found["Cross-Origin-Resource-Policy"] == "cross-origin", path
        assert (await headers(server, "/api/v1/cameras"))["Cross-Origin-Resource-Policy"] == "same-origin"
