"""What a playlist of HLS promises at its top is kept, whatever the camera does (draft-pantos-hls-rfc8216bis)."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.output.hls.pace import targets
from framecast.wire import m3u8
from tests.output.feeding import NS, Feed

NUMBER = r"([\d.]+)"


@dataclass
class Read:
    """A playlist as a player reads it."""

    target_s: int
    part_target_s: float
    sequence: int
    segments: list[tuple[str, float]]
    parts: list[list[tuple[str, float, bool]]]
    """Of each segment; the last ones are those of the segment in the making."""

    @classmethod
    def of(cls, text: str) -> Read:
        def value(tag: str) -> str:
            (found,) = re.findall(f"^{tag}{NUMBER}", text, re.MULTILINE)
            return str(found)

        read = cls(
            int(value("#EXT-X-TARGETDURATION:")),
            float(value("#EXT-X-PART-INF:PART-TARGET=")),
            int(value("#EXT-X-MEDIA-SEQUENCE:")),
            [],
            [[]],
        )
        lasts_s = 0.0
        for line in text.splitlines():
            if found := re.match(f'#EXT-X-PART:DURATION={NUMBER},URI="([^"]+)"(,INDEPENDENT=YES)?', line):
                read.parts[-1].append((found[2], float(found[1]), found[3] is not None))
            elif found := re.match(f"#EXTINF:{NUMBER}", line):
                lasts_s = float(found[1])
            elif not line.startswith("#"):
                read.segments.append((line, lasts_s))
                read.parts.append([])
        return read

    def keeps_its_word(self) -> None:
        for name, lasts_s in self.segments:
            assert int(lasts_s + 0.5) <= self.target_s, (name, lasts_s)
        assert self.part_target_s <= self.target_s
        for parts in self.parts:
            is_open = parts is self.parts[-1]
            for at, (name, lasts_s, independent) in enumerate(parts):
                assert 0 < lasts_s <= self.part_target_s, (name, lasts_s, self.part_target_s)
                is_last = at == len(parts) - 1 and not is_open
                assert independent or is_last or lasts_s >= 0.85 * self.part_target_s - 1e-5, (name, lasts_s)
            assert not parts or parts[0][2]

    def follows(self, before: Read) -> None:
        assert self.target_s >= before.target_s
        assert self.part_target_s >= before.part_target_s
        assert self.sequence >= before.sequence
        known = dict(before.segments)
        assert all(known.get(name, lasts_s) == lasts_s for name, lasts_s in self.segments)
        listed = [name for name, _ in self.segments]
        if self.sequence == before.sequence:
            assert listed[: len(before.segments)] == [name for name, _ in before.segments]
        numbers = [int(name.split("-")[1]) for name in listed]
        assert numbers == list(range(self.sequence, self.sequence + len(numbers)))


@dataclass
class Camera:
    """How a camera sends its pictures."""

    fps: float
    jitter: float = 0.0
    stalls: tuple[float, ...] = ()
    key_s: float = 0.0
    """Key pictures come so often by themselves, and at no other time; 0: whenever one is wished for."""
    seconds: float = 60.0
    seed: int = 0

    def walk(self) -> tuple[Feed, list[Read]]:
        """All that was to be read, a playlist for each change."""
        feed = Feed(answers=not self.key_s)
        chance, reads = random.Random(self.seed), list[Read]()
        texts, since_key_s, stalls = set[str](), self.key_s, list(self.stalls)
        end_ns = feed.now_ns + round(max(self.seconds, 12 / self.fps) * NS)
        while feed.now_ns < end_ns:
            keyed = since_key_s >= self.key_s - 1e-6
            feed.picture(key=keyed if self.key_s else None)
            since_key_s = 0.0 if keyed else since_key_s
            if feed.segmenter.settled:
                text = m3u8.media_playlist(feed.segmenter.playlist())
                if text not in texts:
                    texts.add(text)
                    reads.append(Read.of(text))
            pause_s = (1 + chance.uniform(-self.jitter, self.jitter)) / self.fps
            if stalls and chance.random() < 0.02:
                pause_s += stalls.pop()
            feed.now_ns += round(pause_s * NS)
            since_key_s += pause_s
        return feed, reads


def kept(camera: Camera) -> tuple[Feed, list[Read]]:
    """All that was to be read, and in all of it the rules are kept."""
    feed, reads = camera.walk()
    for read in reads:
        read.keeps_its_word()
    for before, after in pairwise(reads):
        after.follows(before)
    return feed, reads


@settings(deadline=None, max_examples=50)
@given(
    st.builds(
        Camera,
        fps=st.sampled_from((0.3, 0.5, 1, 2, 3, 5, 7, 10, 12.5, 15, 20, 25, 30, 50, 60)),
        jitter=st.sampled_from((0.0, 0.02, 0.1, 0.3, 0.9)),
        stalls=st.lists(st.sampled_from((0.1, 0.2, 0.4, 0.8, 1.5, 3.5, 6.0, 20.0)), max_size=6).map(tuple),
        key_s=st.sampled_from((0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 10.0)),
        seconds=st.just(30.0),
        seed=st.integers(0, 1000),
    )
)
def test_the_rules_are_kept(camera: Camera) -> None:
    kept(camera)


@pytest.mark.parametrize("key_s", [0.0, 0.5, 1.0, 2.0, 4.0, 10.0])
@pytest.mark.parametrize("fps", [0.3, 1, 2, 5, 7, 10, 12.5, 15, 20, 25, 30, 60])
def test_what_is_promised_to_an_even_camera_is_never_changed(fps: float, key_s: float) -> None:
    feed, reads = kept(Camera(fps, jitter=0.01, key_s=key_s, seconds=40.0))
    assert len({(read.target_s, read.part_target_s) for read in reads}) == 1
    assert feed.segmenter.playlist().discontinuities == 0
    assert not any(cut.discontinuous for cut in feed.segmenter.segments)
    if fps >= 10:
        assert reads[0].part_target_s <= 0.55, "players stay three of them behind"
    if not key_s and fps >= 1:
        assert reads[0].target_s == 3


def test_a_stall_changes_no_promise() -> None:
    feed = Feed()
    seen = set()
    for number in range(600):
        feed.picture()
        feed.now_ns += (3500 if number == 200 else 67) * NS // 1000
        if feed.segmenter.settled:
            playlist = feed.segmenter.playlist()
            seen.add((playlist.target_s, playlist.part_target_s))
    ((target_s, part_target_s),) = seen
    assert (target_s, round(part_target_s, 1)) == (3, 0.5)
    assert feed.segmenter._discontinuities == 1


def test_a_camera_that_becomes_slow_is_told_anew() -> None:
    feed = Feed()
    feed.run(10.0, fps=30)
    before = feed.segmenter.playlist()
    feed.run(60.0, fps=1)
    after = feed.segmenter.playlist()
    assert after.part_target_s > 1 > before.part_target_s
    assert sum(segment.discontinuous for segment in after.segments) + after.discontinuities <= 3
    assert not any(cut.discontinuous for cut in list(feed.segmenter.segments)[-8:])


def test_the_pace_is_that_of_most_pictures() -> None:
    assert targets([1 / 30] * 60, 1.0) == (0.5, 3)
    assert targets([*[1 / 30] * 60, 3.0], 1.0) == (0.5, 3)
    part_target_s, target_s = targets([1.0, 1.0], 2.0)
    assert 1.0 < part_target_s <= target_s == 3
    assert targets([0.04] * 100, 10.0) == (0.5, 10)


def test_one_stall_at_the_beginning_keeps_nobody_farther_behind() -> None:
    feed = Feed()
    for number in range(60):
        feed.picture()
        feed.now_ns += (200 if number == 20 else 67) * NS // 1000
    playlist = feed.segmenter.playlist()
    assert playlist.part_target_s < 0.6
    assert not any(segment.discontinuous for segment in playlist.segments)


def test_a_stall_that_would_break_what_there_is_makes_parts_longer() -> None:
    feed = Feed()
    for number in range(60):
        feed.picture()
        feed.now_ns += (450 if number == 25 else 67) * NS // 1000
    playlist = feed.segmenter.playlist()
    assert 0.6 < playlist.part_target_s < 2
    assert not any(segment.discontinuous for segment in playlist.segments)
