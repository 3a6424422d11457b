"""One look: stages that have nothing to do are left out, and what can't be seen has a reason."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from framecast.core.packet import Format, Packet
from framecast.vision.detections import Detection, Image
from framecast.vision.detectors import Opened, open_detector
from framecast.vision.looker import Looker, Seen
from framecast.vision.options import Options
from framecast.wire.detections import Look, Thing
from tests.vision import tinymodel
from tests.vision.scenes import scene

SIZE = (192, 144)
BOTH = frozenset({"person", "car"})
OPTIONS = Options(labels=BOTH)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """What finds bright squares."""
    folder = tmp_path_factory.mktemp("models")
    tinymodel.write(folder / "tiny.onnx")
    return open_detector("tiny", [folder])


class Camera:
    """Pictures five a second, or as rare as that, as one looker sees them."""

    def __init__(self, looker: Looker, pause_s: float = 0.2) -> None:
        self._looker = looker
        self._pause_ns = round(pause_s * 1e9)
        self._count = 0
        self.epoch = 1

    def see(self, picture: bytes) -> Seen:
        self._count += 1
        stamp_ns = 1_700_000_000_000_000_000 + self._count * self._pause_ns
        return self._looker.look(
            Packet(picture, Format("mjpeg"), self._count, self._count, self.epoch, stamp_ns, stamp_ns)
        )

    def look(self, picture: bytes) -> Look:
        return self.see(picture).look


@pytest.fixture
def camera(tiny: Opened) -> Camera:
    return Camera(Looker(OPTIONS, lambda: tiny))


def pixels(thing: Thing, size: tuple[int, int] = SIZE) -> list[float]:
    return [part * side for part, side in zip(thing.box, (*size, *size), strict=True)]


def jpeg(image: NDArray[np.uint8], colours: str = "RGB") -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), 90, colours)
    return encoded


def test_stages_that_have_nothing_to_do_are_left_out(camera: Camera) -> None:
    first = camera.see(scene(40, 60))
    assert first.inferences == {"objects": 1}
    assert set(first.look.ms) == {"decode", "motion", "objects"}
    for _ in range(3):
        rest = camera.see(scene(40, 60))
        assert (rest.inferences, rest.look.region, rest.look.motion) == ({}, None, ())
        assert set(rest.look.ms) == {"decode", "motion"}
    moved = camera.see(scene(60, 60))
    assert moved.inferences == {"objects": 1}
    assert moved.look.motion
    assert moved.look.region is not None


def test_a_small_picture_is_decoded_once_where_the_last_was_looked_at(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = simplejpeg.decode_jpeg

    def counted(data: bytes, colours: str, **options: int) -> Image:
        decoded.append(colours)
        image: Image = decode(data, colours, **options)
        return image

    monkeypatch.setattr(simplejpeg, "decode_jpeg", counted)
    for step in range(3):
        assert camera.see(scene(20 + 8 * step, 40, size=(128, 96))).inferences
    assert decoded == ["GRAY", "BGR", "BGR", "BGR"]


@pytest.mark.parametrize("size", [(128, 96), (190, 141), (189, 142), (191, 143)])
def test_nothing_moves_by_the_way_in_which_a_picture_was_decoded(camera: Camera, size: tuple[int, int]) -> None:
    """Edges and noise as sharp as can be: the two ways differ most there."""
    random = np.random.default_rng(5)
    image = np.kron(random.integers(0, 2, (12, 16, 1), np.uint8) * 255, np.ones((12, 12, 3), np.uint8))
    image[:48, :64] = random.integers(0, 256, (48, 64, 3), np.uint8)
    image = np.ascontiguousarray(image[: size[1], : size[0]])
    for quality in (95, 30):
        picture: bytes = simplejpeg.encode_jpeg(image, quality, "RGB", "420")
        looks = [camera.look(picture) for _ in range(12)]
        assert {look.region is None for look in looks} == {True, False}, "both ways were taken"
        assert [look.motion for look in looks[1:]] == [()] * 11


@pytest.mark.parametrize("size", [SIZE, (320, 240), (1280, 720), (2592, 1944), (97, 333)])
def test_boxes_are_where_things_are_at_any_size(camera: Camera, size: tuple[int, int]) -> None:
    """However the picture was scaled while it was decoded, and whatever part of it was looked at."""
    unit = min(size) // 12
    for step in range(6):
        left, top = unit * (2 + step), unit * 5
        look = camera.look(scene(left, top, 2 * unit, size=size))
        (thing,) = look.things
        assert pixels(thing, size) == pytest.approx([left, top, 2 * unit, 2 * unit], abs=max(size) / 96 + 2)
    assert thing.track == 1
    assert thing.seen


def test_a_part_of_a_large_picture_is_looked_at_where_something_moved(camera: Camera) -> None:
    size = (1280, 720)
    camera.look(scene(100, 600, 12, size=size))  # too small to be seen in the whole
    looks = [camera.look(scene(100 + 16 * step, 600, 24, size=size)) for step in range(4)]
    for step, look in enumerate(looks):
        assert look.region is not None
        assert look.region[2] * look.region[3] < 0.1
        assert pixels(look.things[0], size)[:2] == pytest.approx([100 + 16 * step, 600], abs=4)


def test_what_rests_is_told_of_without_a_look(camera: Camera) -> None:
    camera.look(scene(40, 60))
    camera.look(scene(44, 60))
    rests = [camera.look(scene(44, 60)) for _ in range(4)]
    resting = [look for look in rests if look.region is None]
    assert resting
    for look in resting:
        (thing,) = look.things
        assert (thing.track, thing.seen) == (1, False)
        assert pixels(thing) == pytest.approx([44, 60, 24, 24], abs=4)


def test_what_is_gone_is_gone_once_it_was_looked_for(camera: Camera) -> None:
    for step in range(4):
        camera.look(scene(40 + 4 * step, 60))
    look = camera.look(scene(side_px=0))
    assert (look.region is not None, look.things) == (True, ())


@pytest.mark.parametrize("pause_s", [0.2, 1.0, 5.0, 20.0])
def test_what_stays_keeps_its_number_however_rare_looks_turn_out_to_be(tiny: Opened, pause_s: float) -> None:
    camera = Camera(Looker(replace(OPTIONS, fps=5.0), lambda: tiny), pause_s)
    looks = [camera.look(scene(40 + 6 * (step % 2), 60)) for step in range(10)]
    assert {thing.track for look in looks[4:] for thing in look.things} == {looks[4].things[0].track} != {0}
    assert all(len(look.things) == 1 for look in looks[4:])


@pytest.mark.parametrize(
    ("make", "state", "words"),
    [
        (lambda: scene(side_px=0, grey=0), "black", "covered"),
        (lambda: scene(size=(1, 1), side_px=1), "too_small", "1x1 px"),
        (lambda: scene(size=(500, 31)), "too_small", "500x31 px"),
        (lambda: _claiming(20_000, 20_000), "too_large", "64 million"),
        (lambda: b"", "corrupt", "damaged"),
        (lambda: b"not a picture" * 100, "corrupt", "damaged"),
        (lambda: scene()[:300], "corrupt", "damaged"),
        (lambda: scene()[: len(scene()) * 2 // 3], "corrupt", "damaged"),
    ],
)
def test_what_cannot_be_seen_has_a_state(camera: Camera, make: Callable[[], bytes], state: str, words: str) -> None:
    seen = camera.see(make())
    assert (seen.look.state, seen.look.things, seen.inferences) == (state, (), {})
    assert words in seen.look.reason
    assert camera.look(scene(40, 60)).state == "", "the next one is as good as ever"


def _claiming(width_px: int, height_px: int) -> bytes:
    """A JPEG whose header says that it is so large."""
    picture = bytearray(scene())
    at = picture.index(b"\xff\xc0")
    picture[at + 5 : at + 9] = height_px.to_bytes(2, "big") + width_px.to_bytes(2, "big")
    return bytes(picture)


def test_a_night_with_something_in_it_is_not_black(camera: Camera) -> None:
    night = scene(40, 60, grey=2)
    assert camera.look(night).state == ""
    assert camera.look(scene(44, 60, grey=2)).things


def test_a_damaged_picture_in_between_takes_no_number_away(camera: Camera) -> None:
    for step in range(4):
        camera.look(scene(40 + 4 * step, 60))
    assert camera.look(scene()[:200]).things == ()
    assert camera.look(scene(60, 60)).things[0].track == 1


def test_grey_pictures_are_pictures(camera: Camera) -> None:
    image = np.full((144, 192, 1), 60, np.uint8)
    image[60:84, 40:64] = 255
    (thing,) = camera.look(jpeg(image, "GRAY")).things
    assert pixels(thing) == pytest.approx([40, 60, 24, 24], abs=4)


def test_another_device_and_another_size_begin_anew(camera: Camera) -> None:
    camera.look(scene(40, 60))
    assert camera.look(scene(44, 60)).things[0].track == 1
    camera.epoch = 2
    look = camera.look(scene(44, 60))
    assert look.things[0].track == 0
    assert look.region == (0, 0, 1, 1)
    assert len(camera.look(scene(60, 60, size=(320, 240))).things) == 1


def test_only_what_is_asked_for_is_told(tiny: Opened) -> None:
    people = Camera(Looker(Options(), lambda: tiny))
    assert people.look(scene(40, 60, label="car")).things == ()
    assert [thing.label for thing in people.look(scene(60, 60)).things] == ["person"]


def test_a_huge_picture_after_a_small_one_is_not_decoded_in_its_size(camera: Camera) -> None:
    huge = simplejpeg.encode_jpeg(np.full((3000, 4200, 1), 128, np.uint8), colorspace="GRAY")
    camera.look(scene(40, 40, size=(128, 96)))
    tracemalloc.start()
    try:
        assert camera.look(huge).state == ""
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 10e6


def test_nothing_asked_for_but_movement_needs_no_model() -> None:
    movement = Camera(Looker(Options(labels=frozenset()), lambda: pytest.fail("no model is needed")))
    for step in range(8):
        seen = movement.see(scene(40 + 8 * step, 60))
        assert (seen.inferences, seen.look.state) == ({}, "")
    assert seen.look.motion


def test_a_label_that_the_model_does_not_know_is_named_with_what_it_may_mean(tiny: Opened) -> None:
    look = Camera(Looker(Options(labels=frozenset({"persn"})), lambda: tiny)).look(scene(40, 60))
    assert look.state == "unknown_label"
    assert "'persn' (did you mean 'person'?)" in look.reason
    look = Camera(Looker(Options(labels=frozenset({"person", "unicorn"})), lambda: tiny)).look(scene(40, 60))
    assert look.state == ""
    assert "'unicorn'" in look.reason
    assert look.things


def test_a_model_that_comes_is_used_from_the_next_picture_on(tiny: Opened) -> None:
    there = Opened(None, "", state="no_model", reason="there is none")
    camera = Camera(Looker(OPTIONS, lambda: there))
    for step in range(3):
        look = camera.look(scene(40 + 8 * step, 60))
        assert (look.state, look.reason, look.things) == ("no_model", "there is none", ())
    there = tiny
    assert camera.look(scene(80, 60)).things


class Greeter:
    """Knows everybody to the left, and finds a face in each."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, int, float]] = []

    def name(self, image: Image, found: list[Detection], now_s: float) -> list[Detection]:
        """See `FaceStage`."""
        self.shown.append((image.shape[1], image.shape[0], found[0].left_px))
        named = [replace(each, name="Ada" if each.left_px < image.shape[1] / 2 else "unknown") for each in found]
        faces = [replace(each, label="face", bottom_px=each.top_px + 6, track=0) for each in found]
        return named + faces


