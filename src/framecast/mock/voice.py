"""Synthetic sound: a soft tone, and a click at each clap (``clap`` has the definition)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from framecast.mock.clap import CLICK_PEAK, CLICK_S, TONE_PEAK

_TONES_HZ = (220.0, 330.0)
"""Left (or the only channel), right: a fifth apart, so that swapped channels show."""

_SWELL_S = 4.0
"""It comes and goes, so that a level shows that it is alive."""

_CLICK_HZ = 1_500.0
_CLICK_FALL_S = 0.004


class Voice:
    """Makes PCM s16le, interleaved. Sample n is captured at n / rate seconds of the device's clock.

    Args:
        sample_rate_hz: Samples a second and channel.
        channels: 1 or 2.
    """

    def __init__(self, sample_rate_hz: float, channels: int = 1) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        passed_s = np.arange(round(CLICK_S * sample_rate_hz)) / sample_rate_hz
        self._click = CLICK_PEAK * np.exp(-passed_s / _CLICK_FALL_S) * np.cos(2 * np.pi * _CLICK_HZ * passed_s)
        self._begun: list[int] = []

    def render(self, first: int, count: int, clicks_s: Iterable[float] = ()) -> bytes:
        """``count`` samples a channel from sample ``first`` on.

        Args:
            first: Number of the first sample.
            count: How many.
            clicks_s: When new clicks begin, seconds of the device's clock; those begun before go on by themselves.
        """
        at_s = np.arange(first, first + count) / self.sample_rate_hz
        swell = 0.6 - 0.4 * np.cos(2 * np.pi * at_s / _SWELL_S)
        sound = TONE_PEAK * swell[:, None] * np.sin(2 * np.pi * np.outer(at_s, _TONES_HZ[: self.channels]))
        self._begun += [round(instant_s * self.sample_rate_hz) for instant_s in clicks_s]
        for begin in self._begun:
            _add(sound, self._click, begin - first)
        end = first + count - len(self._click)
        # Later than a click lasts, or of a time before the device started again: neither goes on.
        self._begun = [begin for begin in self._begun if end < begin <= first + count]
        pcm: bytes = np.clip(np.rint(sound), -32_768, 32_767).astype("<i2").tobytes()
        return pcm


def _add(sound: NDArray[np.float64], click: NDArray[np.float64], at: int) -> None:
    """Add ``click`` to every channel of ``sound``, (samples, channels), from sample ``at`` on; what fits."""
    start, end = max(0, at), min(len(sound), at + len(click))
    if start < end:
        sound[start:end] += click[start - at : end - at, None]
