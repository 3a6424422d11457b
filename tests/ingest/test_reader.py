"""The supervised reader: when it reads, when it gives a connection up, and what its viewers see of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from framecast.core.errors import BadStatus, Misuse, ProtocolError, Unreachable
from framecast.core.source import Feed
from framecast.core.stream import State
from framecast.core.supervise import Backoff, Supervisor
from framecast.ingest import reader as module
from tests.core.fakes import Workshop, a_few_turns, until

from .scripted import Kept, ScriptedSource

pytestmark = pytest.mark.anyio

Keep = Callable[..., Kept]


@pytest.fixture
async def keep(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Keep]:
    """Starts a camera under its reader."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    async with Supervisor() as supervisor:

        def start(**options: object) -> Kept:
            kept = Kept(supervisor, **options)
            supervisor.keep("camera:door", kept.reader.run)
            return kept

        yield start


class TestDemand:
    async def test_a_camera_nobody_watches_is_left_alone(self, keep: Keep) -> None:
        camera = keep()
        await asyncio.sleep(0.01)
        assert (camera.source.runs, camera.stream.state) == (0, State.IDLE)

    async def test_it_is_read_when_somebody_comes_and_let_go_after_the_grace(self, keep: Keep) -> None:
        camera = keep(grace_s=30.0)
        await camera.live()
        assert camera.states == ["connecting", "live"]
        camera.leave()
        for _ in range(6):
            await camera.pass_time(4.9)
            camera.source.send()
        assert camera.source.runs == 1
        await camera.pass_time(1.0)
        await camera.state(State.IDLE)
        assert camera.source.feed is None
        assert camera.reader.last_error == "", "nothing went wrong"

    async def test_who_comes_back_within_the_grace_finds_it_running(self, keep: Keep) -> None:
        camera = keep(grace_s=30.0, stall_timeout_s=1000.0)
        await camera.live()
        camera.leave()
        await camera.pass_time(20)
        camera.watch()
        await camera.pass_time(20)
        camera.leave()
        await camera.pass_time(20)
        assert camera.source.runs == 1
        assert camera.source.feed is not None

    async def test_the_grace_begins_anew_each_time_a_transformed_camera_is_left(self, keep: Keep) -> None:
        """A transform stays for a moment after its last viewer: demand that returns within it is not announced."""
        camera = keep(grace_s=30.0, stall_timeout_s=1e6)
        camera.stream.set_transform(Workshop().make)
        await camera.live()
        camera.leave()
        await camera.pass_time(1)
        camera.watch()
        await camera.pass_time(3600)
        camera.leave()
        await camera.pass_time(5)
        assert camera.source.feed is not None, "an hour of watching is no hour without demand"
        await camera.pass_time(30)
        await camera.state(State.IDLE)

    async def test_always_means_always(self, keep: Keep) -> None:
        camera = keep(policy="always", grace_s=0.0, stall_timeout_s=1e6)
        await camera.connected()
        await camera.pass_time(3600)
        assert camera.source.feed is not None

    async def test_it_wakes_again_and_again(self, keep: Keep) -> None:
        camera = keep(grace_s=1.0)
        for run in range(1, 4):
            camera.watch()
            await camera.connected(run)
            camera.source.send()
            camera.leave()
            await camera.pass_time(1.5)
            await camera.state(State.IDLE)
        assert camera.source.runs == 3
        assert camera.reader.connects == 3

    async def test_one_who_comes_as_it_is_let_go_is_served_at_once(self, keep: Keep) -> None:
        camera = keep(grace_s=1.0, backoff=Backoff(first_s=60, cap_s=60))
        await camera.live()
        camera.leave()
        camera.clock.advance(1.5)
        await until(lambda: camera.source.feed is None)
        camera.watch()
        await camera.connected(2)
        assert "offline" not in camera.states, "its end was our doing"


