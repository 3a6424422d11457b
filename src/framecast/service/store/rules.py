"""Rules and what is drawn on cameras' pictures, in the state file: JSON as the API has it, by id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from framecast.service.store.database import Database


class Zones(NamedTuple):
    """What is drawn on a camera's picture.

    Attributes:
        drawn: As the API has it.
        view: How the picture was turned and mirrored then; None where that is not known.
    """

    drawn: Sequence[Mapping[str, Any]]
    view: tuple[int, str] | None


class RuleStore:
    """The two tables. Blocking, like all that is kept in the state file.

    Args:
        database: The state file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def rules(self) -> dict[str, dict[str, Any]]:
        """The fields of all rules, by id, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT id, fields FROM rules ORDER BY id").fetchall()
        return {rule_id: json.loads(fields) for rule_id, fields in rows}

    def save_rule(self, rule_id: str, fields: Mapping[str, Any]) -> None:
        """Keep a rule, in place of the one of this id.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO rules (id, fields) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET fields = excluded.fields",
                (rule_id, json.dumps(fields)),
            )

    def delete_rule(self, rule_id: str) -> None:
        """Forget a rule.

        Raises:
            StateError: That can't be kept.
        """
        with self._database.write() as connection:
            connection.execute("DELETE FROM rules WHERE id = ?", (rule_id,))

    def zones(self) -> dict[str, Zones]:
        """What is drawn on each camera's picture, by the camera's id."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT camera, zones, rotate, mirror FROM zones").fetchall()
        return {
            camera: Zones(json.loads(drawn), None if rotate is None or mirror is None else (rotate, mirror))
            for camera, drawn, rotate, mirror in rows
        }

    def save_zones(self, camera_id: str, drawn: Sequence[Mapping[str, Any]], view: tuple[int, str]) -> None:
        """Keep what is drawn on a camera's picture, which is turned and mirrored so, in place of what was.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            connection.execute("DELETE FROM zones WHERE camera = ?", (camera_id,))
            if drawn:
                connection.execute(
                    "INSERT INTO zones (camera, zones, rotate, mirror) VALUES (?, ?, ?, ?)",
                    (camera_id, json.dumps(list(drawn)), *view),
                )

    def date_zones(self, views: Mapping[str, tuple[int, str]]) -> None:
        """Keep how cameras' pictures are turned and mirrored with what is drawn, where it was kept without that.

        Raises:
            StateError: It can't be kept.
        """
        if not views:
            return
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE zones SET rotate = ?, mirror = ? WHERE camera = ? AND rotate IS NULL",
                [(*view, camera_id) for camera_id, view in views.items()],
            )
