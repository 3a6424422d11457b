"""MJPEG viewers that go over from one fan-out to another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest

from framecast.core.fanout import Fanout
from framecast.core.rendition import SOURCE
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.output import tcpinfo
from framecast.output.following import MOST_LAG, Switch
from framecast.output.mjpeg import Output
from tests.core.fakes import START_NS, Connection, Labels, a_few_turns, packet, until

KNOWN = {tcpinfo.TcpInfo(acked, flying=0, unsent_bytes=0) for acked in (5000, 5001)}
"""After 5000 bytes; the handshake counts for one where data came with it."""

pytestmark = pytest.mark.anyio


class Renditions:
    """Two tracks of one camera, a fan-out on each, and a viewer of the first."""

    def __init__(self) -> None:
        self.one, self.other = Track("video"), Track("video/320")
        self.first, self.second = Fanout(Labels(), heartbeat_s=0), Fanout(Labels(), heartbeat_s=0)
        self.one.attach(self.first)
        self.other.attach(self.second)
        self.viewer = Connection()
        self.first.add(self.viewer.seat)
        self.moved = 0

    def switch(self) -> Switch:
        return Switch(self.viewer.seat, self.one, lambda: self.second, self.other, self._count)

    def _count(self) -> None:
        self.moved += 1

    def publish(self, *numbers: int) -> None:
        """On the first track."""
        for number in numbers:
            self.one.publish(packet(number))

    def made(self, *numbers: int) -> None:
        """On the second track."""
        for number in numbers:
            self.other.publish(packet(number))


@pytest.fixture
async def renditions() -> AsyncIterator[Renditions]:
    yield Renditions()


async def test_going_down_the_rendition_comes_after_the_source(renditions: Renditions) -> None:
    renditions.publish(1, 2)
    renditions.switch()
    renditions.made(1)
    renditions.publish(3)
    renditions.made(2, 3)
    await a_few_turns()
    renditions.publish(4)
    renditions.made(4, 5)
    assert renditions.viewer.text == "F1 2 3 4 5", "none twice, none missing"
    assert renditions.moved == 1
    assert (len(renditions.first), len(renditions.second)) == (0, 1)
    assert renditions.viewer.counts == (5, 0, 0)


async def test_going_up_the_source_comes_before_the_rendition(renditions: Renditions) -> None:
    renditions.publish(1)
    renditions.switch()
    renditions.made(2)
    renditions.publish(2)
    renditions.made(3)
    await a_few_turns()
    assert renditions.viewer.text == "F1 2 3"


async def test_one_that_is_always_behind_is_taken_all_the_same(renditions: Renditions) -> None:
    renditions.publish(1)
    renditions.switch()
    for number in range(2, 30):
        renditions.publish(number)
        renditions.made(number - 1)
        await a_few_turns()
    assert renditions.moved == 1
    numbers = [int(each.strip("F")) for each in renditions.viewer.text.split()]
    assert len(numbers) >= 28 - MOST_LAG
    assert numbers[-1] == 28


async def test_a_viewer_that_is_behind_moves_and_goes_on_when_it_has_drained(renditions: Renditions) -> None:
    renditions.publish(1)
    renditions.viewer.held = True
    renditions.publish(2, 3)
    renditions.switch()
    renditions.made(4)
    await a_few_turns()
    renditions.viewer.drain()
    renditions.made(5)
    assert renditions.viewer.text == "F1 2 4 5", "the newest of the other one, then in step"


async def test_who_leaves_or_stays_is_not_moved(renditions: Renditions) -> None:
    renditions.publish(1)
    renditions.switch().cancel()
    renditions.made(2)
    renditions.publish(2)
    assert (renditions.viewer.text, renditions.moved) == ("F1 2", 0)
    renditions.switch()
    renditions.viewer.seat.leave()
    renditions.made(3)
    await a_few_turns()
    assert renditions.moved == 0
    assert len(renditions.second) == 0


@pytest.mark.parametrize("who", ["the last viewer there leaves", "another one that was to come leaves"])
async def test_where_it_goes_ends_before_it_is_there(who: str) -> None:
    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor)
        output = Output(stream, heartbeat_s=0)
        best, less = (SOURCE, False, False, 0.0), (SOURCE, False, False, 25.0)
        viewer = Connection()
        output.open(best)[0].add(viewer.seat)
        output.open(less)
        stream.video.publish(packet(1))
        Switch(viewer.seat, stream.video, lambda: output.open(less)[0], stream.video, lambda: None)
        if who.startswith("the last"):
            other = Connection()
            output.open(less)[0].add(other.seat)
            other.seat.leave()
        output.drop(less)
        for number in range(2, 6):
            stream.video.publish(packet(number, at_ns=START_NS + number * 100_000_000))
            await a_few_turns()
        assert set(output.fanouts) == {less}
        assert viewer.viewer.sent == 5
        viewer.seat.leave()


async def test_what_tcp_says_of_a_connection() -> None:
    received = 0

    class Peer(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            nonlocal received
            received += len(data)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Peer, "127.0.0.1", 0)
    transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname()[:2])
    transport.write(bytes(5000))
    await until(lambda: received == 5000)
    if hasattr(socket, "TCP_INFO"):
        await until(lambda: tcpinfo.read(transport) in KNOWN)
    transport.close()
    server.close()
    await server.wait_closed()


async def test_where_there_is_no_tcp_nothing_is_said() -> None:
    class Pipe:
        def get_extra_info(self, name: str) -> object:
            return None

    assert tcpinfo.read(cast(asyncio.Transport, Pipe())) is None
