"""Pictures wait for the sound that belongs to them, and only for that."""

from __future__ import annotations

import asyncio

import pytest

from framecast.core.clock import Clock
from framecast.core.packet import Format, Packet
from framecast.core.track import Track
from framecast.output.webrtc.lipsync import MOST_NS, SILENCE_NS, STORE_NS, Hold
from framecast.output.webrtc.rtpfanout import MOST_HELD, RtpFanout, whole
from framecast.output.webrtc.rtpseat import RtpSeat
from framecast.wire import rtp

MS = 1_000_000
NOW = 1_700_000_000_000 * MS


def test_what_has_no_sound_waits_for_nothing() -> None:
    hold = Hold()
    assert hold.wait_ns(NOW, is_sound=False) == 0
    hold.note(NOW - 80 * MS, NOW)
    assert hold.wait_ns(NOW, is_sound=True) == 80 * MS
    assert hold.wait_ns(NOW, is_sound=False) == 80 * MS + STORE_NS
    assert hold.wait_ns(NOW + SILENCE_NS, is_sound=False) == 0


def test_the_wait_is_that_of_the_latest_sound_and_eases() -> None:
    hold = Hold()
    for block in range(50):  # blocks of 64 ms, cut into three packets
        now = NOW + block * 64 * MS
        for part in range(3):
            hold.note(now - (90 - 20 * part) * MS, now)
        assert 89 * MS <= hold.wait_ns(now, is_sound=True) <= 90 * MS
    hold.note(now - 150 * MS, now)
    assert hold.wait_ns(now, is_sound=True) == 150 * MS
    for step in range(100):
        hold.note(now + step * 20 * MS - 30 * MS, now + step * 20 * MS)
    assert 129 * MS < hold.wait_ns(now + 1980 * MS, is_sound=True) < 132 * MS


def test_sound_that_is_far_too_late_is_not_waited_for() -> None:
    hold = Hold()
    hold.note(NOW - 2 * MOST_NS, NOW)
    assert hold.wait_ns(NOW, is_sound=True) == 0


def packet(number: int, pts_ns: int, codec: str) -> Packet:
    return Packet(b"\x00\x00\x00\x01\x65" + bytes((number + 1,)), Format(codec), number, number, 1, pts_ns, pts_ns)


@pytest.mark.anyio
async def test_both_leave_in_the_order_of_capture() -> None:
    clock, hold, order = Clock(), Hold(), []
    pictures, sounds = Track("h264"), Track("opus")
    video = RtpFanout(pictures, rtp.h264_payloads, rtp.VIDEO_HZ, hold=hold, clock=clock)
    sound = RtpFanout(sounds, whole, rtp.SOUND_HZ, hold=hold, clock=clock)
    for fanout, hz, name in ((video, rtp.VIDEO_HZ, "picture"), (sound, rtp.SOUND_HZ, "sound")):
        seat = RtpSeat(96, hz, lambda data, name=name: order.append((name, data[-1] - 1)), lambda: False)  # type: ignore[misc]
        fanout.add(seat)
    start = clock.now_ns()
    # Sound of 60 ms comes at its end; pictures of the same time have come before.
    for number in range(3):
        sounds.publish(packet(number, start - 60 * MS + number * 20 * MS, "opus"))
    pictures.publish(packet(0, start - 10 * MS, "h264"))
    assert ("picture", 0) not in order
    async with asyncio.timeout(5):
        while len(order) < 4:  # noqa: ASYNC110 (timers of the loop)
            await asyncio.sleep(0.005)
    assert [number for name, number in order if name == "sound"] == [0, 1, 2]
    assert order[-1] == ("picture", 0)
    for number in range(MOST_HELD + 20):
        pictures.publish(packet(number, start, "h264"))
    assert len(video._held) <= MOST_HELD
    for fanout in (video, sound):
        fanout.remove(fanout._seats[0])
    assert not pictures.wanted
