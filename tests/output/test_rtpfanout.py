"""One cutting for all seats, steps, wishes for keyframes, and what a seat that is behind loses."""

from __future__ import annotations

import asyncio
import random

import pytest

from framecast.core.clock import SYSTEM
from framecast.core.packet import Format, Packet
from framecast.core.track import Track
from framecast.core.viewer import Viewer, new_viewer
from framecast.output.webrtc import rtpfanout
from framecast.output.webrtc.rtpfanout import RtpFanout
from framecast.output.webrtc.rtpseat import MOST_RESENT, RtpSeat
from framecast.wire import rtp

pytestmark = pytest.mark.anyio

H264 = Format("h264", 64, 64)
START_NS = 1_700_000_000_000_000_000


def picture(number: int, *, key: bool = False, size: int = 100) -> Packet:
    unit = b"\x00\x00\x00\x01" + (b"\x65" if key else b"\x41") + bytes((number % 250 + 1,)) * size
    stamp_ns = START_NS + number * 40_000_000
    return Packet(unit, H264, number, number, 1, stamp_ns, stamp_ns, key)


class Peer:
    """What one seat's peer receives."""

    def __init__(self, *, rtx: int | None = None, seed: int = 1) -> None:
        self.packets: list[bytes] = []
        self.stuck = False
        self.viewer: Viewer = new_viewer("webrtc", "", SYSTEM)
        self.seat = RtpSeat(
            102, rtp.VIDEO_HZ, self.packets.append, lambda: self.stuck, self.viewer, rtx=rtx, rng=random.Random(seed)
        )

    @property
    def sequences(self) -> list[int]:
        return [int.from_bytes(data[2:4], "big") for data in self.packets]

    @property
    def frames(self) -> list[int]:
        """The pictures whose last packet has arrived, by the byte that fills them."""
        return [data[-1] - 1 for data in self.packets if data[1] & 0x80]


class Encoder:
    """A track, the wishes for keyframes it got, and a clock."""

    def __init__(self) -> None:
        self.wishes = 0
        self.now = 100.0
        self.cuts = 0
        self.track = Track("h264", ring_packets=600, ring_bytes=8 << 20, since_key=True)
        self.track.on_key_wanted = self._wish
        self.fanout = RtpFanout(self.track, self._cut, rtp.VIDEO_HZ, monotonic=lambda: self.now)

    def _wish(self) -> None:
        self.wishes += 1

    def _cut(self, payload: bytes) -> list[bytes]:
        self.cuts += 1
        return rtp.h264_payloads(payload)


async def settle(fanout: RtpFanout) -> None:
    while fanout._queue or fanout._backlogs._waiting:  # noqa: ASYNC110 (nobody tells when all is sent)
        await asyncio.sleep(0.001)


async def test_a_newcomer_begins_with_a_keyframe_it_asked_for() -> None:
    encoder, peer = Encoder(), Peer()
    encoder.fanout.add(peer.seat)
    assert encoder.wishes == 1
    encoder.track.publish(picture(1))
    assert peer.packets == []
    encoder.track.publish(picture(2, key=True))
    encoder.track.publish(picture(3))
    await settle(encoder.fanout)
    assert peer.frames == [2, 3]
    assert peer.viewer.sent == 2
    assert peer.viewer.drops == 1


async def test_each_picture_is_cut_once_and_addressed_to_each() -> None:
    encoder = Encoder()
    peers = [Peer(seed=seed) for seed in range(20)]
    for peer in peers:
        encoder.fanout.add(peer.seat)
    encoder.track.publish(picture(1, key=True, size=5000))
    await settle(encoder.fanout)
    assert encoder.cuts == 1
    assert len({peer.seat.ssrc for peer in peers}) == 20
    for peer in peers:
        assert peer.frames == [1]
        first = peer.sequences[0]
        assert peer.sequences == [first + index for index in range(len(peer.packets))]
        assert {data[8:12] for data in peer.packets} == {peer.seat.ssrc.to_bytes(4, "big")}
        stamp = (rtp.stamp_of(START_NS + 40_000_000, rtp.VIDEO_HZ) + peer.seat.offset) & 0xFFFFFFFF
        assert {int.from_bytes(data[4:8], "big") for data in peer.packets} == {stamp}


async def test_a_large_keyframe_goes_in_steps_and_to_all_alike() -> None:
    encoder, one, two = Encoder(), Peer(), Peer()
    encoder.fanout.add(one.seat)
    encoder.fanout.add(two.seat)
    encoder.track.publish(picture(1, key=True, size=100_000))
    assert len(one.packets) == len(two.packets) == rtpfanout.STEP_PACKETS
    encoder.track.publish(picture(2))
    assert len(one.packets) == rtpfanout.STEP_PACKETS  # in order: it waits its turn
    await settle(encoder.fanout)
    assert one.frames == two.frames == [1, 2]


