"""What was seen in one picture, as JSON: the payload of the track ``detections``.

Boxes are ``[x, y, width, height]`` in fractions of the picture, from its top left corner, so that they fit any
rendition of it. Who was looked for and not found makes no entry; a picture in which nothing was found is told all the
same, since viewers take boxes away by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Box = tuple[float, float, float, float]
"""``(x, y, width, height)``, fractions of the picture."""
DIGITS = 4
"""Behind the point: a tenth of a pixel of a picture 1,000 wide."""
_ENCODER = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing in one picture.

    Attributes:
        label: What it is: ``person``, ``car``, ``face``.
        score: How sure the detector is, 0 to 1, or was when it was seen last.
        box: Where.
        track: Number of the same thing over the camera's pictures, from 1; 0 while it has none.
        name: Who it is, where that is known; ``unknown`` of a face that is nobody's.
        group: Number of the same unknown face over time; 0 for none.
        seen: Whether it was surely found in this very picture; else it was found faintly, where it was expected, or is
            where it was last.
    """

    label: str
    score: float
    box: Box
    track: int = 0
    name: str = ""
    group: int = 0
    seen: bool = True

    @property
    def foot(self) -> tuple[float, float]:
        """Where it stands: the middle of the lower edge."""
        x, y, width, height = self.box
        return x + width / 2, y + height


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in one picture.

    Attributes:
        frame_id: The picture's.
        epoch: The picture's.
        pts_ns: When it was taken, Unix ns.
        things: What was found.
        motion: Where something moved, the largest first.
        share: Of the picture that moved, 0 to 1.
        region: What the object model looked at; None when it was not asked, for nothing moved.
        ms: What each stage cost, in ms: ``decode motion objects faces``.
        state: Why nothing can be seen, as a code; empty when all is well.
        reason: The same in words.
    """

    frame_id: int
    epoch: int
    pts_ns: int
    things: tuple[Thing, ...] = ()
    motion: tuple[Box, ...] = ()
    share: float = 0.0
    region: Box | None = None
    ms: Mapping[str, float] = field(default_factory=dict)
    state: str = ""
    reason: str = ""


def pack(look: Look) -> bytes:
    """A look as JSON. Numbers that JSON can hold but JavaScript can't (``pts_ns``) go as text."""
    return _ENCODER.encode(
        {
            "frame_id": look.frame_id,
            "epoch": look.epoch,
            "pts_ns": str(look.pts_ns),
            "things": [_thing(each) for each in look.things],
            "motion": [_box(each) for each in look.motion],
            "share": round(look.share, DIGITS),
            "region": None if look.region is None else _box(look.region),
            "ms": {name: round(value, 2) for name, value in look.ms.items()},
            "state": look.state,
            "reason": look.reason,
        }
    ).encode()


def unpack(payload: bytes) -> Look:
    """The look that `pack` wrote; nothing else is to be read by this."""
    data = json.loads(payload)
    return Look(
        frame_id=data["frame_id"],
        epoch=data["epoch"],
        pts_ns=int(data["pts_ns"]),
        things=tuple(
            Thing(
                each["label"],
                each["score"],
                _as_box(each["box"]),
                each["track"],
                each["name"],
                each["group"],
                each["seen"],
            )
            for each in data["things"]
        ),
        motion=tuple(_as_box(each) for each in data["motion"]),
        share=data["share"],
        region=None if data["region"] is None else _as_box(data["region"]),
        ms=data["ms"],
        state=data["state"],
        reason=data["reason"],
    )


def _thing(thing: Thing) -> dict[str, Any]:
    return {
        "label": thing.label,
        "score": round(thing.score, 3),
        "box": _box(thing.box),
        "track": thing.track,
        "name": thing.name,
        "group": thing.group,
        "seen": thing.seen,
    }


def _box(box: Box) -> list[float]:
    return [round(value, DIGITS) for value in box]


def _as_box(values: list[float]) -> Box:
    x, y, width, height = values
    return x, y, width, height
