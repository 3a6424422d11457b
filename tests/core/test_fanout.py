"""Fan-out with time by hand: who gets what, when, and what is counted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.core import fanout as module
from framecast.core.fanout import FIRST_REPEAT_S, MOST_WAITING, WRITES_PER_CLOCK_READ, Fanout

from .fakes import Connection, Labels, ManualLoop, Stage, packet


@pytest.fixture
def tiny_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass stops wherever it looks at the clock."""
    monkeypatch.setattr(module, "SLICE_S", -1.0)


def test_everybody_gets_the_same_object() -> None:
    stage = Stage()
    viewers = stage.join(50)
    stage.push()
    stage.push()
    assert {id(each.written[0]) for each in viewers} == {id(viewers[0].written[0])}
    assert {id(each.written[1]) for each in viewers} == {id(viewers[0].written[1])}
    assert stage.package.made == [(1, b"1"), (1, b"F1"), (2, b"2")]
    assert {each.text for each in viewers} == {"F1 2"}
    assert {each.counts for each in viewers} == {(2, 0, 0)}


def test_a_newcomer_gets_the_latest_at_once_and_the_next_in_its_turn() -> None:
    stage = Stage()
    stage.join()
    stage.push()
    stage.push()
    (late,) = stage.join()
    assert late.text == "F2"
    stage.push()
    assert late.text == "F2 3"


def test_a_newcomer_of_a_silent_camera_is_shown_what_it_was_primed_with() -> None:
    stage = Stage()
    stage.fanout.prime(packet(7))
    stage.fanout.prime(packet(8))
    (viewer,) = stage.join()
    assert viewer.text == "F7"
    stage.fanout.prime(None)
    stage.push()
    assert viewer.text == "F7 1"
    assert viewer.counts == (2, 0, 0)


def test_a_slow_viewer_is_skipped_and_gets_the_newest_when_it_drains() -> None:
    stage = Stage()
    slow, quick = stage.join(2)
    stage.push()
    slow.held = True
    for _ in range(4):
        stage.push()
    assert (slow.text, quick.text) == ("F1 2", "F1 2 3 4 5")
    assert slow.viewer.behind and not quick.viewer.behind
    slow.drain()
    assert slow.text == "F1 2 5"
    assert slow.counts == (3, 2, 0)
    assert not slow.viewer.behind
    stage.push()
    assert slow.text == "F1 2 5 6"
    assert quick.counts == (6, 0, 0)


def test_looking_at_the_numbers_changes_nothing() -> None:
    stage = Stage()
    (slow,) = stage.join()
    slow.held = True
    for _ in range(4):
        stage.push()
        assert slow.counts[0] == 1
    assert slow.counts == (1, 2, 0), "2 and 3 are lost, 4 may still come"
    slow.drain()
    assert slow.text == "F1 4"
    assert slow.counts == (2, 2, 0)


def test_a_viewer_that_drains_with_nothing_new_gets_nothing() -> None:
    stage = Stage()
    (slow,) = stage.join()
    slow.held = True
    stage.push()
    slow.drain()
    assert slow.text == "F1"
    slow.seat.resume()
    assert slow.text == "F1"
    stage.push()
    assert slow.text == "F1 2"


def test_a_viewer_that_is_behind_from_the_start_begins_with_a_first_part() -> None:
    stage = Stage()
    stage.push()
    viewer = Connection()
    viewer.seat.pause()
    stage.fanout.add(viewer.seat)
    stage.push()
    assert viewer.text == ""
    viewer.drain()
    assert viewer.text == "F2"
    assert viewer.counts == (1, 0, 0), "what it never could have had is no drop"


def test_what_a_viewer_missed_when_it_left_is_counted() -> None:
    stage = Stage()
    slow, other = stage.join(2)
    slow.held = True
    for _ in range(5):
        stage.push()
    slow.seat.leave()
    slow.seat.leave()
    assert slow.counts == (1, 4, 0)
    assert slow.seat.fanout is None
    stage.push()
    assert slow.text == "F1"
    assert other.counts == (6, 0, 0)


