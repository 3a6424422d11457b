"""One process: picks, damages, runs, keeps what behaves in a new way."""

from __future__ import annotations

import contextlib
import gc
import random
import signal
import time
import traceback
import tracemalloc
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from types import FrameType

from fuzz.corpus import keep, load, save_crash
from fuzz.mutate import Mutator
from fuzz.targets import TARGETS, Target

HANG_S = 20
"""A batch that takes more of the CPU has met an input that never ends."""

GROWTH_BYTES = 64 * 1024
"""What some hundred inputs that were seen before may leave behind, each time they are read again."""

_BATCH = 500
_GROWTH_INPUTS = 300
_GROWTH_ROUNDS = 16
_MAX_LIVE = 1000
_MAX_LIVE_BYTES = 2048


class Hang(BaseException):
    """An input never ends; not an Exception, so that no parser can swallow it."""


@dataclass
class Report:
    """What one turn at one target did.

    Attributes:
        target: Its name.
        inputs: How many were tried.
        seconds: CPU time it took: a busy machine does not count as work done.
        findings: Kind of finding -> where its first input is kept.
    """

    target: str
    inputs: int = 0
    seconds: float = 0.0
    findings: dict[str, str] = field(default_factory=dict)


class Session:
    """All turns at one target in this process; what was learned is kept between turns."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._rng = random.Random(seed)
        self._mutator = Mutator(self._rng, target.tokens)
        self._live = load(target)
        self._seen: set[Hashable] = set()
        self._untried = list(self._live)
        self._inside = False  # the parser; only there may the watchdog interrupt

    def turn(self, seconds: float) -> Report:
        """Try inputs for so long."""
        report = Report(self._target.name)
        before = time.process_time()
        started = time.monotonic()
        while (now := time.monotonic()) - started < seconds:
            with self._watchdog():
                self._batch(report, min(_BATCH, 1 + int(_BATCH * (started + seconds - now))))
        report.seconds = time.process_time() - before
        return report

    def weigh(self, report: Report) -> None:
        """Read the same inputs again and again: what they take of memory comes to an end."""
        before = time.process_time()
        rng, mutator, live = self._rng, self._mutator, self._live
        inputs = live[:_GROWTH_INPUTS]
        while len(inputs) < _GROWTH_INPUTS:
            inputs.append(mutator.mutate(rng.choice(live), rng.choice(live)))
        with self._watchdog():
            if not all(self._ends(data, report) for data in inputs):  # some were never tried before
                return
        tracemalloc.start()
        try:
            used = [self._read_all(inputs)]
            grown: list[int] = []
            # What is kept for some seconds, or up to some number, grows until it is full.
            while len(grown) < 3 or (min(grown[-3:]) > GROWTH_BYTES and len(grown) < _GROWTH_ROUNDS):
                used.append(self._read_all(inputs))
                grown.append(used[-1] - used[-2])
        finally:
            tracemalloc.stop()
        if min(grown[-3:]) > GROWTH_BYTES:
            text = f"{len(inputs)} inputs, read again and again, leave {grown} bytes"
            self._found(b"".join(inputs[:20]), report, "growth", text)
        report.inputs += (1 + len(used)) * len(inputs)
        report.seconds += time.process_time() - before

    def _read_all(self, inputs: list[bytes]) -> int:
        """Read all; the bytes that Python's objects take then, of those made since tracing began."""
        for data in inputs:
            with contextlib.suppress(Exception):  # found when its turn comes
                self._target.run(data)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def _batch(self, report: Report, count: int) -> None:
        rng, live, mutator = self._rng, self._live, self._mutator
        for _ in range(count):
            if self._untried:
                data = self._untried.pop()
            else:
                data = live[int(rng.random() * len(live))]
                data = mutator.mutate(data, live[int(rng.random() * len(live))])
            report.inputs += 1
            if not self._ends(data, report):
                return

    def _ends(self, data: bytes, report: Report) -> bool:
        """Try one input; whether that came to an end."""
        try:
            self._try(data, report)
        except Hang:
            self._found(data, report, "hang", traceback.format_exc())
            return False
        return True

    def _try(self, data: bytes, report: Report) -> None:
        target = self._target
        started = time.thread_time()
        try:
            self._inside = True
            taken = target.run(data)
        except Hang:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {frame.filename.rpartition('/')[2]}:{frame.lineno} {str(error)[:40]}"
            self._found(data, report, kind, traceback.format_exc())
            return
        finally:
            self._inside = False
        limit = target.base_s + target.per_byte_s * len(data)
        if time.thread_time() - started > limit and self._is_slow(data, limit):
            self._found(data, report, "slow", f"{len(data)} bytes took more than {limit:.3f} s of CPU three times")
        if len(data) <= _MAX_LIVE_BYTES and len(self._live) < _MAX_LIVE and taken not in self._seen:
            self._seen.add(taken)
            self._live.append(data)
            keep(target.name, data)

    def _is_slow(self, data: bytes, limit: float) -> bool:
        for _ in range(3):
            started = time.thread_time()
            self._target.run(data)
            if time.thread_time() - started <= limit:
                return False
        return True

    def _found(self, data: bytes, report: Report, kind: str, text: str) -> None:
        if kind not in report.findings:
            report.findings[kind] = str(save_crash(report.target, data, f"{kind}\n\n{text}"))

    @contextlib.contextmanager
    def _watchdog(self) -> Iterator[None]:
        """Interrupts what never ends, where the system has alarms."""
        if not hasattr(signal, "setitimer"):
            yield
            return

        def ring(signum: int, frame: FrameType | None) -> None:
            if self._inside:
                raise Hang

        before = signal.signal(signal.SIGPROF, ring)
        timer = signal.setitimer(signal.ITIMER_PROF, HANG_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
            signal.setitimer(signal.ITIMER_PROF, *timer)


_sessions: dict[tuple[str, int], Session] = {}


def turn(name: str, seed: int, seconds: float) -> Report:
    """Entry point of a worker process: one turn at one target, which is weighed the first time."""
    session = _sessions.get((name, seed))
    is_new = session is None
    if session is None:
        session = _sessions[name, seed] = Session(TARGETS[name], seed)
    report = session.turn(seconds)
    if is_new and not report.findings:
        session.weigh(report)
    return report
