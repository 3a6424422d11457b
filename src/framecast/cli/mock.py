"""``framecast mock-camera``: play a device, sound or broken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framecast.cli import console
from framecast.core.errors import Misuse
from framecast.mock.clap import MAX_RATE_HZ, MIN_RATE_HZ
from framecast.mock.devicetime import MOST_PPM

DEFAULT = "espressif"
_PUSHING = {"http": "post-raw", "https": "post-raw", "ws": "websocket", "wss": "websocket"}


def mock_camera(
    dialect: Annotated[
        str | None,
        typer.Option(
            "--dialect",
            "-d",
            help=f"Firmware to play (see --list); by default {DEFAULT}, with --to post-raw or websocket.",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", "-f", metavar="NAME[=VALUE]", help="What it does wrong (see --list). Repeat."),
    ] = None,
    listen: Annotated[
        int, typer.Option("--listen", "-l", metavar="PORT", help="Port to be asked at; 0 takes any.")
    ] = 5069,
    host: Annotated[str, typer.Option("--host", help="Address to be asked at.")] = "127.0.0.1",
    to: Annotated[str, typer.Option("--to", "-t", metavar="URL", help="Push there instead: http://… or ws://…")] = "",
    token: Annotated[str, typer.Option("--token", help="Token to show when pushing.")] = "",
    video: Annotated[
        Path | None,
        typer.Option("--video", exists=True, dir_okay=False, help="Send this film instead of drawn pictures."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", help="Pictures a second; by default the firmware's usual rate.")
    ] = None,
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="Size of the pictures. [640x480, or the film's]")
    ] = "",
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="JPEG quality.")] = 80,
    name: Annotated[str, typer.Option("--name", help="Name in the picture, and a doorbell's device_id.")] = "mock",
    frame_bytes: Annotated[int, typer.Option("--frame-bytes", min=0, help="Pad pictures to this size.")] = 0,
    static: Annotated[
        bool, typer.Option("--static", help="Send a few ready-made pictures, which costs little.")
    ] = False,
    show_frame_id: Annotated[bool, typer.Option(help="Write the frame id into the picture.")] = True,
    block_code: Annotated[bool, typer.Option(help="Draw the code that measuring programs read.")] = True,
    audio: Annotated[bool, typer.Option("--audio", help="With sound: a soft tone, and claps.")] = False,
    rate: Annotated[
        int, typer.Option("--rate", min=MIN_RATE_HZ, max=MAX_RATE_HZ, help="Samples of sound a second.")
    ] = 16_000,
    channels: Annotated[int, typer.Option("--channels", min=1, max=2, help="Channels of the sound.")] = 1,
    claps: Annotated[bool, typer.Option(help="Click in the sound, and flash with it, once a second.")] = True,
    clock_ppm: Annotated[
        float,
        typer.Option("--clock-ppm", min=-MOST_PPM, max=MOST_PPM, help="By how many millionths its clock is fast."),
    ] = 0.0,
    speaker: Annotated[
        Path | None,
        typer.Option("--speaker", dir_okay=False, help="WAV file for what its speaker plays."),
    ] = None,
    speaker_url: Annotated[
        str,
        typer.Option(
            "--speaker-url", metavar="URL", help="Where it asks for what to play; by default the server it pushes to."
        ),
    ] = "",
    clients: Annotated[
        int | None, typer.Option("--clients", min=1, help="Viewers it serves; by default as many as the firmware.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", metavar="S", help="Stop after so many seconds.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all chance.")] = 0,
    show_list: Annotated[bool, typer.Option("--list", help="List firmwares and faults.")] = False,
) -> None:
    """Play a camera: any firmware that Framecast knows, with any of its faults.

    Examples:

      framecast mock-camera --dialect tasmota --fault truncate=0.05

      framecast mock-camera --to http://127.0.0.1:8080/api/v1/cameras/yard/frames --token fc_…
    """
    if show_list:
        _list()
        return
    import asyncio
    import signal

    from framecast.mock.microphone import SoundOptions
    from framecast.mock.play import DeviceOptions, play
    from framecast.mock.source import parse_size

    chosen = dialect or (_PUSHING.get(to.partition(":")[0].lower(), DEFAULT) if to else DEFAULT)
    try:
        options = DeviceOptions(
            dialect=chosen,
            faults=fault or (),
            host=host,
            port=listen,
            to=to,
            fps=fps,
            size_px=parse_size(size) if size else None,
            quality=quality,
            name=name,
            video=video,
            show_frame_id=show_frame_id,
            block_code=block_code,
            static=static,
            frame_bytes=frame_bytes,
            max_clients=clients,
            token=token,
            audio=SoundOptions(rate, channels, claps) if audio else None,
            clock_ppm=clock_ppm,
            speaker=speaker,
            speaker_url=speaker_url,
            duration_s=duration,
            seed=seed,
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        asyncio.run(play(options, _say))
    except Misuse as error:
        raise typer.BadParameter(str(error)) from None
    except KeyboardInterrupt:
        console.note("stopped")


def _list() -> None:
    from framecast.mock.dialects import TABLE
    from framecast.mock.faults import KINDS

    console.table(
        ("FIRMWARE", "WAY", "WHAT"),
        [(item.name, "pushes" if item.pushes else "is asked", f"{item.title}. {item.about}") for item in TABLE],
    )
    print()
    console.table(
        ("FAULT", "VALUE", "USUALLY", "WHAT"),
        [(kind.name, kind.value, f"{kind.default:g}" if kind.default else "", kind.about) for kind in KINDS],
    )


def _say(line: str) -> None:
    # At once, for whoever reads it through a pipe.
    print(line, flush=True)