def test_a_pass_over_many_is_cut_into_slices(tiny_slices: None) -> None:
    stage = Stage()
    viewers = stage.join(100)
    stage.push()  # newcomers get theirs at once
    stage.push(settle=False)
    turns = [sum(len(each.written) == 2 for each in viewers)]
    while stage.loop.turn():
        turns.append(sum(len(each.written) == 2 for each in viewers))
    assert turns == [16, 32, 48, 64, 80, 96, 100]
    assert {each.text for each in viewers} == {"F1 2"}


def test_packets_that_come_during_a_pass_follow_in_order(tiny_slices: None) -> None:
    stage = Stage()
    viewers = stage.join(40)
    stage.push()
    for _ in range(3):
        stage.push(settle=False)
    (late,) = stage.join()
    assert late.text == "F2", "the one that is being sent is the latest"
    stage.loop.settle()
    assert {each.text for each in viewers} == {"F1 2 3 4"}
    assert late.text == "F2 3 4"
    assert stage.fanout.overruns == 0


def test_passes_that_take_too_long_drop_the_oldest_for_all_and_count_it(tiny_slices: None) -> None:
    stage = Stage()
    viewers = stage.join(40)
    stage.push()
    for _ in range(1 + MOST_WAITING + 2):
        stage.push(settle=False)
    stage.loop.settle()
    assert {each.text for each in viewers} == {"F1 2 5 6 7 8"}
    assert {each.counts for each in viewers} == {(6, 2, 0)}
    assert stage.fanout.overruns == 2


def test_who_had_nothing_yet_has_lost_nothing(tiny_slices: None) -> None:
    stage = Stage()
    stage.join(40)
    stage.push()
    blocked = Connection()
    blocked.seat.pause()
    stage.fanout.add(blocked.seat)
    for _ in range(1 + MOST_WAITING + 2):
        stage.push(settle=False)
    stage.loop.settle()
    assert blocked.counts == (0, 0, 0)


def test_one_that_leaves_during_a_pass_gets_no_more(tiny_slices: None) -> None:
    stage = Stage()
    viewers = stage.join(40)
    stage.push()
    stage.push(settle=False)
    viewers[-1].seat.leave()
    stage.loop.settle()
    assert viewers[-1].text == "F1"
    assert {each.text for each in viewers[:-1]} == {"F1 2"}


def test_one_that_drains_during_a_pass_gets_the_picture_once(tiny_slices: None) -> None:
    stage = Stage()
    viewers = stage.join(40)
    stage.push()
    viewers[-1].held = viewers[0].held = True
    stage.push()
    stage.push(settle=False)
    viewers[-1].drain()
    viewers[0].drain()
    stage.loop.settle()
    assert {each.text for each in viewers} == {"F1 2 3"}
    assert {each.counts for each in viewers} == {(3, 0, 0)}


@pytest.mark.parametrize("taken", [0, 1, None])
def test_what_send_leaves_goes_to_the_transport(taken: int | None) -> None:
    stage = Stage()
    viewer = Connection()

    def send(data: bytes) -> int:
        if taken is None:
            raise BlockingIOError
        return taken

    viewer.seat.send = send
    stage.fanout.add(viewer.seat)
    stage.push()
    stage.push()
    left = taken or 0
    assert viewer.written == [rest for rest in (b"F1"[left:], b"2"[left:]) if rest]


def test_a_connection_that_is_gone_costs_nobody_else_a_frame() -> None:
    stage = Stage()
    viewers = stage.join(20)
    stage.push()
    viewers[5].gone = True
    stage.push()
    stage.push()
    assert {each.text for index, each in enumerate(viewers) if index != 5} == {"F1 2 3"}
    assert len(stage.fanout) == 19
    assert viewers[5].seat.fanout is None


@pytest.mark.parametrize("moment", ["add", "first", "catch up", "heartbeat"])
def test_a_connection_may_be_gone_at_any_moment(moment: str) -> None:
    stage = Stage()
    witness, doomed = Connection("witness"), Connection("doomed")
    stage.fanout.add(witness.seat)
    if moment == "add":
        stage.push()
        doomed.gone = True
    stage.fanout.add(doomed.seat)
    doomed.gone = doomed.gone or moment == "first"
    stage.push()
    if moment == "catch up":
        doomed.held = True
        stage.push()
        stage.push()
        doomed.gone = True
        doomed.drain()
    doomed.gone = True
    stage.loop.advance(1.0)
    stage.push()
    assert len(stage.fanout) == 1
    last = stage.push()
    assert witness.written[-1] == b"%d" % last.frame_id


