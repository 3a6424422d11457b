"""The life of one camera's HLS: who asks, who waits, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framecast.core.clock import ManualClock
from framecast.core.derived import CODED_BYTES
from framecast.core.errors import LimitReached
from framecast.core.packet import Format, Packet
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.core.viewer import Viewer, new_viewer
from framecast.output.hls.playlists import GRACE_S, Gone, Hls
from framecast.wire.m3u8 import Wanted

pytestmark = pytest.mark.anyio

FORM = Format("mpegts", 160, 96)


class Source:
    """Pieces by hand."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.track = Track("mpegts", since_key=True)
        self.has_sound = False
        self._frame_id = 0

    def run(self, pictures: int, clock: ManualClock) -> None:
        """Ten pictures a second, each fifth one a key picture."""
        for _ in range(pictures):
            key = self._frame_id % 5 == 0
            self._frame_id += 1
            now_ns = clock.now_ns()
            self.track.publish(Packet(b"x", FORM, self._frame_id, self._frame_id, 1, now_ns, now_ns, key))
            clock.advance(0.1)


class House:
    """One camera's HLS, and who was counted in and out."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.clock = ManualClock()
        self.stream = Stream("cam", 1, supervisor, clock=self.clock)
        self.source = Source(self.stream)
        self.viewers: list[Viewer] = []
        self.most = 10
        self.ended = 0
        self.hls = Hls(self.source, self.admit, self.viewers.remove, self.end)

    def admit(self, address: str, holder: str) -> Viewer:
        if len(self.viewers) >= self.most:
            raise LimitReached("full", self.most)
        self.viewers.append(new_viewer("hls", address, self.clock, holder=holder))
        return self.viewers[-1]

    def end(self) -> None:
        self.ended += 1


@pytest.fixture
async def house(anyio_backend: object) -> AsyncIterator[House]:
    async with Supervisor() as supervisor:
        made = House(supervisor)
        yield made
        made.hls.close()
        assert not made.source.track.wanted
        assert not made.viewers


async def test_an_address_is_one_viewer_until_it_asks_no_more(house: House) -> None:
    hls = house.hls
    assert not house.source.track.wanted
    for address in ("a", "b", "a"):
        hls.touch(address)
    assert [viewer.address for viewer in house.viewers] == ["a", "b"]
    assert house.source.track.wanted
    house.clock.advance(GRACE_S - 1)
    hls.touch("b")
    house.clock.advance(2)
    hls.expire()
    assert [viewer.address for viewer in house.viewers] == ["b"]
    house.clock.advance(GRACE_S)
    hls.expire()
    assert (hls.closed, house.ended) == (True, 1)
    hls.close()
    assert house.ended == 1


async def test_who_is_one_too_many_starts_nothing(house: House) -> None:
    house.most = 0
    with pytest.raises(LimitReached):
        house.hls.touch("a")
    assert house.hls.closed
    assert not house.source.track.wanted


async def test_who_is_one_too_many_ends_nothing(house: House) -> None:
    house.most = 1
    house.hls.touch("a")
    with pytest.raises(LimitReached):
        house.hls.touch("b")
    assert not house.hls.closed


async def test_waiting(house: House) -> None:
    hls = house.hls
    hls.touch("a")
    assert not await hls.wait(lambda: False, "a", 0.0)
    start = asyncio.ensure_future(hls.wait_for_start("a"))
    for _ in range(30):
        await asyncio.sleep(0)
        house.source.run(1, house.clock)
    assert await start
    newest = hls.segmenter.newest
    ahead = asyncio.ensure_future(hls.wait_for(Wanted(newest + 2, 0), "a"))
    hint = asyncio.ensure_future(hls.wait_for_part(hls.segmenter.hint, "a"))
    await asyncio.sleep(0)
    house.source.run(10, house.clock)
    await asyncio.sleep(0)
    assert await hint
    assert not ahead.done()
    house.source.run(40, house.clock)
    assert await ahead
    assert hls.take("seg-1-x.ts", "a") is None
    name = next(part.name for part in hls.segmenter.segments[0].parts)
    assert hls.take(name, "a") == b"xxxxx"
    assert house.viewers[0].sent == 5


async def test_the_index_waits_for_no_other_key_picture_where_the_last_one_was_too_much_to_keep(house: House) -> None:
    coded = house.source.track.upstream = Track("h264", ring_bytes=CODED_BYTES, since_key=True)
    house.hls.touch("a")
    sps, big = bytes.fromhex("0000000167640028ac000000016803"), bytes(CODED_BYTES // 2)
    coded.publish(Packet(sps + b"\0\0\0\1\x65", Format("h264", 640, 480), 1, 1, 1, 1, 1, True))
    house.source.run(5, house.clock)
    for number in range(2, 5):
        coded.publish(Packet(b"\0\0\0\1\x41" + big, Format("h264", 640, 480), number, number, 1, number, number, False))
    assert not coded.ring
    house.hls.settled = True
    async with asyncio.timeout(5):
        assert await house.hls.wait_for_index("a")
    index = house.hls.index("").decode()
    assert "avc1.640028" in index
    assert "640x480" in index


async def test_who_waits_while_everything_is_forgotten_waits_for_what_comes_then(house: House) -> None:
    """Players take a playlist without anything in it for an error."""
    hls = house.hls
    hls.touch("a")
    house.source.run(30, house.clock)
    waiting = asyncio.ensure_future(hls.wait_for(Wanted(hls.segmenter.newest, 50), "a"))
    await asyncio.sleep(0)
    house.source.track.clear()  # as when a mask is set
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    house.source.run(12, house.clock)
    assert await waiting
    assert b"#EXT-X-PART:" in hls.playlist("")


async def test_who_waits_keeps_it_alive(house: House) -> None:
    house.hls.touch("a")
    waiting = asyncio.ensure_future(house.hls.wait_for_start("a"))
    while not waiting.done():
        house.source.run(1, house.clock)
        await asyncio.sleep(0)
    assert await waiting
    house.clock.advance(GRACE_S - 0.5)
    house.hls.expire()
    assert not house.hls.closed


async def test_the_end_is_told(house: House) -> None:
    house.hls.touch("a")
    waiting = asyncio.ensure_future(house.hls.wait_for_start("a"))
    await asyncio.sleep(0)
    house.hls.close()
    with pytest.raises(Gone):
        await waiting


async def test_the_playlist_is_written_once_until_there_is_more(house: House) -> None:
    hls = house.hls
    hls.touch("a")
    house.source.run(30, house.clock)
    text = hls.playlist("")
    assert hls.playlist("") is text
    assert hls.playlist("?key=x") is hls.playlist("?key=x") is not text
    house.source.run(5, house.clock)
    assert hls.playlist("") != text


async def test_sound_that_begins_later_is_a_discontinuity(house: House) -> None:
    house.hls.touch("a")
    house.source.run(20, house.clock)
    assert house.hls.settled
    house.source.has_sound = True
    house.source.run(20, house.clock)
    cuts = list(house.hls.segmenter.segments)
    assert [cut.discontinuous for cut in cuts].count(True) == 1
    assert not cuts[0].discontinuous


async def test_sound_that_begins_at_once_is_none(house: House) -> None:
    house.hls.touch("a")
    house.stream.publish_sound(b"\x00\x00", Format("pcm_s16le", sample_rate_hz=16_000, channels=1), 1, 1)
    house.source.run(5, house.clock)
    assert not house.hls.settled
    house.source.has_sound = True
    house.source.run(30, house.clock)
    assert house.hls.settled
    assert not any(cut.discontinuous for cut in house.hls.segmenter.segments)
    assert house.hls.segmenter.segments[0].parts[0].independent
