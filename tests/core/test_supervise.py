from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from typing import Any

import pytest

from framecast.core import supervise
from framecast.core.supervise import Backoff, Supervisor
from tests.conftest import BOTH_LOOPS

pytestmark = pytest.mark.anyio


class TestBackoff:
    def test_doubles_up_to_a_cap_and_begins_again(self) -> None:
        backoff = Backoff(first_s=0.5, cap_s=5.0, jitter=0.0)
        assert [backoff.next_s() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
        backoff.reset()
        assert backoff.next_s() == 0.5

    def test_is_spread(self) -> None:
        backoff = Backoff(first_s=4.0, cap_s=4.0, jitter=0.25, rng=random.Random(3))
        pauses = [backoff.next_s() for _ in range(200)]
        assert 3.0 <= min(pauses) < 3.1 < 4.9 < max(pauses) <= 5.0

    def test_never_overflows(self) -> None:
        backoff = Backoff(jitter=0.0)
        assert max(backoff.next_s() for _ in range(5000)) == 15.0


async def fail() -> None:
    raise ZeroDivisionError("once")


async def forever() -> None:
    await asyncio.Event().wait()


async def test_what_fails_is_logged_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Exception] = []
    async with Supervisor() as supervisor:
        neighbour = supervisor.spawn("neighbour", forever())
        with caplog.at_level(logging.ERROR):
            await supervisor.spawn("part:door", fail(), told.append)
        assert supervisor.failures == {"part": 1}
        assert isinstance(told[0], ZeroDivisionError)
        assert "part:door failed" in caplog.text
        assert not neighbour.done()
        assert len(supervisor) == 1
    assert neighbour.cancelled()


async def test_leaving_cancels_and_awaits_everything_spawned_meanwhile_too() -> None:
    ended: list[str] = []
    supervisor = Supervisor()

    async def parent() -> None:
        try:
            await forever()
        finally:
            supervisor.spawn("late child", child())
            await asyncio.sleep(0)
            ended.append("parent")

    async def child() -> None:
        try:
            await forever()
        finally:
            ended.append("child")

    async with supervisor:
        supervisor.spawn("parent", parent())
        await asyncio.sleep(0)
    assert sorted(ended) == ["child", "parent"]
    assert len(supervisor) == 0


async def test_a_task_cancelled_before_its_first_step_leaves_nothing_behind() -> None:
    # Without care this is a RuntimeWarning: coroutine was never awaited.
    async with Supervisor() as supervisor:
        task = supervisor.spawn("stillborn", forever())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    del task


async def test_what_is_kept_runs_again_after_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr(supervise.asyncio, "sleep", sleep)
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs <= 4:
            raise ZeroDivisionError

    async with Supervisor() as supervisor:
        await supervisor.keep("part:x", run)
        assert runs == 5
        assert supervisor.failures == {"part": 4}
    assert [round(pause / expected, 1) for pause, expected in zip(pauses, (1, 2, 4, 8), strict=True)] == pytest.approx(
        [1, 1, 1, 1], abs=0.3
    )


async def test_a_run_that_lasted_begins_again_with_the_first_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    resets: list[bool] = []

    class Remembering(Backoff):
        def reset(self) -> None:
            resets.append(True)

        def next_s(self) -> float:
            return 0.0

    monkeypatch.setattr(supervise, "Backoff", Remembering)
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        monkeypatch.setattr(supervise, "KEEP_CAP_S", 60.0 if runs == 1 else -1.0)
        await asyncio.sleep(0)
        if runs <= 3:
            raise ZeroDivisionError

    async with Supervisor() as supervisor:
        await supervisor.keep("part", run)
    assert resets == [True, True], "not after the first, which was short"


async def test_what_is_kept_ends_when_cancelled() -> None:
    async with Supervisor() as supervisor:
        task = supervisor.keep("part", forever)
        await asyncio.sleep(0)
    assert task.cancelled()
    assert supervisor.failures == {}


class Quick(ssl.SSLContext):
    """Whose handshake is through with the first bytes: as if the answer were there before anybody could look."""

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> Any:
        class Object:
            def do_handshake(self) -> None:
                outgoing.write(b"finished")

            def read(self, *_: object) -> bytes:
                raise ssl.SSLWantReadError

            def write(self, data: bytes) -> int:
                return outgoing.write(data)

            def pending(self) -> int:
                return 0

            def getpeercert(self, binary_form: bool = False) -> None:
                return None

            cipher = compression = getpeercert

        return Object()


@pytest.mark.parametrize("anyio_backend", BOTH_LOOPS[:1], scope="session")
async def test_a_tls_connection_given_up_while_it_opens_is_no_error() -> None:
    """In the one turn of the loop in which uvloop tells its exception handler of it."""
    loop = asyncio.get_running_loop()
    told: list[object] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    context = Quick(ssl.PROTOCOL_TLS_CLIENT)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        async with Supervisor():
            opening = asyncio.ensure_future(
                loop.create_connection(asyncio.Protocol, sock=near, ssl=context, server_hostname="x")
            )
            await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait({opening})
            for _ in range(5):
                await asyncio.sleep(0)
            assert told == []
            loop.call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)
            assert len(told) == 1, "any other is told"
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        assert len(told) == 2, "as before it"