def test_the_last_one_to_leave_is_told_and_timers_end() -> None:
    emptied: list[int] = []
    stage = Stage(on_empty=lambda: emptied.append(len(stage.fanout)))
    viewers = stage.join(2)
    stage.push()
    viewers[0].seat.leave()
    assert not emptied
    viewers[1].seat.leave()
    assert emptied == [0]
    assert stage.loop.timers == 0
    stage.push()
    assert viewers[1].text == "F1"


def test_a_frame_rate_is_kept_for_all_viewers() -> None:
    stage = Stage(fps=10)
    (viewer,) = stage.join()
    stage.stream(90, 1 / 30)
    assert viewer.counts[:2] == (30, 0)
    numbers = [int(each.strip(b"F")) for each in viewer.written]
    assert {after - before for before, after in pairwise(numbers)} == {3}


class TestHeartbeat:
    """Once after the longer of two intervals and 250 ms, then every `heartbeat_s`."""

    def times(self, stage: Stage, viewer: Connection, seconds: float, step_s: float = 0.01) -> list[float]:
        """When the viewer was written to, in s from now."""
        began, moments = stage.loop.now, []
        for _ in range(round(seconds / step_s)):
            before = len(viewer.written)
            stage.loop.advance(step_s)
            moments += [round(stage.loop.now - began, 2)] * (len(viewer.written) - before)
        return moments

    @pytest.mark.parametrize(("interval_s", "first_s"), [(1 / 30, 0.25), (0.1, 0.25), (0.5, 1.0), (2.0, 4.0)])
    def test_the_pause_before_the_first(self, interval_s: float, first_s: float) -> None:
        stage = Stage(heartbeat_s=5)
        (viewer,) = stage.join()
        stage.stream(2, interval_s)
        repeats = viewer.viewer.repeats
        stage.stream(40, interval_s)
        assert viewer.viewer.repeats == repeats, "a steady camera is not repeated"
        stage.push()
        expected = [first_s + 5 * number for number in range(3) if first_s + 5 * number < 12]
        assert self.times(stage, viewer, 12) == pytest.approx(expected, abs=0.02)

    def test_repeats_are_the_last_part_again(self) -> None:
        stage = Stage(heartbeat_s=0.5)
        (viewer,) = stage.join()
        stage.stream(3, 0.1)
        stage.loop.advance(1.2)
        assert viewer.text == "F1 2 3 3 3 3"
        assert viewer.counts == (3, 0, 3)
        stage.push()
        assert viewer.text.endswith("3 3 3 4")

    def test_a_cameras_first_picture_is_repeated_soon(self) -> None:
        stage = Stage()
        (viewer,) = stage.join()
        stage.loop.advance(3.0)
        stage.push()
        assert self.times(stage, viewer, 1.0) == pytest.approx([0.25], abs=0.02)

    def test_the_wait_of_whoever_opened_it_is_no_interval(self) -> None:
        stage = Stage()
        stage.fanout.prime(packet(100))
        (viewer,) = stage.join()
        stage.loop.advance(0.01)
        stage.stream(2, 1.0)
        before = viewer.viewer.repeats
        stage.stream(20, 1.0)
        assert viewer.viewer.repeats == before, "the interval is 1 s, not what came between the joining and a picture"

    def test_a_very_slow_camera_is_repeated_before_readers_give_up(self) -> None:
        stage = Stage(heartbeat_s=5)
        (viewer,) = stage.join()
        stage.stream(60, 8.0)
        stage.push()
        assert self.times(stage, viewer, 9.6)[0] == pytest.approx(9.0, abs=0.05)

    def test_a_newcomer_of_a_silent_camera_gets_a_second_copy(self) -> None:
        stage = Stage(heartbeat_s=5)
        stage.join()
        stage.stream(2, 0.1)
        stage.loop.advance(3.0)
        (late,) = stage.join()
        assert late.text == "F2"
        assert self.times(stage, late, 2.0) == pytest.approx([FIRST_REPEAT_S], abs=0.02)
        assert late.text == "F2 2"
        stage.loop.advance(5.0)
        assert late.text == "F2 2 2"

    def test_no_second_copy_once_the_camera_goes_on(self) -> None:
        stage = Stage()
        stage.join()
        stage.push()
        stage.loop.advance(3.0)
        (late,) = stage.join()
        stage.push()
        stage.loop.advance(0.2)
        stage.push()
        stage.loop.advance(0.2)
        assert late.text == "F1 2 3"

    def test_one_that_is_behind_is_not_repeated_to(self) -> None:
        stage = Stage(heartbeat_s=1)
        (slow,) = stage.join()
        slow.held = True
        stage.push()
        stage.loop.advance(10)
        assert slow.text == "F1"
        slow.drain()
        stage.loop.advance(1.01)
        assert slow.text == "F1 1"

    def test_it_can_be_switched_off(self) -> None:
        stage = Stage(heartbeat_s=0)
        (viewer,) = stage.join()
        stage.push()
        stage.loop.advance(60)
        (late,) = stage.join()
        stage.loop.advance(60)
        assert (viewer.text, late.text) == ("F1", "F1")
        assert stage.loop.timers == 0

    def test_frames_cost_no_timers(self) -> None:
        stage = Stage()
        stage.join(10)
        stage.stream(100, 1 / 30)
        assert stage.loop.timers == 1

    def test_it_is_sliced_like_any_pass(self, tiny_slices: None) -> None:
        stage = Stage()
        viewers = stage.join(100)
        stage.push()
        stage.loop._move(stage.loop.now + 0.3)
        stage.fanout._beat()
        assert sum(each.viewer.repeats for each in viewers) == WRITES_PER_CLOCK_READ
        stage.loop.settle()
        assert {each.text for each in viewers} == {"F1 1"}

    def test_whoever_repeats_is_told(self) -> None:
        told: list[tuple[int, int]] = []
        stage = Stage(on_repeat=lambda viewer, packet: told.append((viewer.number, packet.frame_id)))
        (viewer,) = stage.join()
        stage.push()
        stage.loop.advance(0.3)
        assert told == [(viewer.viewer.number, 1)]


