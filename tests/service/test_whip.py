"""Cameras pushed on over WebRTC: a media server made of aiohttp and aiortc takes them in."""

from __future__ import annotations

import asyncio
import datetime
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiortc import MediaStreamTrack, RTCCertificate, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from framecast.core.clock import SYSTEM, Clock, ManualClock
from framecast.core.errors import Misuse
from framecast.core.packet import Format
from framecast.output.restream.dial import CheckAddress
from framecast.output.restream.restream import Restream, RestreamError
from framecast.output.restream.whipsession import WhipSession
from framecast.output.webrtc.ice import IceOptions
from framecast.wire import blockcode
from tests.core.fakes import packet
from tests.service.serving import Server, serving, until
from tests.support.whep import local_address

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not local_address(), reason="WebRTC needs an address that is not loopback"),
]

VERSION = b"\xa0\x03\x02\x01"
"""What stands before it in a certificate."""
MOCK = "mock:?fps=25&size=320x240&audio=1"


class MediaServer:
    """A WHIP endpoint.

    Attributes:
        deleted: Resources that were let go of.
        location: Where it says that a session is, instead of its own resource.
        moved_to: Where it sends those who ask for ``/whip/door``, if anywhere.
        in_pieces: Whether its answers come in two pieces, with a pause between.
        surplus_bytes: What follows an answer.
        certificate: What it shows, instead of one made for each session.
    """

    def __init__(self) -> None:
        self.connections: list[RTCPeerConnection] = []
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.authorization: list[str] = []
        self.deleted: list[str] = []
        self.answer_status = 201
        self.location = ""
        self.moved_to = ""
        self.in_pieces = False
        self.surplus_bytes = 0
        self.certificate: RTCCertificate | None = None
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.authorization.append(request.headers.get("Authorization", ""))
        if request.method == "DELETE":
            self.deleted.append(request.path)
            return web.Response(status=200)
        if self.moved_to and request.path == "/whip/door":
            return web.Response(status=307, headers={"Location": self.moved_to})
        if self.answer_status != 201:
            return web.Response(status=self.answer_status, reason="No Room")
        assert request.content_type == "application/sdp"
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if self.certificate is not None:
            connection._RTCPeerConnection__certificates = [self.certificate]  # type: ignore[attr-defined]
        self.connections.append(connection)
        connection.on("track", lambda track: self.tracks.__setitem__(track.kind, track))
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        headers = {"Location": self.location or f"/resource/{len(self.connections)}"}
        response = web.StreamResponse(status=201, headers={"Content-Type": "application/sdp", **headers})
        await response.prepare(request)
        body = connection.localDescription.sdp.encode() + b"a" * self.surplus_bytes
        if self.in_pieces:
            await response.write(body[:200])
            await asyncio.sleep(0.05)
        await response.write(body[200 * self.in_pieces :])
        return response

    @classmethod
    @asynccontextmanager
    async def running(cls, host: str = "127.0.0.1") -> AsyncIterator[MediaServer]:
        media = cls()
        server = await asyncio.get_running_loop().create_server(web.Server(media.handle), host, 0)
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
        media.moved_to = "/whip/elsewhere"
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


class Unreadable(RTCCertificate):
    """One of a version that X.509 does not have; OpenSSL does not mind."""

    def __init__(self) -> None:
        made = RTCCertificate.generateCertificate()
        super().__init__(made._key, made._cert)

    def _create_ssl_context(self, *args: Any, **options: Any) -> SSL.Context:
        context = super()._create_ssl_context(*args, **options)
        der = bytearray(self._cert.public_bytes(Encoding.DER))
        der[der.index(VERSION) + len(VERSION)] = 7
        with warnings.catch_warnings():  # only what is old takes such a certificate
            warnings.simplefilter("ignore", DeprecationWarning)
            context.use_certificate(crypto.load_certificate(crypto.FILETYPE_ASN1, bytes(der)))
            context.use_privatekey(self._key)
        return context


@asynccontextmanager
async def session(
    media: MediaServer, check: CheckAddress | None = None, clock: Clock = SYSTEM
) -> AsyncIterator[WhipSession]:
    pushing = WhipSession(f"http://:t0ken@127.0.0.1:{media.port}/whip/door", check, IceOptions(), clock)
    try:
        yield pushing
    finally:
        await pushing.close()


def only_here(host: str, address: str) -> None:
    """See `CheckAddress`."""
    if address != "127.0.0.1":
        raise Misuse(f"{host} may not be called")


