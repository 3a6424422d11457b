from __future__ import annotations

import pytest

from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.repeat import SILENT_S, Repeat
from framecast.core.track import Track
from tests.core.fakes import START_NS, ManualLoop, packet


class Coder:
    """Makes a key packet of whatever it is given."""

    def __init__(self) -> None:
        self.key_wanted = False


class House:
    """A camera, and a coder that reads it, with time that passes when told to."""

    def __init__(self, *, worth: bool = True) -> None:
        self.loop = ManualLoop()
        self.camera = Track("video")
        self.mailbox = Mailbox(bound=9)
        self.camera.attach(self.mailbox)
        self.coder = Coder()
        self.out = Track("h264", since_key=True)
        self.repeat = Repeat(
            self.coder, self.camera, self.mailbox, self.out, self.loop.clock, lambda _: worth, loop=self.loop.real
        )

    async def picture(self, number: int) -> None:
        """One comes and is coded, though not as a key packet."""
        self.camera.publish(packet(number, at_ns=self.loop.clock.now_ns()))
        self.out.publish(await self.mailbox.get())

    async def given(self) -> list[Packet]:
        """What the coder has got to read, of which it makes a key packet."""
        got = [await self.mailbox.get() for _ in range(len(self.mailbox))]
        if got:
            self.coder.key_wanted = False
        return got


pytestmark = pytest.mark.anyio


async def test_the_newest_picture_of_a_silent_source_is_given_at_once() -> None:
    house = House()
    await house.picture(7)
    house.loop.advance(60)
    house.repeat.want_key()
    assert house.coder.key_wanted
    house.loop.advance(0)
    (given,) = await house.given()
    assert (given.frame_id, given.epoch, given.payload) == (7, 1, b"<7>")
    assert (given.pts_ns, given.received_ns) == (START_NS, START_NS + 60_000_000_000)
    house.loop.advance(60)
    assert not await house.given(), "once is enough"
    assert house.loop.timers == 0


async def test_while_pictures_come_nothing_is_given() -> None:
    house = House()
    await house.picture(1)
    house.repeat.want_key()
    for number in range(2, 12):
        house.loop.advance(0.9 * SILENT_S)
        await house.picture(number)
        assert not len(house.mailbox)
    house.loop.advance(0.9 * SILENT_S)
    assert not await house.given()
    house.loop.advance(0.2 * SILENT_S)
    assert [each.frame_id for each in await house.given()] == [11]


async def test_who_asks_again_and_again_gets_it_now_and_then() -> None:
    house = House()
    await house.picture(1)
    given = []
    for _ in range(100):
        house.repeat.want_key()
        house.loop.advance(0.1)
        given += await house.given()
    assert 10 / SILENT_S - 2 < len(given) <= 10 / SILENT_S


async def test_what_could_not_be_coded_is_tried_once_more() -> None:
    house = House()
    await house.picture(1)
    house.camera.publish(packet(2))
    await house.mailbox.get()
    tried = []
    for _ in range(60):
        house.repeat.want_key()
        house.loop.advance(1)
        tried += [each.frame_id for each in await house.given()]
    assert tried == [2]


async def test_a_key_packet_that_did_not_become_one_is_asked_for_again() -> None:
    house = House()
    await house.picture(1)
    house.loop.advance(5)
    house.repeat.want_key()
    house.loop.advance(0)
    assert len(await house.given()) == 1
    house.coder.key_wanted = True
    house.loop.advance(SILENT_S)
    assert len(await house.given()) == 1


async def test_a_coder_that_has_something_to_read_is_not_given_more() -> None:
    house = House()
    await house.picture(1)
    house.camera.publish(packet(1))
    house.loop.advance(5)
    house.repeat.want_key()
    house.loop.advance(5)
    assert len(house.mailbox) == 1


@pytest.mark.parametrize("worth", [True, False])
async def test_what_is_not_to_be_shown_any_more_is_not_given(worth: bool) -> None:
    house = House(worth=worth)
    await house.picture(1)
    if worth:
        house.camera.clear()  # a mask was set
    house.loop.advance(5)
    house.repeat.want_key()
    house.loop.advance(5)
    assert not await house.given()
    assert house.loop.timers == 0


async def test_closed_it_gives_nothing() -> None:
    house = House()
    await house.picture(1)
    house.repeat.want_key()
    house.repeat.close()
    house.loop.advance(5)
    assert not await house.given()
