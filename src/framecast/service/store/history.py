"""What was measured of each camera, minute by minute, in the state file.

Reading takes a connection of its own: a week of many cameras must not hold up whoever keeps something meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import MappingProxyType

from framecast.core.errors import StateError
from framecast.service.store.database import FILE_NAME, Database


@dataclass(frozen=True, slots=True)
class Row:
    """One camera over one minute, or over several.

    Attributes:
        minute: Unix minutes; of a row over several, the first.
        seconds: How long the server looked.
        awake_s: For how long of that it meant to read the camera (an idle one is left alone).
        live_s: For how long pictures came.
        bytes: Of pictures that came in.
        sent_bytes: Given to viewers.
        drops: Pictures that viewers missed because they were behind.
        refused: Pictures refused or lost on the way in.
        reconnects: Times the device had to be connected again.
        viewer_s: Seconds watched, summed over viewers.
        most_viewers: At a time.
        passes: Pictures whose way through the server was timed; the percentiles are theirs, 0 without any.
    """

    camera: str
    minute: int
    seconds: float = 0.0
    awake_s: float = 0.0
    live_s: float = 0.0
    frames: int = 0
    bytes: int = 0
    sent_bytes: int = 0
    drops: int = 0
    refused: int = 0
    reconnects: int = 0
    viewer_s: float = 0.0
    most_viewers: int = 0
    passes: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0


_COLUMNS = [field.name for field in fields(Row)]
_SUMS = [name for name in _COLUMNS[2:] if name not in ("most_viewers", "p50_ms", "p95_ms", "p99_ms")]
_INSERT = (
    f"INSERT INTO history ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)})"
    f" ON CONFLICT (camera, minute) DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)},"
    " most_viewers = max(most_viewers, excluded.most_viewers), p50_ms = max(p50_ms, excluded.p50_ms),"
    " p95_ms = max(p95_ms, excluded.p95_ms), p99_ms = max(p99_ms, excluded.p99_ms)"
)
_SELECT = (
    f"SELECT camera, minute / :step * :step AS slot, {', '.join(f'SUM({name})' for name in _SUMS)},"
    " MAX(most_viewers), TOTAL(p50_ms * passes), MAX(p95_ms), MAX(p99_ms) FROM history"
    " WHERE camera = :camera AND minute BETWEEN :first AND :last GROUP BY slot ORDER BY slot"
)
_FAR = 1 << 40


class HistoryStore:
    """The table of all minutes.

    Args:
        database: The state file, for writing.
        folder: Where it lies, for reading.

    Attributes:
        present: By what time minutes are old.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self.present = database.present
        self._database = database
        self._path = folder / FILE_NAME

    def keep(self, rows: Sequence[Row], *, oldest_minute: int, sweep: bool = False) -> None:
        """Keep these, and forget what is older of their cameras.

        A minute that is there already (the server was started again within it) is added to.

        Args:
            sweep: Forget what is older of all others, too, those that were removed long ago; looks at every row.

        Raises:
            StateError: They can't be kept.
        """
        with self._database.write() as connection:
            connection.executemany(_INSERT, [astuple(row) for row in rows])
            self.present.keep(connection)
            if sweep:
                connection.execute("DELETE FROM history WHERE minute < ?", (oldest_minute,))
            else:
                cameras = sorted({row.camera for row in rows})
                connection.executemany(
                    "DELETE FROM history WHERE camera = ? AND minute < ?", [(each, oldest_minute) for each in cameras]
                )

    def look(self) -> Past:
        """All there is at this moment, to be read later; it has to be read, or closed.

        Raises:
            StateError: It can't be read.
        """
        try:
            connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise StateError(f"the history can't be read: {error}") from error
        past = Past(connection)
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM history LIMIT 1").fetchone()  # only now it is that moment
        except sqlite3.Error as error:
            past.close()
            raise StateError(f"the history can't be read: {error}") from error
        return past

    def read(self, cameras: Sequence[str], *, first_minute: int, step: int) -> list[Row]:
        """All there is now; see `Past.read`."""
        return self.look().read(cameras, first_minute=first_minute, step=step)


class Past:
    """The table as it was at some moment, whatever is written meanwhile. Any thread may use it, one at a time.

    Args:
        connection: In a transaction; closed in the end.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def read(
        self,
        cameras: Sequence[str],
        *,
        first_minute: int,
        last_minute: int = _FAR,
        step: int,
        since: Mapping[str, int] = MappingProxyType({}),
    ) -> list[Row]:
        """All there is of these cameras from ``first_minute`` to ``last_minute``, in steps of so many minutes.

        Args:
            since: By camera a later minute to begin with.

        Over several minutes p50 is their mean, weighted by pictures, and p95 and p99 are the worst minute's.

        Raises:
            StateError: It can't be read.
        """
        try:
            with closing(self._connection) as connection:
                found = [
                    row
                    for camera in cameras
                    for row in connection.execute(
                        _SELECT,
                        {
                            "camera": camera,
                            "first": max(first_minute, since.get(camera, 0)),
                            "last": last_minute,
                            "step": step,
                        },
                    )
                ]
        except sqlite3.Error as error:
            raise StateError(f"the history can't be read: {error}") from error
        return [_row(values) for values in found]


def merge(rows: Iterable[Row], *, step: int) -> list[Row]:
    """Rows of one camera in steps of so many minutes, as `HistoryStore.read` gives them."""
    slots: dict[int, list[Row]] = {}
    for row in rows:
        slots.setdefault(row.minute // step * step, []).append(row)
    return [_merged(slot, slots[slot]) for slot in sorted(slots)]


def _merged(slot: int, rows: Sequence[Row]) -> Row:
    passes = sum(row.passes for row in rows)
    return Row(
        camera=rows[0].camera,
        minute=slot,
        most_viewers=max(row.most_viewers for row in rows),
        p50_ms=sum(row.p50_ms * row.passes for row in rows) / passes if passes else 0.0,
        p95_ms=max(row.p95_ms for row in rows),
        p99_ms=max(row.p99_ms for row in rows),
        **{name: sum(getattr(row, name) for row in rows) for name in _SUMS},
    )


def _row(values: Sequence[object]) -> Row:
    camera, slot, *sums = values
    named = dict(zip([*_SUMS, "most_viewers", "weighted_ms", "p95_ms", "p99_ms"], sums, strict=True))
    weighted_ms = named.pop("weighted_ms")
    passes = named["passes"]
    assert isinstance(weighted_ms, float) and isinstance(passes, int)
    return Row(camera, slot, p50_ms=weighted_ms / passes if passes else 0.0, **named)  # type: ignore[arg-type]
