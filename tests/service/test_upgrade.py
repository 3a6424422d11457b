"""Data folders of older versions: brought up to date with nothing lost, and the way back."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from framecast.core.errors import ConfigError, Misuse
from framecast.service.store import backup, database, restore
from framecast.service.store.migrations import MIGRATIONS
from framecast.service.store.names import FILE_NAME, KEPT
from framecast.service.store.state import State

LAYOUTS = Path(__file__).parent.parent / "data" / "layouts"
OLDEST, NEWEST_WRITTEN = 1, 2
"""Files in tests/data/layouts were written by the versions that had these layouts."""


def make(folder: Path, layout: int) -> None:
    """A data folder as a version with this layout left it."""
    folder.mkdir(exist_ok=True)
    written = min(layout, NEWEST_WRITTEN)
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as connection:
        connection.executescript((LAYOUTS / f"{written}.sql").read_text())
        for migration in MIGRATIONS[written:layout]:
            for statement in migration.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {layout}")


def select(folder: Path, question: str) -> list[tuple[object, ...]]:
    """What the state file answers."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return connection.execute(question).fetchall()


@pytest.mark.parametrize("layout", range(OLDEST, len(MIGRATIONS)))
def test_every_older_layout_is_brought_up_to_date(tmp_path: Path, layout: int) -> None:
    make(tmp_path, layout)
    with State.open(tmp_path) as state:
        changes = state.changes()
        assert state.reserve_frame_ids("yard") == 30_001
    assert changes.settings == {"stream.fps": 5.5}
    assert changes.cameras["yard"] == {"url": "push:", "name": "Yard", "rotate": 90}
    assert changes.removed == {"cat"}
    assert changes.trusted == ({"door"} if layout > 1 else frozenset())
    assert select(tmp_path, "SELECT name, digest, rights, cameras, revoked_s FROM tokens ORDER BY id") == [
        ("wall", hashlib.sha256(b"fc_wall").digest(), "watch", "yard", None),
        ("gone", hashlib.sha256(b"fc_gone").digest(), "operate publish", None, 1755000000.0),
    ]
    assert select(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert select(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert select(tmp_path, "PRAGMA foreign_key_check") == []


def test_the_oldest_layout_is_that_of_its_time(tmp_path: Path) -> None:
    """An entry of MIGRATIONS that was edited later would leave older folders with another layout than new ones."""
    tables = "SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name"
    make(tmp_path / "old", 1)
    with State.open(tmp_path / "old"), State.open(tmp_path / "new"):
        pass
    plain = [
        [" ".join(str(sql).replace('"', "").split()) for (sql,) in select(tmp_path / name, tables)]
        for name in ("old", "new")
    ]
    assert plain[0] == plain[1]


def test_an_upgrade_keeps_what_was_and_can_be_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, 1)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.crt").write_text("mine")
    before = select(tmp_path, "SELECT * FROM cameras")
    with State.open(tmp_path) as state:
        state.save_camera("later", {"url": "push:"})
    kept = tmp_path / KEPT / "layout-1.zip"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700

    # Now with the version before: it refuses the folder, and brings back what it had.
    monkeypatch.setattr(database, "MIGRATIONS", MIGRATIONS[:1])
    monkeypatch.setattr(restore, "MIGRATIONS", MIGRATIONS[:1])
    with pytest.raises(ConfigError, match="this Framecast knows versions up to 1") as refused:
        State.open(tmp_path)
    assert str(refused.value).endswith(f"before the upgrade: framecast restore {kept}")
    restore.restore(kept, tmp_path)
    database.Database.open(tmp_path).close()
    assert select(tmp_path, "SELECT * FROM cameras") == before
    assert select(tmp_path, "PRAGMA user_version") == [(1,)]
    assert (tmp_path / "tls" / "ca.crt").read_text() == "mine", "an upgrade kept the state file alone"
    assert kept.exists()


def test_an_upgrade_that_can_not_keep_what_was_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path, 1)
    (tmp_path / KEPT).write_text("in the way")
    with pytest.raises(ConfigError, match=r"its layout is 1, this Framecast needs .* the way back can't be made"):
        State.open(tmp_path)
    assert select(tmp_path, "PRAGMA user_version") == [(1,)]


def test_a_new_folder_keeps_nothing(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    State.open(tmp_path).close()
    assert not (tmp_path / KEPT).exists()


def test_a_backup_of_an_older_layout_is_brought_up_to_date_when_it_is_used(tmp_path: Path) -> None:
    make(tmp_path / "old", 1)
    backup.write(tmp_path / "old", tmp_path / "old.zip")
    restore.restore(tmp_path / "old.zip", tmp_path / "new")
    with State.open(tmp_path / "new") as state:
        assert set(state.changes().cameras) == {"yard", "door"}


def test_a_backup_of_a_newer_layout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    State.open(tmp_path / "new").close()
    backup.write(tmp_path / "new", tmp_path / "new.zip")
    make(tmp_path / "old", 1)
    monkeypatch.setattr(restore, "MIGRATIONS", MIGRATIONS[:1])
    with pytest.raises(Misuse, match="knows layouts up to 1; update it first"):
        restore.restore(tmp_path / "new.zip", tmp_path / "old")
    assert select(tmp_path / "old", "SELECT count(*) FROM tokens") == [(2,)]
