"""What happened to each camera: counted all the time, closed once a minute, kept for as long as is configured.

Counters that the parts keep anyway are looked at every few seconds; what they rose by belongs to the minute. How long a
camera was in which state is told by its stream. Nothing is done per picture.

What could not be kept (the disk is full) waits in memory, an hour of it, and so does everything while
``history.hours`` is 0.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from types import MappingProxyType
from typing import Any

from framecast.core.errors import StateError
from framecast.core.limits import Quietly
from framecast.core.meter import Percentiles, shares_of
from framecast.core.stream import State, Stream
from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera, Cameras
from framecast.service.store.history import HistoryStore, Row, merge

log = logging.getLogger("framecast.service.operations.history")

SAMPLE_S = 5.0
WAITING_MINUTES = 60
"""Minutes that may wait in memory for the disk; the oldest go."""
SWEEP_MINUTES = 60
"""How often cameras that are there no more are forgotten, too."""
AHEAD_MINUTES = 60
"""A clock may have been put back by so much; minutes beyond are of one that was wrong, and not of the last hours."""
CLOSE_S = 2.0
"""What the disk may take at the end."""
MOST_SAMPLES = 4096
"""Of a camera's latency in one minute; beyond, every other one goes."""
MOST_POINTS = 360
STEPS_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360)

Blocking = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Counters:
    """What a camera has counted since it was started; differences of two make a row."""

    frames: int = 0
    bytes: int = 0
    sent_bytes: int = 0
    drops: int = 0
    refused: int = 0

    @classmethod
    def of(cls, camera: Camera) -> Counters:
        """As they are now."""
        stream = camera.stream
        drops, sent_bytes = views.drops_and_bytes(camera)
        return cls(stream.published, stream.meter.bytes, sent_bytes, drops, stream.refused.total())


class Account:
    """One camera's minute under way.

    Args:
        camera: It; `look` is given the one that has taken its place after a change.
    """

    def __init__(self, camera: Camera) -> None:
        self._stream = camera.stream
        self._state = camera.stream.state
        self._since_ns = self._looked_ns = camera.stream.clock.now_ns()
        self._reader = camera.reader
        self._connects = camera.reader.connects
        self._connected = False  # since it was last idle
        self._before = Counters.of(camera)
        self._timed: list[tuple[Percentiles, int]] = [(each, each.count) for each in _latencies(camera)]
        self._sums: dict[str, Any] = {}
        self._most_viewers = 0
        self._samples: list[float] = []
        self._thinned = 0
        self._begin()
        camera.stream.on_state.append(self._state_changed)

    @property
    def stream(self) -> Stream:
        """Whose it is."""
        return self._stream

    def look(self, camera: Camera) -> None:
        """Add what has happened since the last look."""
        now_ns = self._stream.clock.now_ns()
        self._settle(now_ns)
        seconds, self._looked_ns = (now_ns - self._looked_ns) / 1e9, now_ns
        counters, before = Counters.of(camera), self._before
        viewers = len(self._stream.viewers)
        sums = self._sums
        sums["seconds"] += seconds
        for field in fields(Counters):
            sums[field.name] += getattr(counters, field.name) - getattr(before, field.name)
        self._before = counters
        sums["viewer_s"] += viewers * seconds
        self._count_connects()
        if camera.reader is not self._reader:
            self._reader, self._connects, self._connected = camera.reader, 0, False
            self._count_connects()
        self._most_viewers = max(self._most_viewers, viewers)
        self._take_samples(camera)

    def row(self, minute: int) -> Row:
        """The minute so far."""
        p50_ms, p95_ms, p99_ms = shares_of(self._samples, 0.5, 0.95, 0.99)
        return Row(
            camera=self._stream.camera_id,
            minute=minute,
            most_viewers=self._most_viewers,
            passes=len(self._samples) << self._thinned,
            p50_ms=round(p50_ms, 3),
            p95_ms=round(p95_ms, 3),
            p99_ms=round(p99_ms, 3),
            **self._sums,
        )

    def close(self, minute: int) -> Row:
        """End the minute, and begin the next."""
        row = self.row(minute)
        self._begin()
        return row

    def _begin(self) -> None:
        self._sums = dict.fromkeys(("seconds", "awake_s", "live_s", "viewer_s"), 0.0)
        self._sums |= dict.fromkeys((*(field.name for field in fields(Counters)), "reconnects"), 0)
        self._most_viewers = len(self._stream.viewers)
        self._samples = []
        self._thinned = 0

    def _state_changed(self, stream: Stream) -> None:
        self._settle(stream.clock.now_ns())
        if stream.state is State.IDLE:  # let go on purpose
            self._count_connects()
            self._connected = False
        self._state = stream.state

    def _settle(self, now_ns: int) -> None:
        seconds, self._since_ns = (now_ns - self._since_ns) / 1e9, now_ns
        if self._state is not State.IDLE:
            self._sums["awake_s"] += seconds
        if self._state is State.LIVE:
            self._sums["live_s"] += seconds

    def _count_connects(self) -> None:
        """Count connections, but for the one to be expected when the camera is woken."""
        new, self._connects = self._reader.connects - self._connects, self._reader.connects
        if new and not self._connected:
            self._connected = True
            new -= 1
        self._sums["reconnects"] += new

    def _take_samples(self, camera: Camera) -> None:
        known = {id(each): count for each, count in self._timed}
        self._timed = [(each, each.count) for each in _latencies(camera)]
        for each, _ in self._timed:
            self._samples += each.since(known.get(id(each), 0))
        while len(self._samples) > MOST_SAMPLES:
            self._samples = self._samples[::2]
            self._thinned += 1


