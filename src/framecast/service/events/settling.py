"""What became of deliveries, written for many sinks at once: each write waits for the disk, and there may be 500 sinks.

Theory of operation. Who has something to be written puts it on the list and waits for the others' turn to end. Whoever
is first then writes all that has gathered meanwhile in one transaction, and the rest find theirs done.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from framecast.service.events.courier import Blocking
from framecast.service.store.outbox import Outbox, Outcome


@dataclass(slots=True, eq=False)
class _Note:
    outcome: Outcome
    is_written: bool = False


class Settling:
    """Writes what became of deliveries.

    Args:
        outbox: Where.
        blocking: Runs a call on the state's thread.
    """

    def __init__(self, outbox: Outbox, blocking: Blocking) -> None:
        self._outbox = outbox
        self._blocking = blocking
        self._notes: list[_Note] = []
        """One of each courier at most."""
        self._writing = asyncio.Lock()

    async def note(self, outcome: Outcome) -> None:
        """Have this written; returns when it is.

        Raises:
            StateError: It can't be.
        """
        mine = _Note(outcome)
        self._notes.append(mine)
        async with self._writing:
            if mine.is_written:
                return
            batch, self._notes = self._notes, []
            try:
                await self._blocking(self._outbox.settle, [each.outcome for each in batch])
            except BaseException:
                self._notes[:0] = [each for each in batch if each is not mine]  # theirs to try
                raise
            for each in batch:
                each.is_written = True
