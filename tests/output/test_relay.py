from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framecast.core.clock import ManualClock
from framecast.core.stream import Stream
from framecast.core.supervise import Supervisor
from framecast.core.viewer import new_viewer
from framecast.output.relay import relay
from tests.core.fakes import JPEG, a_few_turns

pytestmark = pytest.mark.anyio


class Watching:
    """A relay viewer that takes nothing while its gate is closed."""

    def __init__(self, stream: Stream, bound: int = 1) -> None:
        self.viewer = new_viewer("relay", "::1", ManualClock())
        self.got: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.task = asyncio.ensure_future(relay(stream, self.viewer, self.send, bound=bound))

    async def send(self, data: bytes) -> None:
        self.got.append(data)
        await self.gate.wait()


@pytest.fixture
async def stream() -> AsyncIterator[Stream]:
    async with Supervisor() as supervisor:
        yield Stream("door", 1, supervisor)


async def publish(stream: Stream, *payloads: bytes) -> None:
    publisher = stream.publisher or stream.open_publisher("door")
    for payload in payloads:
        now_ns = stream.clock.now_ns()
        publisher.publish(payload, JPEG, now_ns, now_ns)
        await a_few_turns()


async def test_each_picture_is_one_message_the_latest_at_once(stream: Stream) -> None:
    await publish(stream, b"1")
    watching = Watching(stream)
    await a_few_turns()
    await publish(stream, b"2", b"3")
    assert watching.got == [b"1", b"2", b"3"]
    assert (watching.viewer.sent, watching.viewer.drops, watching.viewer.behind) == (3, 0, False)
    watching.task.cancel()
    await asyncio.gather(watching.task, return_exceptions=True)
    assert not stream.wanted
    assert watching.viewer.settle is None


@pytest.mark.parametrize(("bound", "then"), [(1, [b"6"]), (3, [b"4", b"5", b"6"])])
async def test_one_that_is_behind_gets_the_newest_and_its_drops_are_known_at_once(
    stream: Stream, bound: int, then: list[bytes]
) -> None:
    watching = Watching(stream, bound)
    await a_few_turns()
    watching.gate.clear()
    await publish(stream, b"1", b"2", b"3", b"4", b"5", b"6")
    assert watching.got == [b"1"]
    assert (watching.viewer.behind, watching.viewer.drops) == (True, 5 - bound)
    watching.gate.set()
    await a_few_turns()
    assert watching.got == [b"1", *then]
    assert (watching.viewer.sent, watching.viewer.drops) == (1 + bound, 5 - bound)
    watching.task.cancel()
    await asyncio.gather(watching.task, return_exceptions=True)


async def test_a_camera_that_slept_shows_no_old_picture_for_these_messages_tell_no_time() -> None:
    clock = ManualClock()
    async with Supervisor() as supervisor:
        stream = Stream("door", 1, supervisor, clock=clock)
        await publish(stream, b"old")
        clock.advance(3600)
        watching = Watching(stream)
        await a_few_turns()
        await publish(stream, b"new")
        assert watching.got == [b"new"]
        watching.task.cancel()
        await asyncio.gather(watching.task, return_exceptions=True)


async def test_it_ends_with_its_connection(stream: Stream) -> None:
    async def send(_: bytes) -> None:
        raise ConnectionResetError

    watching = asyncio.ensure_future(relay(stream, new_viewer("relay", "::1", ManualClock()), send))
    await a_few_turns()
    await publish(stream, b"1")
    with pytest.raises(ConnectionResetError):
        await watching
    assert not stream.wanted
