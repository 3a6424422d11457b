"""WebRTC viewers at awkward moments, and one that asks for too much."""

from __future__ import annotations

import asyncio
import datetime
import re
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framecast.core.rendition import H264
from framecast.output.webrtc import icedtls
from framecast.output.webrtc.ice import MOST_WAITING_DATAGRAMS
from framecast.output.webrtc.peer import LOST_PER_S, Allowance
from framecast.service.access.rights import NOTHING
from framecast.service.errors import ApiError
from framecast.wire import rtp
from tests.service.serving import Server, serving
from tests.service.test_whep import MOCK, WHEP, ids, peers, post
from tests.support.whep import local_address, watcher
from tests.wire.test_sdp import OFFER

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not local_address(), reason="WebRTC needs an address that is not loopback"),
]


@pytest.fixture
async def live(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Server]:
    async with serving(tmp_path, {"cam": MOCK}) as server:
        yield server


def fingerprint(answer: str) -> str:
    """Of the certificate that an answer names."""
    return re.findall(r"a=fingerprint:sha-256 (\S+)", answer)[0]


async def test_viewers_that_come_at_once_as_the_first_are_all_let_in(live: Server) -> None:
    async with watcher() as one, watcher() as two, watcher() as three:
        viewers = (one, two, three)
        await asyncio.gather(*(viewer.watch(live.client, live.url + WHEP) for viewer in viewers))
        for viewer in viewers:
            await ids(viewer, 1)
        assert len({fingerprint(viewer.answer) for viewer in viewers}) == 1


async def test_an_answer_names_the_certificate_that_its_own_link_began_with(
    live: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watcher() as one, watcher() as two:
        await one.watch(live.client, live.url + WHEP)
        monkeypatch.setattr(icedtls, "RENEW", datetime.timedelta(days=1000))  # each look at it brings another one
        await two.watch(live.client, live.url + WHEP)
        await ids(two, 1)
        assert fingerprint(one.answer) != fingerprint(two.answer)


async def test_a_flood_of_wishes_for_lost_packets_is_cut_short_and_others_run_between(live: Server) -> None:
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + WHEP)
        await ids(viewer, 1)
        (peer,) = peers(live)
        (seat,) = peer.seats
        looked_at, resend = 0, seat.resend

        def count(sequence: int) -> None:
            nonlocal looked_at
            looked_at += 1
            resend(sequence)

        seat.resend = count  # type: ignore[method-assign]
        lost = b"".join(struct.pack(">HH", 17 * index & 0xFFFF, 0xFFFF) for index in range(340))
        flood = struct.pack(">BBHII", 0x81, 205, 2 + 340, 5, seat.ssrc) + lost
        hear = peer.link.dtls.on_rtcp
        assert hear is not None
        began = time.monotonic()
        for _ in range(50):
            hear(flood)
        assert rtp.MOST_LOST <= looked_at <= rtp.MOST_LOST + LOST_PER_S * (time.monotonic() - began)
        ice = peer.link.ice
        for _ in range(MOST_WAITING_DATAGRAMS):
            ice.data_received(flood, 1)
        waiting = ice._queue.qsize()
        for _ in range(3):
            await asyncio.sleep(0)
        assert ice._queue.qsize() >= waiting - 3
        await ids(viewer, 5)


def test_who_has_named_many_lost_packets_may_name_more_in_time() -> None:
    allowance = Allowance()
    assert allowance.left(100.0) == rtp.MOST_LOST
    allowance.take(rtp.MOST_LOST)
    assert allowance.left(100.0) == 0
    assert allowance.left(100.125) == LOST_PER_S // 8
    assert allowance.left(1000.0) == rtp.MOST_LOST


@pytest.mark.parametrize("again", [False, True])
async def test_a_camera_that_went_while_an_offer_came_leaves_nothing_to_its_successor(
    live: Server, again: bool
) -> None:
    fields = {"id": "yard", "url": MOCK}
    await live.json("POST", "/api/v1/cameras", status=201, json=fields)
    path = WHEP.replace("cam/", "yard/")
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        begun.set()
        await finish.wait()
        yield OFFER.encode()

    coming = asyncio.ensure_future(post(live, slowly(), path, expect100=True))
    await begun.wait()
    await live.json("DELETE", "/api/v1/cameras/yard", status=204)
    if again:
        await live.json("POST", "/api/v1/cameras", status=201, json=fields)
    finish.set()
    assert (await coming)[0] == (201 if again else 404)
    if not again:
        await live.json("POST", "/api/v1/cameras", status=201, json=fields)
    async with watcher() as viewer:
        await viewer.watch(live.client, live.url + path)
        await ids(viewer, 1)
    assert live.service.peering.output(live.camera("yard")).stream is live.camera("yard").stream


async def test_who_comes_for_a_camera_that_is_gone_leaves_nothing_to_its_successor(live: Server) -> None:
    gone = live.camera()
    await live.json("DELETE", "/api/v1/cameras/cam", status=204)
    with pytest.raises(ApiError) as refusal:
        await live.service.peering.open(gone, OFFER, H264, address="", grant=NOTHING)
    assert refusal.value.status == 404
    assert live.service.peering.known(gone) is None
