"""Rules and what is drawn on cameras' pictures, in the state file: JSON as the API has it, by id."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from framecast.service.store.database import Database


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

    def zones(self) -> dict[str, list[dict[str, Any]]]:
        """What is drawn on each camera's picture, by the camera's id."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT camera, zones FROM zones").fetchall()
        return {camera: json.loads(zones) for camera, zones in rows}

    def save_zones(self, camera_id: str, zones: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is drawn on a camera's picture, in place of what was.

        Raises:
            StateError: It can't be kept.
        """
        with self._database.write() as connection:
            put_zones(connection, camera_id, zones)


def put_zones(connection: sqlite3.Connection, camera_id: str, zones: Sequence[Mapping[str, Any]]) -> None:
    """What `RuleStore.save_zones` does, within the caller's transaction."""
    if not zones:
        connection.execute("DELETE FROM zones WHERE camera = ?", (camera_id,))
        return
    connection.execute(
        "INSERT INTO zones (camera, zones) VALUES (?, ?) ON CONFLICT (camera) DO UPDATE SET zones = excluded.zones",
        (camera_id, json.dumps(list(zones))),
    )