class TestAdopt:
    """A viewer moves between fan-outs with its connection as it is."""

    @staticmethod
    def second(stage: Stage) -> tuple[Fanout, Labels]:
        package = Labels()
        return Fanout(package, loop=stage.loop.real, clock=stage.loop.clock), package

    def test_it_goes_on_with_the_next_packet(self) -> None:
        stage = Stage()
        viewer, stays = stage.join(2)
        stage.push()
        other, _ = self.second(stage)
        other.push(packet(51))
        other.adopt(viewer.seat)
        assert viewer.text == "F1", "no picture twice, and none from before"
        other.push(packet(52))
        stage.push()
        assert (viewer.text, stays.text) == ("F1 52", "F1 2")
        assert (len(stage.fanout), len(other)) == (1, 1)
        assert viewer.counts == (2, 0, 0)

    def test_one_that_had_nothing_yet_begins_with_a_first_part(self) -> None:
        stage = Stage()
        (viewer,) = stage.join()
        empty, _ = self.second(stage)
        empty.adopt(viewer.seat)
        empty.push(packet(51))
        assert viewer.text == "F51"
        (other,) = stage.join()
        stage.fanout.remove(other.seat)
        empty.adopt(other.seat)
        assert other.text == "F51"

    def test_one_that_is_behind_stays_so(self) -> None:
        stage = Stage()
        (viewer,) = stage.join()
        viewer.held = True
        stage.push()
        stage.push()
        other, _ = self.second(stage)
        other.adopt(viewer.seat)
        other.push(packet(51))
        assert viewer.text == "F1"
        viewer.drain()
        assert viewer.text == "F1 51"
        assert viewer.counts == (2, 1, 0)

    def test_heartbeats_of_the_new_fanout_are_its_own(self) -> None:
        stage = Stage()
        (viewer,) = stage.join()
        stage.push()
        stage.loop.advance(5.5)
        assert viewer.text == "F1 1 1"
        other, _ = self.second(stage)
        other.push(packet(51))
        other.adopt(viewer.seat)
        stage.loop.advance(0.3)
        assert viewer.text == "F1 1 1 51"

    def test_the_old_fanout_is_told_when_it_is_empty(self) -> None:
        emptied: list[bool] = []
        stage = Stage(on_empty=lambda: emptied.append(True))
        (viewer,) = stage.join()
        self.second(stage)[0].adopt(viewer.seat)
        assert emptied == [True]