class TestSilence:
    async def test_a_pause_of_4_4_s_is_no_reconnect(self, keep: Keep) -> None:
        """Measured on real devices: one send in a run took 4.4 s, and then it went on."""
        camera = keep()
        await camera.live()
        camera.source.send()
        await camera.pass_time(1.9)
        assert camera.stream.state is State.LIVE
        await camera.pass_time(2.5)
        assert camera.stream.state is State.STALLED
        camera.source.send()
        assert camera.stream.state is State.LIVE
        assert (camera.source.runs, camera.stream.refused) == (1, {"stall": 1})
        assert [each.epoch for each in camera.viewer.packets] == [1, 1, 1]

    async def test_a_hung_connection_is_given_up_and_made_anew(self, keep: Keep) -> None:
        camera = keep(stall_timeout_s=10.0)
        await camera.live()
        await camera.pass_time(9.9)
        assert camera.source.runs == 1
        await camera.pass_time(0.2)
        await camera.connected(2)
        assert camera.stream.refused == {"stall": 1, "hang": 1}
        assert "Nothing came for 10 s" in camera.reader.last_error
        camera.source.send()
        assert camera.stream.state is State.LIVE
        assert camera.viewer.numbers == [1, 2], "its viewers have stayed"

    async def test_one_that_never_answers_is_not_said_to_hang(self, keep: Keep) -> None:
        camera = keep(stall_timeout_s=10.0)
        camera.source.silent = True
        camera.watch()
        await until(lambda: camera.source.runs)
        await camera.pass_time(10.1)
        await camera.state(State.OFFLINE)
        assert camera.stream.refused == {"unreachable": 1}
        assert "did not answer" in camera.stream.reason

    async def test_a_slow_camera_does_not_stall_between_its_pictures(self, keep: Keep) -> None:
        camera = keep(stall_timeout_s=20.0)
        await camera.live()
        for _ in range(30):
            await camera.pass_time(3.0)
            camera.source.send()
        states = len(camera.states)
        for _ in range(5):
            await camera.pass_time(3.0)
            camera.source.send()
        assert len(camera.states) == states

    async def test_an_unchanged_still_picture_is_no_silence(self, keep: Keep) -> None:
        camera = keep()
        await camera.live()
        await camera.pass_time(5)
        assert camera.stream.state is State.STALLED
        for _ in range(5):
            assert camera.source.feed is not None
            camera.source.feed.alive()
            assert camera.stream.state is State.LIVE
            await camera.pass_time(1.5)
        assert (camera.source.runs, camera.viewer.numbers) == (1, [1])

    async def test_pictures_that_are_refused_are_no_sign_of_life(self, keep: Keep) -> None:
        camera = keep(stall_timeout_s=10.0)
        await camera.live()
        for _ in range(3):
            await camera.pass_time(3.6)
            if camera.source.feed is not None:
                assert not camera.source.send(b"no picture")
        await camera.connected(2)
        assert camera.stream.refused["hang"] == 1

    async def test_it_is_said_when_pictures_come_and_none_can_be_shown(self, keep: Keep) -> None:
        camera = keep(stall_timeout_s=10.0)
        await camera.live()
        for _ in range(8):
            await camera.pass_time(1.3)
            if camera.source.feed is not None:
                camera.source.send(b"no picture")
        await camera.state(State.OFFLINE)
        assert (
            camera.stream.reason
            == "No picture for 10 s that could be shown: something else than JPEG comes as a picture"
        )

    async def test_one_refused_picture_long_before_is_no_reason(self, keep: Keep) -> None:
        camera = keep(stall_timeout_s=10.0)
        await camera.live()
        camera.source.send(b"no picture")
        await camera.pass_time(10.1)
        await camera.state(State.OFFLINE)
        assert camera.stream.reason.startswith("Nothing came for 10 s")

    async def test_a_stream_that_is_none_is_said_to_be_none(self, keep: Keep) -> None:
        camera = keep(stall_timeout_s=10.0)
        camera.watch()
        await camera.connected()
        assert camera.source.feed is not None
        camera.source.feed.fault("not_multipart")
        await camera.pass_time(10.1)
        await camera.state(State.OFFLINE)
        assert camera.stream.reason.endswith("that could be shown: what comes is no stream of pictures")


