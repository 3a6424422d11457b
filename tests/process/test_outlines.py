"""What was seen is drawn where it is, in a colour that says what it is, and legibly."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from framecast.process import outlines
from framecast.process.outlines import draw_look, speaks, words
from framecast.process.pixels import Pixels
from framecast.wire.detections import Box, Look, Thing


def drawn(*things: Thing, size: tuple[int, int] = (640, 480), level: int = 128, **more: str) -> Pixels:
    pixels = np.full((size[1], size[0], 3), level, np.uint8)
    draw_look(pixels, Look(1, 1, 1, things, **more))  # type: ignore[arg-type]
    return pixels


def coloured(pixels: Pixels, colour: outlines.Colour) -> NDArray[np.intp]:
    """Where ``pixels`` have exactly this colour: ``(N, 2)`` rows and columns."""
    return np.argwhere((pixels == np.array(colour, np.uint8)).all(axis=2))


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (1920, 1080)])
@pytest.mark.parametrize("level", [0, 255])
def test_a_box_is_drawn_around_the_thing_and_nowhere_in_it(size: tuple[int, int], level: int) -> None:
    pixels = drawn(Thing("person", 0.87, (0.25, 0.5, 0.5, 0.25), 1), size=size, level=level)
    width, height = size
    left, right, top, bottom = width // 4, width * 3 // 4, height // 2, height * 3 // 4
    line = max(2, height // 240) + 1
    for row, column in ((bottom, (left + right) // 2), (top + height // 8, left), (top + height // 8, right)):
        around = pixels[row - line : row + line, column - line : column + line].reshape(-1, 3)
        assert (around == outlines.PERSON).all(axis=1).any()
        assert (around == outlines.DARK).all(axis=1).any()
    assert (pixels[top + line : bottom - line, left + line : right - line] == level).all()
    assert (pixels[: top - height // 6] == level).all()
    assert (pixels[bottom + line :] == level).all()


@pytest.mark.parametrize(
    ("thing", "text", "colour"),
    [
        (Thing("person", 0.873, (0, 0, 1, 1)), "person 87%", outlines.PERSON),
        (Thing("person", 0.9, (0, 0, 1, 1), 1, "Ada"), "Ada", outlines.KNOWN),
        (Thing("person", 0.9, (0, 0, 1, 1), 1, "unknown"), "unknown", outlines.UNKNOWN),
        (Thing("face", 0.9, (0, 0, 1, 1), 1, "unknown", 3), "unknown 3", outlines.UNKNOWN),
        (Thing("face", 0.9, (0, 0, 1, 1)), "face 90%", outlines.FACE),
        (Thing("person", 0.9, (0, 0, 1, 1), 1, "x" * 200), "x" * 39 + "…", outlines.KNOWN),
    ],
)
def test_words_and_colour_say_who_or_what_it_is(thing: Thing, text: str, colour: outlines.Colour) -> None:
    assert words(thing) == text
    assert outlines.colour(thing) == colour
    assert len(coloured(drawn(thing), colour)) > 500


def test_things_of_one_kind_share_a_colour_that_is_no_persons() -> None:
    dog, cat = (outlines.colour(Thing(label, 0.5, (0, 0, 1, 1))) for label in ("dog", "cat"))
    assert dog == outlines.colour(Thing("dog", 0.9, (0.5, 0.5, 0.1, 0.1), 9))
    assert {dog, cat}.isdisjoint({outlines.PERSON, outlines.KNOWN, outlines.UNKNOWN, outlines.FACE})


def test_a_face_in_a_persons_box_leaves_the_name_to_that() -> None:
    person, face = Thing("person", 0.9, (0.2, 0.2, 0.4, 0.6), 1, "Ada"), Thing("face", 0.9, (0.3, 0.25, 0.1, 0.1))
    assert speaks(person, (person, face))
    assert not speaks(face, (person, face))
    assert speaks(face, (face,))
    assert speaks(Thing("face", 0.9, (0.8, 0.25, 0.1, 0.1)), (person, face))


def test_a_thing_that_rests_has_a_thinner_line() -> None:
    columns = slice(300, 340)
    thick, thin = (
        len(coloured(drawn(Thing("person", 0.9, (0.25, 0.5, 0.5, 0.25), 1, seen=seen))[340:, columns], outlines.PERSON))
        for seen in (True, False)
    )
    assert (thick, thin) == (2 * 40, 1 * 40)


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 1.0, 1.0), (-0.5, -0.5, 3.0, 3.0), (0.99, 0.99, 0.5, 0.5), (0.3, 0.3, 0.0, 0.0), (2, 2, 1, 1)]
)
@pytest.mark.parametrize("size", [(1, 1), (16, 9), (33, 200), (320, 64)])
def test_no_box_and_no_picture_is_too_odd(box: Box, size: tuple[int, int]) -> None:
    drawn(
        Thing("person", 0.9, box, 1, "Ada Lovelace"),
        Thing("face", 0.9, box, 1, seen=False),
        size=size,
        state="no_model",
        reason="There is no model",
    )


def test_words_stay_within_the_picture() -> None:
    named = drawn(Thing("person", 0.9, (0.97, 0.0, 0.03, 0.3), 1, "Ada Lovelace"))
    rows, columns = coloured(named, outlines.KNOWN).T
    assert rows.min() < 30
    assert columns.min() < 560  # the plate is moved to the left, so that all of the name can be read


def test_why_nothing_is_seen_stands_at_the_lower_right_and_leaves_the_left_corners_free() -> None:
    pixels = drawn(state="no_model", reason="There is no model")
    rows, columns = coloured(pixels, outlines.UNKNOWN).T
    assert rows.min() > 440
    assert columns.min() > 320
    assert columns.max() == 639


@pytest.mark.parametrize("name", ["Zoë Müller", "Юлия", "李雷", "\u202e<b>\x00\n", "👩‍🚀"])
def test_any_name_can_be_written(name: str) -> None:
    assert len(coloured(drawn(Thing("person", 0.9, (0.2, 0.2, 0.5, 0.5), 1, name)), outlines.KNOWN)) > 500


def test_words_that_would_lie_on_others_are_left_out_but_for_names() -> None:
    large, small = Thing("person", 0.8, (0.3, 0.5, 0.2, 0.4), 1), Thing("person", 0.7, (0.32, 0.5, 0.05, 0.2), 2)
    below = Thing("person", 0.7, (0.35, 0.7, 0.05, 0.2), 2)
    assert len(coloured(drawn(large)[300:330], outlines.PERSON)) == len(
        coloured(drawn(large, below)[300:330], outlines.PERSON)
    )
    plates = {
        len(coloured(drawn(*things)[:236], outlines.PERSON)) for things in ((large,), (large, small), (small, large))
    }
    assert len(plates) == 1
    named = Thing("person", 0.7, (0.32, 0.5, 0.05, 0.2), 2, "Ada")
    for things in ((large, named), (named, large)):
        pixels = drawn(*things)[:236]
        assert len(coloured(pixels, outlines.KNOWN)) > 200
        assert len(coloured(pixels, outlines.PERSON)) == 0
