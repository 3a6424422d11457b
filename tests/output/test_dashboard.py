"""One socket for a whole dashboard: credit, acknowledgements, and the same bytes for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from framecast.core.clock import ManualClock
from framecast.core.errors import LimitReached
from framecast.core.packet import Packet
from framecast.core.rendition import SOURCE, Rendition
from framecast.core.stream import MOST_RENDITIONS, Stream
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.core.viewer import new_viewer
from framecast.output.dashboard.hub import MOST_BUFFERED_BYTES, Channel, Hub, Page, Subscription
from framecast.wire import media
from tests.core.fakes import Collector, Workshop, a_few_turns, packet, until
from tests.core.sinks import check_sink

pytestmark = pytest.mark.anyio


def unframed(message: bytes) -> media.Message:
    """What a WebSocket message carries: FIN and binary, then a length of 7, 16 or 64 bits."""
    assert message[0] == 0x82
    skip = {126: 4, 127: 10}.get(message[1], 2)
    length = message[1] if skip == 2 else int.from_bytes(message[2:skip], "big")
    assert len(message) == skip + length
    return media.unpack(message[skip:])


class Socket:
    """A page's socket, and the page behind it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.buffered = 0
        self.gone = False
        self.page = Page(self.write, lambda: self.buffered)

    def write(self, data: bytes) -> None:
        if self.gone:
            raise RuntimeError("unable to perform operation; the handler is closed")
        self.written.append(data)

    def subscription(self, *, credit: int = 2, fps: float = 0.0) -> Subscription:
        return Subscription(self.page, new_viewer("websocket", "::1", ManualClock()), credit=credit, fps=fps)

    @property
    def ids(self) -> list[int]:
        return [unframed(each).frame_id for each in self.written]


class Wall:
    """One camera's channel."""

    def __init__(self) -> None:
        self.track = Track("video")
        self.emptied = 0
        self.channel = Channel(3, self.track, self._empty)

    def _empty(self) -> None:
        self.emptied += 1

    def join(self, *, credit: int = 2, fps: float = 0.0, socket: Socket | None = None) -> tuple[Socket, Subscription]:
        socket = socket or Socket()
        subscription = socket.subscription(credit=credit, fps=fps)
        self.channel.add(subscription)
        return socket, subscription

    def publish(self, *numbers: int) -> None:
        for number in numbers:
            self.track.publish(packet(number))


class ChannelReading:
    """A page that acknowledges at once, unless it is stalled."""

    def __init__(self) -> None:
        self.track = Track("video")
        self.sink = self.channel = Channel(3, self.track, lambda: None)
        self.socket = Socket()
        self.subscription = self.socket.subscription()
        self.channel.add(self.subscription)
        self._stalled = False

    def _ack(self) -> None:
        acked = 0
        while not self._stalled and self.socket.ids and self.socket.ids[-1] != acked:
            acked = self.socket.ids[-1]
            self.subscription.ack(acked)

    def stall(self) -> None:
        self._ack()
        self._stalled = True

    def go_on(self) -> None:
        self._stalled = False
        self._ack()

    def seen(self) -> list[int]:
        self._ack()
        return self.socket.ids

    def drops(self) -> int:
        return self.subscription.viewer.drops

    def leave(self) -> None:
        self.subscription.leave()


def test_a_channel_keeps_the_contract_of_sinks() -> None:
    check_sink(ChannelReading)


def test_a_message_is_made_once_and_is_the_same_object_for_all() -> None:
    wall = Wall()
    sockets = [wall.join()[0] for _ in range(20)]
    wall.publish(7)
    assert {id(each.written[0]) for each in sockets} == {id(sockets[0].written[0])}
    message, source = unframed(sockets[0].written[0]), packet(7)
    assert (message.camera, message.frame_id, message.epoch, message.pts_ns) == (3, 7, 1, source.pts_ns)
    assert (message.width_px, message.height_px, message.payload) == (640, 480, source.payload)


@pytest.mark.parametrize("size", [10, 93, 94, 65_503, 65_504, 200_000])
def test_messages_of_any_length_are_whole_frames(size: int) -> None:
    wall = Wall()
    socket, _ = wall.join()
    wall.track.publish(packet(1, bytes(size)))
    assert unframed(socket.written[0]).payload == bytes(size)


