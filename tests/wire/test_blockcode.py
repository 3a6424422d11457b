from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from framecast.wire import blockcode
from framecast.wire.blockcode import Code
from tests.web.conftest import CHROMIUM

FRAME_ID = 123_456_789_012
TIME_US = 1_790_000_000_123_456
CODE = Code(FRAME_ID, TIME_US)
DECODER = Path(__file__).parent.parent / "support" / "blockcode.js"


def picture(width: int, height: int, code: Code = CODE, seed: int = 0) -> NDArray[np.uint8]:
    """A noisy gradient with ``code`` in its corner."""
    noise = np.random.default_rng(seed)
    ramp = np.linspace(40, 210, width)[None, :, None] + noise.normal(0, 6, (height, width, 3))
    image = ramp.clip(0, 255).astype(np.uint8)
    blockcode.draw(image, code.frame_id, code.time_us)
    return image


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**56 - 1))
@settings(max_examples=50, deadline=None)
def test_reads_back_what_was_drawn(frame_id: int, time_us: int) -> None:
    image = np.zeros((60, 320, 3), np.uint8)
    blockcode.draw(image, frame_id, time_us)
    assert blockcode.read(image) == Code(frame_id, time_us)


def test_frame_ids_are_drawn_modulo_2_to_the_48() -> None:
    image = np.zeros((60, 320), np.uint8)
    blockcode.draw(image, 2**48 + 5, 0)
    assert blockcode.read(image) == Code(5, 0)


def test_a_luma_plane_is_as_good_as_a_picture() -> None:
    luma = np.full((120, 160), 90, np.uint8)
    blockcode.draw(luma, 7, 8)
    assert blockcode.read(luma) == Code(7, 8)


def test_only_its_own_corner_is_touched() -> None:
    image = np.full((480, 640, 3), 77, np.uint8)
    blockcode.draw(image, FRAME_ID, TIME_US)
    width, height = blockcode.size(640)
    assert (width, height) == (208, 56)
    image[:height, :width] = 77
    assert (image == 77).all()


@pytest.mark.parametrize("quality", range(40, 96, 5))
@pytest.mark.parametrize("sampling", ["444", "420"])
@pytest.mark.parametrize("size", [(160, 120), (320, 240), (400, 296), (640, 480), (1270, 720)])
def test_survives_jpeg(quality: int, sampling: str, size: tuple[int, int]) -> None:
    jpeg = simplejpeg.encode_jpeg(picture(*size), quality, "RGB", sampling)
    assert blockcode.read(simplejpeg.decode_jpeg(jpeg)) == CODE


@pytest.mark.parametrize("method", [Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS])
@pytest.mark.parametrize("width", [160, 320, 480])
@pytest.mark.parametrize("source", [(640, 480), (1280, 720), (800, 600)])
def test_survives_scaling_and_jpeg(method: Image.Resampling, width: int, source: tuple[int, int]) -> None:
    height = round(source[1] * width / source[0])
    small = np.asarray(Image.fromarray(picture(*source)).resize((width, height), method))
    again = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(small, 40, "RGB", "420"))
    assert blockcode.read(again) == CODE


@pytest.mark.parametrize("width", [640, 320])
def test_survives_h264(tmp_path: Path, width: int) -> None:
    codes = [Code(100 + number, TIME_US + number * 33_333) for number in range(30)]
    height = width * 3 // 4
    raw = b"".join(picture(width, height, code, seed=1).tobytes() for code in codes)
    size = ["-s", f"{width}x{height}", "-pix_fmt", "rgb24"]
    film = tmp_path / "film.mp4"
    x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]
    _ffmpeg(["-f", "rawvideo", *size, "-r", "30", "-i", "-", *x264, str(film)], raw)
    decoded = _ffmpeg(["-i", str(film), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    frames = np.frombuffer(decoded, np.uint8).reshape(-1, height, width, 3)
    assert [blockcode.read(frame) for frame in frames] == codes


@pytest.mark.parametrize("width", [0, 1, 79, 120, 159])
def test_too_small_a_picture_holds_none(width: int) -> None:
    image = np.zeros((48, width, 3), np.uint8)
    blockcode.draw(image, 1, 2)
    assert blockcode.read(image) is None


def test_noise_and_flat_pictures_hold_none() -> None:
    noise = np.random.default_rng(3)
    for _ in range(50):
        assert blockcode.read(noise.integers(0, 256, (120, 160, 3), dtype=np.uint8)) is None
    for level in (0, 128, 255):
        assert blockcode.read(np.full((120, 160, 3), level, np.uint8)) is None


@given(st.integers(0, 119))
@settings(max_examples=30, deadline=None)
def test_one_wrong_cell_is_noticed(bit: int) -> None:
    image = picture(640, 480)
    row, column = divmod(bit, 24)
    cell = image[8 * (row + 1) : 8 * (row + 2), 8 * (column + 1) : 8 * (column + 2)]
    cell[...] = 255 - cell
    assert blockcode.read(image) is None


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "quality"), [(640, 80), (160, 40)])
def test_a_browser_reads_it_from_a_canvas(chromium: Browser, width: int, quality: int) -> None:
    height = width * 3 // 4
    jpeg = simplejpeg.encode_jpeg(picture(width, height), quality, "RGB", "420")
    page = chromium.new_page()
    script = """async ([source, jpeg, width, height]) => {
        const module = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
        const image = new Image();
        image.src = "data:image/jpeg;base64," + jpeg;
        await image.decode();
        return module.readBlockCodeFrom(image, width, height);
    }"""
    found = page.evaluate(script, [DECODER.read_text(), base64.b64encode(jpeg).decode(), width, height])
    page.close()
    assert found == {"frameId": FRAME_ID, "timeUs": TIME_US, "timeMs": TIME_US / 1000}


def _ffmpeg(arguments: list[str], data: bytes = b"") -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout
