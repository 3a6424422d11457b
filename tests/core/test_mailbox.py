from __future__ import annotations

import asyncio

import pytest

from framecast.core.mailbox import Mailbox, Policy
from framecast.core.packet import Packet

from .fakes import packet

pytestmark = pytest.mark.anyio


async def drained(mailbox: Mailbox) -> list[int]:
    """Numbers of all that is queued."""
    mailbox.close()
    return [each.frame_id async for each in mailbox]


@pytest.mark.parametrize(
    ("policy", "bound", "kept", "drops"),
    [
        (Policy.LATEST, 1, [9], 9),
        (Policy.LATEST, 3, [7, 8, 9], 7),
        (Policy.DROP_OLDEST, 4, [6, 7, 8, 9], 6),
    ],
)
async def test_who_is_behind_loses_the_oldest(policy: Policy, bound: int, kept: list[int], drops: int) -> None:
    mailbox = Mailbox(bound, policy)
    for number in range(10):
        mailbox.push(packet(number))
        assert len(mailbox) <= bound
    assert await drained(mailbox) == kept
    assert mailbox.drops == drops


async def test_coded_video_goes_on_with_a_packet_that_can_be_decoded_alone() -> None:
    mailbox = Mailbox(3, Policy.SKIP_TO_KEY)
    for number in range(12):
        mailbox.push(packet(number, key=number % 6 == 0))
    # 0 1 2 are queued, 3 finds it full: all go, up to the keyframe 6; 9 finds 6 7 8, and so on.
    assert await drained(mailbox) == []
    assert mailbox.drops == 12


async def test_what_it_begins_with_does_not_count_until_it_is_read() -> None:
    mailbox = Mailbox(2, Policy.SKIP_TO_KEY)
    mailbox.push(packet(9))
    mailbox.begin(packet(number, key=number == 0) for number in range(4))
    assert (await mailbox.get()).frame_id == 0
    for number in (4, 5):
        mailbox.push(packet(number, key=False))
    assert (len(mailbox), mailbox.drops) == (5, 0)
    assert [(await mailbox.get()).frame_id for _ in range(2)] == [1, 2]
    mailbox.push(packet(6, key=False))  # 3 counts for nothing yet, 4 and 5 do
    assert (len(mailbox), mailbox.drops) == (0, 4)
    for number in (7, 8, 9):
        mailbox.push(packet(number))
    assert await drained(mailbox) == [9]


async def test_what_comes_before_the_first_is_read_belongs_to_the_beginning() -> None:
    mailbox = Mailbox(2, Policy.SKIP_TO_KEY)
    mailbox.begin([])
    for number in range(5):
        mailbox.push(packet(number, key=number == 0))
    assert len(mailbox) == 5
    assert (await mailbox.get()).frame_id == 0
    for number in (5, 6):
        mailbox.push(packet(number, key=False))
    assert (len(mailbox), mailbox.drops) == (6, 0)
    mailbox.push(packet(7, key=False))
    assert (len(mailbox), mailbox.drops) == (0, 7)


async def test_the_oldest_of_what_it_began_with_goes_first() -> None:
    mailbox = Mailbox(1)
    mailbox.begin([packet(0), packet(1), packet(2)])
    assert (await mailbox.get()).frame_id == 0
    for number in (3, 4):
        mailbox.push(packet(number))
    assert await drained(mailbox) == [4]
    assert mailbox.drops == 3


async def test_who_begins_with_nothing_waits_for_a_keyframe() -> None:
    mailbox = Mailbox(2, Policy.SKIP_TO_KEY)
    mailbox.begin([])
    mailbox.push(packet(0, key=False))
    mailbox.push(packet(1))
    assert await drained(mailbox) == [1]


async def test_a_keyframe_takes_the_place_of_what_was_queued() -> None:
    mailbox = Mailbox(2, Policy.SKIP_TO_KEY)
    for number, key in enumerate([True, False, True, False]):
        mailbox.push(packet(number, key=key))
    assert await drained(mailbox) == [2, 3]
    assert mailbox.drops == 2


async def test_after_a_clear_coded_video_waits_for_a_keyframe() -> None:
    mailbox = Mailbox(5, Policy.SKIP_TO_KEY)
    mailbox.push(packet(0))
    mailbox.clear()
    mailbox.push(packet(1, key=False))
    mailbox.push(packet(2))
    assert await drained(mailbox) == [2]


async def test_a_reader_waits_and_is_woken() -> None:
    mailbox = Mailbox()
    reading = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    assert not reading.done()
    mailbox.push(packet(1))
    assert (await reading).frame_id == 1
    assert mailbox.drops == 0


async def test_between_waking_and_reading_the_newest_takes_the_place() -> None:
    mailbox = Mailbox()
    reading = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    mailbox.push(packet(1))
    mailbox.push(packet(2))
    assert (await reading).frame_id == 2
    assert mailbox.drops == 1


async def test_cancelling_a_wait_loses_nothing() -> None:
    mailbox = Mailbox(2)
    reading = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    mailbox.push(packet(1))  # the reader is woken ...
    reading.cancel()  # ... and cancelled before it runs
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await mailbox.get()).frame_id == 1


async def test_a_clear_between_waking_and_reading_lets_it_wait_on() -> None:
    mailbox = Mailbox()
    reading = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    mailbox.push(packet(1))
    mailbox.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reading.done()
    mailbox.push(packet(2))
    assert (await reading).frame_id == 2


async def test_closing_ends_the_iteration_after_what_is_queued() -> None:
    mailbox = Mailbox(3)
    mailbox.push(packet(1))
    mailbox.close()
    mailbox.close()
    mailbox.push(packet(2))
    assert [each.frame_id async for each in mailbox] == [1]
    with pytest.raises(StopAsyncIteration):
        await mailbox.get()


async def test_closing_wakes_a_reader_that_waits() -> None:
    mailbox = Mailbox()

    async def read() -> list[Packet]:
        return [each async for each in mailbox]

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    mailbox.close()
    assert await reading == []


async def test_a_mailbox_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Mailbox(0)