class TestClear:
    """What was shown before is not shown again."""

    def test_newcomers_wait_for_the_next(self) -> None:
        stage = Stage()
        stage.join()
        stage.push()
        stage.fanout.clear()
        (late,) = stage.join()
        assert late.text == ""
        stage.push()
        assert late.text == "F2"

    def test_no_heartbeat_shows_it(self) -> None:
        stage = Stage(heartbeat_s=0.5)
        (viewer,) = stage.join()
        stage.push()
        stage.fanout.clear()
        stage.loop.advance(10)
        assert viewer.text == "F1"
        stage.push()
        stage.loop.advance(0.3)
        assert viewer.text == "F1 2 2"

    def test_one_that_drains_does_not_get_it(self) -> None:
        stage = Stage()
        (slow,) = stage.join()
        slow.held = True
        stage.push()
        stage.push()
        stage.fanout.clear()
        slow.drain()
        assert slow.text == "F1"
        stage.push()
        assert slow.text == "F1 3"
        assert slow.counts == (2, 1, 0)

    def test_a_pass_under_way_ends(self, tiny_slices: None) -> None:
        stage = Stage()
        viewers = stage.join(40)
        stage.push()
        stage.push(settle=False)
        stage.push(settle=False)
        stage.fanout.clear()
        stage.loop.settle()
        assert {each.text for each in viewers} == {"F1 2", "F1"}
        stage.push()
        assert {each.text for each in viewers} == {"F1 2 4", "F1 4"}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just("push"),
            st.just("turn"),
            st.just("look"),
            st.just("beat"),
            st.tuples(st.sampled_from(["hold", "drain", "leave", "join"]), st.integers(0, 19)),
        ),
        max_size=60,
    )
)
def test_whatever_happens_nobody_sees_an_old_picture_and_the_counts_add_up(steps: list[object]) -> None:
    slice_s, module.SLICE_S = module.SLICE_S, -1.0
    try:
        stage = Stage()
        viewers = dict(enumerate(stage.join(20)))
        stage.push()
        joined_at = dict.fromkeys(viewers, 1)
        pushed = 1
        for step in steps:
            match step:
                case "push":
                    stage.push(settle=False)
                    pushed += 1
                case "turn":
                    stage.loop.turn()
                case "look":
                    assert all(each.viewer.sent >= 1 for each in viewers.values())
                case "beat":
                    stage.loop.advance(0.3)
                case ("hold", number) if number in viewers:
                    viewers[number].held = True
                case ("drain", number) if number in viewers:
                    viewers[number].drain()
                case ("leave", number) if number in viewers:
                    viewers.pop(number).seat.leave()
                case ("join", number) if number not in viewers:
                    stage.loop.settle()
                    (viewers[number],) = stage.join()
                    joined_at[number] = pushed
        stage.loop.settle()
        for number, viewer in viewers.items():
            viewer.drain()
            shown = [int(each.strip(b"F")) for each in viewer.written]
            assert shown == sorted(shown), "never back"
            assert shown[-1] == pushed, "whoever has drained has the newest"
            sent, drops, repeats = viewer.counts
            assert len(shown) == sent + repeats
            assert sent == len(set(shown))
            assert sent + drops == pushed - joined_at[number] + 1
    finally:
        module.SLICE_S = slice_s


def test_its_latency_is_from_arrival_to_the_last_write() -> None:
    stage = Stage()
    stage.join()
    late = packet(1, at_ns=stage.loop.clock.now_ns() - 7_000_000)
    stage.fanout.push(late)
    assert stage.fanout.latency_ms.at(0.5) == pytest.approx((7.0,))


def test_it_takes_the_running_loop_when_none_is_given() -> None:
    with pytest.raises(RuntimeError):
        Fanout(Labels())
    assert ManualLoop().time() > 0
