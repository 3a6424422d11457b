"""Which level of quality a viewer's link carries, judged by what the viewer acknowledges.

Theory of operation. A link is a queue with one server: a message that was sent while another was on its way is served
when that one has arrived. So each acknowledgement says how long the link worked for it: since it was sent (and the
link's floor, the shortest delay seen, had passed), or since the acknowledgement before it. Bytes over that time are
what the link carries, whether it was busy throughout or not; jitter only makes it look worse than it is.

*Down*, at once, when messages stay a quarter of a second over the floor, when the oldest on its way is long overdue, or
when pictures are dropped while the link is busy: to the best level that fits into what it carries, however many steps
that is. Then what was sent before has to drain; only what was sent since counts.

*Up*, a step at a time, after a second without any of this, and with evidence that the next level fits. Small pictures
give none: a short one takes no time on any link. Then padding is sent along, sized by what the link is known to carry,
and the acknowledgement of both is the evidence; nobody sees a try that was bound to fail. A link that lets a burst
pass at once and then slows down gives false evidence: the step up fails, and from then on only a larger burst is
believed, after a pause that doubles with each failure. Without evidence either way a step is tried now and then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from framecast.core.ladder import LADDER, Level

WINDOW_S = 1.5
WORKED_S = 0.4
"""What the link carries is judged by the acknowledgements of so long, or the last in which it worked for so long."""
FLOOR_SPAN_S, FLOOR_SPANS = 5.0, 6
LATE_S = 0.25
"""So far over the floor a message is late, when the one before it was late too."""
OVERDUE_S, OVERDUE_TRYING_S, OVERDUE_PADDED_S = 0.7, 0.35, 1.2
"""The oldest message on its way is long overdue. Sooner when a step up was just taken: then one late is enough, too."""
LOST_S = 1.5
"""Nothing at all has come for so long since the last step: another step, whatever is draining."""
HOLD_S = 1.0
"""A step up needs so long without trouble on the level below."""
TRY_S, SETTLED_S = 2.5, 20.0
"""A step up is watched closely for so long, and was a success when nothing has happened for so long."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 4.0, 60.0
LONGEST_BLIND_PAUSE_S = 16.0
"""The same where no padding can be sent: trying is the only way to find out."""
FIRST_PROBE_S, LONGEST_PROBE_S = 1.0, 4.0
PATIENCE_S, BLIND_PATIENCE_S = 8.0, 3.0
"""A step is tried without evidence after so long without trouble, with padding and without."""
FITS = 0.8
"""Share of what the link carries that a level may take when stepping down."""
SPARE, CODED_SPARE = 1.25, 1.7
"""What the link has to carry, over what the level takes, for a step up; coded video brings a key picture, too."""
HOPELESS, REFUTED_S = 0.64, 20.0
"""When padding shows less than this share of that, no step is tried without evidence for so long."""
LEAST_PADDING_BYTES, FIRST_PADDING_BYTES, MOST_PADDING_BYTES = 2_000, 4_000, 64_000
PADDING_S, PADDING_DELAY_S = 0.15, 0.25
"""Padding is as much as the next level sends in the first. When it has taken less than the second, twice as much may
follow; when more, only what passes in that time."""
STARVED = 0.25
"""Share of the pictures that may be dropped while the link is busy."""
BUSY = 0.7
QUEUED = 0.4
"""A link that has worked for so much of the time since the last acknowledgement has worked throughout."""

# Bytes a pixel at a quality, relative to quality 80, which a camera's own pictures are taken to have.
_WEIGHTS = {0: 1.0, 40: 0.52, 60: 0.68, 70: 0.81}


@dataclass(slots=True)
class _Tries:
    """What became of the steps up to one level: the burst it takes to be believed again, and when."""

    proof_bytes: int = 0
    pause_s: float = FIRST_PAUSE_S
    retry_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Ack:
    at_s: float
    sent_at_s: float
    size_bytes: int
    served_bytes: int
    worked_s: float
    over_s: float


