"""What waits to be pushed on: bounded, beside what a camera that gives no key picture for the asking had kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from framecast.core.packet import Format, Packet
from framecast.core.rendition import H264 as AS_CODED
from framecast.core.stream import State, Stream
from framecast.core.supervise import Backoff, Supervisor
from framecast.output.restream.restream import MOST_BYTES, MOST_PACKETS, Intake, Restream, RestreamError
from tests.core.fakes import Collector, Workshop, a_few_turns, packet, until

pytestmark = pytest.mark.anyio

H264 = Format("h264", 640, 480)


class Wishes:
    """Counts key pictures that are asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def pictures(first: int, last: int, *, key: int = 0, size: int = 100) -> list[Packet]:
    """Coded pictures, ``key`` among them the one that can be decoded alone."""
    return [
        replace(packet(number, bytes(size), key=number == key), format=H264, seq=number)
        for number in range(first, last)
    ]


async def taken(intake: Intake, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await intake.get()).frame_id for _ in range(count)]


@pytest.mark.parametrize(
    ("kept", "size"), [(2 * MOST_PACKETS, 100), (32, MOST_BYTES // 16)], ids=["many packets", "many bytes"]
)
async def test_all_that_a_camera_kept_is_taken_in_and_then_as_much_as_ever(kept: int, size: int) -> None:
    wishes = Wishes()
    intake = Intake(wishes)
    intake.begin(pictures(0, kept, size=size))
    for each in pictures(kept, kept + MOST_PACKETS):
        intake.push(each)
    assert (intake.drops, wishes.count) == (0, 0)
    assert await taken(intake, kept + MOST_PACKETS) == list(range(kept + MOST_PACKETS))


async def test_what_has_been_sent_of_it_makes_no_room_for_more_than_the_bound() -> None:
    wishes = Wishes()
    intake = Intake(wishes)
    intake.begin(pictures(0, 2 * MOST_PACKETS))
    await taken(intake, 2 * MOST_PACKETS)
    for each in pictures(2 * MOST_PACKETS, 3 * MOST_PACKETS):
        intake.push(each)
    assert (intake.drops, wishes.count) == (0, 0)
    for each in pictures(0, 1, key=-1):
        intake.push(each)
    assert (intake.drops, wishes.count) == (MOST_PACKETS + 1, 1)


async def test_bytes_that_were_sent_make_no_room_for_more_than_the_bound_either() -> None:
    intake = Intake(Wishes())
    intake.begin(pictures(0, 32, size=MOST_BYTES // 16))
    await taken(intake, 32)
    for each in pictures(32, 50, size=MOST_BYTES // 16):
        intake.push(each)
    assert intake.drops == 18


class Other:
    """The other end, which takes everything.

    Attributes:
        has_enough: Set once it got so many pictures.
    """

    sound = "aac"
    key_wanted = False

    def __init__(self, enough: int) -> None:
        self.got: list[int] = []
        self.has_enough = asyncio.Event()
        self._enough = enough

    async def open(self) -> None:
        """See `Session`."""

    async def start(self, video: Packet, sound: Packet | None) -> None:
        """See `Session`."""

    async def send(self, packet: Packet) -> None:
        """See `Session`."""
        self.got.append(packet.frame_id)
        if len(self.got) >= self._enough:
            self.has_enough.set()

    async def watch(self) -> None:
        """See `Session`."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """See `Session`."""


@pytest.mark.parametrize("is_watched", [False, True])
async def test_a_restream_of_a_camera_that_codes_by_itself_begins_with_what_it_kept(
    is_watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.output.restream.restream.SOUND_WAIT_S", 0.01)
    other = Other(MOST_PACKETS + 10)

    async def connect() -> Other:
        return other

    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor, make_worker=Workshop().make)
        stream.set_native(True)
        if is_watched:
            stream.track(AS_CODED).attach(Collector())
            await a_few_turns()
        publisher = stream.open_publisher("door")
        now_ns = stream.clock.now_ns()
        for number in range(MOST_PACKETS + 10):
            stamp_ns = now_ns + number * 1_000_000
            publisher.publish_coded(b"\0\0\0\1\x41", H264, stamp_ns, stamp_ns, key=number == 0)
        restream = Restream(stream, "the other end", connect)
        task = supervisor.spawn("restream", restream.run())
        async with asyncio.timeout(5):
            await other.has_enough.wait()
        assert restream.drops == 0
        task.cancel()


async def test_a_mask_forgets_it() -> None:
    wishes = Wishes()
    intake = Intake(wishes)
    intake.begin(pictures(0, 2 * MOST_PACKETS))
    intake.clear()
    for each in pictures(1, 3, key=2):
        intake.push(each)
    assert await taken(intake, 1) == [2]
    assert wishes.count == 1


async def test_a_mask_that_is_set_while_the_other_end_is_told_what_comes_hides_what_came_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("framecast.output.restream.restream.SOUND_WAIT_S", 0.01)
    now_ns = 0

    class Slow(Other):
        async def start(self, video: Packet, sound: Packet | None) -> None:
            coded = stream.track(AS_CODED)
            coded.clear()
            publisher.publish_coded(b"\0\0\0\1\x65", H264, now_ns + 1_000_000, now_ns + 1_000_000, key=True)
            while coded.latest is None:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0)

    async def connect() -> Other:
        return other

    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor, make_worker=Workshop().make)
        stream.set_native(True)
        publisher = stream.open_publisher("door")
        now_ns = stream.clock.now_ns()
        before = publisher.publish_coded(b"\0\0\0\1\x65", H264, now_ns, now_ns, key=True)
        other = Slow(1)
        task = supervisor.spawn("restream", Restream(stream, "the other end", connect).run())
        async with asyncio.timeout(5):
            await other.has_enough.wait()
        task.cancel()
    assert before is not None
    assert other.got == [before.frame_id + 1]


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_a_camera_that_is_back_is_not_kept_waiting_by_a_server_that_hung_up_meanwhile(
    hangs_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.output.restream.restream.SOUND_WAIT_S", 0.01)

    class Impatient(Other):
        """It hangs up on who sends nothing, or takes nobody at first."""

        async def open(self) -> None:
            sessions.append(self)
            if not hangs_up and len(sessions) == 1:
                raise RestreamError("no room")

        async def watch(self) -> None:
            if len(sessions) > 1:
                await asyncio.Event().wait()
            raise RestreamError("nothing came")

    sessions: list[Impatient] = []

    async def connect() -> Impatient:
        return Impatient(1)

    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor, make_worker=Workshop().make)
        stream.set_native(True)
        publisher = stream.open_publisher("door")
        stream.set_state(State.OFFLINE)
        restream = Restream(stream, "the other end", connect)
        task = supervisor.spawn("restream", restream.run(Backoff(30.0, jitter=0.0)))
        async with asyncio.timeout(5):
            await until(lambda: restream.state == "waiting")
            now_ns = stream.clock.now_ns()
            publisher.publish_coded(b"\0\0\0\1\x65", H264, now_ns, now_ns, key=True)
            stream.set_state(State.LIVE)
            if hangs_up:
                await until(lambda: len(sessions) == 2)
                await sessions[1].has_enough.wait()
            else:
                await a_few_turns()
                assert (restream.state, len(sessions)) == ("waiting", 1), "a refusal has nothing to do with the camera"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not stream.on_state


async def test_a_camera_that_is_removed_while_its_restream_waits_is_no_failure() -> None:
    async def refuse() -> Other:
        raise RestreamError("no room")

    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor, make_worker=Workshop().make)
        restream = Restream(stream, "the other end", refuse)
        task = supervisor.spawn("restream", restream.run(Backoff(30.0, jitter=0.0)))
        async with asyncio.timeout(5):
            await until(lambda: bool(stream.on_state))
        stream.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not supervisor.failures
