from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.core.repeat import STEP_NS
from framecast.output.hls import segments
from framecast.output.hls.segments import KEPT, LISTED
from framecast.wire import m3u8
from framecast.wire.m3u8 import Wanted
from tests.output.feeding import NS, START_NS, Feed, heard


def test_parts_and_segments() -> None:
    feed = Feed()
    feed.run(5.0)
    first, second, third, fourth = feed.segmenter.segments
    assert first.payload == b"K1 p2 p3 p4 p5 "
    assert [bytes(part.payload) for part in first.parts] == [b"K1 p2 p3 p4 p5 "]
    assert [bytes(part.payload) for part in third.parts] == [b"K11 p12 p13 p14 p15 ", b"p16 p17 p18 p19 p20 "]
    assert [round(part.duration_s, 6) for part in third.parts] == [0.5, 0.5]
    assert [part.independent for part in third.parts] == [True, False]
    assert [part.pictures for part in third.parts] == [5, 5]
    assert [round(cut.duration_s, 6) for cut in (first, second, third, fourth)] == [0.5, 0.5, 1.0, 2.0]
    numbers = [cut.sequence for cut in (first, second, third, fourth)]
    assert numbers == list(range(START_NS // NS, START_NS // NS + 4))
    assert fourth.began_ns == START_NS + 2 * NS
    assert feed.segmenter.open is not None
    assert [bytes(part.payload)[:2] for part in feed.segmenter.open.parts] == [b"K4"]


def test_a_key_picture_that_comes_early_ends_no_segment() -> None:
    feed = Feed()
    feed.run(4.0)  # the fourth segment begins at 2.0 s
    feed.run(1.0)
    feed.now_ns = START_NS + 5 * NS
    feed.picture(key=True)  # 1.0 s into the fifth: too early
    assert len(feed.segmenter.segments) == 4
    feed.now_ns += 600_000_000
    feed.picture(key=True)
    assert len(feed.segmenter.segments) == 5


def test_a_picture_that_comes_once_more_for_others_changes_nothing() -> None:
    feed, other = Feed(), Feed()
    for each in (feed, other):
        each.run(4.0)
    shown = feed.picture()
    other.picture()
    for number in (1, 2):
        feed.segmenter.push(replace(shown, key=True, pts_ns=shown.pts_ns + number * STEP_NS))
    for each in (feed, other):
        each.now_ns += NS // 10
        each.run(3.0)
    assert [cut.payload for cut in feed.segmenter.segments] == [cut.payload for cut in other.segmenter.segments]
    assert [cut.duration_s for cut in feed.segmenter.segments] == [cut.duration_s for cut in other.segmenter.segments]
    assert feed.segmenter.part_target_s == other.segmenter.part_target_s


def test_who_sends_key_pictures_rarely_has_long_segments() -> None:
    feed = Feed(answers=False)
    for number in range(101):
        feed.picture(key=number % 50 == 0)
        feed.now_ns += NS // 10
    assert [cut.duration_s for cut in feed.segmenter.segments] == [5.0, 5.0]
    assert feed.segmenter.playlist().target_s == 5
    assert 2 <= feed.wishes <= 20


def test_nothing_begins_without_a_key_picture() -> None:
    feed = Feed()
    feed.picture(key=False)
    assert feed.segmenter.open is None
    assert feed.wishes == 1
    feed.segmenter.push(heard(feed.picture(key=False)))
    assert feed.segmenter.playlist().segments == []


def test_a_slow_camera() -> None:
    feed = Feed()
    for _ in range(8):
        feed.picture(key=True)
        feed.now_ns += 10 * NS
    playlist = feed.segmenter.playlist()
    assert [segment.duration_s for segment in playlist.segments] == [10.0] * 7
    assert (playlist.target_s, playlist.part_target_s) == (13, 13.0)
    assert not any(segment.discontinuous for segment in playlist.segments)


def test_a_silence_is_not_bridged() -> None:
    feed = Feed()
    feed.run(1.0)
    feed.now_ns += 20 * NS
    feed.wanted = True
    feed.run(1.2)
    cuts = [*feed.segmenter.segments, feed.segmenter.open]
    assert [cut.discontinuous for cut in cuts if cut is not None] == [False, False, True, False]
    assert sum(cut.duration_s for cut in feed.segmenter.segments) == pytest.approx(2.0)


def test_another_epoch_waits_for_its_key_picture() -> None:
    feed = Feed(answers=False)
    feed.run(0.6)
    feed.epoch = 2
    feed.picture(key=False)
    assert feed.segmenter.open is None
    assert b"p7" not in b"".join(cut.payload for cut in feed.segmenter.segments)
    feed.now_ns += NS // 10
    feed.picture(key=True)
    assert feed.segmenter.open is not None
    assert feed.segmenter.open.discontinuous


def test_sound_goes_with_the_part_in_the_making_and_has_a_bound() -> None:
    feed = Feed()
    packet = feed.picture()
    for _ in range(1000):
        feed.segmenter.push(heard(packet))
    feed.now_ns += NS // 10
    feed.picture()
    feed.now_ns += NS
    feed.picture(key=True)
    (cut,) = feed.segmenter.segments
    assert cut.payload.count(b"s ") == segments.MOST_SOUND
    assert cut.payload.endswith(b"p2 ")
    assert cut.pictures == 2


def test_sound_that_goes_on_while_pictures_stall_is_not_put_into_a_part_that_has_ended() -> None:
    """Players take a piece's end from what is in it, and would look there for the next one."""
    feed = Feed()
    feed.run(5.0)
    last = feed.picture()
    for number in range(80):  # a tenth of a second each
        feed.segmenter.push(replace(heard(last), pts_ns=last.pts_ns + number * NS // 10))
    feed.now_ns += 8 * NS
    feed.wanted = True
    feed.run(3.0)
    heard_in = [cut for cut in feed.segmenter.segments if b"s " in bytes(cut.payload)]
    assert len(heard_in) == 1
    assert heard_in[0].parts[-1].duration_s == pytest.approx(0.1)
    assert bytes(heard_in[0].payload).count(b"s ") == 1
    after = next(cut for cut in feed.segmenter.segments if cut.sequence == heard_in[0].sequence + 1)
    assert after.discontinuous


def test_another_init_segment_is_a_discontinuity() -> None:
    feed = Feed()
    feed.segmenter.set_init(b"one")
    feed.run(1.0)
    feed.segmenter.set_init(b"two")
    feed.wanted = True
    feed.run(1.2)
    cuts = list(feed.segmenter.segments)
    assert [feed.segmenter.inits[cut.init] for cut in cuts] == [b"one", b"one", b"two"]
    assert [cut.discontinuous for cut in cuts] == [False, False, True]
    feed.run(2.0 * (KEPT + 2))
    assert list(feed.segmenter.inits.values()) == [b"two"]


def test_what_was_never_told_leaves_no_trace() -> None:
    feed = Feed()
    feed.segmenter.set_init(b"one")
    feed.run(0.7)
    feed.segmenter.restart()
    feed.segmenter.set_init(b"two")
    feed.wanted = True
    feed.run(0.6)
    (cut,) = feed.segmenter.segments
    assert not cut.discontinuous
    assert cut.duration_s == pytest.approx(0.5)
    assert feed.segmenter.playlist().discontinuities == 0


def test_what_is_forgotten_can_not_be_had() -> None:
    feed = Feed()
    feed.run(3.0)
    before = feed.segmenter.playlist()
    feed.segmenter.clear()
    assert feed.segmenter.playlist().segments == []
    for segment in before.segments:
        assert all(feed.segmenter.find(part.uri) is None for part in segment.parts)
        assert feed.segmenter.find(segment.uri) is None
    feed.wanted = True
    feed.run(1.0)
    after = feed.segmenter.playlist()
    assert after.sequence > before.sequence + len(before.segments) - 1
    assert after.segments[0].discontinuous
    assert after.discontinuities == 0


def test_discontinuities_are_counted_when_they_leave_the_playlist() -> None:
    feed = Feed()
    counts = []
    for _ in range(3):
        feed.run(6.0)
        feed.epoch += 1
        feed.wanted = True
    for _ in range(20):
        feed.run(2.0)
        playlist = feed.segmenter.playlist()
        counts.append(playlist.discontinuities + sum(segment.discontinuous for segment in playlist.segments))
    assert set(counts) == {3}
    assert feed.segmenter.playlist().discontinuities == 3


def test_old_segments_go_and_numbers_follow_one_another() -> None:
    feed = Feed()
    feed.run(60.0)
    assert len(feed.segmenter.segments) == KEPT
    playlist = feed.segmenter.playlist()
    assert len(playlist.segments) == LISTED + 1
    assert playlist.sequence == feed.segmenter.segments[-LISTED].sequence
    numbers = [cut.sequence for cut in feed.segmenter.segments]
    assert numbers == list(range(numbers[0], numbers[0] + KEPT))
    oldest = feed.segmenter.segments[0]
    assert feed.segmenter.find(playlist.segments[0].uri.replace(str(playlist.sequence), str(oldest.sequence)))


def test_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_BYTES", 100_000)
    feed = Feed()
    for number in range(1000):
        feed.picture(key=number % 20 == 0, payload=bytes(1000))
        feed.now_ns += NS // 10
        assert sum(len(cut.payload) for cut in feed.segmenter.segments) <= 120_000
    feed.wanted = False
    for _ in range(100):
        feed.picture(key=False, payload=bytes(1000))
        feed.now_ns += NS // 10
    assert feed.segmenter.open is None


def test_pieces_are_found_by_their_names() -> None:
    feed = Feed()
    feed.segmenter.set_init(b"init")
    feed.run(3.0)
    playlist = feed.segmenter.playlist()
    for segment in playlist.segments[:-1]:
        found = feed.segmenter.find(segment.uri)
        assert found is not None
        assert b"".join((feed.segmenter.find(part.uri) or (b"", 0))[0] for part in segment.parts) == found[0]
    assert feed.segmenter.find(playlist.segments[0].init_uri) == (b"init", 0)
    uri = playlist.segments[0].uri
    for name in ("", "seg", "seg-1-x.x", uri + "x", uri.replace("seg", "part"), playlist.hint, "part-1-0-0.x"):
        assert feed.segmenter.find(name) is None


def test_what_is_waited_for() -> None:
    feed = Feed()
    assert not feed.segmenter.has(Wanted(START_NS // NS, 0))
    feed.run(3.3)  # segments of 0.5, 0.5, 1.0; the fourth began at 2.0 and has two parts
    has, opened = feed.segmenter.has, START_NS // NS + 3
    assert feed.segmenter.newest == opened
    assert has(Wanted(opened - 1, None))
    assert not has(Wanted(opened, None))
    assert has(Wanted(opened, 1))
    assert not has(Wanted(opened, 2))
    assert has(Wanted(opened - 1, 0))
    assert has(Wanted(opened - 1, 99))  # the first part of the next one
    assert not has(Wanted(opened + 1, None))
    assert not has(Wanted(opened + 1, 0))
    assert has(Wanted(0, 0))


def test_a_part_past_the_end_means_the_first_of_what_follows() -> None:
    feed = Feed()
    feed.run(2.0)
    feed.picture()  # ends the third segment, begins the fourth
    assert feed.segmenter.has(Wanted(START_NS // NS + 2, 1))
    assert not feed.segmenter.has(Wanted(START_NS // NS + 2, 2))


def test_the_hint_comes_true() -> None:
    feed = Feed()
    hints = []
    for _ in range(300):
        hints.append(feed.segmenter.hint)
        feed.picture()
        feed.now_ns += NS // 25
    assert all(feed.segmenter.find(hint) for hint in hints if hint != feed.segmenter.hint)


@given(
    st.lists(st.tuples(st.sampled_from((1, 33, 40, 100, 400, 900, 5000)), st.booleans(), st.booleans()), max_size=120)
)
def test_whatever_comes_the_playlist_is_one(steps: list[tuple[int, bool, bool]]) -> None:
    feed = Feed()
    sent: list[bytes] = []
    for pause_ms, key, restarts in steps:
        feed.epoch += restarts and pause_ms == 900
        sent.append(feed.picture(key=key).payload)
        feed.now_ns += pause_ms * 1_000_000
        if not feed.segmenter.settled:
            continue  # nobody is told anything yet
        playlist = feed.segmenter.playlist()
        text = m3u8.media_playlist(playlist)
        assert text.startswith("#EXTM3U\n")
        (target,) = re.findall(r"PART-TARGET=([\d.]+)", text)
        assert all(float(lasts) <= float(target) for lasts in re.findall(r"PART:DURATION=([\d.]+)", text))
        assert all(round(segment.duration_s - 1e-9) <= playlist.target_s for segment in playlist.segments)
        parts = [part for segment in playlist.segments for part in segment.parts]
        assert all(0 < part.duration_s <= playlist.part_target_s for part in parts)
        assert all(segment.parts[0].independent for segment in playlist.segments if segment.parts)
        begins = [(segment.began_ns, segment.duration_s, segment.discontinuous) for segment in playlist.segments]
        for (began, lasts, _), (after, _, discontinuous) in pairwise(begins):
            assert discontinuous or began + lasts * NS == pytest.approx(after, abs=1000)
    cuts = [*feed.segmenter.segments, *([feed.segmenter.open] if feed.segmenter.open else [])]
    out = b"".join(bytes(part.payload) for cut in cuts for part in cut.parts).split()
    positions = [sent.index(each + b" ") for each in out]
    assert positions == sorted(set(positions))