def test_persons_are_named_and_stay_so_while_they_rest(tiny: Opened) -> None:
    greeter = Greeter()
    camera = Camera(Looker(OPTIONS, lambda: tiny, greeter))
    camera.see(scene(40, 60))
    seen = camera.see(scene(44, 60))
    assert seen.inferences == {"objects": 1, "faces": 1}
    assert {thing.label: thing.name for thing in seen.look.things} == {"person": "Ada", "face": ""}
    assert greeter.shown[-1] == (*SIZE, pytest.approx(44, abs=3))
    rest = [camera.see(scene(44, 60)) for _ in range(4)][-1]
    assert rest.inferences == {}
    assert [(thing.label, thing.name, thing.seen) for thing in rest.look.things] == [("person", "Ada", False)]
    assert camera.see(scene(100, 60, label="car")).inferences == {"objects": 1}, "nobody is there to be known"


def test_faces_are_looked_for_in_all_there_is_of_a_picture(tiny: Opened) -> None:
    greeter = Greeter()
    camera = Camera(Looker(OPTIONS, lambda: tiny, greeter))
    for step in range(2):
        look = camera.look(scene(640 + 32 * step, 300, 96, size=(1280, 720)))
    assert greeter.shown[-1] == (1280, 720, pytest.approx(672, abs=14))
    assert pixels(look.things[0], (1280, 720)) == pytest.approx([672, 300, 96, 96], abs=14)
    look = camera.look(scene(1000, 1000, 800, size=(4000, 3200)))
    assert greeter.shown[-1] == (2000, 1600, pytest.approx(500, abs=30)), "or it would take a hundred megabytes"
    assert pixels(look.things[0], (4000, 3200)) == pytest.approx([1000, 1000, 800, 800], abs=60)


