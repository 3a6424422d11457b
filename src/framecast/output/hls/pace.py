"""How long parts and segments of HLS may be: what a playlist says at its top has to hold for as long as it is read.

No part may last longer than the part target, and none less than 85 % of it unless it begins with a key picture or ends
its segment (draft-pantos-hls-rfc8216bis, 4.4.4.9). A part is made of whole pictures, so whether that can be kept is a
matter of how far apart they are. Any of these will do; the shortest is taken, since players stay three of them behind:

    any pace      no two pictures are farther apart than the 15 % between the least and the most
    steady pace   a whole number of pictures lies in the middle of the 15 %, and the pace wavers by less
    halves        a segment is two parts at most: the one begins with its key picture, the other one ends it
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

LEAST_SHARE = 0.85
"""Of the part target: no part between others is shorter."""
PART_TARGET_S = 0.5
"""The shortest part target: each part is a request for each viewer."""
TARGET_S = 3
"""The shortest target duration, in whole seconds."""
SEGMENT_S = 2.0
"""Segments are so long where key pictures come when they are asked for; the last one may be late by a fifth."""
FIRST_SEGMENTS_S = (0.5, 0.5, 1.0)
"""The first ones are shorter: most players want whole segments to begin with, and some want several."""
MIDDLE = (1 + LEAST_SHARE) / 2
STALLS = (2.5, 8.0)
"""The first of them unless that breaks what there is: one stall at the beginning is to make nobody wait for good."""
WAVERS_S = 0.002
"""The least that a pace is taken to waver by."""
FEW = 8
"""Fewer intervals say little: the pace is taken to waver by a quarter."""


def targets(intervals_s: Sequence[float], longest_s: float, stall: float = STALLS[-1]) -> tuple[float, int]:
    """The part target and the target duration for a camera.

    Args:
        intervals_s: Between its first pictures.
        longest_s: Its longest segment so far, 0 before the first.
        stall: Intervals that are so many times the usual one don't count.
    """
    usual_s = statistics.median(intervals_s) if intervals_s else PART_TARGET_S / 10
    steady = [each for each in intervals_s if each <= stall * usual_s] or [usual_s]
    least_s, most_s, mean_s = min(steady), max(steady), statistics.fmean(steady)
    wavers_s = 1.5 * (most_s - least_s) + WAVERS_S if len(steady) >= FEW else max(mean_s / 4, most_s - least_s)
    room = MIDDLE - LEAST_SHARE  # to either side of the middle, as a share of the part target
    pictures = math.ceil(max(PART_TARGET_S, wavers_s / room) * MIDDLE / mean_s - 1e-6)
    part_target_s = min(
        max(PART_TARGET_S, 1.2 * most_s / (1 - LEAST_SHARE)),
        pictures * mean_s / MIDDLE,
        0.525 * max(SEGMENT_S, longest_s) + 1.2 * most_s,
    )
    target_s = max(TARGET_S, math.ceil(1.25 * most_s), int(longest_s + min(1.2 * most_s, longest_s / 4) + 0.55))
    return math.ceil(min(part_target_s, target_s) * 1000) / 1000, target_s


def wanted_s(number: int) -> float:
    """How long the segment of this number, from 0, should be."""
    return FIRST_SEGMENTS_S[number] if number < len(FIRST_SEGMENTS_S) else SEGMENT_S
