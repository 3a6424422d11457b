"""What becomes of viewers at a bad moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.service.serving import serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("form", ["stream.mjpeg", "stream.mp4", "audio.wav", "audio.pcm"])
async def test_a_camera_removed_while_a_viewers_head_is_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    target = f"/api/v1/cameras/cam/{form}"
    async with serving(tmp_path, {"cam": "mock:?fps=20&size=64x64&audio=1"}) as server:
        prepare = web.StreamResponse.prepare

        async def slowly(response: web.StreamResponse, request: Any) -> Any:
            prepared = await prepare(response, request)
            if request.path == target:
                await server.service.remove_camera("cam")
            return prepared

        monkeypatch.setattr(web.StreamResponse, "prepare", slowly)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            try:
                await reader.read()
            except ConnectionError:
                pass
        writer.close()
        assert server.service.cameras.get("cam") is None
