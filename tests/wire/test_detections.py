"""A look on the wire says what it said before, in JSON that browsers read."""

from __future__ import annotations

import json

import pytest

from framecast.wire.detections import Look, Thing, pack, unpack

LOOK = Look(
    frame_id=1234,
    epoch=2,
    pts_ns=1_790_000_000_123_456_789,
    things=(
        Thing("person", 0.912, (0.31, 0.22, 0.1, 0.4), 7, "Zoë “Z” O'Neil </script>", 0, seen=True),
        Thing("face", 0.5, (0.0, 0.0, 1.0, 1.0), 0, "unknown", 3, seen=False),
    ),
    motion=((0.3, 0.2, 0.15, 0.45),),
    share=0.04,
    region=(0.2, 0.1, 0.5, 0.67),
    ms={"decode": 1.1, "objects": 16.2},
)


@pytest.mark.parametrize("look", [LOOK, Look(1, 1, 0), Look(1, 1, 5, state="black", reason="the lens is covered")])
def test_what_is_packed_comes_out_again(look: Look) -> None:
    assert unpack(pack(look)) == look


def test_times_go_as_text_since_javascript_has_no_such_numbers() -> None:
    assert json.loads(pack(LOOK))["pts_ns"] == "1790000000123456789"


def test_numbers_are_no_longer_than_they_tell_anything() -> None:
    third = 1 / 3
    packed = json.loads(pack(Look(1, 1, 1, (Thing("a", third, (third,) * 4),), (), third, None, {"objects": third})))
    assert packed["things"][0]["box"] == [0.3333] * 4
    assert (packed["things"][0]["score"], packed["share"], packed["ms"]) == (0.333, 0.3333, {"objects": 0.33})


def test_a_thing_stands_in_the_middle_of_its_lower_edge() -> None:
    assert LOOK.things[0].foot == pytest.approx((0.36, 0.62))