def test_a_newcomer_gets_the_latest_at_once() -> None:
    wall = Wall()
    wall.publish(1, 2)
    assert wall.join()[0].ids == [2]


def test_no_more_than_its_credit_is_on_the_way_and_then_the_newest_waits() -> None:
    wall = Wall()
    socket, subscription = wall.join(credit=2)
    wall.publish(1, 2, 3, 4, 5)
    assert socket.ids == [1, 2]
    assert subscription.viewer.behind
    subscription.ack(1)
    assert socket.ids == [1, 2, 5]
    assert not subscription.viewer.behind
    viewer = subscription.viewer
    assert (viewer.sent, viewer.drops, viewer.acked) == (3, 2, 1)
    wall.publish(6)
    assert socket.ids == [1, 2, 5]
    subscription.ack(5)
    assert socket.ids == [1, 2, 5, 6]


def test_an_ack_stands_for_all_earlier_ones() -> None:
    wall = Wall()
    socket, subscription = wall.join(credit=3)
    wall.publish(1, 2, 3)
    subscription.ack(3)
    wall.publish(4, 5, 6, 7)
    assert socket.ids == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("frame_id", [-1, 0, 3, 2**80])
def test_an_ack_of_what_was_never_sent_gives_no_credit_and_is_not_believed(frame_id: int) -> None:
    wall = Wall()
    socket, subscription = wall.join(credit=1)
    subscription.ack(frame_id)
    wall.publish(5, 6)
    subscription.ack(4)
    assert socket.ids == [5]
    assert subscription.viewer.acked == 0
    subscription.ack(2**80)
    assert (socket.ids, subscription.viewer.acked) == ([5, 6], 5)


def test_frames_are_never_repeated() -> None:
    wall = Wall()
    socket, subscription = wall.join()
    wall.publish(1)
    subscription.ack(1)
    subscription.ack(1)
    assert socket.ids == [1]


def test_a_full_socket_is_not_filled_further_and_any_cameras_ack_lets_it_go_on() -> None:
    wall, other = Wall(), Wall()
    socket = Socket()
    _, busy = wall.join(socket=socket)
    _, rare = other.join(socket=socket)
    wall.publish(1)
    socket.buffered = MOST_BUFFERED_BYTES + 1
    other.publish(101)
    assert (socket.ids, rare.viewer.behind) == ([1], True)
    socket.buffered = 0
    busy.ack(1)
    assert (socket.ids, rare.viewer.behind) == ([1, 101], False)


def test_of_those_that_wait_for_room_none_is_forgotten_or_sent_twice() -> None:
    socket = Socket()
    walls = [Wall() for _ in range(4)]
    subscriptions = [wall.join(socket=socket)[1] for wall in walls]
    walls[0].publish(1)
    socket.buffered = MOST_BUFFERED_BYTES + 1
    for number, wall in enumerate(walls[1:], 2):
        wall.publish(number, number + 10)
    subscriptions[2].leave()
    subscriptions[0].ack(1)
    assert socket.ids == [1], "still full"
    socket.buffered = 0
    walls[1].publish(22)
    subscriptions[0].ack(1)
    assert socket.ids == [1, 22, 14]


def test_a_rate_is_kept_for_one_page_and_not_for_another() -> None:
    wall = Wall()
    (all_of_them, every), (some, few) = wall.join(), wall.join(fps=10)
    for number in range(90):
        wall.track.publish(packet(number, at_ns=number * 33_333_333))
        every.ack(number)
        few.ack(number)
    assert (len(all_of_them.ids), len(some.ids)) == (90, 30)
    assert few.viewer.drops == 0, "what it did not ask for is no drop"


def test_a_socket_that_is_gone_costs_no_other_page_a_frame() -> None:
    wall = Wall()
    pages = [wall.join() for _ in range(5)]
    wall.publish(1)
    pages[2][0].gone = True
    wall.publish(2)
    for _, subscription in pages:
        subscription.ack(2)
    wall.publish(3)
    assert [socket.ids for socket, _ in pages] == [[1, 2, 3], [1, 2, 3], [1], [1, 2, 3], [1, 2, 3]]
    assert len(wall.channel) == 4


