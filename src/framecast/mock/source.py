"""``mock:`` cameras: synthetic pictures made inside this process."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from framecast.core.errors import Misuse
from framecast.core.source import Feed
from framecast.mock.clap import MAX_RATE_HZ, MIN_RATE_HZ, Claps
from framecast.mock.devicetime import MOST_PPM, DeviceTime

if TYPE_CHECKING:
    from framecast.mock.picture import Synthetic

MIN_PX = 64
MAX_PX = 4096
"""Bounds of either side of a picture."""

MIN_FPS = 0.1
MAX_FPS = 240.0
_KEYS = ("fps", "size", "quality", "show_frame_id", "name", "hue", "audio", "claps", "rate", "channels", "clock_ppm")
_CATCH_UP_S = 0.5
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class MockOptions:
    """What a ``mock:`` URL asks for.

    Attributes:
        fps: Frames a second.
        width_px: Width.
        height_px: Height.
        quality: JPEG quality, 1-100.
        show_frame_id: Write the frame id into the picture as text.
        name: Written into the picture; settles its colours.
        hue_deg: Colours to take instead, 0 to 360; None = those of the name.
        audio: With sound: a soft tone.
        claps: A click in the sound with a flash of the picture, once a second (`clap`).
        sample_rate_hz: Samples of sound a second.
        channels: Of the sound.
        clock_ppm: By how many millionths its clock is fast (positive) or slow.
    """

    fps: float = 30.0
    width_px: int = 640
    height_px: int = 480
    quality: int = 80
    show_frame_id: bool = False
    name: str = "mock"
    hue_deg: float | None = None
    audio: bool = False
    claps: bool = True
    sample_rate_hz: int = 16_000
    channels: int = 1
    clock_ppm: float = 0.0


def parse_url(url: str) -> MockOptions:
    """The options in ``mock:?fps=30&size=640x480&audio=1&show_frame_id=1&quality=80&name=door&hue=200``.

    Raises:
        Misuse: A key or value that can't be used; the message names both and what would be accepted.
    """
    parts = urlsplit(url)
    if parts.scheme != "mock" or parts.netloc or parts.path:
        raise Misuse(f"{url!r} is no mock camera: expected mock: or mock:?fps=30&size=640x480")
    values = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(values) - set(_KEYS))
    if unknown:
        raise Misuse(
            f"mock: doesn't know {unknown[0]}={values[unknown[0]]!r}: it takes {', '.join(_KEYS[:-1])} and {_KEYS[-1]}"
        )
    width_px, height_px = parse_size(values.get("size", "640x480"))
    hue = values.get("hue", "")
    return MockOptions(
        fps=_number(values, "fps", 30.0, MIN_FPS, MAX_FPS),
        width_px=width_px,
        height_px=height_px,
        quality=int(_number(values, "quality", 80, 1, 100)),
        show_frame_id=_flag(values, "show_frame_id"),
        name=values.get("name", "mock"),
        hue_deg=_number(values, "hue", 0, 0, 360) if hue else None,
        audio=_flag(values, "audio"),
        claps=_flag(values, "claps", "1"),
        sample_rate_hz=int(_number(values, "rate", 16_000, MIN_RATE_HZ, MAX_RATE_HZ)),
        channels=int(_number(values, "channels", 1, 1, 2)),
        clock_ppm=_number(values, "clock_ppm", 0.0, -MOST_PPM, MOST_PPM),
    )


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of ``640x480``.

    Raises:
        Misuse: It is no size, or out of range.
    """
    width, _, height = size.lower().partition("x")
    if width.isdecimal() and height.isdecimal() and len(size) < 20:
        width_px, height_px = int(width), int(height)
        if MIN_PX <= width_px <= MAX_PX and MIN_PX <= height_px <= MAX_PX:
            return width_px, height_px
    raise Misuse(f"size = {size!r} can't be used: WIDTHxHEIGHT, each from {MIN_PX} to {MAX_PX}, such as 640x480")


