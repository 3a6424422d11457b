from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.core.errors import Misuse
from framecast.process.errors import Undecodable
from framecast.process.transform import Mask, Transform
from framecast.process.turning import transform

from .pictures import decoded, jpeg_of, scene

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(width: int = 160, height: int = 96) -> bytes:
    """Red, green, blue, white: top left, top right, bottom left, bottom right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = RED
    picture[: height // 2, width // 2 :] = GREEN
    picture[height // 2 :, : width // 2] = BLUE
    picture[height // 2 :, width // 2 :] = WHITE
    return jpeg_of(picture, 95, "444")


def name_of(pixel: np.ndarray) -> str:
    bits = "".join("1" if value > 127 else "0" for value in pixel)
    return {"100": "R", "010": "G", "001": "B", "111": "W", "000": "."}[bits]


def seen(payload: bytes) -> str:
    picture = decoded(payload)
    height, width = picture.shape[:2]
    return "".join(name_of(picture[y, x]) for y in (8, height - 8) for x in (8, width - 8))


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (Transform(rotate=90), "BRWG"),
        (Transform(rotate=180), "WBGR"),
        (Transform(rotate=270), "GWRB"),
        (Transform(mirror="horizontal"), "GRWB"),
        (Transform(mirror="vertical"), "BWRG"),
        (Transform(rotate=90, mirror="horizontal"), "RBGW"),
    ],
)
def test_turns_clockwise_then_mirrors(spec: Transform, shown: str) -> None:
    payload = transform(corners(), spec)
    assert seen(payload) == shown
    assert decoded(payload).shape == ((160, 96, 3) if spec.rotate in (90, 270) else (96, 160, 3))


def test_nothing_to_do_gives_the_same_object() -> None:
    payload = corners()
    assert Transform().is_identity
    assert transform(payload, Transform()) is payload


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", ["none", "horizontal", "vertical"])
def test_a_mask_is_where_the_viewer_sees_it(rotate: int, mirror: str) -> None:
    white = jpeg_of(np.full((96, 160, 3), 255, np.uint8))
    shown = decoded(transform(white, Transform.of(rotate, mirror, [(0, 0, 0.4, 0.3)])))
    height, width = shown.shape[:2]
    assert shown[: int(0.3 * height), : int(0.4 * width)].max() < 16
    assert shown[int(0.3 * height) + 30 :].min() > 240
    assert shown[:, int(0.4 * width) + 30 :].min() > 240


@settings(max_examples=40, deadline=None)
@given(
    rotate=st.sampled_from([0, 90, 180, 270]),
    mirror=st.sampled_from(["none", "horizontal", "vertical"]),
    subsampling=st.sampled_from(["444", "422", "420", "440", "411"]),
    x=st.floats(0, 0.7),
    y=st.floats(0, 0.7),
    width=st.floats(0.05, 0.3),
    height=st.floats(0.05, 0.3),
    seed=st.integers(0, 9),
)
def test_nothing_of_what_a_mask_covers_has_any_influence(
    rotate: int, mirror: str, subsampling: str, x: float, y: float, width: float, height: float, seed: int
) -> None:
    """Two pictures that differ under the mask only come out byte for byte the same."""
    spec = Transform.of(rotate, mirror, [(x, y, width, height)])
    shape = (157, 205)
    covered = np.zeros((*shape, 3), np.uint8)
    # Where the mask lies in the source, found by brute force: each pixel is turned and mirrored on its own.
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    index = np.stack([rows, columns], axis=-1)
    index = np.rot90(index, -rotate // 90)
    if mirror == "horizontal":
        index = index[:, ::-1]
    elif mirror == "vertical":
        index = index[::-1]
    shown_h, shown_w = index.shape[:2]
    inside = index[
        int(np.ceil(y * shown_h)) : int((y + height) * shown_h), int(np.ceil(x * shown_w)) : int((x + width) * shown_w)
    ].reshape(-1, 2)
    covered[inside[:, 0], inside[:, 1]] = 1
    rng = np.random.default_rng(seed)
    base = scene(shape[1], shape[0], seed)
    secret = rng.integers(0, 255, base.shape, dtype=np.uint8)
    one = transform(jpeg_of(base, 60, subsampling), spec)
    other = transform(jpeg_of(np.where(covered, secret, base), 60, subsampling), spec)
    assert one == other


def test_metadata_does_not_go_along() -> None:
    payload = corners()
    secret = b"Exif\0\0here is where it was taken"
    tagged = payload[:2] + b"\xff\xe1" + (len(secret) + 2).to_bytes(2) + secret + payload[2:]
    assert b"taken" not in transform(tagged, Transform(masks=(Mask(0, 0, 0.1, 0.1),)))


def test_a_broken_picture_gives_nothing_rather_than_itself() -> None:
    payload = corners()
    with pytest.raises(Undecodable):
        transform(payload[: len(payload) // 2], Transform(masks=(Mask(0, 0, 1, 1),)))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rotate": 45}, "0, 90, 180 or 270"),
        ({"mirror": "both"}, "none, horizontal or vertical"),
        ({"masks": [(0, 0, 640, 480)]}, "fractions, not pixels"),
        ({"masks": [(0.5, 0, 0.6, 0.5)]}, "at most 1"),
        ({"masks": [(-0.1, 0, 0.5, 0.5)]}, "at least 0"),
        ({"masks": [(0, 0, 0, 0.5)]}, "above 0"),
        ({"masks": [(0, 0, float("nan"), 0.5)]}, "numbers from 0 to 1"),
        ({"masks": [(0, 0, 1)]}, "four numbers"),
        ({"quality": 0}, "1 to 100"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(Misuse, match=says):
        Transform.of(**arguments)  # type: ignore[arg-type]
