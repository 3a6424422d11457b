"""The same thing over pictures has the same number.

Theory of operation (ByteTrack: Zhang et al., 2022). Each track knows where its box is and how it moves, and foretells
where it will be in the next picture. What was seen surely is given to tracks first, what was seen faintly to those
still without: a person half behind a tree goes on being the same one, while a faint shadow never begins a track.
A track begins when something was surely seen, counts from its second picture on, and ends when it was not seen for
``lost_s``. A track that was lost for longer than a moment is found again only near the place where it was foretold.

Moves are foretold with a filter for each number alone (alpha-beta: position and speed), which follows the times between
pictures, for small cameras keep no rhythm. A young track takes its speed from where it was seen, and only later from
the mean: at five pictures a second, somebody who walks by is a body's width farther each time. For the same reason
boxes are compared with a margin that grows with the time since the track was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from framecast.vision.assignment import assign
from framecast.vision.boxes import shares
from framecast.vision.detections import Boxes, Detection

SURE = 0.5
"""Seen surely from this score on; a model whose scores are lower throughout has its own (`Tracker.sure`)."""
NEAR = 0.8
"""A track and what was seen surely are a pair up to this cost: one less their overlap."""
NEAR_FAINT = 0.5
ALPHA = 0.6
BETAS = (1.0, 0.5, 0.33, 0.25)
"""Of the second, third, … time that something is seen; the last holds from then on."""
MARGIN, MARGIN_S = 0.25, 0.4
"""So much of its sides a box is larger on each side, once its track was not seen for so long; less before."""
LOST_S = 2.0
FAINT_S = 10.0
"""So long after it was surely seen, something that is seen faintly is told of."""
LONGEST_STEP_S = 1.0
"""Nobody goes on straight for longer than this without being seen."""

Four = tuple[float, float, float, float]


@dataclass(slots=True, eq=False)
class _Track:
    number: int
    label: str
    # Plain numbers: NumPy takes longer to be asked than to reckon with four.
    box: Four  # middle x, middle y, width, height
    speed: Four  # each per s
    at_s: float
    seen_s: float
    sure_s: float
    score: float  # when it was surely seen
    hits: int = 1

    @property
    def is_told(self) -> bool:
        """Whether it was surely seen lately, as of when it was seen at all."""
        return self.seen_s - self.sure_s <= FAINT_S

    def standing(self) -> Detection:
        """It, where it was seen last."""
        x, y, width, height = self.box
        half_x, half_y = max(width, 1) / 2, max(height, 1) / 2
        return Detection(self.label, self.score, x - half_x, y - half_y, x + half_x, y + half_y, self.number)

    def foretold(self, now_s: float) -> Four:
        """Left, top, right, bottom."""
        x, y, width, height = self._after(min(now_s - self.at_s, LONGEST_STEP_S))
        half_x, half_y = max(width, 1) / 2, max(height, 1) / 2
        return x - half_x, y - half_y, x + half_x, y + half_y

    def follow(self, seen: Detection, now_s: float, *, sure: bool) -> None:
        passed_s = min(max(now_s - self.at_s, 1e-3), LONGEST_STEP_S)
        foretold = self._after(passed_s)
        beta = BETAS[min(self.hits, len(BETAS)) - 1]
        missed_by = [there - thought for there, thought in zip(_middle(seen), foretold, strict=True)]
        x, y, width, height = (thought + ALPHA * missed for thought, missed in zip(foretold, missed_by, strict=True))
        self.box = (x, y, width, height)
        x, y, width, height = (
            speed + beta * missed / passed_s for speed, missed in zip(self.speed, missed_by, strict=True)
        )
        self.speed = (x, y, width / 2, height / 2)  # sizes change slowly; their noise must not run away
        self.at_s = self.seen_s = now_s
        if sure:
            self.score, self.sure_s = seen.score, now_s
        self.hits += 1

    def _after(self, passed_s: float) -> Four:
        x, y, width, height = self.box
        right, down, wider, higher = self.speed
        return x + right * passed_s, y + down * passed_s, width + wider * passed_s, height + higher * passed_s


class Tracker:
    """Gives numbers to what was seen in one camera's pictures, in their order.

    Args:
        sure: Score from which on something was seen surely.
        lost_s: How long a track waits to be seen again.
        numbers: Of the tracks to come, each once.

    Attributes:
        lost_s: As above; another one holds from the next picture on.
    """

    def __init__(self, sure: float = SURE, lost_s: float = LOST_S, numbers: Iterator[int] | None = None) -> None:
        self.sure = sure
        self.lost_s = lost_s
        self._tracks: list[_Track] = []
        self._next_numbers = count(1) if numbers is None else numbers

    @property
    def live(self) -> int:
        """How many tracks wait to be seen again, or are seen."""
        return len(self._tracks)

    @property
    def numbers(self) -> set[int]:
        """Of the tracks that wait to be seen again, or are seen."""
        return {track.number for track in self._tracks}

    def standing(self) -> list[Detection]:
        """What is known and was where it is when it was last seen, for pictures that nobody looked at."""
        return [track.standing() for track in self._tracks if track.hits > 1 and track.is_told]

    def expected(self, now_s: float) -> Boxes:
        """Where the known things should be: ``(N, 4) float32``, left, top, right, bottom in px."""
        return _stack([track.foretold(now_s) for track in self._tracks])

    def clear(self) -> None:
        """Forget all: another device, or its clock began anew."""
        self._tracks.clear()

    def update(self, seen: list[Detection], now_s: float) -> list[Detection]:
        """What was seen at ``now_s`` (of the pictures' own clock), with numbers; without what was too faint.

        What is seen for the first time has no number yet. What goes on faintly keeps the score with which it was surely
        seen last, for how faint it is says nothing of what it is; after `FAINT_S` it is told no more. Things of
        different labels are never the same.
        """
        self._tracks = [track for track in self._tracks if now_s - track.seen_s <= self.lost_s]
        result: list[Detection] = []
        for label in {each.label for each in seen} | {track.label for track in self._tracks}:
            here = [each for each in seen if each.label == label]
            known = [track for track in self._tracks if track.label == label]
            result += self._of_label(here, known, now_s)
        return result

    def _of_label(self, seen: list[Detection], known: list[_Track], now_s: float) -> list[Detection]:
        sure = [each for each in seen if each.score >= self.sure]
        faint = [each for each in seen if each.score < self.sure]
        old = [track for track in known if track.hits > 1]
        young = [track for track in known if track.hits == 1]
        pairs, old, sure = _match(old, sure, now_s, NEAR)
        more, old, faint = _match(old, faint, now_s, NEAR_FAINT)
        pairs += more
        more, young, sure = _match(young, sure, now_s, NEAR)
        pairs += more
        result = []
        for track, each in pairs:
            is_sure = each.score >= self.sure
            track.follow(each, now_s, sure=is_sure)
            if track.is_told:
                result.append(replace(each, score=track.score, track=track.number, sure=is_sure))
        # Seen once and not again: that was nothing.
        self._tracks = [track for track in self._tracks if track not in young]
        for each in sure:
            number = next(self._next_numbers)
            track = _Track(number, each.label, _middle(each), (0.0, 0.0, 0.0, 0.0), now_s, now_s, now_s, each.score)
            self._tracks.append(track)
            result.append(each)
        return result


def _match(
    tracks: list[_Track], seen: list[Detection], now_s: float, most: float
) -> tuple[list[tuple[_Track, Detection]], list[_Track], list[Detection]]:
    """Pairs, and who stays alone on either side."""
    if not tracks or not seen:
        return [], tracks, seen
    foretold = _stack([track.foretold(now_s) for track in tracks])
    there = np.array([each.box for each in seen], np.float32)
    margins = np.array([[[MARGIN * min(1.0, (now_s - track.seen_s) / MARGIN_S)]] for track in tracks], np.float32)
    shared = shares(_widened(foretold[:, None], margins), _widened(there[None], margins))
    pairs = assign(1 - shared, most)
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    return (
        [(tracks[row], seen[column]) for row, column in pairs],
        [track for row, track in enumerate(tracks) if row not in rows],
        [each for column, each in enumerate(seen) if column not in columns],
    )


def _widened(boxes: Boxes, margins: Boxes) -> Boxes:
    more = (boxes[..., 2:] - boxes[..., :2]) * margins
    return np.concatenate([boxes[..., :2] - more, boxes[..., 2:] + more], axis=-1)


def _middle(seen: Detection) -> Four:
    left, top, right, bottom = seen.box
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _stack(boxes: list[Four]) -> Boxes:
    return np.array(boxes, np.float32).reshape(-1, 4)
