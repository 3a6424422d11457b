"""Who is in the pictures, with a finder and an embedder that tell grey levels apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from framecast.vision.detections import Detection, Image
from framecast.vision.faces.face import Face, FacesUnavailable, Vector
from framecast.vision.faces.people import Circle, Likeness
from framecast.vision.faces.register import Register
from framecast.vision.faces.stage import DECIDED_S, LOST_S, MOST_HEADS, FaceNamer, head_of
from framecast.vision.faces.tools import Tools
from framecast.vision.faces.turns import Turns

ANNA, BERT = 1, 2
GREYS = {ANNA: 100, BERT: 150}
STRANGER = 200
FACE_PX = 40


class GreyFinder:
    """A face is what is bright, as one box round it."""

    name = "grey"
    crop_px = 100
    photo_px: tuple[int, ...] = (400,)

    def __init__(self, *, quick: bool) -> None:
        self.is_quick = quick
        self.searched = 0

    def find(self, image: Image) -> list[Face]:
        self.searched += 1
        rows, columns = np.nonzero(image[..., 0] > 50)
        if not len(rows):
            return []
        return [Face((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), 0.9)]


class GreyEmbedder:
    """A face looks like its grey."""

    name = "grey"
    most = 10.0

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    def embed(self, image: Image, face: Face) -> Vector | None:
        if self.broken:
            raise FacesUnavailable("it ended")
        self.asked += 1
        left, top, right, bottom = (int(value) for value in face.box)
        return like(round(float(image[(top + bottom) // 2, (left + right) // 2, 0])))

    def distances(self, one: Vector, others: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = np.abs(others - one).max(axis=1)
        return result


def like(grey: int) -> Vector:
    return np.full(128, grey, np.float32)


class Scene:
    """One camera's stage and all that it works with."""

    def __init__(self, *, quick: bool = True, most: float | None = None) -> None:
        self.finder, self.embedder, self.register = GreyFinder(quick=quick), GreyEmbedder(), Register()
        self.know(ANNA, BERT)
        self.ready = True
        self.tools = Tools(self.finder, self.embedder, Turns(), lambda: self.ready)
        self.stage = FaceNamer(self.register, self.tools, "door", most)
        self.now_s = 1000.0

    def know(self, *people: int) -> None:
        names = {ANNA: "Anna", BERT: "Bert"}
        likenesses = tuple(Likeness(each, "grey", like(GREYS[each]).tobytes()) for each in people)
        self.register.hold(Circle({each: names[each] for each in people}, frozenset(), likenesses), 3)

    def look(self, *greys: int | None, passed_s: float = 0.2, tracks: tuple[int, ...] = ()) -> list[Detection]:
        """What is told of persons side by side with faces of these greys; None turns away."""
        self.now_s += passed_s
        image = np.zeros((200, 120 * len(greys), 3), np.uint8)
        persons = []
        for place, grey in enumerate(greys):
            left = 120 * place + 10
            persons.append(Detection("person", 0.9, left, 10, left + 100, 190, (*tracks, *range(1, 20))[place]))
            if grey is not None:
                image[20 : 20 + FACE_PX, left + 30 : left + 30 + FACE_PX] = grey
        return self.stage.name(image, persons, self.now_s)

    def names(self, *greys: int | None, **options: float) -> list[str]:
        return [each.name for each in self.look(*greys, **options) if each.label == "person"]  # type: ignore[arg-type]


def test_a_name_comes_by_the_second_vote_and_the_face_is_told() -> None:
    scene = Scene()
    assert scene.names(100) == [""]
    person, face = scene.look(104)
    assert (person.name, person.track, person.group) == ("Anna", 1, 0)
    assert (face.label, face.name, face.track) == ("face", "Anna", 1)
    assert face.box == pytest.approx((40, 20, 80, 60), abs=3)


def test_where_nobody_is_known_everybody_is_unknown() -> None:
    scene = Scene()
    scene.know()
    for _ in range(3):
        names = scene.names(100)
    assert names == ["unknown"]