def _latencies(camera: Camera) -> list[Percentiles]:
    return [*(fanout.latency_ms for fanout in camera.output.fanouts.values()), *camera.stream.latencies]


class History:
    """All cameras' minutes.

    Args:
        cameras: Whose.
        store: Where they are kept.
        hours: For how long; 0: an hour, in memory only.
        blocking: Runs a call that writes to the state file in its own thread.
        now_s: Unix time as people have it; a minute is named by it.
    """

    def __init__(
        self,
        cameras: Cameras,
        store: HistoryStore,
        *,
        hours: int,
        blocking: Blocking,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.hours = hours
        self._cameras = cameras
        self._store = store
        self._blocking = blocking
        self._now_s = now_s
        self._minute = int(now_s() // 60)
        self._swept_minute = 0
        self._accounts: dict[str, Account] = {}
        self._waiting: deque[list[Row]] = deque(maxlen=WAITING_MINUTES)
        self._gone: list[Row] = []
        self._keeping = asyncio.Lock()
        self._reading = asyncio.Lock()
        """One at a time: whoever watches may ask for months of all cameras."""
        self._said = Quietly(600.0)
        cameras.on_added.append(self._begin)
        cameras.on_removed.append(self._end)

    async def run(self) -> None:
        """Look every few seconds, and keep each minute that is over."""
        while True:
            await asyncio.sleep(SAMPLE_S - self._now_s() % SAMPLE_S)
            if self.look():
                await self.keep()

    def look(self) -> bool:
        """Count what has happened; whether a minute is over by it."""
        for camera in self._cameras:
            account = self._accounts.get(camera.camera_id)
            if account is not None:
                account.look(camera)
        minute = int(self._now_s() // 60)
        if minute == self._minute:
            return False
        rows = [account.close(self._minute) for account in self._accounts.values()]
        self._waiting.append([*self._gone, *rows])
        self._gone = []
        self._minute = minute
        return True

    async def keep(self) -> None:
        """Write what waits. What can't be written now waits on."""
        if not self.hours:
            return
        async with self._keeping:
            minutes = list(self._waiting)
            rows = [row for minute in minutes for row in minute]
            oldest = int(self._store.present.of(self._now_s()) // 60) - self.hours * 60
            sweep = abs(self._minute - self._swept_minute) >= SWEEP_MINUTES  # the clock may be put back
            try:
                await self._blocking(partial(self._store.keep, rows, oldest_minute=oldest, sweep=sweep))
            except StateError as error:
                if self._said.due():
                    log.warning("the history of the last minutes waits in memory: %s", error)
                return
            if sweep:
                self._swept_minute = self._minute
            # A minute that ended meanwhile may have pushed the oldest out.
            self._waiting = deque(
                (each for each in self._waiting if not any(each is kept for kept in minutes)), maxlen=WAITING_MINUTES
            )

    async def close(self) -> None:
        """Keep the minute under way, too."""
        self.look()
        self._waiting.append([*self._gone, *(account.close(self._minute) for account in self._accounts.values())])
        self._gone = []
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.keep()
        except TimeoutError:
            log.warning("the history of the last minute is not kept: the disk took longer than %g s", CLOSE_S)

    async def read(
        self, cameras: Sequence[str], *, hours: float, step: int = 0, since: Mapping[str, int] = MappingProxyType({})
    ) -> tuple[int, dict[str, list[Row]]]:
        """What is known of these cameras.

        Args:
            hours: Of the past.
            since: By camera the first minute that is wanted; all where left out.
            step: Minutes of a row; chosen for `MOST_POINTS` rows at most when left out.

        Returns:
            The step, and by camera its rows in the order of time.

        Raises:
            StateError: The file can't be read.
        """
        now_minute = int(self._now_s() // 60)
        first_minute, last_minute = int(now_minute - hours * 60) + 1, now_minute + AHEAD_MINUTES
        step = step or step_for(hours)
        first_minute = first_minute // step * step
        # Memory and file are looked at while nothing is written, which would be seen twice, or not at all. Reading it
        # takes as long as it takes: the file is seen as it was.
        async with self._reading:
            async with self._keeping:
                memory = [
                    row
                    for row in self._in_memory(cameras, first_minute)
                    if since.get(row.camera, 0) <= row.minute <= last_minute
                ]
                past = await asyncio.to_thread(self._store.look) if self.hours else None
            kept: list[Row] = []
            if past is not None:
                read = partial(past.read, first_minute=first_minute, last_minute=last_minute, step=step, since=since)
                kept = await asyncio.to_thread(read, cameras)
        found: dict[str, list[Row]] = {camera: [] for camera in cameras}
        for row in (*kept, *memory):
            found[row.camera].append(row)
        return step, {camera: merge(rows, step=step) for camera, rows in found.items()}

    def _in_memory(self, cameras: Sequence[str], first_minute: int) -> Iterable[Row]:
        self.look()
        wanted = frozenset(cameras)
        rows = [*(row for minute in self._waiting for row in minute), *self._gone]
        rows += [account.row(self._minute) for camera, account in self._accounts.items() if camera in wanted]
        return [row for row in rows if row.camera in wanted and row.minute >= first_minute]

    def _begin(self, camera: Camera) -> None:
        self._accounts[camera.camera_id] = Account(camera)

    def _end(self, camera: Camera) -> None:
        account = self._accounts.pop(camera.camera_id, None)
        if account is not None and account.stream is camera.stream:
            account.look(camera)
            self._gone.append(account.close(self._minute))


def step_for(hours: float) -> int:
    """Minutes of a row, so that there are not more rows than a plot can show."""
    minutes = hours * 60
    return next((step for step in STEPS_MINUTES if minutes / step <= MOST_POINTS), STEPS_MINUTES[-1])
