"""When a picture becomes a keyframe, and how fast pictures come. Nothing here encodes."""

from __future__ import annotations

from fractions import Fraction

KEY_INTERVAL_NS = 500_000_000
"""Keyframes that somebody asks for come no closer together; what comes by itself does not count."""
FIRST_FPS = 15
"""What rate control reckons with until the rate is known."""
DRIFT = 1.25
"""A rate that is another by more than this factor makes a new encoder worth its 2 ms."""
LONGEST_INTERVAL_S = 2.0
PAUSE = 4
"""An interval of so many usual ones is a pause, unless the next is like it."""


class KeySchedule:
    """When keyframes are due.

    Args:
        gop_s: Longest time from one to the next.
    """

    def __init__(self, gop_s: float) -> None:
        self._gop_s = gop_s
        self._key_ns = 0
        self._may_ns = 0

    def is_due(self, pts_ns: int, wanted: bool, interval_s: float) -> bool:
        """Whether the picture at ``pts_ns`` has to be a keyframe.

        Args:
            pts_ns: Its capture time.
            wanted: Somebody asks for one.
            interval_s: From one picture to the next; 0 if it isn't known.
        """
        if wanted and pts_ns >= self._may_ns:
            return True
        # The last one that is not too late, with a little room, so that 30 a second make groups of 60.
        return (pts_ns - self._key_ns) / 1e9 >= self._gop_s - 0.9 * interval_s

    def made(self, pts_ns: int, wanted: bool, fresh: bool) -> None:
        """The picture at ``pts_ns`` is a keyframe.

        Args:
            pts_ns: Its capture time.
            wanted: Somebody asked for one.
            fresh: It had to be one, as the first of a stream: whoever asks need not wait because of it.
        """
        self._key_ns = pts_ns
        if fresh:
            self._may_ns = 0
        elif wanted:
            self._may_ns = pts_ns + KEY_INTERVAL_NS


class RateMeter:
    """How fast pictures come.

    Args:
        most_fps: No more than so many are asked for; 0 for any.

    Attributes:
        interval_s: From one picture to the next, smoothed; 0 until it is known.
    """

    def __init__(self, most_fps: float = 0.0) -> None:
        self.interval_s = 0.0
        self._first_fps = min(FIRST_FPS, most_fps or FIRST_FPS)
        self._paused = False

    @property
    def fps(self) -> Fraction:
        """Pictures a second, in halves."""
        fps = 1 / self.interval_s if self.interval_s else self._first_fps
        return Fraction(max(1, round(fps * 2)), 2)

    def add(self, interval_s: float) -> None:
        """One more picture came, so long after the last."""
        if self.interval_s and interval_s > PAUSE * self.interval_s and not self._paused:
            self._paused = True  # once says nothing about the rate
            return
        self._paused = False
        interval_s = min(max(interval_s, 1e-3), LONGEST_INTERVAL_S)
        self.interval_s += (interval_s - self.interval_s) / 8 if self.interval_s else interval_s

    def forget(self) -> None:
        """What comes now may come at another rate."""
        self.interval_s = 0.0

    def has_left(self, fps: Fraction) -> bool:
        """Whether the rate is known, and another than ``fps`` by more than is worth bearing."""
        return bool(self.interval_s) and not 1 / DRIFT <= self.fps / fps <= DRIFT