def test_no_picture_waits_until_the_models_are_ready() -> None:
    scene = Scene()
    scene.ready = False
    assert [each.label for each in scene.look(100)] == ["person"]
    scene.ready = True
    assert [each.label for each in scene.look(100)] == ["person", "face"]


def test_no_picture_waits_for_a_photo() -> None:
    scene = Scene()
    scene.look(100)
    scene.look(100)
    searched = scene.finder.searched
    with scene.tools.photo():
        for _ in range(3):
            assert scene.names(100, None, passed_s=0.9 * LOST_S) == ["Anna", ""], (
                "who was known is, however long it takes"
            )
    assert scene.finder.searched == searched
    for _ in range(2):
        scene.look(100, 150)
    assert scene.names(100, 150) == ["Anna", "Bert"]


def test_what_has_no_number_yet_gets_no_vote() -> None:
    scene = Scene()
    for _ in range(3):
        person, face = scene.look(100, tracks=(0,))
        assert person.name == face.name == ""
    assert scene.embedder.asked == 0


def test_one_face_a_picture_is_looked_at_closely_and_everybody_in_turn() -> None:
    scene = Scene()
    for looks in range(1, 5):
        names = scene.names(100, 150)
        assert scene.embedder.asked == looks
    assert names == ["Anna", "Bert"]


def test_so_many_heads_are_searched_in_one_picture() -> None:
    scene = Scene()
    told = scene.look(*[None] * 6)
    assert scene.finder.searched == MOST_HEADS
    assert len(told) == 6
    scene.look(*[None] * 6)
    assert scene.finder.searched == 2 * MOST_HEADS


def test_somebody_known_is_checked_now_and_then() -> None:
    scene = Scene(quick=False)
    scene.look(100)
    scene.look(100)
    asked, searched = scene.embedder.asked, scene.finder.searched
    for _ in range(4):
        told = scene.look(100, passed_s=0.2)
        assert [each.label for each in told] == ["person", "face"], "the face moves along with the person"
    assert (scene.embedder.asked, scene.finder.searched) == (asked, searched)
    scene.look(100, passed_s=DECIDED_S)
    assert scene.finder.searched == searched + 1
    scene.look(100, passed_s=3.0)
    assert scene.embedder.asked == asked + 1


def test_the_face_of_who_turned_away_is_not_told_for_ever() -> None:
    scene = Scene(quick=False)
    scene.look(100)
    scene.look(100)
    assert [each.label for each in scene.look(None, passed_s=DECIDED_S)] == ["person"]
    assert scene.names(None) == ["Anna"], "and who it is stays known"


def test_a_stranger_gets_a_number_by_which_it_is_known_again_and_is_reported_once() -> None:
    scene = Scene()
    for _ in range(2):
        assert scene.names(STRANGER) == [""]
    person, face = scene.look(STRANGER)
    assert (person.name, person.group) == (face.name, face.group) == ("unknown", 3)
    news = scene.register.take_news()
    (stranger,) = news.strangers
    assert (stranger.number, stranger.camera, len(stranger.samples)) == (3, "door", 3)
    assert all(sample.picture.startswith(b"\xff\xd8") for sample in stranger.samples)
    assert news.seen == {3: (1, "door")}
    # Another track, on another day: the same face.
    for _ in range(2):
        person, _ = scene.look(STRANGER, passed_s=2 * LOST_S, tracks=(9,))
        person, _ = scene.look(STRANGER, tracks=(9,))
    assert (person.name, person.group) == ("unknown", 3)
    assert not scene.register.take_news().strangers


def test_a_look_under_way_leaves_no_face_behind_once_pictures_may_not_be_kept() -> None:
    scene = Scene()
    for _ in range(2):
        scene.look(STRANGER)
    scene.register.forget_pictures("yard")
    scene.register.forget_pictures("door")  # it took until now
    person, _ = scene.look(STRANGER)
    assert (person.name, person.group) == ("unknown", 0)
    assert not scene.register.take_news() and not scene.register.unknown


