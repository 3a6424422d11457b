"""Boxes and names in the picture, as the player draws them over it (web/static/js/player/outlines.js).

Each box has a dark edge, so that it stands out on any picture. What rests, and so was not looked at in this very
picture, has a thinner line. A face inside of a person's box says nothing: that one has the name. Where words would lie
on each other, or on a larger thing of the same kind, names come first, then what is larger; of the rest nothing but
names is written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from framecast.process import lettering
from framecast.process.pixels import Pixels
from framecast.wire.detections import Look, Thing

Colour = tuple[int, int, int]
"""RGB."""
Place = tuple[int, int, int, int]
"""Left, top, width and height in px."""
PERSON, KNOWN, UNKNOWN, FACE = (77, 195, 255), (95, 211, 141), (255, 178, 36), (238, 240, 242)
OTHERS: Sequence[Colour] = (
    (182, 156, 255),
    (255, 138, 181),
    (255, 225, 77),
    (63, 214, 198),
    (255, 153, 85),
    (168, 224, 99),
)
DARK: Colour = (16, 18, 20)
STRANGER = "unknown"
FACE_LABEL = "face"
LONGEST_NAME = 40
"""Most characters of a name that are shown."""
_TEXT_PER_HEIGHT = 1 / 28
_LINE_PER_HEIGHT = 1 / 240
_LEAST_HEIGHT_PX = 60


def colour(thing: Thing) -> Colour:
    """The colour of a box: of what it is, or of whether it is known who."""
    if thing.name:
        return UNKNOWN if thing.name == STRANGER else KNOWN
    if thing.label == "person":
        return PERSON
    if thing.label == FACE_LABEL:
        return FACE
    return OTHERS[sum(map(ord, thing.label)) % len(OTHERS)]


def words(thing: Thing) -> str:
    """What stands at a box: who, or what and how sure the model is."""
    if thing.name == STRANGER:
        return f"{STRANGER} {thing.group}" if thing.group else STRANGER
    name = thing.name if len(thing.name) <= LONGEST_NAME else f"{thing.name[: LONGEST_NAME - 1]}…"
    return name or f"{thing.label} {int(thing.score * 100 + 0.5)}%"


def draw_look(pixels: Pixels, look: Look) -> None:
    """Draw what was seen into ``pixels``, in place."""
    height, width = pixels.shape[:2]
    line = max(1 if height < 2 * _LEAST_HEIGHT_PX else 2, round(height * _LINE_PER_HEIGHT))
    size = lettering.size_px(height, _TEXT_PER_HEIGHT)
    for thing in look.things:
        _box(pixels, thing, line)
    if height < _LEAST_HEIGHT_PX:
        return
    taken: list[tuple[str, Place]] = []
    for thing in in_order(look.things):
        if not speaks(thing, look.things):
            continue
        left, top, right, bottom = _edges(thing, width, height)
        place = _place(pixels, words(thing), size, left - line, top - line)
        if thing.name or not any(kind in ("", thing.label) and _overlap(place, other) for kind, other in taken):
            _plate(pixels, words(thing), size, place, colour(thing))
            taken.append(("", place))
        taken.append((thing.label, (left, top, right - left, bottom - top)))
    if look.state:
        _caption(pixels, look.reason or look.state, size)


def in_order(things: Sequence[Thing]) -> list[Thing]:
    """Whose words matter most comes first."""
    return sorted(things, key=lambda thing: (not thing.name, -thing.box[2] * thing.box[3]))


def speaks(thing: Thing, things: Sequence[Thing]) -> bool:
    """Whether words stand at this box: not at a face whose person has a box, too."""
    if thing.label != FACE_LABEL:
        return True
    x, y, width, height = thing.box
    middle_x, middle_y = x + width / 2, y + height / 2
    return not any(
        other.label == "person" and left <= middle_x <= left + wide and top <= middle_y <= top + high
        for other in things
        for left, top, wide, high in (other.box,)
    )


def _edges(thing: Thing, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in px, within the picture."""
    x, y, width, height = thing.box
    left, right = (min(width_px, max(0, round(edge * width_px))) for edge in (x, x + width))
    top, bottom = (min(height_px, max(0, round(edge * height_px))) for edge in (y, y + height))
    return left, top, right, bottom


def _box(pixels: Pixels, thing: Thing, line: int) -> None:
    height, width = pixels.shape[:2]
    edges = _edges(thing, width, height)
    thick = line if thing.seen and thing.label != FACE_LABEL else max(1, line // 2)
    _outline(pixels, edges, thick + 1, DARK)
    _outline(pixels, edges, thick, colour(thing))


def _outline(pixels: Pixels, edges: tuple[int, int, int, int], line: int, colour: Colour) -> None:
    """A line outside and inside of the edges, half of it each."""
    left, top, right, bottom = edges
    out = (line + 1) // 2
    x0, y0, x1, y1 = max(0, left - out), max(0, top - out), right + out, bottom + out
    for part in (
        pixels[y0 : y0 + line, x0:x1],
        pixels[max(0, y1 - line) : y1, x0:x1],
        pixels[y0:y1, x0 : x0 + line],
        pixels[y0:y1, max(0, x1 - line) : x1],
    ):
        part[:] = colour


def _place(pixels: Pixels, text: str, size: int, left: int, box_top: int) -> Place:
    """Where words stand: above a box, or in it where there is no room above; within the picture in any case."""
    height, width = pixels.shape[:2]
    rows, columns = lettering.coverage(text, size).shape
    pad = _pad(size)
    wide, high = min(width, columns + 2 * pad), rows + pad
    x = max(0, min(left, width - wide))
    y = box_top - high if box_top >= high else max(0, min(box_top, height - high))
    return x, y, wide, high


def _overlap(one: Place, other: Place) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


def _plate(pixels: Pixels, text: str, size: int, place: Place, colour: Colour) -> None:
    x, y, wide, high = place
    if high > pixels.shape[0]:
        return
    cover = lettering.coverage(text, size)
    pad = _pad(size)
    part = pixels[y : y + high, x : x + wide]
    part[:] = colour
    letters = part[pad // 2 : pad // 2 + cover.shape[0], pad : wide - pad]
    cut = cover[:, : letters.shape[1], None]
    ground = np.asarray(colour, np.float32)
    letters[:] = (ground + (np.asarray(DARK, np.float32) - ground) * cut).astype(np.uint8)


def _pad(size: int) -> int:
    return max(2, size // 5)


def _caption(pixels: Pixels, text: str, size: int) -> None:
    """Why nothing is seen, at the lower right: the left corners hold the block code and the frame id."""
    height, width = pixels.shape[:2]
    wide = lettering.coverage(text, size).shape[1] + 2 * _pad(size)
    _plate(pixels, text, size, _place(pixels, text, size, width - wide, height), UNKNOWN)
