"""Boxes drawn over the picture: where the thing is, at any size, and only while they are wanted."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.vision import tinymodel
from tests.web.conftest import Open, Process, serving
from tests.web.playing import place, wait_path

PUSHER = Path(__file__).parent / "moving_square.py"
PERSON = (0x4D, 0xC3, 0xFF)
THINGS = "framecast-player .thing"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with the tiny model and two cameras that show a white square before something that moves."""
    folder = tmp_path_factory.mktemp("boxes")
    tinymodel.write(folder / "data" / "models" / "tiny.onnx")
    (folder / "server.toml").write_text('[vision]\nmodel = "tiny"\nfps = 10\n')
    options = ("--config", str(folder / "server.toml"), "--camera", "door=push:", "--camera", "yard=push:")
    with serving(folder, *options) as process:
        pusher = subprocess.Popen([sys.executable, str(PUSHER), process.url, "door", "yard"])
        yield process
        pusher.kill()
        pusher.wait()


def misplaced_px(page: Page, scale: float = 1) -> float:
    """How far the line is from the edge of the white square, as they are on the screen, at the worst side in px."""
    page.locator(THINGS).first.wait_for()
    picture = page.locator("framecast-player .picture").first.screenshot()
    screen = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int)
    white = np.argwhere((screen > 225).all(axis=2))
    (top, left), (bottom, right) = white.min(axis=0), white.max(axis=0)
    # The words stand above the left corner.
    row, column = (top + bottom) // 2, right - (right - left) // 10
    line = (abs(screen - PERSON) < 12).all(axis=2)
    across, down = np.flatnonzero(line[row]), np.flatnonzero(line[:, column])
    assert len(across) and len(down), "no line"
    sides = zip((across[0], across[-1], down[0], down[-1]), (left, right, top, bottom), strict=True)
    return max(abs(float(line) - float(edge)) for line, edge in sides) / scale


@pytest.mark.parametrize("path", ["jpeg", "webcodecs", "mse", "webrtc", "img"])
def test_a_box_lies_around_the_thing_on_each_path(server: Process, open_page: Open, path: str) -> None:
    page = open_page(server.url + "/docs").page
    place(page, server.url, camera="door", path=path, boxes="on")
    wait_path(page, path)
    assert misplaced_px(page) < 12
    expect(page.locator(f"{THINGS} span")).to_have_text("person 90%")