async def test_a_real_connection_that_is_gone_does_not_end_the_channel() -> None:
    """On uvloop a write to a connection that was lost a moment ago raises; the page's task may not have run yet."""
    wall = Wall()
    transports: list[asyncio.Transport] = []
    lost = asyncio.Event()

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(cast(asyncio.Transport, transport))

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    await until(lambda: transports)
    page = Page(transports[0].write, transports[0].get_write_buffer_size)
    wall.channel.add(Subscription(page, new_viewer("websocket", "::1", ManualClock())))
    witness, _ = wall.join(credit=9)
    wall.publish(1)
    writer.close()
    await writer.wait_closed()
    await lost.wait()
    await asyncio.sleep(0.01)
    wall.publish(2, 3)
    assert witness.ids == [1, 2, 3]
    server.close()
    await server.wait_closed()


def test_the_channel_is_on_its_track_while_somebody_subscribes() -> None:
    wall = Wall()
    assert not wall.track.wanted
    (_, one), (_, two) = wall.join(), wall.join()
    assert wall.track.wanted
    one.leave()
    one.leave()
    assert wall.track.wanted and not wall.emptied
    two.leave()
    assert (wall.track.wanted, wall.emptied) == (False, 1)
    two.ack(5)
    two.offer(packet(9))


class TestHub:
    """All channels of the server."""

    @pytest.fixture
    async def stream(self) -> AsyncIterator[Stream]:
        async with Supervisor() as supervisor:
            yield Stream("door", 3, supervisor, make_worker=Workshop().make)

    async def test_pages_share_a_channel_per_rendition(self, stream: Stream) -> None:
        hub, sockets = Hub(), [Socket() for _ in range(3)]
        subscriptions = [socket.subscription() for socket in sockets]
        for subscription in subscriptions:
            hub.subscribe(stream, SOURCE, subscription)
        assert len({id(each.channel) for each in subscriptions}) == 1
        small = sockets[0].subscription()
        hub.subscribe(stream, Rendition(width_px=320), small)
        assert small.channel is not subscriptions[0].channel
        for subscription in (*subscriptions, small):
            subscription.leave()
        assert hub._channels == {}
        assert not stream.video.wanted

    async def test_too_many_renditions_are_refused_and_leave_nothing(self, stream: Stream) -> None:
        hub = Hub()
        for number in range(MOST_RENDITIONS):
            stream.track(Rendition(quality=number + 1)).attach(Collector())
        with pytest.raises(LimitReached):
            hub.subscribe(stream, Rendition(width_px=320), Socket().subscription())
        assert hub._channels == {}

    async def test_a_camera_that_comes_back_has_channels_of_its_own(self, stream: Stream) -> None:
        hub, old, new = Hub(), Socket().subscription(), Socket().subscription()
        hub.subscribe(stream, SOURCE, old)
        hub.forget("door")
        hub.subscribe(stream, SOURCE, new)
        assert new.channel is not old.channel
        old.leave()
        another = Socket().subscription()
        hub.subscribe(stream, SOURCE, another)
        assert another.channel is new.channel, "the old one's end is not the new one's"

    async def test_a_mask_forgets_what_waits_for_an_ack(self, stream: Stream) -> None:
        hub, socket = Hub(), Socket()
        subscription = socket.subscription(credit=1)
        hub.subscribe(stream, SOURCE, subscription)
        publisher = stream.open_publisher("door")

        def publish() -> Packet | None:
            source = packet(1)
            return publisher.publish(b"jpeg", source.format, source.pts_ns, source.received_ns)

        publish()
        publish()
        stream.set_transform(Workshop(b"masked ").make)
        await a_few_turns()
        subscription.ack(1)
        assert [unframed(each).payload for each in socket.written] == [b"jpeg"]
        publish()
        await a_few_turns()
        assert [unframed(each).payload for each in socket.written] == [b"jpeg", b"masked jpeg"]
