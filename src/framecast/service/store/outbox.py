"""What is still to be sent to whom, in the state file.

A *delivery* is an announcement of an event on its way to one sink. It is written in the transaction of its
announcement and goes when the sink has taken it, so a crash at any moment loses none; it may repeat one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from framecast.service.store.database import Database

MOST_WAITING = 2_000
"""Deliveries that may wait for one sink; the oldest go."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One announcement on its way to one sink.

    Attributes:
        seq: Number of the announcement.
        event_id: The event's.
        phase: ``start``, ``update`` or ``end``.
        body: What is told, the same bytes every time.
        at_s: When it was announced, Unix s.
        attempts: Times it was tried in vain.
        due_s: When it may be tried again, Unix s.
    """

    seq: int
    event_id: str
    camera: str
    phase: str
    body: str
    at_s: float
    attempts: int = 0
    due_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of trying a delivery.

    Attributes:
        sink: Whose.
        seq: Its announcement's number.
        due_s: When it is to be tried again, Unix s; None when it was taken, or is given up.
        error: Why it was not taken.
    """

    sink: str
    seq: int
    due_s: float | None = None
    error: str = ""


def fill(connection: sqlite3.Connection, seq: int, sinks: Iterable[str], now_s: float) -> dict[str, int]:
    """Have this announcement sent to these sinks, within the caller's transaction.

    Returns:
        How many older ones had to go for it, by sink.
    """
    gone: dict[str, int] = {}
    for sink in sinks:
        connection.execute("INSERT OR REPLACE INTO deliveries (seq, sink, due_s) VALUES (?, ?, ?)", (seq, sink, now_s))
        too_many = connection.execute(
            "DELETE FROM deliveries WHERE sink = ?1 AND seq <="
            " (SELECT seq FROM deliveries WHERE sink = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            (sink, MOST_WAITING),
        ).rowcount
        if too_many:
            gone[sink] = too_many
    return gone


class Outbox:
    """The table of all deliveries. Blocking, like all that is kept in the state file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, sink: str) -> Delivery | None:
        """The oldest delivery that waits for this sink."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT seq, event_id, camera, phase, body, at_s, attempts, due_s"
                " FROM deliveries JOIN announcements USING (seq) WHERE sink = ? ORDER BY seq LIMIT 1",
                (sink,),
            ).fetchone()
        return None if row is None else Delivery(*row)

    def waiting(self) -> dict[str, int]:
        """How many wait, by sink."""
        with self._database.read() as connection:
            return dict(connection.execute("SELECT sink, COUNT(*) FROM deliveries GROUP BY sink").fetchall())

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Forget deliveries that were taken or are given up, and note when others are to be tried again.

        Raises:
            StateError: None of it can be kept.
        """
        with self._database.write() as connection:
            for each in outcomes:
                if each.due_s is None:
                    connection.execute("DELETE FROM deliveries WHERE sink = ? AND seq = ?", (each.sink, each.seq))
                else:
                    connection.execute(
                        "UPDATE deliveries SET attempts = attempts + 1, error = ?, due_s = ?"
                        " WHERE sink = ? AND seq = ?",
                        (each.error[:500], each.due_s, each.sink, each.seq),
                    )

    def forget(self, sink: str) -> None:
        """Forget what waits for this sink.

        Raises:
            StateError: That can't be kept.
        """
        with self._database.write() as connection:
            connection.execute("DELETE FROM deliveries WHERE sink = ?", (sink,))

    def tidy(self, sinks: Iterable[str], older_than_s: float = 0.0) -> dict[str, int]:
        """Forget what waits for no sink of these, whose announcement is gone, or was announced before this Unix time.

        Returns:
            How many were too old, by sink.
        """
        kept = list(sinks)
        known = f"sink IN ({', '.join('?' for _ in kept)})"
        with self._database.write() as connection:
            connection.execute(f"DELETE FROM deliveries WHERE NOT {known}", kept)
            connection.execute("DELETE FROM deliveries WHERE seq NOT IN (SELECT seq FROM announcements)")
            too_old = "FROM deliveries WHERE seq IN (SELECT seq FROM announcements WHERE at_s < ?)"
            lost = connection.execute(f"SELECT sink, COUNT(*) {too_old} GROUP BY sink", (older_than_s,)).fetchall()
            connection.execute(f"DELETE {too_old}", (older_than_s,))
        return dict(lost)
