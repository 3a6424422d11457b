"""Cameras pushed on over WebRTC: a media server made of aiohttp and aiortc takes them in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame

from framecast.output.restream.restream import Restream
from framecast.wire import blockcode
from tests.service.serving import Server, serving, until
from tests.support.whep import local_address

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not local_address(), reason="WebRTC needs an address that is not loopback"),
]

MOCK = "mock:?fps=25&size=320x240&audio=1"


class MediaServer:
    """A WHIP endpoint.

    Attributes:
        deleted: Resources that were let go of.
    """

    def __init__(self) -> None:
        self.connections: list[RTCPeerConnection] = []
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.authorization: list[str] = []
        self.deleted: list[str] = []
        self.answer_status = 201
        self.moved = False
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.authorization.append(request.headers.get("Authorization", ""))
        if request.method == "DELETE":
            self.deleted.append(request.path)
            return web.Response(status=200)
        if self.moved and request.path == "/whip/door":
            return web.Response(status=307, headers={"Location": "/whip/elsewhere"})
        if self.answer_status != 201:
            return web.Response(status=self.answer_status, reason="No Room")
        assert request.content_type == "application/sdp"
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connections.append(connection)
        connection.on("track", lambda track: self.tracks.__setitem__(track.kind, track))
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        headers = {"Location": f"/resource/{len(self.connections)}"}
        return web.Response(
            status=201, text=connection.localDescription.sdp, content_type="application/sdp", headers=headers
        )

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[MediaServer]:
        media = cls()
        server = await asyncio.get_running_loop().create_server(web.Server(media.handle), "127.0.0.1", 0)
        media.port = server.sockets[0].getsockname()[1]
        try:
            yield media
        finally:
            for connection in media.connections:
                await connection.close()
            server.close()


def only(server: Server) -> Restream:
    (restream,) = server.service.restreams.of(server.camera())
    return restream


async def ids(track: MediaStreamTrack, count: int) -> list[int]:
    found = []
    async with asyncio.timeout(10):
        for _ in range(count):
            frame = await track.recv()
            assert isinstance(frame, VideoFrame)
            code = blockcode.read(frame.to_ndarray(format="gray"))
            assert code is not None
            found.append(code.frame_id)
    return found


async def test_pictures_and_sound_arrive_and_it_survives_the_end_of_the_session(tmp_path: Path) -> None:
    async with MediaServer.running() as media:
        media.moved = True
        url = f"whip+http://:t0ken@127.0.0.1:{media.port}/whip/door"
        async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [url]}}) as server:
            await until(lambda: "video" in media.tracks, 10)
            first = await ids(media.tracks["video"], 20)
            assert first == sorted(first)
            async with asyncio.timeout(5):
                sound = await media.tracks["audio"].recv()
            assert isinstance(sound, AudioFrame)
            assert set(media.authorization) == {"Bearer t0ken"}
            assert only(server).state == "sending"
            await media.connections[0].close()
            await until(lambda: only(server).state == "waiting")
            await until(lambda: media.deleted == ["/resource/1"])
            await until(lambda: len(media.connections) == 2, 10)
            await until(lambda: only(server).state == "sending", 10)
            again = await ids(media.tracks["video"], 5)
            assert again[0] > first[-1]
        assert media.deleted == ["/resource/1", "/resource/2"]


async def test_a_media_server_that_refuses_is_quoted(tmp_path: Path) -> None:
    async with MediaServer.running() as media:
        media.answer_status = 403
        url = f"whip+http://127.0.0.1:{media.port}/whip/door"
        async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [url]}}) as server:
            await until(lambda: "403 No Room" in only(server).last_error, 10)
            assert not server.camera().stream.wanted
