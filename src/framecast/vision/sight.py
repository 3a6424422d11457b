"""What is known of one camera's detection: its state and its costs, for people and for metrics.

Standard library only; written and read on the loop, but for the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count

from framecast.core.meter import Meter
from framecast.wire.detections import Look

KINDS = ("objects", "people", "faces")
SMOOTHING = 0.2
LONGEST_REASON = 300


class Sight:
    """Outlives the workers that see for a camera.

    Attributes:
        working: Whether anybody wants to know what is seen.
        state: Why nothing can be seen, or not what was asked for, as a code; empty when all is well.
        reason: The same in words.
        model: What looks; empty before the first look.
        provider: What that runs on.
        looks: Pictures looked at.
        inferences: How often a model was asked, by kind: ``objects``, ``people``, ``faces``.
        ms: What each stage cost lately, in ms; a stage that was not needed in a picture changes nothing.
        numbers: Of the tracks to come. They go on when work begins anew: nobody is taken for who was there before.
    """

    def __init__(self) -> None:
        self.working = False
        self.state = ""
        self.reason = ""
        self.model = ""
        self.provider = ""
        self.looks = 0
        self.inferences: Counter[str] = Counter()
        self.ms: dict[str, float] = {}
        self.numbers: Iterator[int] = count(1)
        self.meter = Meter()

    def begin(self) -> None:
        """Somebody wants to know."""
        self.working = True
        self.state = self.reason = ""

    def end(self, error: BaseException | None = None) -> None:
        """Nobody wants to know any more, or what looks failed unexpectedly and is begun anew after a pause."""
        if isinstance(error, Exception):
            self.state, self.reason = "failed", f"looking failed: {str(error).partition(chr(10))[0]}"[:LONGEST_REASON]
        else:
            self.working = False

    def note(self, look: Look, inferences: Mapping[str, int], now_ns: int) -> None:
        """A picture was looked at."""
        self.state, self.reason = look.state, look.reason
        self.looks += 1
        self.inferences.update(inferences)
        self.meter.add(0, now_ns)
        for stage, cost_ms in look.ms.items():
            before = self.ms.get(stage, cost_ms)
            self.ms[stage] = before + SMOOTHING * (cost_ms - before)
