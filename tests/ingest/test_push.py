"""The desk of a pushing camera: one publisher at a time, told apart by identity."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framecast.core.clock import ManualClock
from framecast.core.errors import Replaced
from framecast.core.stream import State, Stream
from framecast.core.supervise import Supervisor
from framecast.ingest import push as module
from framecast.ingest.gate import Gate
from framecast.ingest.push import ONLY_SOUND, WAITING, Desk
from tests.core.fakes import Collector, until
from tests.data import frame

pytestmark = pytest.mark.anyio

PICTURE = frame("small-0")


class Office:
    """A desk, time by hand, and a viewer."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.clock = ManualClock()
        self.stream = Stream("door", 1, supervisor, clock=self.clock)
        self.desk = Desk(self.stream, Gate(self.stream, verify="never"), stall_timeout_s=10.0)
        self.viewer = Collector()
        self.stream.video.attach(self.viewer)
        self.told: list[str] = []
        supervisor.keep("camera:door", self.desk.run)

    def connect(self, who: str) -> None:
        """A WebSocket."""
        self.desk.check_in(who, dialect="WebSocket", address=who, on_replaced=lambda: self.told.append(who))

    def post(self, who: str, *, stamp_s: float | None = None) -> int:
        """One picture in one request; the id it got."""
        self.desk.check_in(who, dialect="HTTP POST", address=who)
        packet = self.desk.jpeg(PICTURE, stamp_s=stamp_s)
        assert packet is not None
        return packet.frame_id

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0.01)

    @property
    def epochs(self) -> list[int]:
        return [each.epoch for each in self.viewer.packets]


