"""Who changed what: one row a change, the latest of them.

Changes, what everybody may do for themselves (log in, make a link), and what was tried in vain are kept in numbers of
their own, so that nobody who may not change anything can push a change out of the list. Nor can one who logs in again
and again push out who else did.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from framecast.core.errors import StateError
from framecast.service.store.database import Database

log = logging.getLogger("framecast.service.store.audit")

MOST_CHANGES = 10_000
MOST_COMMON = 2_000
MOST_FAILED = 2_000
MOST_AT_A_TIME = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Kind(IntEnum):
    """What an entry is about; the number is kept."""

    FAILED = 0
    CHANGE = 1
    COMMON = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, or one that was refused.

    Attributes:
        id: Rises with time.
        time_s: Unix seconds.
        who: The holder of what let them in (`Grant.name`), or words for it.
        address: Where they were.
        action: What they did.
        target: What it was done to: an id, a name.
        detail: What changed, without secrets.
        done: Whether it was done.
    """

    id: int
    time_s: float
    who: str
    address: str
    action: str
    target: str
    detail: str
    done: bool


_OLDEST = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE done = ?1{} ORDER BY id LIMIT ?2)"
_OF_THE_BUSIEST = (
    " AND {0} = (SELECT {0} FROM audit WHERE done = ?1 GROUP BY {0} ORDER BY COUNT(*) DESC, MIN(id) LIMIT 1)"
)
_FORGET = {
    Kind.CHANGE: _OLDEST.format(""),
    Kind.COMMON: _OLDEST.format(_OF_THE_BUSIEST.format("who")),
    Kind.FAILED: _OLDEST.format(_OF_THE_BUSIEST.format("address")),
}
"""What makes room: nobody pushes what others did out of the list by doing the same thing again and again."""
MOST = {Kind.CHANGE: MOST_CHANGES, Kind.COMMON: MOST_COMMON, Kind.FAILED: MOST_FAILED}


class AuditLog:
    """The rows. Blocking, like all that is kept in the state file.

    Args:
        database: The state file.
        most: Rows kept of each kind.
    """

    def __init__(self, database: Database, most: Mapping[Kind, int] = MOST) -> None:
        self._database = database
        self._most = most

    def add(
        self, who: str, address: str, action: str, target: str = "", detail: str = "", *, kind: Kind = Kind.CHANGE
    ) -> None:
        """Keep a row.

        Raises:
            StateError: It can't be kept.
        """
        row = (
            time.time(), _plain(who, 80), _plain(address, 64), _plain(action, 60), _plain(target, 200),
            _plain(detail, 1000), kind,
        )  # fmt: skip
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO audit (time_s, who, address, action, target, detail, done) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            (rows,) = connection.execute("SELECT COUNT(*) FROM audit WHERE done = ?", (kind,)).fetchone()
            if rows > self._most[kind]:
                connection.execute(_FORGET[kind], (kind, rows - self._most[kind]))

    def page(self, before: int | None = None, limit: int = 100) -> list[Entry]:
        """The latest rows, the newest first.

        Args:
            before: Only those older than this id.
            limit: At most so many.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, time_s, who, address, action, target, detail, done FROM audit"
                " WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2",
                (before, min(limit, MOST_AT_A_TIME)),
            ).fetchall()
        return [
            Entry(number, time_s, who, address, action, target, detail, bool(done))
            for number, time_s, who, address, action, target, detail, done in rows
        ]


def keep_command(database: Database, action: str, target: str) -> None:
    """Keep what a command changed in the state file while no server ran; the change holds when that can't be kept."""
    try:
        AuditLog(database).add("command line", "local", action, target)
    except StateError as error:  # what was made is yet to be shown: a token is so only once
        log.warning("the audit log can't be written (%s): %s %s", error, action, target)


def _plain(text: str, most: int) -> str:
    """Text that is one line, reads in one direction and fits."""
    return _CONTROL.sub(" ", text).encode("utf-8", "replace").decode()[:most]
