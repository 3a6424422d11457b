"""Whether the server can do its work, true to the state: ``/readyz``.

It is asked often and by anybody, so the disk is looked at once in a while for all who ask, and the reasons name neither
folders nor files.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path

from framecast.core.clock import SYSTEM, Clock
from framecast.service.store.database import Database

ROOM_BYTES = 8 << 20
"""Below it the disk counts as full: SQLite needs some to keep a change at all."""
FRESH_NS = 2_000_000_000
PATIENCE_S = 3.0


class Readiness:
    """What keeps the server from its work.

    Args:
        database: The open state.
        folder: The data folder.
        executor: The state's thread.
        room_bytes: Least that has to be free on its disk.

    Attributes:
        checks: Asked each time, on the loop; each gives reasons in words.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        executor: Executor,
        *,
        room_bytes: int = ROOM_BYTES,
        clock: Clock = SYSTEM,
    ) -> None:
        self.checks: list[Callable[[], Iterable[str]]] = []
        self._database = database
        self._folder = folder
        self._executor = executor
        self._room_bytes = room_bytes
        self._clock = clock
        self._looking: asyncio.Future[list[str]] | None = None
        self._seen: list[str] = []
        self._seen_ns = -FRESH_NS

    async def reasons(self) -> list[str]:
        """Why it is not ready; nothing where it is.

        The disk is looked at only where all else is well: a server that stops has nobody to look any more.
        """
        return [reason for check in self.checks for reason in check()] or await self._stored()

    async def _stored(self) -> list[str]:
        if self._clock.now_ns() - self._seen_ns < FRESH_NS:
            return self._seen
        if self._looking is None:
            # One look for all who ask meanwhile: on a disk that hangs they would pile up.
            self._looking = asyncio.get_running_loop().run_in_executor(self._executor, self.look)
        looking = self._looking
        try:
            async with asyncio.timeout(PATIENCE_S):
                seen = await asyncio.shield(looking)
        except TimeoutError:
            return ["the disk with the state does not answer"]
        if self._looking is looking:
            self._looking, self._seen, self._seen_ns = None, seen, self._clock.now_ns()
        return seen

    def look(self) -> list[str]:
        """What is wrong with the disk and the state file; waits for the disk."""
        reasons = []
        try:
            free = shutil.disk_usage(self._folder).free
            if free < self._room_bytes:
                reasons.append(f"the disk with the state is full ({free / 2**20:.0f} MiB are left)")
        except OSError as error:
            reasons.append(f"the data folder can't be looked at ({error.strerror})")
        trouble = self._database.trouble()
        return [*reasons, trouble] if trouble else reasons