class MockSource:
    """Feeds synthetic pictures at an even rate.

    Args:
        url: As ``parse_url`` reads it.

    Raises:
        Misuse: The URL can't be used.
    """

    def __init__(self, url: str) -> None:
        self.options = parse_url(url)

    async def run(self, feed: Feed) -> None:
        """Feed for ever; drawing happens in a thread of its own."""
        options = self.options
        loop = asyncio.get_running_loop()
        # Unix time, off by as much as its crystal makes it from here on.
        time = DeviceTime(feed.clock, options.clock_ppm, feed.clock.now_ns() / 1e9)
        claps = Claps()
        with ThreadPoolExecutor(1, thread_name_prefix="mock") as executor:
            pictures = await loop.run_in_executor(executor, _pictures, options)
            from framecast.mock.picture import Label

            feed.connected("Synthetic camera", options.name)
            schedule = Schedule(feed.clock.now_ns() / 1e9)
            rate = Rate()
            async with asyncio.TaskGroup() as tasks:
                if options.audio:
                    tasks.create_task(_sound(feed, options, time, claps))
                while True:
                    wait_s = schedule.wait_s(pictures.advance(), feed.clock.now_ns() / 1e9)
                    if wait_s > 0:
                        await asyncio.sleep(wait_s)
                    now_ns = feed.clock.now_ns()
                    taken_s = time.at_s(now_ns)
                    label = Label(
                        frame_id=feed.next_frame_id,
                        time_us=now_ns // 1000,
                        elapsed_s=now_ns / 1e9 - schedule.start_s,
                        fps=rate.tick(now_ns / 1e9),
                        flash=options.audio and options.claps and claps.picture(taken_s),
                    )
                    jpeg = await loop.run_in_executor(executor, pictures.draw, label)
                    feed.jpeg(jpeg, stamp_s=taken_s)


class Schedule:
    """Due times on one grid, so that being late once doesn't make everything after it later.

    Args:
        start_s: When the picture due at 0 is due.
    """

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self._shift_s = 0.0

    def wait_s(self, due_s: float, now_s: float) -> float:
        """How long to wait for what is due at ``due_s``; after a long pause the grid moves instead of catching up."""
        wait_s = self.start_s + self._shift_s + due_s - now_s
        if wait_s < -_CATCH_UP_S:
            self._shift_s -= wait_s
            return 0.0
        return wait_s


class Rate:
    """Frames a second over the last second or so."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=256)

    def tick(self, now_s: float) -> float:
        """Count one frame; the rate, or 0 while there is too little to tell."""
        self._times_s.append(now_s)
        while now_s - self._times_s[0] > 2.0 and len(self._times_s) > 2:
            self._times_s.popleft()
        span_s = now_s - self._times_s[0]
        return (len(self._times_s) - 1) / span_s if span_s > 0 else 0.0


async def _sound(feed: Feed, options: MockOptions, time: DeviceTime, claps: Claps) -> None:
    """Feed sound for ever, in chunks as a doorbell sends them."""
    from framecast.mock.microphone import Microphone, SoundOptions

    microphone = Microphone(SoundOptions(options.sample_rate_hz, options.channels, options.claps), time, claps)
    with microphone.listen() as ear:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(microphone.run())
            while True:
                chunk = await ear.next()
                feed.sound(
                    chunk.payload,
                    sample_rate_hz=options.sample_rate_hz,
                    channels=options.channels,
                    stamp_s=chunk.start_s,
                )


def _pictures(options: MockOptions) -> Synthetic:
    # Here, and so in the thread: numpy and Pillow take a while, and a server without mock cameras needs neither.
    from framecast.mock.picture import Synthetic

    return Synthetic(
        options.width_px,
        options.height_px,
        fps=options.fps,
        quality=options.quality,
        name=options.name,
        hue_deg=options.hue_deg,
        show_frame_id=options.show_frame_id,
    )


def _number(values: dict[str, str], key: str, default: float, low: float, high: float) -> float:
    if key not in values:
        return default
    try:
        number = float(values[key])
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise Misuse(f"mock: {key}={values[key]!r} can't be used: a number from {low:g} to {high:g}")
    return number


def _flag(values: dict[str, str], key: str, default: str = "0") -> bool:
    flag = _FLAGS.get(values.get(key, default).lower())
    if flag is None:
        raise Misuse(f"mock: {key}={values[key]!r} can't be used: 1 or 0")
    return flag
