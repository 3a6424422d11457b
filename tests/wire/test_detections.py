"""What was seen, as JSON."""

from __future__ import annotations

import json

from framecast.wire.detections import Look, Thing, pack, unpack

LOOK = Look(
    frame_id=7,
    epoch=2,
    pts_ns=1_700_000_000_123_456_789,
    things=(
        Thing("person", 0.912, (0.25, 0.5, 0.125, 0.25), 3, "Ada"),
        Thing("face", 0.8, (0.3, 0.5, 0.0625, 0.0625), 3, "unknown", 4, seen=False),
    ),
    motion=((0.0, 0.25, 0.5, 0.5),),
    share=0.125,
    region=(0.0, 0.0, 1.0, 0.75),
    ms={"decode": 1.5, "motion": 0.25},
)


def test_what_was_packed_is_what_is_unpacked() -> None:
    for look in (LOOK, Look(1, 1, 5, state="too_small", reason="1 x 1 px is no picture to look at")):
        assert unpack(pack(look)) == look


def test_a_time_is_text_since_no_browser_holds_its_digits() -> None:
    assert json.loads(pack(LOOK))["pts_ns"] == "1700000000123456789"


def test_boxes_have_four_digits() -> None:
    told = json.loads(pack(Look(1, 1, 5, (Thing("cat", 1 / 3, (1 / 3, 2 / 3, 1 / 3, 1 / 3)),))))
    assert told["things"][0]["box"] == [0.3333, 0.6667, 0.3333, 0.3333]


def test_a_thing_stands_on_the_middle_of_its_lower_edge() -> None:
    assert LOOK.things[0].foot == (0.3125, 0.75)
