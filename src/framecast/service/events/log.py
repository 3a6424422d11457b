"""Events on their way from the engine to the disk, and from there to whoever wants to hear of them.

One task writes, in the order of coming: a picture first, then the event and its announcement in one transaction. Only
what is kept is told. What can't be kept (the disk is full) waits, and is told late rather than never.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from framecast.core.clock import SYSTEM
from framecast.core.errors import StateError
from framecast.core.limits import Quietly
from framecast.core.supervise import Backoff
from framecast.service.store import ulid
from framecast.service.store.events import MOST_SWEPT, Announcement, Change, Event, EventStore, Phase

log = logging.getLogger("framecast.service.events.log")

FOLDER = "events"
"""Of the data folder: the pictures, by the ids of their events."""
MOST_WAITING = 1000
"""Changes that may wait for the disk; while there are so many no event begins."""
MOST_WAITING_BYTES = 64 << 20
"""Of pictures that may wait for the disk; an event that comes then has none."""
MOST_AT_ONCE = 64
SWEEP_S = 600.0
UNSWEPT = 0.1
"""Of the bound of pictures: when so much was added the oldest go, be it time for that or not."""
CLOSE_S = 2.0
"""What the disk may take at the end."""
DAY_S = 86_400

Blocking = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class _Waiting:
    change: Change
    picture: bytes | None
    written: bool = False
    forgotten: bool = False


class EventLog:
    """All that happened before the cameras.

    Args:
        store: Where it is kept.
        folder: The data folder.
        blocking: Runs a call on the state's thread.
        keep_days: For how long.
        most_picture_bytes: Of all pictures together.
        now_s: Unix time as people have it.

    Attributes:
        store: Where it is kept; blocking.
        on_announced: Told on the loop, in order, of each announcement once it is on the disk. Must not raise.
        on_closing: Told when the server stops and all is told.
        on_deleted: Told when events, or pictures of events, are no more.
        refused: Events that could not begin, since too many changes waited for the disk.
        counts: Events that began, by camera and kind.
    """

    def __init__(
        self,
        store: EventStore,
        folder: Path,
        *,
        blocking: Blocking,
        keep_days: int = 30,
        most_picture_bytes: int = 1 << 30,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.on_announced: list[Callable[[Announcement], None]] = []
        self.on_closing: list[Callable[[], None]] = []
        self.on_deleted: list[Callable[[], None]] = []
        self.refused = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self._folder = folder / FOLDER
        self._blocking = blocking
        self._keep_days = keep_days
        self._most_picture_bytes = most_picture_bytes
        self._now_s = now_s
        self._waiting: deque[_Waiting] = deque()
        self._batch: list[_Waiting] = []  # written now; an update may have been superseded meanwhile, and not wait
        self._pictures: dict[str, int] = {}  # sizes, of events under way
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._said = Quietly(60.0)
        self._unswept_bytes = 0
        self._since: dict[str, tuple[str, set[str]]] = {}  # by camera: an id, and older ones with newer pictures

    def picture_path(self, event_id: str) -> Path:
        """Where the picture of an event lies, if it has one; ``event_id`` has to be one (`ulid.is_one`)."""
        return self._folder / f"{event_id}.jpg"

    def picture(self, event_id: str) -> bytes | None:
        """The picture of an event, None where there is none (any more). Blocking."""
        try:
            return self.picture_path(event_id).read_bytes() or None
        except OSError:
            return None

    # What the engine says.

    async def touch(self, seen: Mapping[str, float]) -> None:
        """Keep when events under way were seen last: after a crash that is when they were over."""
        try:
            await self._blocking(self.store.touch, seen)
        except StateError as error:
            log.debug("when events were seen can't be kept: %s", error)

    def put(self, event: Event, phase: Phase, picture: bytes | None = None) -> bool:
        """Keep this of an event, and tell it, soon.

        Args:
            picture: Its best one, a JPEG; None leaves it as it was.

        Returns:
            False where an event can't begin, for too much waits; nothing is kept of it then.
        """
        if phase is Phase.START:
            if len(self._waiting) >= MOST_WAITING:
                self.refused += 1
                return False
            self.counts[event.camera, event.kind] += 1
        else:
            picture = self._supersede(event.event_id, picture)
        if picture is not None and len(picture) + self._waiting_bytes > MOST_WAITING_BYTES:
            picture = None
        self._waiting.append(_Waiting(Change(event, phase), picture))
        self._wake.set()
        return True

    @property
    def _waiting_bytes(self) -> int:
        return sum(len(each.picture or b"") for each in self._waiting)

    def _supersede(self, event_id: str, picture: bytes | None) -> bytes | None:
        """Take back an update that nobody has heard of; the picture that is left to be kept."""
        for each in self._waiting:
            if each.change.event.event_id == event_id and each.change.phase is Phase.UPDATE:
                self._waiting.remove(each)
                return picture or each.picture
        return picture

    def uncount(self, camera: str) -> None:
        """Count the events of a camera from the beginning: the next one of its id has none of them."""
        for each in [each for each in self.counts if each[0] == camera]:
            del self.counts[each]

    def forget_pictures(self, camera: str) -> None:
        """Keep no picture of this camera's that is not kept yet, and send none of those that are."""
        self._since[camera] = ulid.first(SYSTEM.now_ns() / 1e9 + 0.001), set()
        for each in (*self._waiting, *self._batch):
            if each.change.event.camera == camera:
                each.picture, each.forgotten = None, True

    def may_send(self, event_id: str, camera: str) -> bool:
        """Whether the picture that is kept of an event may still be sent: it may be of a time before a mask was set."""
        since, newer = self._since.get(camera, ("", frozenset[str]()))
        return event_id >= since or event_id in newer

    # What is done about it.

    async def begin(self) -> None:
        """End what a crash left open."""
        left = await self._blocking(self.store.open)
        for event in left:
            self._pictures[event.event_id] = event.picture_bytes
            self.put(replace(event, end_s=max(event.seen_s, event.start_s)), Phase.END)
        if left:
            await self.flush()
            log.info("%d events were open when the server ended; they are closed now", len(left))

    async def ended(self, within_s: float) -> dict[str, dict[str, float]]:
        """When the last event of each rule was over at each camera, as far as that is no longer ago, Unix s."""
        if within_s <= 0:
            return {}
        ended: dict[str, dict[str, float]] = {}
        for camera, rule, end_s in await self._blocking(self.store.ended, self._now_s() - within_s):
            ended.setdefault(camera, {})[rule] = end_s
        return ended

    async def run(self) -> None:
        """Write what comes, and forget what is old, until cancelled."""
        backoff = Backoff(first_s=1.0, cap_s=30.0)
        loop = asyncio.get_running_loop()
        await self.sweep()
        await self.clear_out()
        next_sweep = loop.time() + SWEEP_S
        while True:
            try:
                async with asyncio.timeout_at(next_sweep):
                    await self._wake.wait()
            except TimeoutError:
                next_sweep = loop.time() + SWEEP_S
                await self.sweep()
                continue
            if await self.flush():
                backoff.reset()
                if self._unswept_bytes > self._most_picture_bytes * UNSWEPT:
                    await self.sweep()
            else:
                await asyncio.sleep(backoff.next_s())

    async def flush(self) -> bool:
        """Write what waits, and tell it; False when it can't be written now."""
        async with self._writing:
            while self._waiting:
                batch = [self._waiting[index] for index in range(min(len(self._waiting), MOST_AT_ONCE))]
                self._batch = batch
                changes = await asyncio.to_thread(self._keep_pictures, batch)
                changes = await self._without_forgotten(batch, changes)
                try:
                    made = await self._blocking(partial(self.store.write, changes, self._now_s()))
                except StateError as error:
                    if self._said.due():
                        log.warning("%d changes of events wait in memory: %s", len(self._waiting), error)
                    return False
                written = {id(each) for each in batch}
                # An update that was written may have been superseded meanwhile, and be gone.
                self._waiting = deque(each for each in self._waiting if id(each) not in written)
                await self._forget_pictures(batch, {announcement.event_id for announcement in made})
                for announcement in made:
                    for listener in tuple(self.on_announced):
                        listener(announcement)
            self._wake.clear()
            return True

    async def close(self) -> None:
        """Write what waits, if the disk lets us in time."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.flush()
        except TimeoutError:
            log.warning("%d changes of events are lost: the disk took longer than %g s", len(self._waiting), CLOSE_S)
        for listener in tuple(self.on_closing):
            listener()

    async def delete(self, event_id: str) -> bool:
        """Forget an event, its picture, and what was said of it; whether it was there."""
        was_there = bool(await self._blocking(self.store.delete, event_id))
        if was_there:
            await asyncio.to_thread(_remove, [self.picture_path(event_id)])
            self._tell_deleted()
        return was_there

    def _tell_deleted(self) -> None:
        for listener in tuple(self.on_deleted):
            listener()

    async def clear_out(self) -> None:
        """Throw away pictures that belong to no event, and half ones: a crash left them."""
        async with self._writing:  # a picture is written before its event
            known = await self._blocking(self.store.with_picture)
            await asyncio.to_thread(_clear_out, self._folder, known)

    async def sweep(self) -> None:
        """Forget what is too old, and pictures beyond their bound."""
        # Events are dated by a clock that no step of the wall clock moves: a machine that learns the time late must
        # not take what it just kept for old.
        now_s = min(self.store.present.of(self._now_s()), SYSTEM.now_ns() / 1e9)
        older_than_s = now_s - self._keep_days * DAY_S
        self._unswept_bytes = 0
        sweep = partial(self.store.sweep, older_than_s=older_than_s, most_picture_bytes=self._most_picture_bytes)
        gone: list[str] | None = None
        while gone is None or len(gone) == MOST_SWEPT:
            try:
                gone, bare = await self._blocking(sweep)
            except StateError as error:
                if self._said.due():
                    log.warning("old events can't be forgotten: %s", error)
                return
            for event_id in bare:
                self._pictures.pop(event_id, None)
            await asyncio.to_thread(_remove, [self.picture_path(each) for each in (*gone, *bare)])
            if gone or bare:
                self._tell_deleted()
            if self._waiting and len(gone) == MOST_SWEPT:
                await self.flush()  # what happens now is not told after all that is to be forgotten

    def _keep_pictures(self, batch: Sequence[_Waiting]) -> list[Change]:
        """Write the pictures; the changes, with what came of it."""
        changes = []
        for each in batch:
            event = each.change.event
            picture = each.picture  # may be taken away meanwhile
            if picture is not None and self._most_picture_bytes:
                try:
                    self._keep_picture(event.event_id, picture)
                    self._pictures[event.event_id] = len(picture)
                    self._unswept_bytes += len(picture)
                    each.picture, each.written = None, True
                except OSError as error:
                    if self._said.due():
                        log.warning("the picture of event %s can't be kept: %s", event.event_id, error)
            size_bytes = self._pictures.get(event.event_id, 0)
            changes.append(replace(each.change, event=replace(event, picture_bytes=size_bytes)))
        return changes

    async def _without_forgotten(self, batch: Sequence[_Waiting], changes: Sequence[Change]) -> list[Change]:
        """The changes without pictures that may not be kept any more, which may have just been written."""
        bare = {each.change.event.event_id for each in batch if each.forgotten and each.written}
        for event_id in bare:
            self._pictures[event_id] = 0
        if bare:
            await asyncio.to_thread(_remove, [self.picture_path(each) for each in bare])
        for each in batch:
            since, newer = self._since.get(each.change.event.camera, ("", set()))
            if each.written and not each.forgotten and each.change.event.event_id < since:
                newer.add(each.change.event.event_id)
        return [
            replace(each, event=replace(each.event, picture_bytes=0)) if each.event.event_id in bare else each
            for each in changes
        ]

    async def _forget_pictures(self, batch: Sequence[_Waiting], told: set[str]) -> None:
        """Of events that are over; and the files of those that were deleted before."""
        over = [each.change.event.event_id for each in batch if each.change.phase is Phase.END]
        deleted = {each.change.event.event_id for each in batch} - told
        for event_id in (*over, *deleted):
            self._pictures.pop(event_id, None)
        if deleted:
            await asyncio.to_thread(_remove, [self.picture_path(each) for each in deleted])

    def _keep_picture(self, event_id: str, picture: bytes) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self.picture_path(event_id)
        part = path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(picture)
        os.replace(part, path)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a picture can't be removed: %s", error)


def _clear_out(folder: Path, known: frozenset[str]) -> None:
    if folder.is_dir():
        ours = [each for each in folder.iterdir() if ulid.is_one(each.stem)]
        _remove([each for each in ours if each.stem not in known or each.suffix != ".jpg"])