async def test_many_wishes_become_one() -> None:
    encoder = Encoder()
    peers = [Peer(seed=seed) for seed in range(50)]
    for peer in peers:
        encoder.fanout.add(peer.seat)
    for _ in range(50):
        encoder.fanout.want_key()
    assert encoder.wishes == 1
    encoder.track.publish(picture(1, key=True))
    encoder.now += rtpfanout.KEY_INTERVAL_S + 0.01
    for _ in range(50):
        encoder.fanout.want_key()
    assert encoder.wishes == 2
    encoder.now += rtpfanout.KEY_INTERVAL_S + 0.01
    encoder.fanout.want_key()
    assert encoder.wishes == 2  # the answer is on its way
    encoder.now += rtpfanout.KEY_PATIENCE_S
    encoder.fanout.want_key()
    assert encoder.wishes == 3  # it must have been lost
    assert encoder.fanout.key_requests == 152
    assert encoder.fanout.keys_asked == 3
    for peer in peers:
        encoder.fanout.remove(peer.seat)


async def test_a_wish_that_comes_too_soon_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtpfanout, "KEY_INTERVAL_S", 0.02)
    encoder, peer = Encoder(), Peer()
    encoder.fanout.add(peer.seat)
    encoder.track.publish(picture(1, key=True))
    encoder.fanout.want_key()
    assert encoder.wishes == 1
    encoder.now += 1
    async with asyncio.timeout(5):
        while encoder.wishes < 2:  # noqa: ASYNC110 (a timer of the loop)
            await asyncio.sleep(0.005)
    encoder.fanout.remove(peer.seat)


async def test_a_seat_that_is_full_goes_on_with_the_next_keyframe_and_the_others_notice_nothing() -> None:
    encoder, slow, good = Encoder(), Peer(), Peer()
    encoder.fanout.add(slow.seat)
    encoder.fanout.add(good.seat)
    encoder.track.publish(picture(1, key=True))
    slow.stuck = True
    encoder.track.publish(picture(2))
    slow.stuck = False
    encoder.track.publish(picture(3))
    assert slow.viewer.behind
    encoder.track.publish(picture(4, key=True))
    await settle(encoder.fanout)
    assert slow.frames == [1, 4]
    assert good.frames == [1, 2, 3, 4]
    assert slow.viewer.drops == 2
    assert not slow.viewer.behind


async def test_a_fanout_that_is_behind_gives_up_and_begins_with_the_next_keyframe() -> None:
    encoder, peer = Encoder(), Peer()
    encoder.fanout.add(peer.seat)
    encoder.track.publish(picture(1, key=True, size=100_000))
    for number in range(2, 2 + rtpfanout.MOST_BATCHES):
        encoder.track.publish(picture(number))
    assert encoder.fanout.overruns == rtpfanout.MOST_BATCHES
    encoder.track.publish(picture(20, key=True))
    await settle(encoder.fanout)
    assert peer.frames == [20]


async def test_a_source_that_gives_no_keyframes_for_the_asking_is_shown_from_its_last_one() -> None:
    encoder, early, late = Encoder(), Peer(), Peer()
    encoder.track.on_key_wanted = None
    encoder.fanout.add(early.seat)
    encoder.track.publish(picture(1, key=True))
    encoder.track.publish(picture(2))
    encoder.fanout.add(late.seat)
    encoder.track.publish(picture(3))
    await settle(encoder.fanout)
    assert late.frames == early.frames == [1, 2, 3]


def without_wishes(pictures: int, size: int) -> Encoder:
    """A track of a camera's own H.264 that has made these pictures since its last keyframe."""
    encoder = Encoder()
    encoder.track.on_key_wanted = None
    for number in range(1, pictures + 1):
        encoder.track.publish(picture(number, key=number == 1, size=size))
    return encoder


async def test_what_a_newcomer_gets_of_the_past_goes_in_steps_and_what_comes_meanwhile_behind_it() -> None:
    encoder, early, late = without_wishes(50, 10_000), Peer(), Peer(seed=2)
    fanout = encoder.fanout
    fanout.add(early.seat)
    assert len(early.packets) == rtpfanout.STEP_PACKETS
    fanout.add(late.seat)
    encoder.track.publish(picture(51))
    assert len(late.packets) <= rtpfanout.STEP_PACKETS
    for number in range(52, 55):
        await asyncio.sleep(0.005)
        encoder.track.publish(picture(number))
    async with asyncio.timeout(5):
        while len(late.frames) < 54 or len(early.frames) < 54:  # noqa: ASYNC110 (nobody tells when all is sent)
            await asyncio.sleep(0.001)
    encoder.track.publish(picture(55))
    for peer in (early, late):
        assert peer.frames == list(range(1, 56))
        assert peer.sequences == list(range(peer.sequences[0], peer.sequences[0] + len(peer.packets)))
        assert peer.viewer.sent == 55
        fanout.remove(peer.seat)


