"""docs/mock-camera.md says what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from framecast.mock.dialects import TABLE, Dialect
from framecast.mock.faults import KINDS, Kind

DOC = Path(__file__).parent.parent.parent / "docs" / "mock-camera.md"


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    lines = DOC.read_text().splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `") and "`--" not in line}


@pytest.mark.parametrize("dialect", TABLE, ids=lambda dialect: dialect.name)
def test_every_dialect_has_its_row(dialect: Dialect, rows: dict[str, str]) -> None:
    row = rows[dialect.name]
    assert dialect.title in row and dialect.about in row and f"{dialect.fps:g} fps" in row
    for path in (dialect.path, *dialect.streams, *dialect.stills, *dialect.sounds):
        assert f"`{path}`" in row


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_fault_has_its_row(kind: Kind, rows: dict[str, str]) -> None:
    row = rows[kind.name]
    assert kind.about in row and f"| {kind.verdict.value} |" in row
    assert f"`{kind.code}`" in row if kind.code else row.endswith("|  |")
    assert not kind.default or f"| {kind.default:g} |" in row


def test_nothing_else_has_one(rows: dict[str, str]) -> None:
    assert set(rows) == {dialect.name for dialect in TABLE} | {kind.name for kind in KINDS}
