"""Taking connections over, on real sockets: both loops, plain and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import statistics
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from framecast.output.transport import IDLE_CHATTER_BYTES, NOTSENT_LOWAT_BYTES
from tests.core.fakes import until

from .live import House, Player, certificate, serving

pytestmark = pytest.mark.anyio

FRAME = 25_000


@pytest.fixture(scope="module")
def tls_context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain", "tls"])
async def house(request: pytest.FixtureRequest, tls_context: ssl.SSLContext) -> AsyncIterator[House]:
    async with serving(tls_context if request.param == "tls" else None) as opened:
        yield opened


async def watch(house: House, **options: int) -> Player:
    """A viewer that is served."""
    player = await (await house.connect(**options)).opened()
    await until(lambda: house.viewers and len(next(iter(house.output.fanouts.values()), ())) == len(house.viewers))
    return player


async def test_viewers_get_every_picture_whole(house: House) -> None:
    players = [await watch(house) for _ in range(5)]
    ids = [house.publish(FRAME) for _ in range(3)]
    for player in players:
        assert [await player.part() for _ in ids] == ids
        await player.close()
    await until(lambda: not house.serving)


async def test_one_that_does_not_read_is_skipped_and_gets_the_newest_when_it_does(house: House) -> None:
    quick, slow = await watch(house), await watch(house, read_ahead_bytes=1024)
    slow_viewer = house.viewers[1]
    sent, seen = [], []
    while not slow_viewer.behind or slow_viewer.drops < 20:
        sent.append(house.publish(FRAME))
        seen.append(await quick.part())
    assert seen == sent, "the quick one missed nothing"
    got = []
    while not got or got[-1] != sent[-1]:
        got.append(await slow.part())
    assert got == sorted(set(got))
    gaps = [after - before for before, after in pairwise(got)]
    assert max(gaps) > 10, "it jumped to the newest"
    await until(lambda: not slow_viewer.behind)
    following = house.publish(FRAME)
    assert [await slow.part(), await quick.part()] == [following] * 2
    assert slow_viewer.sent + slow_viewer.drops == len(sent) + 1


async def test_little_is_held_for_one_that_does_not_read(house: House) -> None:
    await watch(house, read_ahead_bytes=1024)
    viewer = house.viewers[0]
    for _ in range(400):
        house.publish(FRAME)
        await asyncio.sleep(0)
    assert viewer.behind
    front = house.fronts[0]
    assert front.transport.get_write_buffer_size() <= 2 * FRAME, "one frame, not a queue of them"


async def test_a_viewer_that_hangs_up_is_noticed_without_a_frame_and_everybody_is_told(house: House) -> None:
    player = await watch(house)
    await player.close()
    await until(lambda: not house.serving)
    assert house.fronts[0].lost, "the server behind must forget the connection too"
    assert not house.stream.wanted
    assert house.output.fanouts == {}


async def test_one_that_hangs_up_while_it_is_behind(house: House) -> None:
    player = await watch(house, read_ahead_bytes=1024)
    while not house.viewers[0].behind:
        house.publish(FRAME)
        await asyncio.sleep(0)
    player.writer.transport.abort()
    await until(lambda: not house.serving)
    assert not house.stream.wanted


async def test_hanging_up_is_noticed_when_the_server_had_stopped_reading(house: House) -> None:
    """As aiohttp does when a request has a body it doesn't want."""
    house.pauses_reading = True
    player = await watch(house)
    await player.close()
    await until(lambda: not house.serving)


async def test_one_that_talks_on_is_cut(house: House) -> None:
    player, witness = await watch(house), await watch(house)
    player.writer.write(b"x" * (IDLE_CHATTER_BYTES // 2))
    await asyncio.sleep(0.02)
    assert house.serving == 2, "a little is let pass"
    player.writer.write(b"x" * IDLE_CHATTER_BYTES)
    await until(lambda: house.serving == 1)
    last = house.publish()
    assert await witness.part() == last


async def test_viewers_that_die_at_once_leave_nothing(house: House) -> None:
    async def flash(number: int) -> None:
        player = await house.connect()
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 2:
            player.writer.transport.abort()
        else:
            await player.close()

    for batch in range(4):
        await asyncio.gather(*(flash(number + batch) for number in range(10)))
        house.publish(FRAME)
    await until(lambda: not house.serving and all(front.lost for front in house.fronts))
    assert (house.output.fanouts, house.output._packages, house.output._connections) == ({}, {}, set())
    assert not house.stream.wanted


async def test_closing_the_output_hangs_up(house: House) -> None:
    player = await watch(house)
    house.output.close()
    await until(lambda: not house.serving)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await player.part()


async def test_the_socket_holds_as_little_as_it_can(house: House) -> None:
    await watch(house)
    sock = house.fronts[0].transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.IPPROTO_TCP, 25) == NOTSENT_LOWAT_BYTES


async def test_a_picture_is_on_its_way_before_the_publisher_goes_on(house: House) -> None:
    player = await watch(house)
    loop = asyncio.get_running_loop()
    took: list[float] = []
    for _ in range(30):
        began = loop.time()
        house.publish(FRAME)
        await player.part()
        took.append(loop.time() - began)
    assert statistics.median(took) < 0.05
