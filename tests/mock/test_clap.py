"""Claps as docs/mock-camera.md defines them: in the picture, in the sound, and at one instant."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from framecast.core.clock import ManualClock
from framecast.mock.clap import CLICK_PEAK, PATCH, TONE_PEAK, WHITE, Claps
from framecast.mock.devicetime import DeviceTime
from framecast.mock.picture import Label, Synthetic
from framecast.mock.voice import Voice
from framecast.wire import blockcode


def pictured(claps: Claps, fps: float, start_s: float, end_s: float) -> list[float]:
    """Take pictures; the instants of the flashes."""
    times = np.arange(start_s, end_s, 1 / fps)
    return [float(time) for time in times if claps.picture(float(time))]


def heard(claps: Claps, starts: NDArray[np.float64]) -> list[float]:
    """The clicks of chunks that begin at ``starts``, evenly apart."""
    length = starts[1] - starts[0]
    return [click for start in starts for click in claps.clicks(float(start), float(start + length))]


def mean_luma(pixels: NDArray[np.uint8]) -> float:
    """Inside the patch."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = PATCH
    return float(pixels[int(height * top) : int(height * bottom), int(width * left) : int(width * right)].mean())


@pytest.mark.parametrize("fps", [1, 5, 12.5, 29.97, 60])
def test_the_first_picture_of_each_second_flashes_and_the_click_is_there(fps: float) -> None:
    claps = Claps()
    flashes = pictured(claps, fps, 100.42, 130)
    assert [int(flash) for flash in flashes] == list(range(101, 130))
    assert all(flash - int(flash) < 1 / fps + 1e-9 for flash in flashes)
    assert claps.clicks(100.42, 130) == flashes


def test_claps_are_never_close_together() -> None:
    claps = Claps()
    instants = [*pictured(claps, 10, 5, 7.95), *pictured(claps, 10, 9.7, 12)]
    assert len(instants) > 3
    assert all(later - before >= 0.75 for before, later in pairwise(instants))


def test_a_click_comes_alone_where_nobody_takes_pictures() -> None:
    claps = Claps()
    assert heard(claps, np.arange(0, 6.4, 0.064)) == [0, 1, 2, 3, 4, 5, 6]
    flashes = pictured(claps, 10, 6.45, 8.5)
    assert claps.clicks(6.4, 8.5) == flashes
    assert heard(claps, np.arange(8.5, 11.6, 0.5)) == [11]


def test_a_chunk_that_is_made_late_holds_the_click_of_its_flash_alone() -> None:
    claps = Claps()
    flashes = pictured(claps, 10, 5.05, 9)
    assert heard(claps, np.arange(5.0, 9, 0.064)) == flashes


def test_a_device_that_starts_again_clicks_again() -> None:
    claps = Claps()
    pictured(claps, 10, 5_000.5, 5_003)
    assert heard(claps, np.arange(5_002, 5_003, 0.064))
    assert heard(claps, np.arange(0, 3.2, 0.064)) == [0, 1, 2, 3]


def test_a_device_that_starts_again_claps_again() -> None:
    claps = Claps()
    assert pictured(claps, 10, 5_000.5, 5_003)
    assert [int(flash) for flash in pictured(claps, 10, 0, 3.05)] == [1, 2, 3]


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (1280, 720)])
def test_a_flash_is_white_and_nothing_else_is(size: tuple[int, int]) -> None:
    pictures = Synthetic(*size, quality=30)
    for number in range(40):
        pictures.advance()
        flash = number % 4 == 0
        image = simplejpeg.decode_jpeg(pictures.draw(Label(number, 5_000_000, flash=flash)), "GRAY")[:, :, 0]
        assert (mean_luma(image) > WHITE) is flash
        assert blockcode.read(image) == blockcode.Code(number, 5_000_000)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_click_begins_with_the_sample_of_its_instant(rate: int, channels: int) -> None:
    voice, count = Voice(rate, channels), 1_000
    instant = 12.3456
    sound = b""
    for first in range(12 * rate, 13 * rate, count):
        start, end = first / rate, (first + count) / rate
        sound += voice.render(first, count, [instant] if start <= instant < end else [])
    samples = np.abs(np.frombuffer(sound, "<i2").astype(int)).reshape(-1, channels)
    at = round((instant - 12) * rate)
    for channel in samples.T:
        assert np.argmax(channel > CLICK_PEAK / 2) == at
        assert abs(channel[at] - CLICK_PEAK) <= TONE_PEAK
        assert channel[:at].max() <= TONE_PEAK and channel[at + rate // 50 :].max() <= TONE_PEAK


def test_sound_is_the_same_however_it_is_cut() -> None:
    clicks = [0.0, 0.0999, 0.2]
    whole = Voice(16_000).render(0, 6_400, clicks)
    for count in (1, 160, 1_024):
        voice, pieces = Voice(16_000), b""
        for first in range(0, 6_400, count):
            take = min(count, 6_400 - first)
            pieces += voice.render(first, take, [at for at in clicks if first <= round(at * 16_000) < first + take])
        assert pieces == whole


def test_a_skewed_clock_is_off_by_its_millionths() -> None:
    clock = ManualClock()
    time = DeviceTime(clock, ppm=200, start_s=50)
    clock.advance(1_000)
    assert time.now_s() == pytest.approx(1_050.2)
    assert time.wait_s(1_060.2) == pytest.approx(10 / 1.0002)
    time.jump(7)
    assert time.stamp_s(time.now_s()) == pytest.approx(1_057.2)
    time.begin()
    assert time.now_s() == 0 and time.stamp_s(-3) == 0
