"""The album and its tables, without a model: what is kept, joined and forgotten."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from framecast.core.errors import Misuse, StateError
from framecast.service.errors import Refused
from framecast.service.faces.album import MOST_PHOTOS, Album
from framecast.service.store import people
from framecast.service.store.database import Database
from framecast.service.store.people import PeopleStore
from framecast.vision.detections import Image
from framecast.vision.faces.face import Face, Vector
from framecast.vision.faces.people import Sample, Stranger
from framecast.vision.faces.register import MOST_NEWS, Register
from framecast.vision.faces.tools import Tools, Workshop
from framecast.vision.faces.turns import Turns
from tests.vision.faces.portraits import jpeg


class OtherModel:
    """Knows every picture as one face, which looks like its grey."""

    name = "other"
    crop_px = 100
    photo_px: tuple[int, ...] = (100,)
    is_quick = True
    most = 1.0

    def find(self, image: Image) -> list[Face]:
        return [] if image.mean() < 10 else [Face((0, 0, image.shape[1], image.shape[0]), 1.0)]

    def embed(self, image: Image, face: Face) -> Vector | None:
        return np.full(128, image.mean(), np.float32)

    def distances(self, one: Vector, others: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = np.abs(others - one).max(axis=1)
        return result


class Workbench(Workshop):
    """Gives that model for everything."""

    def get(self, kind: str) -> Tools:
        return Tools(OtherModel(), OtherModel(), Turns())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path)
    yield database
    database.close()


@pytest.fixture
def album(database: Database) -> Album:
    return make(database)


def make(database: Database, register: Register | None = None) -> Album:
    return Album(database, register or Register(), Workbench(()), "auto")


def grey(level: int, model: str = "first") -> Sample:
    return Sample(jpeg(np.full((100, 100, 3), level, np.uint8)), model, np.full(128, level, np.float32).tobytes())


def stranger(number: int, *levels: int) -> Stranger:
    return Stranger(number, "door", tuple(grey(level) for level in levels))


def rows(database: Database, table: str) -> int:
    with database.read() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_an_unknown_face_becomes_a_person_and_keeps_its_number(database: Database, album: Album) -> None:
    PeopleStore(database).keep_news([stranger(5, 80, 90)], [], {5: (3, "yard")})
    (face,) = album.unknown()["unknown"]
    assert (face["group"], face["count"], face["camera"]) == (5, 3, "yard")
    assert album.listing()["people"] == []
    made = album.name_unknown("5", {"name": "Anna"})
    assert (made["id"], len(made["photos"])) == (5, 2)
    assert album.unknown()["unknown"] == []
    with pytest.raises(Refused, match="named, or forgotten"):
        album.name_unknown("5", {"name": "Bert"})
    assert album.create({"name": "Bert"})["id"] == 6, "numbers are nobody's twice"


def test_no_more_people_than_there_is_room_for(
    database: Database, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framecast.service.faces.album.MOST_PEOPLE", 1)
    album.enroll("Anna", [grey(80)])
    PeopleStore(database).keep_news([stranger(5, 80, 90)], [], {})
    for one_more in (lambda: album.create({"name": "Bert"}), lambda: album.name_unknown("5", {"name": "Bert"})):
        with pytest.raises(Refused, match="At most 1 people"):
            one_more()
    assert album.name_unknown("5", {"name": "Anna"})["name"] == "Anna"


def test_numbers_go_on_after_a_restart(database: Database, album: Album) -> None:
    album.enroll("Anna", [grey(80)])
    register = Register()
    assert make(database, register).create({"name": "Bert"})["id"] == 2
    make(database, register).forget("2")
    later = Register()
    make(database, later).tools()
    assert later.add_stranger((grey(90),), "door") == 3


def test_an_unknown_face_can_be_somebody_who_is_known(database: Database, album: Album) -> None:
    anna = album.enroll("Anna", [grey(80)])
    PeopleStore(database).keep_news([stranger(5, *range(100, 100 + MOST_PHOTOS))], [], {})
    joined = album.name_unknown("5", {"name": "ANNA"})
    assert (joined["id"], joined["name"]) == (anna["id"], "Anna")
    assert [each["n"] for each in joined["photos"]] == [*range(1, MOST_PHOTOS + 1)], "as many as there is room for"
    assert rows(database, "people") == 1
    assert rows(database, "face_photos") == rows(database, "face_embeddings") == MOST_PHOTOS


def test_forgetting_leaves_nothing_of_a_face(database: Database, album: Album, tmp_path: Path) -> None:
    album.enroll("Anna", [grey(80), grey(90)])
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert np.full(16, 80, np.float32).tobytes() in kept
    PeopleStore(database).keep_news([stranger(5, 100)], [], {})
    album.forget_unknown("5")
    album.forget("1")
    assert [rows(database, table) for table in ("people", "face_photos", "face_embeddings")] == [0, 0, 0]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert all(np.full(16, level, np.float32).tobytes() not in kept for level in (80, 90, 100))


def test_a_person_has_so_many_photos(album: Album) -> None:
    album.enroll("Anna", [grey(80)] * MOST_PHOTOS)
    with pytest.raises(Refused, match="remove one first"):
        album.add_photo("1", grey(90).picture)


def test_photos_are_looked_at_anew_by_another_model(
    database: Database, album: Album, caplog: pytest.LogCaptureFixture
) -> None:
    album.enroll("Anna", [grey(80), grey(0)])
    assert album.look_anew(album.tools()), "one at a time"
    assert not album.look_anew(album.tools())
    models: dict[str, int] = {}
    for each in PeopleStore(database).likenesses():
        models[each.model] = models.get(each.model, 0) + 1
    assert models == {"first": 2, "other": 1}
    assert caplog.text.count("photo 2 of person 1 is of no use to other: No face is found") == 1
    assert caplog.text.rstrip().endswith("Trained 2 faces for 1 people")
    caplog.clear()
    assert not album.look_anew(album.tools())
    assert not caplog.text, "once is enough"


def test_the_register_hears_of_every_change(database: Database) -> None:
    register = Register()
    album = make(database, register)
    album.enroll("Anna", [grey(80)])
    assert register.circle.names == {1: "Anna"}
    assert [each.person for each in register.circle.likenesses] == [1]
    album.rename("1", {"name": "Anne"})
    assert register.name_of(1) == "Anne"
    number = register.add_stranger((grey(100),), "door")
    register.saw(number, "door")
    register.saw(1, "yard")
    assert register.unknown == {number}
    album.keep_news()
    assert register.unknown == register.circle.unknown == {number}
    assert [each["last_seen"] is None for each in album.listing()["people"]] == [False]
    register.drop_stranger(number)
    album.keep_news()
    assert register.unknown == frozenset()
    assert rows(database, "people") == 1


def test_news_that_nobody_keeps_have_a_bound() -> None:
    register = Register()
    numbers = [register.add_stranger((grey(100),), "door") for _ in range(MOST_NEWS + 1)]
    assert numbers[-2:] == [MOST_NEWS, 0]


def test_what_the_disk_did_not_take_is_kept_later(database: Database, tmp_path: Path) -> None:
    register = Register()
    album = make(database, register)
    album.tell()
    known = [register.add_stranger((grey(level),), "door") for level in (80, 90)]
    register.saw(known[0], "door")
    register.saw(known[1], "door")
    database.hurry()
    with sqlite3.connect(tmp_path / "framecast.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # somebody else has the file
        with pytest.raises(StateError):
            album.keep_news()
        other.execute("ROLLBACK")
    other.close()
    register.saw(known[0], "yard")
    register.drop_stranger(known[1])
    album.keep_news()
    (face,) = album.unknown()["unknown"]
    assert (face["group"], face["count"], face["camera"]) == (known[0], 2, "yard")
    assert register.unknown == {known[0]}


def test_what_is_given_back_has_a_bound() -> None:
    register = Register()
    for _ in range(2):
        news = register.take_news()
        while register.add_stranger((grey(100),), "door"):
            pass
        register.give_back(news)
    assert len(register.take_news().strangers) == len(register.unknown) == MOST_NEWS


def test_the_oldest_unknown_faces_are_forgotten(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PeopleStore(database)
    monkeypatch.setattr(people, "MOST_UNKNOWN", 2)
    for number in range(1, 5):
        store.keep_news([stranger(number, 100)], [], {})
    assert [each.number for each in store.people()] == [3, 4]
    store.rename(3, "Anna", "anna")
    monkeypatch.setattr(people, "UNKNOWN_KEPT_S", -60.0)
    store.keep_news([], [], {3: (1, "door")})
    assert [each.number for each in store.people()] == [3], "who has a name stays"


def test_no_face_is_forgotten_because_the_time_was_learnt_late(database: Database) -> None:
    PeopleStore(database).keep_news([stranger(1, 100)], [], {})
    later = PeopleStore(database, now_s=lambda: time.time() + 2 * people.UNKNOWN_KEPT_S)
    later.keep_news([stranger(2, 100)], [], {})
    assert [each.number for each in later.people()] == [1, 2]


def test_names_are_one_whatever_their_case(album: Album) -> None:
    album.enroll("Ännchen", [grey(80)])
    with pytest.raises(Refused, match="already"):
        album.create({"name": "äNNCHEN"})
    assert album.named("ännchen").number == 1
    bodies: list[dict[str, Any]] = [{}, {"name": "x", "more": 1}]
    for body in bodies:
        with pytest.raises(Misuse):
            album.create(body)


def test_a_photo_of_who_was_forgotten_meanwhile_is_not_kept(database: Database) -> None:
    store = PeopleStore(database)
    with pytest.raises(StateError):
        store.add_photo(9, grey(80))
    store.add_likeness(9, 1, "other", b"")
    assert rows(database, "face_embeddings") == 0
