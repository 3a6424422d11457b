"""By what time something kept is old: the wall clock's, but not at once where that has jumped.

A clock that is wrong for minutes (a bad answer of NTP, a battery that was changed) may be years ahead, and by it all
that is kept is old; what was deleted by that stays deleted when the clock is put right. So the state file knows what
time it was when the server last ran, which goes on with the time it runs, whatever the clock does:

    within a day of it   the clock is right, and this is the present
    ahead of it          the present goes on from what is known, until the clock has been ahead for six hours of
                         running, be it over restarts, without having been right in between
    behind it            nothing is older than by the clock; after six hours of one run what was known is wrong

So what is deleted too early is a day's at most; and after a time without power, six hours of running later than it
might be. Whoever is let in until some time is not let in after it by the clock, whatever is the present here.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable

log = logging.getLogger("framecast.service.store.present")

OFF_S = 86_400.0
"""How far a clock may be from what is known: what is kept is kept for days, and a server may be off for a night."""
BELIEVED_S = 6 * 3600.0
"""How long a clock that jumped is doubted: longer than a router, or its provider, mostly takes to come back."""


class Present:
    """The present of one state file. Any thread may use it.

    Args:
        known_s: Unix time at which the server last ran; None where nothing is known.
        ahead_s: For how long of running the clock had been ahead by then.
        ticks_s: Seconds that only run on.
    """

    def __init__(
        self, known_s: float | None = None, ahead_s: float = 0.0, ticks_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._known_s = known_s
        self._ahead_s = ahead_s
        self._behind_s = 0.0
        self._is_told = False
        self._ticks_s = ticks_s
        self._looked_s = ticks_s()
        self._lock = threading.Lock()

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> Present:
        """That of the state file as it was kept."""
        row = connection.execute("SELECT known_s, ahead_s FROM clock").fetchone()
        return cls() if row is None else cls(*row)

    def keep(self, connection: sqlite3.Connection) -> None:
        """Keep it, within a transaction of somebody's."""
        with self._lock:
            kept = self._known_s, self._ahead_s
        if kept[0] is not None:
            connection.execute("INSERT OR REPLACE INTO clock (one, known_s, ahead_s) VALUES (1, ?, ?)", kept)

    def of(self, now_s: float) -> float:
        """Unix time by which things are old, when the clock shows ``now_s``; never ahead of that."""
        with self._lock:
            ticks_s = self._ticks_s()
            passed_s, self._looked_s = ticks_s - self._looked_s, ticks_s
            known_s = now_s if self._known_s is None else self._known_s + passed_s
            if now_s > known_s + OFF_S:
                self._ahead_s, self._behind_s = self._ahead_s + passed_s, 0.0
                is_believed = self._ahead_s >= BELIEVED_S
                self._tell(now_s - known_s, is_believed)
            elif now_s < known_s - OFF_S:
                self._behind_s += passed_s
                is_believed = self._behind_s >= BELIEVED_S
            else:
                is_believed = True
            if is_believed:
                known_s, self._ahead_s, self._behind_s, self._is_told = now_s, 0.0, 0.0, False
            self._known_s = known_s
            return min(known_s, now_s)

    def _tell(self, ahead_s: float, is_believed: bool) -> None:
        """Say once that the clock is doubted."""
        if not is_believed and not self._is_told:
            self._is_told = True
            log.warning(
                "the clock is %.0f days ahead of when this server ran last: nothing is deleted by its age until it has "
                "been so for %.0f hours of running",
                ahead_s / 86_400,
                BELIEVED_S / 3600,
            )