class TestReconnecting:
    async def test_pauses_double_up_to_a_cap_are_spread_and_reset(
        self, keep: Keep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pauses: list[float] = []

        class Remembering(Backoff):
            def next_s(self) -> float:
                pauses.append(super().next_s())
                return 0.001

        camera = keep(backoff=Remembering(first_s=0.25, cap_s=5.0, jitter=0.25))
        camera.source.refusal = Unreachable("no route to host")
        camera.watch()
        await until(lambda: len(pauses) >= 8)
        for pause, plain in zip(pauses, (0.25, 0.5, 1, 2, 4, 5, 5, 5), strict=False):
            assert 0.75 * plain <= pause <= 1.25 * plain
        assert len({pause / plain for pause, plain in zip(pauses, (0.25, 0.5, 1, 2, 4, 5, 5, 5), strict=False)}) > 4
        camera.source.refusal = None
        await camera.connected()
        camera.source.send()
        pauses.clear()
        camera.source.end()
        await until(lambda: pauses)
        assert pauses[0] <= 0.25 * 1.25, "a session that brought pictures resets them"

    async def test_a_session_that_brought_nothing_does_not_reset_them(self, keep: Keep) -> None:
        backoff = Backoff(first_s=0.001, cap_s=0.002, jitter=0.0)
        camera = keep(backoff=backoff)
        camera.watch()
        for run in range(1, 4):
            await camera.connected(run)
            camera.source.end(ProtocolError("nonsense"))
            await camera.state(State.OFFLINE)
        await until(lambda: backoff._attempt >= 3)

    async def test_what_went_wrong_is_said_counted_and_shown(
        self, keep: Keep, caplog: pytest.LogCaptureFixture
    ) -> None:
        camera = keep(backoff=Backoff(first_s=60, cap_s=60))
        camera.source.refusal = Unreachable("no route to host")
        camera.watch()
        await camera.state(State.OFFLINE)
        assert (camera.stream.reason, camera.reader.last_error) == ("no route to host", "no route to host")
        assert camera.stream.refused == {"unreachable": 1}
        assert camera.reader.retry_at is not None
        assert camera.reader.retry_at > asyncio.get_running_loop().time() + 40

    async def test_the_same_trouble_is_logged_once(self, keep: Keep, caplog: pytest.LogCaptureFixture) -> None:
        camera = keep()
        camera.source.refusal = Unreachable("no route to host")
        with caplog.at_level(logging.WARNING):
            camera.watch()
            await until(lambda: camera.source.runs > 5)
        assert caplog.text.count("no route to host") == 1

    async def test_after_an_outage_viewers_see_a_picture_of_a_new_epoch(self, keep: Keep) -> None:
        camera = keep()
        await camera.live()
        camera.source.refusal = Unreachable("no route to host")
        camera.source.end()
        await until(lambda: camera.source.runs > 10)
        camera.source.refusal = None
        await camera.connected()
        camera.source.send()
        assert [(each.frame_id, each.epoch) for each in camera.viewer.packets] == [(1, 1), (2, 2)]

    async def test_a_reboot_is_one_epoch_more(self, keep: Keep) -> None:
        """Told by uptime stamps that start again, with and without a new connection."""
        camera = keep()
        camera.watch()
        await camera.connected()
        for second in range(100, 120):
            camera.source.send(stamp_s=float(second))
            camera.clock.advance(1)
        camera.source.end()
        camera.clock.advance(8)
        await camera.connected(2)
        for second in range(3, 6):
            camera.source.send(stamp_s=float(second))
            camera.clock.advance(1)
        assert [each.epoch for each in camera.viewer.packets] == [1] * 20 + [2] * 3
        assert camera.stream.refused["reboot"] == 1

    async def test_a_connection_that_breaks_is_no_reboot_when_the_uptime_goes_on(self, keep: Keep) -> None:
        camera = keep()
        camera.watch()
        await camera.connected()
        camera.source.send(stamp_s=500.0)
        camera.source.end()
        camera.clock.advance(7)
        await camera.connected(2)
        camera.source.send(stamp_s=507.0)
        assert [each.epoch for each in camera.viewer.packets] == [1, 1]

    @pytest.mark.parametrize("status", [401, 403])
    async def test_a_camera_that_refuses_the_password_is_not_hammered(
        self, keep: Keep, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        camera = keep()
        camera.source.refusal = BadStatus("The camera refuses: wrong user or password", status)
        camera.watch()
        await camera.state(State.FAILED)
        assert "password" in camera.stream.reason
        assert camera.reader.retry_at is not None
        assert camera.reader.retry_at > asyncio.get_running_loop().time() + 20
        await asyncio.sleep(0.02)
        assert camera.source.runs == 1

    async def test_a_camera_that_is_overloaded_is_tried_again_soon(self, keep: Keep) -> None:
        camera = keep()
        camera.source.refusal = BadStatus("503 Service Unavailable", 503)
        camera.watch()
        await until(lambda: camera.source.runs >= 3)
        assert camera.stream.refused["bad_status"] >= 2

    async def test_what_makes_no_sense_is_not_tried_again(self, keep: Keep) -> None:
        camera = keep()
        camera.source.refusal = Misuse("file: no such file")
        camera.watch()
        await camera.state(State.FAILED)
        camera.leave()
        camera.watch()
        await asyncio.sleep(0.02)
        assert (camera.source.runs, camera.stream.reason) == (1, "file: no such file")
        assert camera.reader.retry_at is None
        camera.source.refusal = None
        camera.reader.restart()
        await camera.connected(2)

    async def test_nobody_left_to_wait_for_it_means_idle(self, keep: Keep) -> None:
        camera = keep()
        camera.source.refusal = Unreachable("no route to host")
        camera.watch()
        await camera.state(State.OFFLINE)
        camera.leave()
        await camera.state(State.IDLE)
        runs = camera.source.runs
        await asyncio.sleep(0.02)
        assert camera.source.runs == runs


class TestRestart:
    async def test_a_live_one_connects_anew_at_once_under_its_viewers(self, keep: Keep) -> None:
        camera = keep(backoff=Backoff(first_s=60, cap_s=60))
        await camera.live()
        camera.reader.restart()
        await camera.connected(2)
        assert camera.stream.state is State.CONNECTING, "no picture yet"
        camera.source.send()
        assert camera.viewer.numbers == [1, 2]
        assert "offline" not in camera.states

    async def test_it_cuts_a_pause_short(self, keep: Keep) -> None:
        camera = keep(backoff=Backoff(first_s=60, cap_s=60))
        camera.source.refusal = Unreachable("no route to host")
        camera.watch()
        await camera.state(State.OFFLINE)
        camera.source.refusal = None
        camera.reader.restart()
        await camera.connected(2)
        assert camera.reader.retry_at is None

    @pytest.mark.parametrize("refusal", [BadStatus("no", 401), Misuse("no such thing")])
    async def test_it_counts_as_well_while_an_attempt_is_failing(self, keep: Keep, refusal: Exception) -> None:
        def restart() -> None:  # the session is over, and the reader has not looked at it yet
            camera.source.refusal = None
            camera.reader.restart()

        class Refusing(ScriptedSource):
            async def run(self, feed: Feed) -> None:
                if self.refusal is not None:
                    asyncio.get_running_loop().call_soon(restart)
                await super().run(feed)

        camera = keep(source=Refusing())
        camera.source.refusal = refusal
        camera.watch()
        await camera.connected(2)

    async def test_it_does_not_wake_one_that_sleeps(self, keep: Keep) -> None:
        camera = keep()
        await a_few_turns()
        camera.reader.restart()
        camera.reader.restart()
        await asyncio.sleep(0.01)
        assert camera.source.runs == 0
        await camera.live()
        assert camera.source.runs == 1


class TestOwner:
    async def test_ending_it_ends_the_session(self) -> None:
        async with Supervisor() as supervisor:
            camera = Kept(supervisor)
            task = supervisor.keep("camera:door", camera.reader.run)
            await camera.live()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert camera.source.feed is None
            assert camera.stream.publisher is None
            assert camera.stream.state is State.IDLE
            assert camera.stream.on_demand is None

    async def test_a_bug_in_a_source_shows_and_is_survived(
        self, keep: Keep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        real_sleep = asyncio.sleep

        async def sleep(seconds: float) -> None:
            await real_sleep(min(seconds, 0.005))

        monkeypatch.setattr("framecast.core.supervise.asyncio.sleep", sleep)
        camera = keep(grace_s=0.5)
        await camera.live()
        camera.source.refusal = ZeroDivisionError()
        camera.source.end()
        await until(lambda: "failed and begins anew" in camera.stream.reason)
        assert camera.stream.state is State.OFFLINE
        camera.source.refusal = None
        await camera.connected()
        camera.source.send()
        assert camera.viewer.numbers == [1, 2]
        camera.leave()
        await camera.pass_time(1)
        await camera.state(State.IDLE)
        runs = camera.source.runs
        camera.watch()
        await camera.connected(runs + 1)

    async def test_what_a_late_session_says_is_not_heard(self, keep: Keep) -> None:
        camera = keep()
        await camera.live()
        feed = camera.source.feed
        assert feed is not None
        camera.stream.open_publisher("somebody else")
        assert not feed.jpeg(b"anything")
        await until(lambda: camera.stream.refused["replaced"])


async def test_sources_are_told_the_next_id(keep: Keep) -> None:
    camera = keep()
    await camera.live()
    assert camera.source.feed is not None
    assert camera.source.feed.next_frame_id == 2
    camera.source.feed.quirk("no_timestamp")
    camera.source.feed.fault("truncated")
    assert (camera.stream.quirks["no_timestamp"], camera.stream.refused["truncated"]) == (2, 1)
    assert (camera.reader.dialect, camera.reader.address) == ("Scripted", "10.0.0.5:81")
