from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from framecast.core.clock import ManualClock
from framecast.core.packet import Format, Packet
from framecast.core.stream import State, Stream
from framecast.core.supervise import Supervisor
from framecast.core.track import Track
from framecast.output.containers.firstpictures import FirstPictures

pytestmark = pytest.mark.anyio

PCM = Format("pcm_s16le", sample_rate_hz=16_000, channels=1)


class House:
    """A camera, its coded sound, and the pictures that wait for it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.clock = ManualClock()
        self.stream = Stream("cam", 1, supervisor, clock=self.clock)
        self.stream.set_state(State.LIVE)
        self.sound = Track("aac")
        self.first = FirstPictures(self.stream)
        self.number = 0

    def picture(self, *, key: bool = False) -> list[int]:
        """Which pictures may go when another one comes, 100 ms after the last."""
        self.clock.advance(0.1)
        self.number += 1
        now_ns = self.clock.now_ns()
        packet = Packet(b"", Format("h264"), self.number, 0, 1, now_ns, now_ns, key)
        return [each.frame_id for each in self.first.take(packet, self.sound)]

    def speak(self) -> None:
        """Sound comes from the device."""
        self.stream.publish_sound(b"\x00\x00", PCM, self.clock.now_ns(), self.clock.now_ns())

    def code(self) -> None:
        """It is coded."""
        now_ns = self.clock.now_ns()
        self.sound.publish(Packet(b"", Format("aac"), 1, 1, 1, now_ns, now_ns))


@pytest.fixture
async def house(anyio_backend: object) -> AsyncIterator[House]:
    async with Supervisor() as supervisor:
        yield House(supervisor)


async def test_they_wait_for_the_sound_that_is_being_coded(house: House) -> None:
    assert house.picture(key=True) == []
    house.speak()
    assert house.picture() == house.picture() == []
    house.code()
    assert house.picture() == [1, 2, 3, 4]


async def test_a_camera_without_sound_is_waited_for_while_it_is_young(house: House) -> None:
    assert [house.picture(key=number == 0) for number in range(5)] == [[], [], [], [], [1, 2, 3, 4, 5]]
    house.first.forget()
    assert house.picture(key=True) == [6]


async def test_sound_that_is_never_coded_is_not_waited_for_long(house: House) -> None:
    released: list[int] = []
    for number in range(20):
        house.speak()
        released = released or house.picture(key=number == 0)
    assert released == list(range(1, 17))


async def test_a_key_picture_takes_the_place_of_those_before(house: House) -> None:
    house.speak()
    assert house.picture() == house.picture(key=True) == house.picture() == house.picture(key=True) == []
    house.code()
    assert house.picture() == [4, 5]


async def test_where_no_sound_is_wanted_nothing_waits(house: House) -> None:
    packet = Packet(b"", Format("h264"), 1, 0, 1, 1, 1, True)
    assert house.first.take(packet, None) == [packet]
