"""Where places of a scene are when the picture is turned or mirrored."""

from __future__ import annotations

import itertools

import pytest

from framecast.service.config import CameraConfig, check_camera
from framecast.service.config.view import View
from framecast.service.config.view import carried_masks as carried

CORNER = (0.0, 0.0, 0.25, 0.125)
VIEWS = list(itertools.product((0, 90, 180, 270), ("none", "horizontal", "vertical")))


def camera(view: tuple[int, str], *masks: tuple[float, ...]) -> CameraConfig:
    return check_camera({"url": "push:", "rotate": view[0], "mirror": view[1], "masks": [list(mask) for mask in masks]})


def carried_masks(before: CameraConfig, now: CameraConfig) -> list[tuple[float, float, float, float]] | None:
    return carried(before.masks, View.of(before), View.of(now))


@pytest.mark.parametrize("view", VIEWS)
def test_masks_stay_on_what_they_hide(view: tuple[int, str]) -> None:
    plain = (0, "none")
    there = carried_masks(camera(plain, CORNER), camera(view))
    if view == plain:
        assert there is None
        return
    assert there is not None
    # Where the upper left corner of the scene goes: turned clockwise first, then mirrored.
    rotate, mirror = view
    x, y = {0: (0, 0), 90: (1, 0), 180: (1, 1), 270: (0, 1)}[rotate]
    x, y = {"none": (x, y), "horizontal": (1 - x, y), "vertical": (x, 1 - y)}[mirror]
    width, height = (0.125, 0.25) if rotate in (90, 270) else (0.25, 0.125)
    assert there == [pytest.approx((x * (1 - width), y * (1 - height), width, height))]
    assert carried_masks(camera(view, *there), camera(plain)) == [pytest.approx(CORNER)]


@pytest.mark.parametrize(("before", "now"), [(a, b) for a in VIEWS for b in VIEWS if a != b])
def test_masks_that_were_carried_are_good_ones(before: tuple[int, str], now: tuple[int, str]) -> None:
    odd = (1 / 3, 0.1, 2 / 3, 0.9), (0.123456789, 0.0, 0.1 + 0.2, 1e-3), (1 - 1e-8, 0.0, 1e-9, 1e-9)
    there = carried_masks(camera(before, *odd), camera(now))
    assert there is not None
    assert camera(now, *there).masks == there
