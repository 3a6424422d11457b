from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framecast.core.clock import ManualClock
from framecast.core.errors import LimitReached
from framecast.core.packet import Packet
from framecast.core.rendition import SOURCE, Rendition
from framecast.core.stream import MOST_RENDITIONS, State, Stream
from framecast.core.supervise import Supervisor
from framecast.output.snapshot import NoFrame, take
from tests.core.fakes import JPEG, Collector, Workshop, a_few_turns, until

pytestmark = pytest.mark.anyio

SMALL = Rendition(width_px=320)
FORMS = pytest.mark.parametrize("rendition", [SOURCE, SMALL], ids=["source", "rendition"])


class Camera:
    """A camera whose time passes by hand."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.clock = ManualClock()
        self.demands: list[bool] = []
        self.stream = Stream(
            "door", 1, supervisor, make_worker=Workshop(b"").make, clock=self.clock, rendition_grace_s=0.01
        )
        self.stream.on_demand = self.demands.append
        self.publisher = self.stream.open_publisher("door")

    def publish(self, *, age_s: float = 0.0) -> None:
        now_ns = self.clock.now_ns()
        self.publisher.publish(b"<%d>" % self.stream.frame_ids.next, JPEG, now_ns, now_ns)
        self.clock.advance(age_s)

    def take(
        self, rendition: Rendition = SOURCE, *, max_age_s: float | None = None, wait_s: float = 5.0
    ) -> asyncio.Task[Packet]:
        return asyncio.ensure_future(take(self.stream, rendition, max_age_s=max_age_s, wait_s=wait_s))


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Supervisor() as supervisor:
        yield Camera(supervisor)
        await a_few_turns()


@FORMS
async def test_a_sleeping_camera_is_woken_and_its_first_picture_is_the_answer(
    camera: Camera, rendition: Rendition
) -> None:
    taking = camera.take(rendition)
    await a_few_turns()
    assert camera.demands == [True]
    camera.stream.set_state(State.CONNECTING)
    await a_few_turns()
    camera.publish()
    assert (await taking).frame_id == 1
    await until(lambda: camera.demands == [True, False])


async def test_a_live_camera_answers_at_once_whatever_its_rate(camera: Camera) -> None:
    camera.stream.set_state(State.LIVE)
    camera.publish(age_s=3.0)
    assert (await camera.take(wait_s=60)).frame_id == 1
    assert camera.demands == []


@FORMS
async def test_a_sleeping_cameras_old_picture_is_the_answer_only_when_no_other_comes(
    camera: Camera, rendition: Rendition
) -> None:
    camera.publish()
    if rendition is SMALL:
        camera.stream.track(SMALL).attach(Collector())  # or it would be dropped, were the machine slow
        await camera.take(SMALL)  # so that there is an old small one
    camera.clock.advance(60)
    assert (await camera.take(rendition, wait_s=0.01)).frame_id == 1
    taking = camera.take(rendition)
    await a_few_turns()
    camera.publish()
    assert (await taking).frame_id == 2


@FORMS
async def test_one_that_is_offline_has_only_its_last_picture(camera: Camera, rendition: Rendition) -> None:
    camera.publish(age_s=60)
    camera.stream.set_state(State.OFFLINE, "no route")
    assert (await camera.take(rendition, wait_s=60)).frame_id == 1


@FORMS
async def test_too_old_a_picture_is_refused(camera: Camera, rendition: Rendition) -> None:
    camera.publish(age_s=60)
    camera.stream.set_state(State.OFFLINE, "no route")
    with pytest.raises(NoFrame, match=r"60\.0 s old, more than max_age=5"):
        await camera.take(rendition, max_age_s=5, wait_s=1.0)  # in which the rendition is made
    assert (await camera.take(rendition, max_age_s=61)).frame_id == 1


@FORMS
async def test_zero_asks_for_a_picture_that_comes_from_now_on(camera: Camera, rendition: Rendition) -> None:
    camera.stream.set_state(State.LIVE)
    camera.publish(age_s=0.001)
    taking = camera.take(rendition, max_age_s=0)
    await a_few_turns()
    assert not taking.done()
    camera.publish(age_s=0.5)
    assert (await taking).frame_id == 2


async def test_before_the_first_there_is_none(camera: Camera) -> None:
    with pytest.raises(NoFrame, match="No frame available yet"):
        await camera.take(wait_s=0.01)
    camera.stream.set_state(State.OFFLINE, "no route")
    with pytest.raises(NoFrame, match="No frame available yet"):
        await camera.take(wait_s=60)
    assert not camera.stream.wanted


async def test_a_masked_camera_that_nobody_watches_answers_with_what_it_sees_now(camera: Camera) -> None:
    camera.stream.set_transform(Workshop(b"masked ").make)
    camera.stream.set_state(State.LIVE)
    camera.publish()
    assert (await camera.take()).payload == b"masked <1>"
    for _ in range(3):
        camera.publish(age_s=5)
    await until(lambda: True)
    assert (await camera.take()).frame_id == 4


async def test_cancelling_leaves_nothing(camera: Camera) -> None:
    taking = camera.take()
    await a_few_turns()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert camera.demands == [True, False]


async def test_too_many_renditions(camera: Camera) -> None:
    for number in range(MOST_RENDITIONS):
        camera.stream.track(Rendition(quality=number + 1)).attach(Collector())
    with pytest.raises(LimitReached):
        await camera.take(SMALL)