class Controller:
    """Chooses one viewer's level.

    Every method takes the time, in seconds of a clock that only goes forward.

    Args:
        now_s: The time.
        ladder: The levels, the best first.
        pads: Whether padding can be sent to this viewer.
        spare: What the link has to carry, over what a level takes, for a step up.

    Attributes:
        level: Index of the level it is on.
        reason: Why, in words.
    """

    def __init__(
        self, now_s: float, *, ladder: Sequence[Level] = LADDER, pads: bool = True, spare: float = SPARE
    ) -> None:
        self.level = 0
        self.reason = "the connection carries everything so far"
        self._ladder = ladder
        self._pads = pads
        self._spare = spare
        self._changed_s = now_s
        self._acks: deque[_Ack] = deque()
        self._drops: deque[float] = deque()
        self._floors: deque[tuple[float, float, int]] = deque(maxlen=FLOOR_SPANS)
        self._floor = (now_s, 0.0, 0)
        self._last_ack_s = now_s
        self._trouble_s = now_s
        self._costs = [_cost(level, 640, 30.0) for level in ladder]
        self._known: dict[int, float] = {}
        self._padding_bytes = FIRST_PADDING_BYTES
        self._refuted_s = -REFUTED_S
        self._tries = [_Tries() for _ in ladder]
        self._believed_bytes = 0
        self._evidence: tuple[float, float, int] | None = None
        self._probe_at_s = 0.0
        self._probe_pause_s = FIRST_PROBE_S
        self._awaits: tuple[float, int] | None = None
        self._shadow_s = now_s
        self._stepped_up_s: float | None = None

    # What is known of the camera.

    def source(self, width_px: int, fps: float) -> None:
        """The camera's own pictures: how wide, how many a second (0 where that is not known yet)."""
        self._costs = [_cost(level, width_px or 640, fps or 30.0) for level in self._ladder]

    def takes(self, level: int, bytes_per_s: float) -> None:
        """What a level was seen to take."""
        if bytes_per_s > 0:
            self._known[level] = bytes_per_s

    def need(self, level: int) -> float:
        """Bytes a second that a level takes, as far as can be said."""
        if level in self._known:
            return self._known[level]
        if not self._known:
            return 0.0
        nearest = min(self._known, key=lambda each: abs(each - level))
        return self._known[nearest] * self._costs[level] / self._costs[nearest]

    # What happens on the link.

    def acked(self, now_s: float, sent_at_s: float, size_bytes: int) -> None:
        """A message of so many bytes, with the padding before it, was sent then and acknowledged now."""
        delay_s = now_s - sent_at_s
        self._lower_floor(now_s, delay_s, size_bytes)
        _, floor_s, floor_bytes = self._floor
        worked_s = max(0.0, now_s - max(sent_at_s + floor_s, self._last_ack_s))
        gap_s = now_s - self._last_ack_s
        if sent_at_s < self._last_ack_s and worked_s >= QUEUED * gap_s:
            worked_s, served = gap_s, size_bytes  # it stood behind the one before it
        else:
            served = max(0, size_bytes - floor_bytes)  # the floor holds the time for a message of its own size
        self._acks.append(_Ack(now_s, sent_at_s, size_bytes, served, worked_s, delay_s - floor_s))
        if self._awaits is not None and sent_at_s >= self._awaits[0]:
            rate = served / max(worked_s, 0.001)
            quick = worked_s < PADDING_DELAY_S
            self._padding_bytes = max(FIRST_PADDING_BYTES, 2 * size_bytes if quick else round(rate * PADDING_DELAY_S))
            self._evidence = (now_s, rate, size_bytes)
            if self.level and rate < HOPELESS * self._spare * self.need(self.level - 1):
                tries = self._tries[self.level - 1]
                tries.proof_bytes = max(tries.proof_bytes, min(size_bytes, MOST_PADDING_BYTES))
                self._refuted_s = now_s
            self._awaits = None
            self._shadow_s = now_s
        self._last_ack_s = now_s

    def dropped(self, now_s: float) -> None:
        """A picture was not sent, because what was sent before is still on its way."""
        self._drops.append(now_s)

    @property
    def floor_s(self) -> float:
        """The shortest delay of late."""
        return self._floor[1]

    def carries(self, now_s: float, oldest: tuple[float, int] | None = None) -> float:
        """Bytes a second that the link carries, at least; 0 when nothing is known.

        Args:
            oldest: When the oldest message on its way was sent, and its size.
        """
        self._forget(now_s)
        size, worked_s = 0.0, 0.0
        if oldest is not None:
            worked_s = max(0.0, now_s - max(oldest[0] + self.floor_s, self._last_ack_s))
            if worked_s >= WORKED_S or not self._acks:
                return oldest[1] / max(worked_s, 0.001)
        for ack in reversed(self._acks):
            size += ack.served_bytes
            worked_s += ack.worked_s
            if worked_s >= WORKED_S:
                break
        return max(size / max(worked_s, 0.001), self._throughput())

    # What follows from it.

    def review(self, now_s: float, oldest: tuple[float, int] | None = None) -> bool:
        """Look at it all; whether `level` is another one now.

        Args:
            oldest: When the oldest message on its way was sent, and its size; None when there is none.
        """
        self._forget(now_s)
        if self._stepped_up_s is not None and now_s - self._stepped_up_s > SETTLED_S:
            self._stepped_up_s = None
            self._tries[self.level] = _Tries()
        trouble = self._trouble(now_s, oldest)
        if trouble:
            self._trouble_s = now_s
            return self._step_down(now_s, oldest, trouble)
        if self.level and now_s - max(self._changed_s, self._trouble_s) >= HOLD_S:
            return self._step_up(now_s)
        return False

    def padding(self, now_s: float) -> int:
        """How many bytes of padding are to go before the next message; 0 for none."""
        if not self._pads or not self.level or self._awaits is not None or now_s < self._probe_at_s:
            return 0
        if now_s - max(self._changed_s, self._trouble_s) < HOLD_S:
            return 0
        need = self._spare * self.need(self.level - 1)
        size = max(LEAST_PADDING_BYTES, need * PADDING_S, 1.5 * self._tries[self.level - 1].proof_bytes)
        size = min(size, self._padding_bytes, MOST_PADDING_BYTES)
        self._awaits = (now_s, round(size))
        self._probe_pause_s = min(2 * self._probe_pause_s, LONGEST_PROBE_S)
        self._probe_at_s = now_s + self._probe_pause_s
        return round(size)

    def moved(self, now_s: float) -> None:
        """The viewer gets the level that was chosen from now on: what it was sent before says nothing about it."""
        self._changed_s = now_s
        self._drops.clear()

    def forgo(self, level: int, reason: str) -> None:
        """Stand on another level than was chosen: that one can't be had."""
        self.level = level
        self.reason = reason

    def _is_trying(self, now_s: float) -> bool:
        return self._stepped_up_s is not None and now_s - self._stepped_up_s <= TRY_S

    def _throughput(self) -> float:
        """Bytes a second that did arrive."""
        if len(self._acks) < 2:
            return 0.0
        span_s = self._acks[-1].at_s - self._acks[0].at_s
        return (sum(ack.size_bytes for ack in self._acks) - self._acks[0].size_bytes) / max(span_s, 0.5)

    def _trouble(self, now_s: float, oldest: tuple[float, int] | None) -> str:
        """What is wrong with the link, in words; empty when nothing is."""
        trying = self._is_trying(now_s)
        # What was sent before the last step, or behind padding, had to wait for it.
        began_s = max(self._changed_s, self._shadow_s)
        if oldest is not None:
            over_s = now_s - oldest[0] - self.floor_s
            padded = self._awaits is not None and oldest[0] >= self._awaits[0]
            most_s = OVERDUE_PADDED_S if padded else OVERDUE_TRYING_S if trying else OVERDUE_S
            if over_s > most_s and oldest[0] >= began_s:
                return f"pictures are {over_s:.1f} s late"
            if over_s > LOST_S and now_s - max(self._last_ack_s, self._changed_s) > LOST_S:
                return f"nothing has arrived for {now_s - self._last_ack_s:.1f} s"
        if not self._drops and (not self._acks or self._acks[-1].over_s <= LATE_S):
            return ""
        since = [ack for ack in self._acks if ack.sent_at_s >= began_s and ack.at_s > now_s - 1.0]
        lately = since[-1:] if trying else since[-2:]
        if len(lately) == (1 if trying else 2) and all(ack.over_s > LATE_S for ack in lately):
            return f"pictures are {since[-1].over_s:.1f} s late"
        began_s = max(began_s, now_s - 1.0)
        if now_s - began_s >= 0.9:
            drops = sum(at > began_s for at in self._drops)
            busy_s = sum(ack.worked_s for ack in since)
            if drops and drops > STARVED * (drops + len(since)) and busy_s > BUSY * (now_s - began_s):
                return f"{drops} of {drops + len(since)} pictures in a second did not get through"
        return ""

    def _step_down(self, now_s: float, oldest: tuple[float, int] | None, trouble: str) -> bool:
        carries = self.carries(now_s, oldest)
        self._padding_bytes = max(FIRST_PADDING_BYTES, round(carries * PADDING_DELAY_S))
        last = len(self._ladder) - 1
        if self._stepped_up_s is not None:
            tries = self._tries[self.level]
            tries.proof_bytes = max(tries.proof_bytes, min(2 * self._believed_bytes, MOST_PADDING_BYTES))
            self._stepped_up_s = None
            tries.retry_at_s = now_s + tries.pause_s
            tries.pause_s = min(2 * tries.pause_s, LONGEST_PAUSE_S if self._pads else LONGEST_BLIND_PAUSE_S)
        if self.level == last:
            return False
        level = self.level + 1
        while level < last and self.need(level) > FITS * carries:
            level += 1
        self._change(now_s, level, f"{trouble}: the connection carries {_rate(carries)}")
        return True

    def _step_up(self, now_s: float) -> bool:
        target = self.level - 1
        need = self.need(target)
        tries = self._tries[target]
        evidence, size = self._best_evidence(now_s, tries.proof_bytes)
        proven = evidence >= self._spare * need and size >= tries.proof_bytes
        if proven:
            if now_s < tries.retry_at_s and tries.proof_bytes >= MOST_PADDING_BYTES:
                return False  # no larger burst can be sent to find out
        else:
            patience_s = PATIENCE_S if self._pads else BLIND_PATIENCE_S
            hopeless = now_s - self._refuted_s < REFUTED_S
            if hopeless or now_s < tries.retry_at_s or now_s - max(self._changed_s, self._trouble_s) < patience_s:
                return False
        self._believed_bytes = size
        self._stepped_up_s = now_s
        why = f"the connection carries {_rate(evidence)}" if proven else "to see whether the connection carries more"
        if not target:
            why = f"{why}: everything" if proven else why
        self._change(now_s, target, why)
        return True

    def _best_evidence(self, now_s: float, proof_bytes: int) -> tuple[float, int]:
        """The most that the link was seen to carry of late, bytes a second, and in what size of burst."""
        largest = max((ack.size_bytes for ack in self._acks), default=0)
        if self._evidence is not None and now_s - self._evidence[0] < WINDOW_S:
            _, rate, size = self._evidence
            if size >= min(largest, proof_bytes):
                # A burst says more than many small messages, which may all pass where it does not.
                return rate, size
        return (self.carries(now_s), largest) if largest else (0.0, 0)

    def _change(self, now_s: float, level: int, reason: str) -> None:
        self.level = level
        self.reason = reason
        self._changed_s = now_s
        self._drops.clear()
        self._evidence = None
        self._awaits = None
        self._probe_pause_s = FIRST_PROBE_S
        self._probe_at_s = 0.0

    def _lower_floor(self, now_s: float, delay_s: float, size_bytes: int) -> None:
        floors = self._floors
        if not floors or now_s - floors[-1][0] > FLOOR_SPAN_S:
            floors.append((now_s, delay_s, size_bytes))
        elif delay_s < floors[-1][1]:
            floors[-1] = (floors[-1][0], delay_s, size_bytes)
        else:
            return
        self._floor = min(floors, key=lambda each: each[1])

    def _forget(self, now_s: float) -> None:
        while self._acks and self._acks[0].at_s < now_s - WINDOW_S:
            self._acks.popleft()
        while self._drops and self._drops[0] < now_s - WINDOW_S:
            self._drops.popleft()


def _cost(level: Level, width_px: int, fps: float) -> float:
    """What a level takes, in any unit."""
    width = min(level.width_px or width_px, width_px)
    return width**2 * _WEIGHTS.get(level.quality, 1.0) * min(level.fps or fps, fps)


def _rate(bytes_per_s: float) -> str:
    bits = bytes_per_s * 8
    return f"{bits / 1e6:.1f} Mbit/s" if bits >= 1e6 else f"{bits / 1e3:.0f} kbit/s"
