from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
import simplejpeg

from framecast.core.clock import SYSTEM, Clock
from framecast.core.errors import Misuse
from framecast.mock.source import MockOptions, MockSource, Rate, Schedule, parse_size, parse_url
from framecast.wire import blockcode


@dataclass
class Listener:
    """A reader that keeps what its source says."""

    wanted: int
    clock: Clock = SYSTEM
    next_frame_id: int = 100
    dialect: str = ""
    frames: list[tuple[bytes, float | None]] = field(default_factory=list)
    sounds: list[tuple[bytes, int, int, float]] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def connected(self, dialect: str, address: str = "") -> None:
        self.dialect = dialect

    def jpeg(self, payload: bytes, *, stamp_s: float | None = None, received_ns: int | None = None) -> bool:
        self.frames.append((payload, stamp_s))
        self.next_frame_id += 1
        if len(self.frames) == self.wanted:
            self.enough.set()
        return True

    def sound(self, payload: bytes, *, sample_rate_hz: int, channels: int, stamp_s: float) -> None:
        self.sounds.append((payload, sample_rate_hz, channels, stamp_s))

    def alive(self) -> None: ...

    def quirk(self, code: str) -> None: ...

    def fault(self, cause: str) -> None: ...


@pytest.mark.anyio
async def test_feeds_pictures_that_carry_their_id_and_time() -> None:
    listener = Listener(wanted=10)
    before_us = SYSTEM.now_ns() // 1000
    source = MockSource("mock:?fps=50&size=320x240&audio=1&show_frame_id=1&quality=70&name=door")
    running = asyncio.ensure_future(source.run(listener))
    await asyncio.wait_for(listener.enough.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert listener.dialect == "Synthetic camera"
    codes = [blockcode.read(simplejpeg.decode_jpeg(jpeg)) for jpeg, _ in listener.frames]
    assert [code.frame_id for code in codes] == list(range(100, 100 + len(codes)))
    for code, (jpeg, stamp_s) in zip(codes, listener.frames, strict=True):
        assert before_us <= code.time_us <= SYSTEM.now_ns() // 1000
        assert abs(code.time_us / 1e6 - stamp_s) < 1e-3
        assert simplejpeg.decode_jpeg_header(jpeg)[:2] == (240, 320)


def test_everything_has_a_default() -> None:
    assert parse_url("mock:") == MockOptions()
    assert parse_url("mock:?") == MockOptions()


def test_a_url_is_read_whole() -> None:
    url = (
        "mock:?fps=12.5&size=800x600&audio=1&claps=0&rate=48000&channels=2&clock_ppm=-200&show_frame_id=true&quality=90"
    )
    url += "&name=Front+door&hue=200"
    assert parse_url(url) == MockOptions(
        fps=12.5,
        width_px=800,
        height_px=600,
        quality=90,
        show_frame_id=True,
        name="Front door",
        hue_deg=200,
        audio=True,
        claps=False,
        sample_rate_hz=48_000,
        channels=2,
        clock_ppm=-200,
    )


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mock:?fps=x", "fps='x' can't be used: a number from 0.1 to 240"),
        ("mock:?fps=0", "fps='0'"),
        ("mock:?fps=nan", "fps='nan'"),
        ("mock:?fps=", "fps=''"),
        ("mock:?size=640", "size = '640' can't be used: WIDTHxHEIGHT, each from 64 to 4096"),
        ("mock:?size=10x10", "size = '10x10'"),
        ("mock:?size=640x99999", "size = '640x99999'"),
        (f"mock:?size={'9' * 5_000}x480", "can't be used: WIDTHxHEIGHT"),
        ("mock:?quality=0", "quality='0' can't be used: a number from 1 to 100"),
        ("mock:?show_frame_id=maybe", "show_frame_id='maybe' can't be used: 1 or 0"),
        ("mock:?rate=100", "rate='100' can't be used: a number from 8000 to 48000"),
        ("mock:?channels=3", "channels='3' can't be used: a number from 1 to 2"),
        ("mock:?clock_ppm=1e9", "clock_ppm='1e9'"),
        ("mock:?fsp=30", "doesn't know fsp='30': it takes fps, size"),
        ("mock://host/x", "is no mock camera: expected mock:"),
        ("http://host/", "is no mock camera"),
    ],
)
def test_a_bad_value_is_named_with_what_would_do(url: str, says: str) -> None:
    with pytest.raises(Misuse) as refused:
        MockSource(url)
    assert says in str(refused.value)


def test_sizes() -> None:
    assert parse_size("1280X720") == (1280, 720)


def test_a_schedule_does_not_drift_and_does_not_catch_up_for_long() -> None:
    schedule = Schedule(100.0)
    assert schedule.wait_s(0.1, 100.0) == pytest.approx(0.1)
    assert schedule.wait_s(0.2, 100.25) == pytest.approx(-0.05)  # late once …
    assert schedule.wait_s(0.3, 100.25) == pytest.approx(0.05)  # … and on the grid again
    assert schedule.wait_s(0.4, 130.0) == 0  # a pause of half a minute
    assert schedule.wait_s(0.5, 130.0) == pytest.approx(0.1)


def test_the_rate_is_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.tick(0) == 0
    for number in range(1, 50):
        measured = rate.tick(number / 10)
    assert measured == pytest.approx(10)
    for number in range(1, 100):
        measured = rate.tick(4.9 + number / 20)
    assert measured == pytest.approx(20)
