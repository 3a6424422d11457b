"""What ``framecast mock-camera`` does: play one device until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from framecast.core.errors import Misuse
from framecast.mock.device import FakeDevice
from framecast.mock.microphone import SoundOptions
from framecast.mock.picture import Pictures, Synthetic
from framecast.mock.setup import find
from framecast.mock.video import Video

PORT = 5069
REPORT_EVERY_S = 5.0
DEFAULT_SIZE_PX = (640, 480)


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What to play.

    Attributes:
        dialect: Name in ``dialects.TABLE``.
        faults: ``NAME`` or ``NAME=VALUE`` each (``faults.KINDS``).
        host: Address to listen on.
        port: Port to listen on; 0 = any.
        to: URL to push to, for a dialect that pushes; without a path, the dialect's own.
        fps: Rate; None = the dialect's usual one. A video keeps its own.
        size_px: Width and height; None = 640 x 480, or the video's own.
        quality: JPEG quality, 1-100.
        name: Written into the picture; settles its colours. A doorbell sends it as its device_id.
        video: A file to show instead of synthetic pictures.
        show_frame_id: Write the frame id into synthetic pictures.
        block_code: Draw the block code.
        static: Send a few ready-made pictures (cheap), told apart by their comment segment alone.
        frame_bytes: Pad pictures to this many bytes; 0 = as they are.
        max_clients: Viewers at a time; None = as many as the firmware serves.
        token: Sent along when pushing.
        audio: Its sound; None = none.
        clock_ppm: By how many millionths its clock is fast (positive) or slow.
        speaker: WAV file for what its speaker plays; None = no speaker.
        speaker_url: Where it asks for what to play; empty = where the server it pushes to has it.
        duration_s: Stop after this long; None = never.
        seed: Of all chance.
    """

    dialect: str = "espressif"
    faults: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int = PORT
    to: str = ""
    fps: float | None = None
    size_px: tuple[int, int] | None = None
    quality: int = 80
    name: str = "mock"
    video: Path | None = None
    show_frame_id: bool = True
    block_code: bool = True
    static: bool = False
    frame_bytes: int = 0
    max_clients: int | None = None
    token: str = ""
    audio: SoundOptions | None = None
    clock_ppm: float = 0.0
    speaker: Path | None = None
    speaker_url: str = ""
    duration_s: float | None = None
    seed: int = 0


async def play(options: DeviceOptions, out: Callable[[str], None] = print) -> None:
    """Play the device until ``duration_s`` is over, or until cancelled.

    Args:
        options: What to play.
        out: Gets each line for people.

    Raises:
        Misuse: Options that can't be used, or a port that is taken.
    """
    dialect = find(options.dialect)
    if options.to and not dialect.pushes:
        raise Misuse(f"{dialect.name} is asked and pushes nowhere: leave out --to, or take a dialect that pushes")
    fps = dialect.fps if options.fps is None else options.fps
    if not 0.05 <= fps <= 1_000:
        raise Misuse(f"fps = {fps:g} can't be used: 0.05 to 1000")
    device = FakeDevice(
        dialect.name,
        options.faults,
        fps=fps,
        size_px=options.size_px or DEFAULT_SIZE_PX,
        quality=options.quality,
        name=options.name,
        pictures=None if options.static else pictures(options, fps),
        frame_bytes=options.frame_bytes,
        host=options.host,
        port=options.port,
        to=options.to,
        device_id=options.name,
        token=options.token,
        max_clients=options.max_clients,
        seed=options.seed,
        audio=options.audio,
        clock_ppm=options.clock_ppm,
        speaker=options.speaker,
        speaker_url=options.speaker_url,
        log=out,
    )
    async with device:
        if dialect.pushes:
            target = device.target
            out(f"{dialect.title}: pushing to {target.scheme}://{target.authority}{target.path}")
        else:
            out(f"{dialect.title}: {dialect.about}")
            out(f"Listening on {device.url}")
            for still in dialect.stills:
                out(f"Stills at {device.base_url}{still}")
            for sound in dialect.sounds if device.audio is not None else ():
                out(f"Sound at {device.base_url}{sound}")
        for fault in options.faults:
            out(f"With the fault {fault}")
        try:
            async with asyncio.timeout(options.duration_s):
                await _report(device, out)
        except TimeoutError:
            out(f"{device.written.frames} frames sent{_answers(device)}")


def pictures(options: DeviceOptions, fps: float) -> Pictures:
    """The pictures that ``options`` ask for.

    Raises:
        Misuse: The video can't be used.
    """
    if options.video is not None:
        width_px, height_px = options.size_px or (0, 0)
        return Video(
            options.video,
            width_px=width_px,
            height_px=height_px,
            quality=options.quality,
            name=options.name,
            caption=options.show_frame_id,
            block_code=options.block_code,
        )
    width_px, height_px = options.size_px or DEFAULT_SIZE_PX
    return Synthetic(
        width_px,
        height_px,
        fps=fps,
        quality=options.quality,
        name=options.name,
        show_frame_id=options.show_frame_id,
        block_code=options.block_code,
    )


def _answers(device: FakeDevice) -> str:
    """What the server said to a device that pushes."""
    if not device.dialect.pushes:
        return ""
    answers = ", ".join(f"{status} x {count}" for status, count in sorted(device.statuses.items()))
    return f" | answers: {answers or 'none'}"


async def _report(device: FakeDevice, out: Callable[[str], None]) -> None:
    """Say every few seconds how it goes, as long as anything goes."""
    before = device.written
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        now = device.written
        frames, size_bytes = now.frames - before.frames, now.size_bytes - before.size_bytes
        if frames:
            line = f"{frames / REPORT_EVERY_S:.1f} fps | {size_bytes / frames / 1000:.1f} kB a frame"
            line += _answers(device) if device.dialect.pushes else f" | {device.clients} watching"
            if device.audio is not None:
                line += f" | {device.audio.written} chunks of sound"
            if device.speaker is not None:
                line += f" | {device.speaker.size_bytes / 1000:.0f} kB played"
            out(line)
        before = now