class Doubtful:
    """Sees one person in every picture, as surely as it is told to."""

    name, form, provider = "doubtful", "test", "CPU"
    labels: tuple[str, ...] = ("person",)
    input_px = SIZE

    def __init__(self) -> None:
        self.score = 0.9

    def detect(self, image: Image, wanted: frozenset[str] = frozenset(), least: float = 0.1) -> list[Detection]:
        return [Detection("person", self.score, 40, 40, 80, 120)] if self.score >= least else []


def test_what_is_seen_faintly_is_told_as_what_it_was_and_as_not_seen() -> None:
    doubtful = Doubtful()
    camera = Camera(Looker(OPTIONS, lambda: Opened(doubtful, "doubtful")))
    for x_px in (40, 50):
        camera.look(scene(x_px, 60))
    doubtful.score = 0.12
    (thing,) = camera.look(scene(60, 60)).things
    assert (thing.score, thing.seen, thing.track) == (0.9, False, 1)
    doubtful.score = 0.7
    (thing,) = camera.look(scene(70, 60)).things
    assert (thing.score, thing.seen) == (0.7, True)


@pytest.mark.parametrize(("threshold", "told"), [(0.05, 1), (0.07, 1), (0.08, 0)])
def test_what_is_seen_from_the_threshold_on_is_told_however_low_that_is(threshold: float, told: int) -> None:
    doubtful = Doubtful()
    doubtful.score = 0.07
    camera = Camera(Looker(replace(OPTIONS, threshold=threshold), lambda: Opened(doubtful, "doubtful")))
    assert [len(camera.look(scene(40 + 10 * step, 60)).things) for step in range(3)] == [told] * 3