async def told(media: MediaServer) -> datetime.datetime | None:
    """When it is by the last report that came."""
    stats = await media.connections[0].getStats()
    stamps = [each.remoteTimestamp for each in stats.values() if each.type == "remote-outbound-rtp"]
    return stamps[-1] if stamps else None


async def test_reports_are_of_the_clock_that_stamps_the_pictures() -> None:
    """The wall clock may have been set since: hours between the two, and the other end would count them as delay."""
    then = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    async with MediaServer.running() as media, session(media, clock=ManualClock(int(then.timestamp()) * 10**9)) as push:
        await push.open()
        await push.send(replace(packet(1, b"\0\0\0\1\x65picture"), format=Format("h264", 640, 480)))
        watching = asyncio.ensure_future(push.watch())
        async with asyncio.timeout(10):
            while (at := await told(media)) is None:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)
        watching.cancel()
        assert abs(at - then) < datetime.timedelta(seconds=1)


async def test_an_answer_may_come_in_pieces() -> None:
    async with MediaServer.running() as media:
        media.in_pieces = True
        async with session(media) as pushing:
            await pushing.open()
        assert media.deleted == ["/resource/1"]


async def test_a_certificate_that_can_not_be_read_is_a_wrong_one() -> None:
    async with MediaServer.running() as media:
        media.certificate = Unreadable()
        with pytest.raises(RestreamError, match="no path to the media server"):
            async with session(media) as pushing, asyncio.timeout(20):
                await pushing.open()


async def test_an_answer_without_an_end_is_not_read_to_it() -> None:
    async with MediaServer.running() as media:
        media.surplus_bytes = 1 << 20
        with pytest.raises(RestreamError, match="its answer is too long"):
            async with session(media) as pushing:
                await pushing.open()
        assert media.deleted == ["/resource/1"]


@pytest.mark.parametrize("check", [None, only_here])
async def test_a_session_on_another_host_is_not_believed(check: CheckAddress | None) -> None:
    async with MediaServer.running() as media, MediaServer.running("127.0.0.2") as other:
        media.location = f"http://127.0.0.2:{other.port}/admin/reboot"
        async with session(media, check) as pushing:
            await pushing.open()
        assert (media.authorization, other.authorization) == (["Bearer t0ken"], [])


async def test_a_session_on_another_port_does_not_learn_the_token() -> None:
    async with MediaServer.running() as media, MediaServer.running() as other:
        media.location = f"http://127.0.0.1:{other.port}/resource/7"
        async with session(media) as pushing:
            await pushing.open()
        assert (other.deleted, other.authorization) == (["/resource/7"], [""])


async def test_a_redirect_to_another_port_does_not_learn_the_token() -> None:
    async with MediaServer.running() as media, MediaServer.running() as other:
        media.moved_to = f"http://127.0.0.1:{other.port}/whip/door"
        async with session(media, only_here) as pushing:
            await pushing.open()
        assert other.deleted == ["/resource/1"]
        assert (media.authorization, other.authorization) == (["Bearer t0ken"], ["", ""])


async def test_a_redirect_to_another_host_is_not_followed() -> None:
    async with MediaServer.running() as media, MediaServer.running("127.0.0.2") as other:
        media.moved_to = f"http://127.0.0.2:{other.port}/whip/door"
        with pytest.raises(RestreamError, match="307"):
            async with session(media) as pushing:
                await pushing.open()
        assert other.authorization == []


async def test_the_address_is_looked_at_before_each_request() -> None:
    forbidden = False

    def check(host: str, address: str) -> None:
        if forbidden:
            raise Misuse(f"{host} may not be called")

    async with MediaServer.running() as media:
        async with session(media, check) as pushing:
            await pushing.open()
            forbidden = True  # as when the settings have changed
        assert media.deleted == []
        with pytest.raises(Misuse):
            async with session(media, check) as pushing:
                await pushing.open()


async def test_a_media_server_that_refuses_is_quoted(tmp_path: Path) -> None:
    async with MediaServer.running() as media:
        media.answer_status = 403
        url = f"whip+http://127.0.0.1:{media.port}/whip/door"
        async with serving(tmp_path, {"cam": {"url": MOCK, "restream": [url]}}) as server:
            await until(lambda: "403 No Room" in only(server).last_error, 10)
            assert not server.camera().stream.wanted
