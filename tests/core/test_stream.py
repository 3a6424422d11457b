"""A camera outlives its connections; its viewers stay, and see only what they may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from framecast.core.clock import ManualClock
from framecast.core.errors import LimitReached
from framecast.core.fanout import Fanout
from framecast.core.frameids import ASK_AGAIN, FrameIds
from framecast.core.mailbox import Mailbox
from framecast.core.packet import Packet
from framecast.core.publisher import Publisher
from framecast.core.rendition import SOURCE, Rendition
from framecast.core.stream import MOST_RENDITIONS, State, Stream
from framecast.core.supervise import Supervisor
from framecast.core.viewer import new_viewer

from .fakes import JPEG, Collector, Connection, Labels, Workshop, a_few_turns, until

pytestmark = pytest.mark.anyio

SMALL = Rendition(width_px=320)


@dataclass
class Camera:
    """A stream and what is around it."""

    supervisor: Supervisor
    clock: ManualClock = field(default_factory=ManualClock)
    shop: Workshop = field(default_factory=Workshop)

    def __post_init__(self) -> None:
        self.demands: list[bool] = []
        self.stream = Stream(
            "door", 3, self.supervisor, make_worker=self.shop.make, clock=self.clock, rendition_grace_s=0.02
        )
        self.stream.on_demand = self.demands.append

    def publish(self, publisher: Publisher, payload: bytes = b"jpeg", *, pts_ns: int | None = None) -> Packet | None:
        self.clock.advance(0.1)
        now_ns = self.clock.now_ns()
        return publisher.publish(payload, JPEG, now_ns if pts_ns is None else pts_ns, now_ns)


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Supervisor() as supervisor:
        yield Camera(supervisor)


def sure(packet: Packet | None) -> Packet:
    assert packet is not None
    return packet


class TestPublishing:
    async def test_ids_and_positions_rise_and_an_epoch_begins_with_the_first_picture(self, camera: Camera) -> None:
        publisher = camera.stream.open_publisher("door")
        assert camera.stream.epoch == 0
        packets = [sure(camera.publish(publisher)) for _ in range(3)]
        assert [(each.frame_id, each.seq, each.epoch) for each in packets] == [(1, 0, 1), (2, 1, 1), (3, 2, 1)]
        assert camera.stream.video.latest is packets[-1]
        assert camera.stream.published == camera.stream.meter.count == 3

    async def test_a_device_tried_in_vain_has_not_restarted(self, camera: Camera) -> None:
        first = camera.stream.open_publisher("door")
        camera.publish(first)
        first.close()
        for _ in range(5):
            camera.stream.open_publisher("door").close()
        again = sure(camera.publish(camera.stream.open_publisher("door")))
        assert (again.epoch, again.frame_id, again.seq) == (2, 2, 1)

    async def test_a_reboot_is_one_more_epoch_whose_stamps_may_begin_anew(self, camera: Camera) -> None:
        publisher = camera.stream.open_publisher("door")
        before = sure(camera.publish(publisher))
        publisher.new_epoch()
        after = sure(camera.publish(publisher, pts_ns=before.pts_ns - 10**9))
        assert (after.epoch, after.pts_ns) == (before.epoch + 1, before.pts_ns - 10**9)

    async def test_stamps_rise_strictly_within_an_epoch(self, camera: Camera) -> None:
        publisher = camera.stream.open_publisher("door")
        stamps = [sure(camera.publish(publisher, pts_ns=pts_ns)).pts_ns for pts_ns in (50_000, 50_000, 10, 60_000)]
        assert stamps == [50_000, 51_000, 52_000, 60_000]

    async def test_another_publisher_takes_over_and_the_first_is_told(self, camera: Camera) -> None:
        told: list[str] = []
        viewer = Collector()
        camera.stream.video.attach(viewer)
        first = camera.stream.open_publisher("one", lambda: told.append("one"))
        camera.publish(first, b"one")
        second = camera.stream.open_publisher("two", lambda: told.append("two"))
        assert (told, first.closed, second.closed) == (["one"], True, False)
        assert camera.publish(first, b"one again") is None
        camera.publish(second, b"two")
        first.close()
        assert camera.stream.publisher is second, "a late good-bye does not harm its successor"
        assert [(each.payload, each.epoch) for each in viewer.packets] == [(b"one", 1), (b"two", 2)]
        second.close()
        second.close()
        assert camera.stream.publisher is None
        assert told == ["one"], "one that leaves by itself was not replaced"

    async def test_viewers_belong_to_the_stream(self, camera: Camera) -> None:
        viewer = Collector()
        camera.stream.video.attach(viewer)
        for name in ("one", "two", "three"):
            publisher = camera.stream.open_publisher(name)
            camera.publish(publisher)
            publisher.close()
        assert [each.epoch for each in viewer.packets] == [1, 2, 3]
        assert viewer.numbers == [1, 2, 3]


class TestState:
    async def test_listeners_hear_of_changes_only(self, camera: Camera) -> None:
        heard: list[tuple[State, str]] = []
        camera.stream.on_state.append(lambda stream: heard.append((stream.state, stream.reason)))
        camera.stream.set_state(State.IDLE)
        camera.stream.set_state(State.OFFLINE, "no route")
        since_ns = camera.stream.state_since_ns
        camera.clock.advance(5)
        camera.stream.set_state(State.OFFLINE, "no route")
        camera.stream.set_state(State.OFFLINE, "refused")
        assert camera.stream.state_since_ns == since_ns, "another reason is not another state"
        camera.stream.set_state(State.LIVE)
        assert camera.stream.state_since_ns == since_ns + 5 * 10**9
        assert heard == [(State.OFFLINE, "no route"), (State.OFFLINE, "refused"), (State.LIVE, "")]

    async def test_a_listener_may_leave_when_told(self, camera: Camera) -> None:
        heard: list[int] = []

        def once(stream: Stream) -> None:
            heard.append(1)
            stream.on_state.remove(once)

        camera.stream.on_state += [once, lambda _: heard.append(2)]
        camera.stream.set_state(State.LIVE)
        camera.stream.set_state(State.STALLED)
        assert heard == [1, 2, 2]

    @pytest.mark.parametrize(
        ("state", "age_s", "worth"),
        [
            (State.IDLE, 9, True),
            (State.IDLE, 11, False),
            (State.CONNECTING, 3600, False),
            (State.OFFLINE, 3600, True),
            (State.STALLED, 30, True),
        ],
    )
    async def test_what_newcomers_are_shown(self, camera: Camera, state: State, age_s: float, worth: bool) -> None:
        packet = sure(camera.publish(camera.stream.open_publisher("door")))
        camera.stream.set_state(state)
        camera.clock.advance(age_s)
        assert camera.stream.worth_showing(packet) is worth


class TestViewers:
    async def test_the_limit(self, camera: Camera) -> None:
        camera.stream.viewer_limit = 2
        viewers = [new_viewer("mjpeg", "::1", camera.clock) for _ in range(3)]
        for viewer in viewers[:2]:
            camera.stream.admit(viewer)
        with pytest.raises(LimitReached) as caught:
            camera.stream.admit(viewers[2])
        assert caught.value.limit == 2
        camera.stream.dismiss(viewers[0])
        camera.stream.admit(viewers[2])

    async def test_drops_of_those_who_left_stay_in_the_sum(self, camera: Camera) -> None:
        viewer = new_viewer("mjpeg", "::1", camera.clock)
        camera.stream.admit(viewer)
        viewer.count(drops=7)
        camera.stream.dismiss(viewer)
        camera.stream.dismiss(viewer)
        assert camera.stream.drops == 7

    async def test_demand_is_passed_on(self, camera: Camera) -> None:
        one, two = Collector(), Collector()
        camera.stream.video.attach(one)
        camera.stream.video.attach(two)
        assert camera.stream.wanted
        camera.stream.video.detach(one)
        camera.stream.video.detach(two)
        assert camera.demands == [True, False]
        assert not camera.stream.wanted


class TestRenditions:
    async def test_the_source_needs_no_work(self, camera: Camera) -> None:
        assert camera.stream.track(SOURCE) is camera.stream.video

    async def test_one_is_made_once_for_all_who_ask(self, camera: Camera) -> None:
        publisher = camera.stream.open_publisher("door")
        track = camera.stream.track(SMALL)
        assert camera.stream.track(Rendition(width_px=320)) is track
        readers = [Collector() for _ in range(3)]
        for reader in readers:
            track.attach(reader)
        await a_few_turns()
        camera.publish(publisher)
        await a_few_turns()
        assert camera.shop.worked == [1]
        assert [reader.packets[0].payload for reader in readers] == [b"+jpeg"] * 3
        assert camera.demands == [True]

    async def test_it_is_forgotten_some_time_after_the_last_reader(self, camera: Camera) -> None:
        reader = Collector()
        camera.stream.track(SMALL).attach(reader)
        await a_few_turns()
        assert camera.stream.renditions == ["video/320"]
        camera.stream.track(SMALL).detach(reader)
        await until(lambda: not camera.stream.renditions)
        await a_few_turns()
        assert camera.demands == [True, False]
        assert len(camera.supervisor) == 0

    async def test_no_more_than_eight_at_a_time(self, camera: Camera) -> None:
        qualities = [Rendition(quality=number) for number in range(1, MOST_RENDITIONS + 1)]
        for rendition in qualities:
            camera.stream.track(rendition).attach(Collector())
        with pytest.raises(LimitReached) as caught:
            camera.stream.track(SMALL)
        assert caught.value.limit == MOST_RENDITIONS
        assert "video/q1" in str(caught.value), "it says which may be had"
        with pytest.raises(LimitReached):
            camera.stream.check(SMALL)
        camera.stream.check(qualities[3])
        camera.stream.check(SOURCE)
        assert camera.stream.track(qualities[3]).wanted

    async def test_idle_ones_make_room(self, camera: Camera) -> None:
        watched = [Rendition(quality=number) for number in range(1, MOST_RENDITIONS)]
        for rendition in watched:
            camera.stream.track(rendition).attach(Collector())
        camera.stream.track(Rendition(quality=99))  # asked for, never watched
        camera.stream.track(SMALL).attach(Collector())
        assert camera.stream.renditions == [each.name for each in (*watched, SMALL)]

    async def test_asking_whether_it_can_be_had_makes_nothing(self, camera: Camera) -> None:
        camera.stream.check(SMALL)
        assert camera.stream.renditions == []

    async def test_none_without_a_maker(self, camera: Camera) -> None:
        with pytest.raises(LimitReached):
            Stream("bare", 1, camera.supervisor).track(SMALL)

    async def test_a_camera_that_slept_makes_nothing_of_its_last_picture(self, camera: Camera) -> None:
        publisher = camera.stream.open_publisher("door")
        camera.publish(publisher)
        camera.clock.advance(3600)
        camera.stream.set_state(State.CONNECTING)
        reader = Collector()
        camera.stream.track(SMALL).attach(reader)
        await a_few_turns()
        assert reader.numbers == []
        camera.publish(publisher)
        await a_few_turns()
        assert reader.numbers == [2]

    async def test_closing_ends_all_work_and_shuts_the_publisher_out(self, camera: Camera) -> None:
        told: list[bool] = []
        publisher = camera.stream.open_publisher("door", lambda: told.append(True))
        camera.stream.set_transform(Workshop().make)
        camera.stream.track(SMALL).attach(Collector())
        await a_few_turns()
        camera.stream.close()
        await a_few_turns()
        assert (len(camera.supervisor), told, publisher.closed) == (0, [True], True)


class TestTransform:
    """A privacy mask set while viewers watch must never let an unmasked picture out afterwards."""

    @staticmethod
    def mask() -> Workshop:
        return Workshop(b"masked ")

    async def test_viewers_stay_and_see_the_transformed_picture(self, camera: Camera) -> None:
        publisher, viewer = camera.stream.open_publisher("door"), Collector()
        camera.stream.video.attach(viewer)
        camera.publish(publisher)
        camera.stream.set_transform(self.mask().make)
        await a_few_turns()
        camera.publish(publisher)
        await a_few_turns()
        assert [each.payload for each in viewer.packets] == [b"masked jpeg"]
        assert viewer.clears == 1
        camera.stream.set_transform(None)
        camera.publish(publisher)
        assert [each.payload for each in viewer.packets] == [b"jpeg"]
        assert camera.stream.inlet is camera.stream.video

    async def test_no_newcomer_sees_a_picture_from_before(self, camera: Camera) -> None:
        publisher = camera.stream.open_publisher("door")
        camera.publish(publisher)
        camera.stream.set_transform(self.mask().make)
        reader = Collector()
        camera.stream.video.attach(reader)
        await a_few_turns()
        assert (camera.stream.video.latest, camera.stream.video.ring, reader.packets) == (None, (), [])

    async def test_who_watches_a_slow_camera_need_not_wait_for_its_next_picture(self, camera: Camera) -> None:
        publisher, viewer = camera.stream.open_publisher("door"), Collector()
        camera.stream.video.attach(viewer)
        camera.publish(publisher)
        before = viewer.packets[-1]
        camera.stream.set_transform(self.mask().make, again=True)
        await a_few_turns()
        camera.stream.set_transform(Workshop(b"other mask ").make, again=True)
        await a_few_turns()
        assert [each.payload for each in viewer.packets] == [b"other mask jpeg"]
        camera.stream.set_transform(None, again=True)
        assert [each.payload for each in viewer.packets] == [b"jpeg"]
        assert viewer.packets[0].frame_id == before.frame_id + 3, "nobody takes it for the one from before"
        assert viewer.packets[0].pts_ns == before.pts_ns + 3_000, "but for the moment it is of"
        publisher.close()
        camera.stream.set_transform(self.mask().make, again=True)
        await a_few_turns()
        assert viewer.packets == [], "who publishes next may be another device"

    async def test_it_is_made_only_while_somebody_looks(self, camera: Camera) -> None:
        shop = self.mask()
        camera.stream.set_transform(shop.make)
        publisher = camera.stream.open_publisher("door")
        camera.publish(publisher)
        await a_few_turns()
        assert (shop.worked, camera.stream.video.latest, camera.demands) == ([], None, [])
        viewer = Collector()
        camera.stream.video.attach(viewer)
        await a_few_turns()
        assert viewer.numbers == [1]
        assert camera.demands == [True]

    async def test_renditions_are_made_of_the_transformed_picture(self, camera: Camera) -> None:
        publisher, viewer = camera.stream.open_publisher("door"), Collector()
        camera.stream.track(SMALL).attach(viewer)
        camera.stream.set_transform(self.mask().make)
        await a_few_turns()
        camera.publish(publisher)
        await a_few_turns()
        assert [each.payload for each in viewer.packets] == [b"+masked jpeg"]

    @pytest.mark.parametrize("held", ["nothing", "rendition", "mask before"])
    async def test_nothing_that_was_on_its_way_comes_out(self, camera: Camera, held: str) -> None:
        """Every place where a picture can wait is full when the mask is set."""
        stream = camera.stream
        publisher = stream.open_publisher("door")
        older = Workshop(b"old mask ")
        if held == "mask before":
            stream.set_transform(older.make)
        mailbox, waiting_reader = Mailbox(3), asyncio.ensure_future(Mailbox().get())
        viewers = [Connection() for _ in range(3)]
        fanout = Fanout(Labels(), heartbeat_s=0.01)
        small, direct = Collector(), Collector()
        stream.video.attach(mailbox)
        stream.video.attach(fanout)
        stream.video.attach(direct)
        stream.track(SMALL).attach(small)
        for viewer in viewers:
            fanout.add(viewer.seat)
        await a_few_turns()
        camera.publish(publisher)
        await a_few_turns()
        viewers[0].held = True
        camera.publish(publisher)
        await a_few_turns()
        if held == "rendition":
            camera.shop.gate.clear()
        if held == "mask before":
            older.gate.clear()
        camera.publish(publisher)
        await a_few_turns()

        stream.set_transform(self.mask().make)
        before = [len(viewer.written) for viewer in viewers]
        for sink in (small, direct):
            sink.packets.clear()
        camera.shop.gate.set()
        older.gate.set()
        viewers[0].drain()
        late = Connection()
        fanout.add(late.seat)
        await asyncio.sleep(0.05)  # five heartbeats: timers come in order, however slow the machine is
        assert [len(viewer.written) for viewer in viewers] == before, "no repeat, no catching up"
        assert (late.written, small.packets, direct.packets, len(mailbox)) == ([], [], [], 0)

        camera.publish(publisher)
        await a_few_turns()
        assert {each.payload for each in direct.packets} == {b"masked jpeg"}
        assert {each.payload for each in small.packets} == {b"+masked jpeg"}
        assert (await mailbox.get()).payload == b"masked jpeg"
        waiting_reader.cancel()
        for viewer in (*viewers, late):
            viewer.seat.leave()

    async def test_a_failing_transform_shows_nothing_rather_than_everything(self, camera: Camera) -> None:
        publisher, viewer = camera.stream.open_publisher("door"), Collector()
        camera.stream.video.attach(viewer)
        shop = self.mask()
        shop.fail_at = 1
        camera.stream.set_transform(shop.make)
        await a_few_turns()
        camera.publish(publisher)
        await a_few_turns()
        assert viewer.packets == []
        assert camera.supervisor.failures["worker"] == 1

    async def test_changes_may_follow_each_other_at_once(self, camera: Camera) -> None:
        publisher, viewer = camera.stream.open_publisher("door"), Collector()
        camera.stream.video.attach(viewer)
        for make in (self.mask().make, None, self.mask().make, self.mask().make):
            camera.stream.set_transform(make)
        await a_few_turns()
        camera.publish(publisher)
        await a_few_turns()
        assert [each.payload for each in viewer.packets] == [b"masked jpeg"]
        assert len(camera.supervisor) == 1


class TestFrameIds:
    @staticmethod
    def collected(
        first: int, reserved: int, answer: Callable[[FrameIds], None] | None = None
    ) -> tuple[FrameIds, list[int]]:
        asked: list[int] = []

        def reserve(ids: FrameIds) -> None:
            asked.append(ids.next)
            if answer is not None:
                answer(ids)

        return FrameIds(first, reserved, reserve), asked

    def test_they_rise_by_one(self) -> None:
        ids = FrameIds(41)
        assert [ids.take() for _ in range(3)] == [41, 42, 43]
        assert ids.next == 44

    def test_more_are_reserved_when_half_is_used(self) -> None:
        ids, asked = self.collected(1000, 2000, lambda ids: ids.extend(3000))
        for _ in range(900):
            ids.take()
        assert asked == [1501]
        for _ in range(400):
            ids.take()
        assert len(asked) == 2

    def test_an_unanswered_reservation_is_asked_for_again(self) -> None:
        ids, asked = self.collected(0, 10_000)
        for _ in range(10_000):
            ids.take()
        assert asked[0] == 5001
        assert 3 < len(asked) < 10
        assert max(asked) > 9500, "it is still trying when they run out"
        before = len(asked)
        for _ in range(10 * ASK_AGAIN):
            ids.take()
        assert len(asked) == before + 10, "and after, without asking for every picture"

    def test_an_answer_that_comes_late_takes_nothing_back(self) -> None:
        ids, asked = self.collected(0, 1000)
        ids.extend(5000)
        ids.extend(2000)
        for _ in range(2400):
            ids.take()
        assert asked == []