async def test_what_was_kept_may_come_all_at_once_after_the_first_newcomer() -> None:
    encoder, peer = Encoder(), Peer()
    encoder.track.on_key_wanted = None
    encoder.fanout.add(peer.seat)
    for number in range(1, 41):
        encoder.track.publish(picture(number, key=number == 1, size=60_000 if number == 1 else 3_000))
    assert len(peer.packets) == rtpfanout.STEP_PACKETS
    async with asyncio.timeout(5):
        while len(peer.frames) < 40:  # noqa: ASYNC110 (nobody tells when all is sent)
            await asyncio.sleep(0.001)
    encoder.track.publish(picture(41))
    assert peer.frames == list(range(1, 42))
    assert encoder.fanout.overruns == 0


@pytest.mark.parametrize(("pictures", "size"), [(250, 20_000), (600, 100)])
async def test_a_newcomer_waits_for_the_next_keyframe_where_the_past_is_too_much(pictures: int, size: int) -> None:
    encoder, peer = without_wishes(pictures, size), Peer()
    encoder.fanout.add(peer.seat)
    encoder.track.publish(picture(601))
    await settle(encoder.fanout)
    assert peer.packets == []
    encoder.track.publish(picture(10, key=True))
    encoder.track.publish(picture(11))
    await settle(encoder.fanout)
    assert peer.frames == [10, 11]


async def test_who_is_full_goes_or_is_to_see_nothing_more_gets_no_more_of_the_past() -> None:
    encoder, full, gone, masked = without_wishes(50, 10_000), Peer(), Peer(seed=2), Peer(seed=3)
    fanout = encoder.fanout
    for peer in (full, gone, masked):
        fanout.add(peer.seat)
    before = [len(full.packets), len(gone.packets)]
    full.stuck = True
    fanout.remove(gone.seat)
    async with asyncio.timeout(5):
        while len(masked.packets) < 3 * rtpfanout.STEP_PACKETS:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.001)
    assert [len(full.packets), len(gone.packets)] == before
    assert full.seat.waiting
    encoder.track.clear()  # a mask was set
    seen = masked.frames
    assert seen[-1] < 50
    full.stuck = False
    encoder.track.publish(picture(51))
    encoder.track.publish(picture(52, key=True, size=100_000))
    await settle(fanout)
    assert masked.frames == [*seen, 52]
    assert full.frames[-1] == 52
    assert len(gone.packets) == before[1]
    for peer in (full, masked):
        fanout.remove(peer.seat)


async def test_what_was_hidden_is_not_sent() -> None:
    encoder, peer = Encoder(), Peer()
    encoder.fanout.add(peer.seat)
    encoder.track.publish(picture(1, key=True, size=100_000))
    encoder.track.clear()  # a mask was set
    before = len(peer.packets)
    encoder.track.publish(picture(2))
    await settle(encoder.fanout)
    assert len(peer.packets) == before
    encoder.track.publish(picture(3, key=True))
    await settle(encoder.fanout)
    assert peer.frames == [3]


async def test_who_leaves_in_the_middle_of_a_keyframe_gets_no_more_and_the_last_one_ends_it() -> None:
    encoder, one, two = Encoder(), Peer(), Peer()
    encoder.fanout.add(one.seat)
    encoder.fanout.add(two.seat)
    encoder.track.publish(picture(1, key=True, size=100_000))
    encoder.fanout.remove(one.seat)
    await settle(encoder.fanout)
    assert len(one.packets) == rtpfanout.STEP_PACKETS
    assert two.frames == [1]
    encoder.fanout.remove(two.seat)
    encoder.fanout.remove(two.seat)
    assert not encoder.track.wanted


def test_lost_packets_are_sent_again_within_a_budget() -> None:
    peer, plain = Peer(rtx=103), Peer()
    for each in (peer, plain):
        for number in range(10):
            each.seat.send(b"payload %d" % number, 7, number == 9)
    lost = peer.sequences[4]
    peer.seat.resend(lost)
    again = peer.packets[-1]
    assert again[1] & 0x7F == 103
    assert again[8:12] == peer.seat.rtx_ssrc.to_bytes(4, "big")
    assert again[12:] == lost.to_bytes(2, "big") + b"payload 4"
    plain.seat.resend(plain.sequences[4])
    assert plain.packets[-1] == plain.packets[4]
    peer.seat.resend((lost + 1000) & 0xFFFF)  # never sent
    assert peer.seat.resent == 1
    for _ in range(2 * MOST_RESENT):
        peer.seat.resend(lost)
    assert peer.seat.resent == MOST_RESENT
    for _ in range(4):
        peer.seat.send(b"more", 8, True)
    peer.seat.resend(lost)
    peer.seat.resend(lost)
    assert peer.seat.resent == MOST_RESENT + 1


def test_numbers_go_round() -> None:
    peer = Peer()
    for _ in range(70_000):
        peer.seat.send(b"x", 1, True)
        if len(peer.packets) > 2:
            del peer.packets[0]
    assert (peer.sequences[1] - peer.sequences[0]) & 0xFFFF == 1
