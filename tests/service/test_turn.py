"""WebRTC where nothing but a TURN server's relay leads from the server to the viewer."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aioice.stun import Message

from framecast.core.rendition import H264
from framecast.output.webrtc import ice as paths
from framecast.output.webrtc import icedtls
from framecast.output.webrtc.peer import Peer
from framecast.service.access.rights import NOTHING
from framecast.service.errors import ApiError
from tests.service.serving import Server, serving, until
from tests.service.test_whip import MediaServer
from tests.support.turn import NAME, SECRET, TurnServer, turn_server
from tests.support.whep import Watcher, local_address, watcher
from tests.wire.test_sdp import OFFER

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not local_address(), reason="WebRTC needs an address that is not loopback"),
]

WHEP = "/api/v1/cameras/cam/whep"
NOT_HERE = "203.0.113.7"
"""Nothing can be bound to it, so that the server has no candidates of its own (RFC 5737)."""


@asynccontextmanager
async def relayed(folder: Path, transport: str, *restream: str) -> AsyncIterator[tuple[TurnServer, Server]]:
    """A server whose viewers come through a relay, or not at all."""
    async with turn_server(transport, local_address()) as turn:
        options = {
            "webrtc.ice_servers": [f"turn:{NAME}:{SECRET}@127.0.0.1:{turn.port}?transport={transport}"],
            "webrtc.addresses": [NOT_HERE],
        }
        camera = {"url": "mock:?fps=25&size=320x240", "restream": list(restream)}
        async with serving(folder, {"cam": camera}, options=options) as server:
            yield turn, server


async def fill(ice: paths.Ice) -> None:
    """Write until no more is taken."""
    for _ in range(20_000):
        if ice.full:
            return
        ice.write(bytes(1200))  # neither DTLS nor RTP: the other end leaves it alone
        await asyncio.sleep(0)
    raise AssertionError("it is never full")


def unsigned(turn: TurnServer) -> set[bytes]:
    """Requests without credentials from here on, each once: who gets no answer within half a second sends it again."""
    found: set[bytes] = set()
    is_signed = turn._is_signed

    def look(message: Message) -> bool:
        if not is_signed(message):
            found.add(message.transaction_id)
            return False
        return True

    turn._is_signed = look  # type: ignore[method-assign]
    return found


CUT_OFF = struct.pack(">HHI", 1, 8, 0x2112A442) + bytes(12) + struct.pack(">HH", 0x24, 2) + bytes(4)
"""A check whose priority has two bytes of its four."""


def only(server: Server) -> Peer:
    (peer,) = server.service.peering.of(server.camera())
    return peer


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_viewer_whose_only_path_is_the_relay_gets_pictures(tmp_path: Path, transport: str) -> None:
    async with relayed(tmp_path, transport) as (turn, server):
        refused = unsigned(turn)
        async with watcher() as viewer:
            await viewer.watch(server.client, server.url + WHEP)
            assert [kind for _, kind in candidates(viewer)] == ["relay"]
            for _ in range(25):
                assert (await viewer.frame()).width == 320
            (allocation,) = turn.allocations.values()
            assert candidates(viewer)[0][0] == allocation.address[1]
            assert allocation.channels
            assert allocation.sent >= sum(seat.packets for seat in only(server).seats) >= 25
            assert len(refused) == 1, "the first request has no credentials yet"
        await until(lambda: not len(server.service.peering))
        await until(lambda: not turn.allocations)
        assert turn.allocated == 1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_check_of_a_path_that_is_cut_off_ends_nothing_behind_a_relay_either(
    tmp_path: Path, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with relayed(tmp_path, transport) as (_, server), watcher() as viewer:
        await viewer.watch(server.client, server.url + WHEP)
        await viewer.frame()
        ice, packets = only(server).link.ice, only(server).seats[0].packets
        pair = viewer._ice._nominated[1]
        pair.protocol.transport.sendto(CUT_OFF, pair.remote_addr)
        await until(lambda: ice.dropped)
        await until(lambda: only(server).seats[0].packets > packets + 10)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_who_leaves_before_the_answer_leaves_no_relay_behind(tmp_path: Path) -> None:
    async with turn_server("tcp", local_address()) as turn:
        turn.deaf = True
        options = paths.IceOptions(
            turn=("127.0.0.1", turn.port), turn_tcp=True, username=NAME, credential=SECRET, addresses=(NOT_HERE,)
        )
        made = paths.Ice(options)
        asking = asyncio.ensure_future(made.gather_candidates())
        await until(lambda: bool(turn.streams))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await made.close()
        turn.deaf = False
        await until(lambda: not turn.streams)
        assert not turn.allocated


async def test_who_goes_before_the_answer_keeps_no_place(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        options = {"webrtc.ice_servers": [f"stun:127.0.0.1:{silent.getsockname()[1]}"]}
        async with serving(tmp_path, {"cam": "mock:?fps=25&size=320x240"}, options=options) as server:
            server.service.peering.connect_timeout_s = 3600
            sdp = {"Content-Type": "application/sdp"}
            asking = asyncio.ensure_future(server.client.post(server.url + WHEP, data=OFFER, headers=sdp))
            await until(lambda: server.camera().stream.viewers)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await until(lambda: not server.camera().stream.viewers)
            assert not len(server.service.peering)


async def test_what_waits_for_a_relay_over_tcp_is_bounded(tmp_path: Path) -> None:
    async with relayed(tmp_path, "tcp") as (turn, server), watcher() as viewer:
        await viewer.watch(server.client, server.url + WHEP)
        await viewer.frame()
        peer, ice = only(server), only(server).link.ice
        turn.deaf = True
        await fill(ice)
        packets = peer.seats[0].packets
        await until(lambda: peer.viewer.behind)
        assert peer.seats[0].packets <= packets + 100
        turn.deaf = False
        await until(lambda: not ice.full)
        await until(lambda: not peer.viewer.behind)
        await until(lambda: peer.seats[0].packets > packets + 100)


async def test_what_waits_for_a_channel_of_a_relay_is_bounded(tmp_path: Path) -> None:
    async with relayed(tmp_path, "udp") as (turn, server), watcher() as viewer:
        await viewer.watch(server.client, server.url + WHEP)
        await viewer.frame()
        peer, ice = only(server), only(server).link.ice
        inner = ice._nominated[1].protocol.transport._TurnTransport__inner_protocol
        turn.deaf = True
        inner.channel_refresh_at = dict.fromkeys(inner.channel_refresh_at, 0.0)  # its channels have to be bound anew
        for _ in range(paths.MOST_WAITING_DATAGRAMS + 1):
            ice.write(bytes(100))
        assert ice.full
        await until(lambda: peer.viewer.behind)
        turn.deaf = False
        await until(lambda: not ice.full)
        await until(lambda: not peer.viewer.behind)


async def test_a_restream_waits_while_its_relay_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = []

    class Link(icedtls.Link):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            links.append(self)

    monkeypatch.setattr(icedtls, "Link", Link)
    async with (
        MediaServer.running() as media,
        relayed(tmp_path, "tcp", f"whip+http://127.0.0.1:{media.port}/whip") as (turn, server),
    ):
        camera = server.camera()
        await until(lambda: "video" in media.tracks)
        await media.tracks["video"].recv()
        (link,), (restream,) = links, server.service.restreams.of(camera)
        await until(lambda: restream.state == "sending")
        turn.deaf = True
        await fill(link.ice)
        async with asyncio.timeout(60):
            while True:  # the system's buffers may take some more yet
                frames, published = restream.frames, camera.stream.published
                await until(lambda: camera.stream.published >= published + 25)  # noqa: B023  # now
                if restream.frames <= frames + 1:
                    break
        turn.deaf = False
        await until(lambda: restream.frames > frames + 25)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_relay_that_has_fallen_silent_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(paths, "FAREWELL_S", 0.1)
    async with relayed(tmp_path, transport) as (turn, server), watcher() as viewer:
        await viewer.watch(server.client, server.url + WHEP)
        await viewer.frame()
        (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "webrtc:cam")
        turn.deaf = True
        async with server.client.delete(server.url + viewer.location) as response:
            assert response.status == 200
        await until(task.done)


async def test_a_camera_that_is_replaced_while_a_path_is_looked_for_has_no_viewer(tmp_path: Path) -> None:
    async with relayed(tmp_path, "udp") as (turn, server), watcher() as viewer:
        turn.deaf = True
        camera, peering = server.camera(), server.service.peering
        coming = asyncio.ensure_future(
            peering.open(camera, await viewer.offer("video"), H264, address="", grant=NOTHING)  # not held by any route
        )
        await until(lambda: camera.stream.viewers)
        await server.json("DELETE", "/api/v1/cameras/cam", status=204)
        await server.json("POST", "/api/v1/cameras", status=201, json={"id": "cam", "url": "mock:"})
        turn.deaf = False  # it is asked again, and answers
        with pytest.raises(ApiError, match="removed"):
            await coming
        assert not len(peering)
        assert not camera.stream.viewers


def candidates(viewer: Watcher) -> list[tuple[int, str]]:
    """Port and kind of the candidates in the answer."""
    words = [line.split() for line in viewer.answer.splitlines() if line.startswith("a=candidate:")]
    return [(int(each[5]), each[7]) for each in words]
