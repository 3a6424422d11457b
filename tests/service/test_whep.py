"""Watching over WebRTC, with aiortc's own receiver as the other end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from framecast.core.rendition import H264
from framecast.output.webrtc.peer import Peer
from framecast.output.webrtc.rtpfanout import KEY_INTERVAL_S
from framecast.output.webrtc.viewers import Output
from framecast.wire import blockcode
from tests.core.fakes import Collector
from tests.service.serving import Server, serving, until
from tests.support.whep import Watcher, local_address, watcher
from tests.wire.test_sdp import OFFER

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not local_address(), reason="WebRTC needs an address that is not loopback"),
]

WHEP = "/api/v1/cameras/cam/whep"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
MOCK = "mock:?fps=25&size=320x240"


@pytest.fixture
async def live(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    async with serving(tmp_path, {"cam": MOCK}) as server:
        yield server


def output(server: Server) -> Output:
    return server.service.peering.output(server.camera())


def peers(server: Server) -> list[Peer]:
    return list(server.service.peering.of(server.camera()))


async def ids(viewer: Watcher, count: int) -> list[int]:
    """The frame ids that stand in the next pictures."""
    found = []
    for _ in range(count):
        frame = await viewer.frame()
        code = blockcode.read(frame.to_ndarray(format="gray"))
        assert code is not None
        found.append(code.frame_id)
    return found


async def post(server: Server, body: Any = OFFER, path: str = WHEP, **options: Any) -> tuple[int, str, str]:
    """Status, text and Location."""
    headers = {**SDP, **options.pop("headers", {})}
    async with server.client.post(server.url + path, data=body, headers=headers, **options) as response:
        return response.status, await response.text(), response.headers.get("Location", "")


async def test_a_viewer_sees_the_pictures_that_were_sent(live: Server) -> None:
    encoded = Collector()
    live.camera().stream.track(H264).attach(encoded)
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + WHEP)
        assert re.fullmatch(r"/api/v1/whep/[A-Za-z0-9_-]{32}", viewer.location)
        assert "H264/90000" in viewer.answer
        assert "VP8" not in viewer.answer
        seen = await ids(viewer, 25)
        assert seen == sorted(seen)
        assert encoded.numbers.index(seen[-1]) - encoded.numbers.index(seen[0]) <= 30
        (reader,) = (await live.json("GET", "/api/v1/cameras/cam/stats"))["readers"]
        assert reader["kind"] == "webrtc"
        assert reader["rendition"] == "h264"
        assert reader["sent"] >= 25
        async with live.client.delete(live.url + viewer.location) as response:
            assert response.status == 200
        await until(lambda: not peers(live))
        assert not live.camera().stream.viewers
        await live.error("DELETE", viewer.location, 404)


async def test_sizes_share_encodes_and_are_what_was_asked_for(live: Server) -> None:
    async with watcher() as small, watcher() as large:
        await small.watch(live.client, live.url + WHEP + "?width=160&fps=10")
        await large.watch(live.client, live.url + WHEP)
        assert (await small.frame()).width == 160
        assert (await large.frame()).width == 320
        assert {peer.viewer.rendition for peer in peers(live)} == {"h264/160/10fps", "h264"}
    await live.error("POST", WHEP + "?width=1", 400, "bad_value", data=OFFER, headers=SDP)


async def test_many_viewers_cost_one_encode_and_their_wishes_for_a_keyframe_are_one(live: Server) -> None:
    async with watcher() as one, watcher() as two, watcher() as three:
        viewers = (one, two, three)
        for viewer in viewers:
            await viewer.watch(live.client, live.url + WHEP)
            await ids(viewer, 1)
        encoded = Collector()
        live.camera().stream.track(H264).attach(encoded)
        encodes, first = live.service.encodes(), len(encoded.packets)
        await ids(one, 25)
        made = live.service.encodes() - encodes
        assert abs(made - (len(encoded.packets) - first)) <= 2
        asked, wished, began_s = output(live).keys_asked, output(live).key_requests, time.monotonic()
        for _ in range(4):
            for viewer in viewers:
                await viewer.want_key()
        await until(lambda: output(live).key_requests - wished >= 12)
        await until(lambda: output(live).keys_asked > asked)
        await ids(one, 5)
        assert output(live).keys_asked - asked <= 2 + int((time.monotonic() - began_s) / KEY_INTERVAL_S)
        seen = await asyncio.gather(*(ids(viewer, 10) for viewer in viewers))
        assert all(each == sorted(each) for each in seen)


async def test_a_viewer_that_closes_is_gone_at_once(live: Server) -> None:
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + WHEP)
        await ids(viewer, 1)
        assert output(live).connects == 1
        await viewer.connection.close()
        await until(lambda: not peers(live))
        assert not live.camera().stream.viewers
        assert output(live).packets > 0


def by_strangers() -> list[bytes]:
    """What somebody sends who knows the port and nothing else."""
    check = bytes.fromhex("00010000 2112a442") + bytes(12)
    cut = bytearray(check + bytes.fromhex("0024 0002 0000 0000"))  # a priority of two bytes
    cut[3] = len(cut) - 20
    noise = random.Random(1)
    return [
        *(b"", b"\x00", b"\x80", b"\x80\xc9", check, bytes(cut), b"\x03" * 30),
        *(bytes((first,)) + bytes(1600) for first in (0, 22, 128, 191)),
        b"\x80\xc8" + bytes(1598),
        bytes.fromhex("15 fefd 0000 0000 0000 0000 0002 0100"),  # "I close", as DTLS says it
        *(noise.randbytes(noise.randrange(1, 2000)) for _ in range(300)),
    ]


async def test_strangers_who_know_the_port_disturb_nobody(live: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + WHEP)
        await ids(viewer, 1)
        (peer,) = peers(live)
        ports = {int(each) for each in re.findall(r"a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host", viewer.answer)}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for data in by_strangers() * 2:
                for port in ports:
                    stranger.sendto(data, (local_address(), port))
                await asyncio.sleep(0)
        seen = await ids(viewer, 25)
        assert seen == sorted(seen)
        assert peers(live) == [peer]
        await viewer.want_key()
        await ids(viewer, 5)
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_a_viewer_that_just_disappears_is_gone_soon(live: Server) -> None:
    live.service.peering.consent_interval_s = 0.05
    async with watcher() as viewer, watcher() as other:
        await viewer.watch(live.client, live.url + WHEP)
        await other.watch(live.client, live.url + WHEP)
        await ids(viewer, 1)
        await ids(other, 1)
        viewer.vanish()
        await until(lambda: len(peers(live)) == 1, 10)
        assert len(live.camera().stream.viewers) == 1
        await ids(other, 5)


async def test_who_never_connects_is_forgotten(live: Server) -> None:
    live.service.peering.connect_timeout_s = 0.2
    asking = asyncio.ensure_future(post(live))
    await until(lambda: len(live.camera().stream.viewers) == 1)  # it may be forgotten before the answer was read
    status, _, location = await asking
    assert status == 201
    await until(lambda: not peers(live))
    assert not live.camera().stream.viewers
    assert output(live).failures == 1
    await live.error("DELETE", location, 404, "not_found")


async def test_candidates_may_trickle(live: Server) -> None:
    status, _, location = await post(live)
    assert status == 201
    ufrag = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg12\r\n"
    more = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2113937151 192.0.2.77 5000 typ host\r\n"
    assert await live.json("PATCH", location, status=204, data=ufrag + more, headers=FRAGMENT) is None
    (peer,) = peers(live)
    assert "192.0.2.77" in [each.host for each in peer.link.ice.remote_candidates]
    for _ in range(3):
        await live.json("PATCH", location, status=204, data="a=end-of-candidates\r\n", headers=FRAGMENT)
    other = ufrag.replace("8hhY", "NEWu")
    await live.error("PATCH", location, 422, "no_ice_restart", data=other, headers={**FRAGMENT, "If-Match": "*"})
    await live.error("PATCH", location, 400, "bad_sdp", data="junk", headers=FRAGMENT)
    await live.error("PATCH", location, 415, "wrong_type", data=more, headers=SDP)
    await live.error("PATCH", "/api/v1/whep/nobody", 404, "not_found", data=more, headers=FRAGMENT)
    await live.error("GET", location, 405, "method_not_allowed")
    flood = "".join(f"a=candidate:{n} 1 udp {n} 192.0.2.{n} 5000 typ host\r\n" for n in range(1, 65))
    for _ in range(4):
        await live.json("PATCH", location, status=204, data=flood, headers=FRAGMENT)
    assert len(peer.link.ice.remote_candidates) <= 33


async def test_options_say_what_is_taken(live: Server) -> None:
    async with live.client.options(live.url + WHEP) as response:
        assert response.status == 204
        assert response.headers["Accept-Post"] == "application/sdp"
        assert response.headers["Allow"] == "OPTIONS, POST"


HOSTILE: list[tuple[bytes, int, str]] = [
    (b"", 400, "bad_sdp"),
    (b"junk", 400, "bad_sdp"),
    (b"\xff\xfe\x00", 400, "bad_sdp"),
    (b"v=0\r\n" + b"a=x\r\n" * 13_200, 413, "too_large"),
    (b"v=0\r\n", 400, "bad_sdp"),
    (OFFER.replace("a=mid:1", "a=mid:0").encode(), 400, "bad_sdp"),
    (OFFER.replace("m=video", "m=text").encode(), 406, "not_acceptable"),
    (OFFER.replace("a=recvonly", "a=sendonly").encode(), 406, "not_acceptable"),
    (OFFER.replace("H264", "VP9").encode(), 406, "not_acceptable"),
    (OFFER.replace("packetization-mode=1", "packetization-mode=0").encode(), 406, "not_acceptable"),
    (OFFER.replace("a=rtcp-mux\r\n", "").encode(), 400, "bad_sdp"),
    (OFFER.replace("sha-256", "sha-1").encode(), 400, "bad_sdp"),
    (OFFER.replace("a=ice-ufrag:8hhY\r\n", "").encode(), 400, "bad_sdp"),
    (OFFER.replace("actpass", "holdconn").encode(), 400, "bad_sdp"),
    (b"v=0\r\n" + b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 2000, 400, "bad_sdp"),
]


async def test_hostile_offers_get_a_reason_and_leave_nothing(live: Server) -> None:
    # The libraries are loaded and the first viewer has been here before anything is counted.
    live.service.peering.connect_timeout_s = 0.1
    assert (await post(live))[0] == 201
    await until(lambda: not peers(live))
    process = psutil.Process(os.getpid())
    descriptors, tasks = process.num_fds(), len(live.service.supervisor)
    for _ in range(3):
        for body, status, code in HOSTILE:
            message = await live.error("POST", WHEP, status, code, data=body, headers=SDP)
            assert len(message) > 10
    await live.error("POST", WHEP, 415, "wrong_type", data=OFFER, headers={"Content-Type": "application/json"})
    await live.error("POST", "/api/v1/cameras/none/whep", 404, "not_found", data=OFFER, headers=SDP)
    # Those that are right but lead nowhere are forgotten with all that was opened for them.
    unusual = [OFFER, OFFER.replace("actpass", "passive"), OFFER.replace("BUNDLE 0 1", "BUNDLE 0")]
    for body in unusual * 3:
        assert (await post(live, body))[0] == 201
    await until(lambda: not peers(live))
    assert not live.camera().stream.viewers
    gc.collect()
    await until(lambda: process.num_fds() <= descriptors + 1)
    assert len(live.service.supervisor) <= tasks


async def test_limits(tmp_path: Path) -> None:
    options = {"webrtc.max_peers": 1}
    async with serving(tmp_path, {"cam": MOCK}, options=options) as server:
        assert (await post(server))[0] == 201
        assert "max_peers" in await server.error("POST", WHEP, 503, "limit_reached", data=OFFER, headers=SDP)
    async with serving(tmp_path / "2", {"cam": MOCK}, options={"limits.max_viewers_per_camera": 1}) as server:
        assert (await post(server))[0] == 201
        await server.error("POST", WHEP, 503, "limit_reached", data=OFFER, headers=SDP)
        assert len(peers(server)) == 1


async def test_ports_and_addresses_are_those_configured(tmp_path: Path) -> None:
    ports = {"webrtc.udp_ports": "51200-51203", "webrtc.addresses": [local_address()]}
    servers = ["stun:127.0.0.1:1", "turn:cam%40era:s%3Acret@192.0.2.1:3478?transport=tcp"]
    options = {**ports, "webrtc.public_addresses": ["203.0.113.9"], "webrtc.ice_servers": servers[:0]}
    async with serving(tmp_path, {"cam": MOCK}, options=options) as server:
        _, answer, _ = await post(server)
        found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\w+)", answer)
        assert [(host, kind) for host, _, kind in found] == [(local_address(), "host"), ("203.0.113.9", "srflx")]
        assert len({port for _, port, _ in found}) == 1
        assert 51200 <= int(found[0][1]) <= 51203
        for _ in range(3):
            assert (await post(server))[0] == 201
        await server.error("POST", WHEP, 503, "no_network", data=OFFER, headers=SDP)


async def test_players_are_told_of_the_servers_that_help(tmp_path: Path) -> None:
    servers = ["stun:127.0.0.1:1", "turn:cam%40era:s%3Acret@127.0.0.1:1?transport=udp"]
    async with (
        serving(tmp_path, {"cam": MOCK}, options={"webrtc.ice_servers": servers}) as server,
        server.client.post(server.url + WHEP, data=OFFER, headers=SDP) as response,
    ):
        assert response.status == 201
        assert response.headers.getall("Link") == [
            '<stun:127.0.0.1:1>; rel="ice-server"',
            '<turn:127.0.0.1:1?transport=udp>; rel="ice-server"; username="cam@era"; credential="s:cret"; '
            'credential-type="password"',
        ]


async def test_rights_are_those_of_watching(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": MOCK, "yard": "push:"}, tokens=True) as server:
        secrets = {}
        for name, cameras in (("own", ["cam"]), ("other", ["yard"])):
            made = await server.service.desk.create_token({"name": name, "rights": ["watch"], "cameras": cameras})
            secrets[name] = {"Authorization": f"Bearer {made['secret']}"}
        await server.error("POST", WHEP, 401, data=OFFER, headers=SDP)
        await server.error("POST", WHEP, 403, data=OFFER, headers={**SDP, **secrets["other"]})
        status, _, location = await post(server, headers=secrets["own"])
        assert status == 201
        for method in ("PATCH", "DELETE"):
            await server.error(method, location, 401, data="", headers=FRAGMENT)
            await server.error(method, location, 403, data="", headers={**FRAGMENT, **secrets["other"]})
        assert len(peers(server)) == 1
        await server.service.desk.revoke_token("own", forget=False)
        await until(lambda: not peers(server))


async def test_viewers_go_with_their_camera(live: Server) -> None:
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + WHEP)
        await ids(viewer, 1)
        await live.json("DELETE", "/api/v1/cameras/cam", status=204)
        await until(lambda: len(live.service.peering) == 0)
        await until(lambda: viewer.ended)


async def test_a_server_without_the_libraries_says_so(live: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "framecast.output.webrtc.icedtls", None)
    message = await live.error("POST", WHEP, 501, "webrtc_missing", data=OFFER, headers=SDP)
    assert "framecast[webrtc]" in message
    assert not live.camera().stream.viewers


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": MOCK}, options={"webrtc.enabled": False}) as server:
        await server.error("POST", WHEP, 501, "webrtc_off", data=OFFER, headers=SDP)


@pytest.mark.slow
async def test_a_path_that_is_cut_carries_a_smaller_picture_and_the_neighbour_notices_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, {"cam": "mock:?fps=25&size=640x480"}) as server, watcher() as cut, watcher() as good:
        for viewer in (cut, good):
            await viewer.watch(server.client, server.url + WHEP)
            await ids(viewer, 5)
        first, other = sorted(peers(server), key=lambda each: each.viewer.number)
        send, room, at = first.link.ice.write, 20_000.0, time.monotonic()

        def write(data: bytes) -> None:
            """A path of 300 kbit/s with room for half a second; what is too much is lost."""
            nonlocal room, at
            now = time.monotonic()
            room, at = min(20_000.0, room + (now - at) * 300_000 / 8), now
            if room >= len(data):
                room -= len(data)
                send(data)

        first.link.ice.write = write  # type: ignore[method-assign]
        await until(lambda: not first.rendition.is_whole, 10)
        said = (await reader(server, first))["quality"]
        assert said["asked"] == "auto"
        assert said["level"] != "source"
        assert "lost" in said["reason"]
        # What is sent now gets through. (aiortc waits long for what was lost before; browsers go on at the keyframe.)
        await until(lambda: first.lost == 0, 10)
        assert other.rendition.is_whole
        assert other.lost == 0
        first.link.ice.write = send  # type: ignore[method-assign]
        await until(lambda: first.rendition.is_whole, 30)
        await ids(cut, 5)


async def test_a_quality_that_was_asked_for_stays(live: Server) -> None:
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + WHEP + "?quality=medium")
        await ids(viewer, 1)
        (peer,) = peers(live)
        assert peer.rendition.fps == 15
        assert (await reader(live, peer))["quality"] is None


async def reader(server: Server, peer: Peer) -> dict[str, Any]:
    readers = (await server.json("GET", "/api/v1/cameras/cam/stats"))["readers"]
    return next(each for each in readers if each["id"] == peer.viewer.number)