@pytest.fixture
async def office(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    async with Supervisor() as supervisor:
        yield Office(supervisor)


async def test_it_waits_for_its_device(office: Office) -> None:
    assert (office.stream.state, office.stream.reason) == (State.OFFLINE, WAITING)
    assert office.desk.jpeg(PICTURE) is None, "nobody has checked in"


async def test_it_says_so_when_only_sound_comes(office: Office) -> None:
    office.desk.microphone.chunk(b"ab")
    await until(lambda: office.stream.reason == ONLY_SOUND)
    assert office.stream.state is State.OFFLINE
    await office.pass_time(5)
    await until(lambda: office.stream.reason == WAITING)
    office.desk.microphone.chunk(b"ab")
    office.post("A")
    assert (office.stream.state, office.stream.reason) == (State.LIVE, "")


async def test_posts_of_one_device_are_one_publisher(office: Office) -> None:
    assert [office.post("A") for _ in range(5)] == [1, 2, 3, 4, 5]
    assert office.stream.state is State.LIVE
    assert set(office.epochs) == {1}
    assert (office.desk.sessions, office.desk.connects, office.desk.address) == (1, 1, "A")


async def test_a_second_device_takes_over_and_the_first_is_told(office: Office) -> None:
    office.connect("A")
    office.desk.jpeg(PICTURE)
    office.connect("B")
    assert office.told == ["A"]
    office.desk.jpeg(PICTURE)
    office.desk.leave("A")  # its connection closes a little later
    assert office.desk.jpeg(PICTURE) is not None
    assert office.epochs == [1, 2, 2]
    assert office.stream.state is State.LIVE


async def test_the_one_that_was_replaced_is_refused_for_a_while(office: Office) -> None:
    office.post("A")
    office.post("B")
    with pytest.raises(Replaced, match="camera of its own"):
        office.post("A")
    await office.pass_time(3)
    office.post("B")
    with pytest.raises(Replaced):
        office.post("A")
    assert office.stream.refused["replaced"] == 2
    assert office.epochs == [1, 2, 2]


async def test_it_may_come_back_once_the_other_has_gone(office: Office) -> None:
    office.post("A")
    office.post("B")
    await office.pass_time(5.1)
    office.post("A")
    assert office.epochs == [1, 2, 3]


async def test_it_may_come_back_at_once_when_the_other_has_left(office: Office) -> None:
    office.post("A")
    office.connect("B")
    office.desk.jpeg(PICTURE)
    office.desk.leave("B")
    assert (office.stream.state, office.stream.reason) == (State.OFFLINE, "The device closed its connection")
    office.post("A")
    assert office.stream.state is State.LIVE


async def test_no_more_than_one_replaced_device_is_remembered(office: Office) -> None:
    for number in range(100):
        office.post(f"device {number}")
    assert len(office.desk._replaced) == 1


async def test_a_device_that_comes_back_is_a_new_epoch_under_the_same_viewers(office: Office) -> None:
    for number in range(3):
        office.connect(f"connection {number}")
        office.desk.jpeg(PICTURE)
        office.desk.leave(f"connection {number}")
    assert office.epochs == [1, 2, 3]
    assert office.viewer.numbers == [1, 2, 3]


async def test_a_reboot_seen_in_its_stamps_is_one_epoch_more(office: Office) -> None:
    for second in range(100, 110):
        office.post("A", stamp_s=float(second))
        office.clock.advance(1)
    for second in range(1, 4):
        office.post("A", stamp_s=float(second))
        office.clock.advance(1)
    assert office.epochs == [1] * 10 + [2] * 3
    assert office.stream.refused["reboot"] == 1


async def test_without_stamps_the_arrival_is_the_capture_time(office: Office) -> None:
    office.post("A")
    assert office.viewer.packets[0].pts_ns == office.viewer.packets[0].received_ns == office.clock.now_ns()


async def test_silence_shows_as_a_stall_and_then_as_gone(office: Office) -> None:
    office.connect("A")
    for _ in range(10):
        office.desk.jpeg(PICTURE)
        await office.pass_time(0.2)
    await office.pass_time(1.5)
    assert office.stream.state is State.LIVE
    await office.pass_time(0.5)
    assert (office.stream.state, office.stream.refused["stall"]) == (State.STALLED, 1)
    await office.pass_time(7.5)
    assert office.stream.state is State.STALLED
    await office.pass_time(0.6)
    assert office.stream.state is State.OFFLINE
    assert "Nothing came for 10 s" in office.desk.last_error
    assert office.desk.jpeg(PICTURE) is not None, "it is still connected, and welcome"
    assert office.stream.state is State.LIVE


async def test_a_device_that_pushes_seldom_is_not_stalled_in_between(office: Office) -> None:
    for _ in range(20):
        office.post("A")
        await office.pass_time(4)
    office.stream.refused.clear()
    for _ in range(5):
        office.post("A")
        await office.pass_time(4)
    assert not office.stream.refused
    assert office.stream.state is State.LIVE


async def test_one_picture_a_minute_is_what_some_devices_push(office: Office) -> None:
    for _ in range(3):
        office.post("A")
        await office.pass_time(61)
    office.stream.refused.clear()
    for _ in range(3):
        office.post("A")
        await office.pass_time(61)
        assert office.stream.state is State.LIVE
    assert not office.stream.refused
    await office.pass_time(4 * 61)
    assert office.stream.state is State.OFFLINE


async def test_one_long_absence_is_no_pace(office: Office) -> None:
    for _ in range(2):
        for _ in range(10):
            office.post("A")
            await office.pass_time(0.2)
        await office.pass_time(3600)
        assert office.stream.state is State.OFFLINE
    office.post("A")
    await office.pass_time(8)
    assert office.stream.state is State.STALLED


async def test_bad_pictures_are_refused_and_counted(office: Office) -> None:
    office.connect("A")
    assert office.desk.jpeg(PICTURE[:500]) is None
    assert office.stream.refused == {"truncated": 1}
    assert office.stream.state is State.OFFLINE, "no picture yet"
    assert (
        office.stream.reason
        == office.desk.last_error
        == "What the device pushes can't be shown: pictures are cut short"
    )
    assert office.desk.jpeg(PICTURE) is not None
    assert (office.stream.state, office.stream.reason) == (State.LIVE, "")


async def test_it_is_said_when_what_comes_is_refused(office: Office) -> None:
    office.post("A")
    for _ in range(11):
        await office.pass_time(1)
        assert office.desk.jpeg(PICTURE[:500]) is None
    assert office.stream.reason == "What the device pushes can't be shown: pictures are cut short"
    await office.pass_time(60)
    assert office.desk.jpeg(PICTURE) is not None
    await office.pass_time(2.1)
    await office.pass_time(10)
    assert office.stream.reason == "Nothing came for 12 s"


async def test_a_restart_shuts_the_device_out_and_lets_it_in_again(office: Office) -> None:
    office.connect("A")
    office.desk.jpeg(PICTURE)
    office.desk.restart()
    office.desk.restart()
    assert office.told == ["A"]
    assert office.desk.jpeg(PICTURE) is None
    office.desk.leave("A")
    await until(lambda: office.stream.state is State.OFFLINE)
    office.connect("A again")
    office.desk.jpeg(PICTURE)
    assert office.epochs == [1, 2]


async def test_what_is_no_longer_the_publishers_is_not_published(office: Office) -> None:
    office.connect("A")
    office.stream.open_publisher("somebody else")
    assert office.desk.jpeg(PICTURE) is None
    assert office.told == ["A"]
    assert office.stream.state is State.OFFLINE
    office.connect("A")
    assert office.desk.jpeg(PICTURE) is not None
