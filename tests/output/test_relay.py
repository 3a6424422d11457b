from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framecast.core.clock import ManualClock
from framecast.core.packet import Format, Packet
from framecast.core.rendition import H264
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.core.viewer import new_viewer
from framecast.output.containers.transportstream import TransportStream
from framecast.output.relay import MOST_BEHIND, relay, relay_coded
from framecast.wire.mpegts import discontinuity
from tests.core.fakes import JPEG, Workshop, a_few_turns, packet

pytestmark = pytest.mark.anyio


class Watching:
    """A relay viewer that takes nothing while its gate is closed."""

    def __init__(self, stream: Stream, bound: int = 1) -> None:
        self.viewer = new_viewer("relay", "::1", ManualClock())
        self.got: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.task = asyncio.ensure_future(relay(stream, self.viewer, self.send, bound=bound))

    async def send(self, data: bytes) -> None:
        self.got.append(data)
        await self.gate.wait()


@pytest.fixture
async def stream() -> AsyncIterator[Stream]:
    async with Supervisor() as supervisor:
        yield Stream("door", 1, supervisor)


async def publish(stream: Stream, *payloads: bytes) -> None:
    publisher = stream.publisher or stream.open_publisher("door")
    for payload in payloads:
        now_ns = stream.clock.now_ns()
        publisher.publish(payload, JPEG, now_ns, now_ns)
        await a_few_turns()


async def test_each_picture_is_one_message_the_latest_at_once(stream: Stream) -> None:
    await publish(stream, b"1")
    watching = Watching(stream)
    await a_few_turns()
    await publish(stream, b"2", b"3")
    assert watching.got == [b"1", b"2", b"3"]
    assert (watching.viewer.sent, watching.viewer.drops, watching.viewer.behind) == (3, 0, False)
    watching.task.cancel()
    await asyncio.gather(watching.task, return_exceptions=True)
    assert not stream.wanted
    assert watching.viewer.settle is None


@pytest.mark.parametrize(("bound", "then"), [(1, [b"6"]), (3, [b"4", b"5", b"6"])])
async def test_one_that_is_behind_gets_the_newest_and_its_drops_are_known_at_once(
    stream: Stream, bound: int, then: list[bytes]
) -> None:
    watching = Watching(stream, bound)
    await a_few_turns()
    watching.gate.clear()
    await publish(stream, b"1", b"2", b"3", b"4", b"5", b"6")
    assert watching.got == [b"1"]
    assert (watching.viewer.behind, watching.viewer.drops) == (True, 5 - bound)
    watching.gate.set()
    await a_few_turns()
    assert watching.got == [b"1", *then]
    assert (watching.viewer.sent, watching.viewer.drops) == (1 + bound, 5 - bound)
    watching.task.cancel()
    await asyncio.gather(watching.task, return_exceptions=True)


async def test_a_camera_that_slept_shows_no_old_picture_for_these_messages_tell_no_time() -> None:
    clock = ManualClock()
    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor, clock=clock)
        await publish(stream, b"old")
        clock.advance(3600)
        watching = Watching(stream)
        await a_few_turns()
        await publish(stream, b"new")
        assert watching.got == [b"new"]
        watching.task.cancel()
        await asyncio.gather(watching.task, return_exceptions=True)


async def test_it_ends_with_its_connection(stream: Stream) -> None:
    async def send(_: bytes) -> None:
        raise ConnectionResetError

    watching = asyncio.ensure_future(relay(stream, new_viewer("relay", "::1", ManualClock()), send))
    await a_few_turns()
    await publish(stream, b"1")
    with pytest.raises(ConnectionResetError):
        await watching
    assert not stream.wanted


class WatchingCoded(Watching):
    """As `Watching`, a transport stream."""

    def __init__(self, track: Track) -> None:
        self.viewer = new_viewer("relay", "::1", ManualClock())
        self.got = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.task = asyncio.ensure_future(relay_coded(track, self.viewer, self.send))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def pieces(first: int, last: int, *keys: int) -> list[Packet]:
    """Pieces of a transport stream, as far as the relay looks at them."""
    return [packet(number, b"\x47\x01\x00\x10%184d" % number, key=number in keys) for number in range(first, last)]


def payloads(packets: list[Packet]) -> list[bytes]:
    return [each.payload for each in packets]


async def test_a_newcomer_begins_with_all_that_was_kept_however_much_it_is() -> None:
    track = Track("mpegts", ring_packets=1200, since_key=True)
    kept, live = pieces(0, 5 * MOST_BEHIND, 0), pieces(5 * MOST_BEHIND, 6 * MOST_BEHIND - 1)
    for each in kept:
        track.publish(each)
    watching = WatchingCoded(track)
    watching.gate.clear()
    await a_few_turns()
    for each in live:  # as many as may wait
        track.publish(each)
    watching.gate.set()
    await a_few_turns()
    assert watching.got == payloads(kept + live)
    assert watching.viewer.drops == 0
    await watching.stop()


async def test_a_first_newcomer_gets_nothing_twice_from_a_track_that_is_made_for_it() -> None:
    kept = pieces(0, 2 * MOST_BEHIND, 0)
    track = Track("mpegts", ring_packets=1200, since_key=True)
    track.on_demand = lambda wanted: [track.publish(each) for each in kept if wanted] and None
    watching = WatchingCoded(track)
    await a_few_turns()
    assert watching.got == payloads(kept)
    assert watching.viewer.drops == 0
    await watching.stop()


async def test_a_camera_that_codes_by_itself_is_seen_at_once_however_long_ago_its_key_picture_was() -> None:
    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor, make_worker=Workshop().make)
        stream.set_native(True)
        publisher = stream.open_publisher("door")
        now_ns = stream.clock.now_ns()
        form = Format("h264", 640, 480)
        for number in range(5 * MOST_BEHIND):  # nobody has asked for its H.264 yet
            stamp_ns = now_ns + number * 1_000_000
            publisher.publish_coded(b"\0\0\0\1\x41", form, stamp_ns, stamp_ns, key=number == 0)
        watching = WatchingCoded(TransportStream(stream, H264, audio=False).track)
        await a_few_turns()
        assert len(watching.got) == 5 * MOST_BEHIND
        assert watching.viewer.drops == 0
        await watching.stop()


async def test_one_that_has_caught_up_is_bounded_as_before() -> None:
    track = Track("mpegts", ring_packets=1200, since_key=True)
    kept = pieces(0, 3 * MOST_BEHIND, 0)
    for each in kept:
        track.publish(each)
    watching = WatchingCoded(track)
    await a_few_turns()
    watching.gate.clear()
    key = 4 * MOST_BEHIND + 2
    late = pieces(3 * MOST_BEHIND, key + 1, key)
    for each in late:  # one is on its way, and the mailbox is full one piece before the last two
        track.publish(each)
        await a_few_turns()
    watching.gate.set()
    await a_few_turns()
    assert watching.got == [*payloads([*kept, late[0]]), discontinuity(late[-1].payload) + late[-1].payload]
    await watching.stop()


async def test_what_was_kept_is_forgotten_with_the_track() -> None:
    track = Track("mpegts", ring_packets=1200, since_key=True)
    for each in pieces(0, 2 * MOST_BEHIND, 0):
        track.publish(each)
    watching = WatchingCoded(track)
    watching.gate.clear()
    await a_few_turns()
    track.clear()
    watching.gate.set()
    await a_few_turns()
    assert len(watching.got) == 1
    await watching.stop()