@pytest.mark.parametrize("taken", [False, True])
def test_a_face_on_its_way_to_the_disk_is_taken_back(taken: bool) -> None:
    scene = Scene()
    for _ in range(3):
        scene.look(STRANGER)
    if taken:
        assert [each.number for each in scene.register.take_news().strangers] == [3]
    scene.register.forget_pictures("door")
    news = scene.register.take_news()
    assert (news.strangers, news.dropped, news.seen) == ([], {3} if taken else set(), {})
    assert not scene.register.unknown


def test_a_stranger_who_turns_out_to_be_known_was_none() -> None:
    scene = Scene()
    for _ in range(3):
        scene.look(STRANGER)
    scene.look(100, passed_s=1.5)
    for _ in range(2):
        person, _ = scene.look(100, passed_s=0.5)
    assert (person.name, person.group) == ("Anna", 0)
    news = scene.register.take_news()
    assert not news.strangers
    assert set(news.seen) == {ANNA}
    assert scene.register.unknown == frozenset()


def test_a_number_that_gets_a_name_names_its_track_at_once() -> None:
    scene = Scene()
    for _ in range(3):
        scene.look(STRANGER)
    circle = scene.register.circle
    scene.register.take_news()
    scene.register.hold(Circle({**circle.names, 3: "Carla"}, frozenset(), circle.likenesses), 4)
    person, _ = scene.look(STRANGER)
    assert (person.name, person.group) == ("Carla", 0)


def test_who_is_forgotten_loses_the_name_in_the_next_picture() -> None:
    scene = Scene()
    scene.look(100)
    assert scene.names(100) == ["Anna"]
    scene.know(BERT)
    assert scene.names(100) == [""]
    scene.look(100)
    assert scene.names(100) == ["unknown"]


def test_nobody_is_in_one_picture_twice() -> None:
    scene = Scene()
    for _ in range(4):
        scene.look(100, None)
    for _ in range(4):
        names = scene.names(None, 100)
    assert names.count("Anna") == 1
    for _ in range(8):
        names = scene.names(100, 100)
    assert names.count("Anna") == 1
    assert names.count("") == 1


def test_who_looks_away_keeps_the_name_and_is_not_looked_at_in_every_picture() -> None:
    scene = Scene()
    scene.look(100)
    scene.look(100)
    for grey, name in ((111, "Anna"), (STRANGER, "unknown")):
        for _ in range(10):
            names = scene.names(grey, passed_s=3.0)
        assert names == [name]
    scene = Scene()
    scene.look(100)
    scene.look(100)
    scene.look(STRANGER, passed_s=3.0)
    asked = scene.embedder.asked
    scene.look(STRANGER)
    assert scene.embedder.asked == asked
    scene.look(STRANGER, passed_s=0.5)
    assert scene.embedder.asked == asked + 1


def test_a_stricter_distance_is_kept_to() -> None:
    assert Scene().names(108) == [""]
    scene = Scene(most=5)
    for _ in range(3):
        names = scene.names(108)
    assert names == ["unknown"]


def test_a_model_that_fails_costs_names_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.embedder.broken = True
    for _ in range(3):
        assert [each.label for each in scene.look(100)] == ["person", "face"]
    assert [record.getMessage() for record in caplog.records] == ["door: it ended"], "once in a while"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((100, 50, 200, 350), (90, 35, 211, 171)),  # stands: the upper part
        ((100, 50, 200, 150), (90, 35, 211, 151)),  # the upper part is all there is
        ((0, 0, 640, 480), (0, 0, 640, 480)),
    ],
)
def test_where_a_face_is_searched(box: tuple[int, int, int, int], expected: tuple[int, ...]) -> None:
    assert head_of(Detection("person", 0.9, *box), 640, 480) == expected
