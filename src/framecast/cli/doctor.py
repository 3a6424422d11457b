"""``framecast doctor``: look at the server itself, or at a camera the way it would, and say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from framecast.cli import checkup, console, options
from framecast.cli.control import CommandError, Server, elsewhere

Add = Callable[[dict[str, Any]], None]

_SEVERITIES = {"error": "ERROR", "warning": "warning", "info": "note"}


def _show_encoders(wanted: bool) -> None:
    """Try this machine's H.264 encoders, say which work, and end."""
    if not wanted:
        return
    try:
        from framecast.process.encoders import SHARED
    except ModuleNotFoundError:
        raise CommandError("H.264 needs the media extra: pip install 'framecast[media]'") from None
    for found in SHARED.report():
        print(f"{'ok' if found.works else 'no':>4}  {found.name}{'' if found.works else f': {found.note}'}")
    print(f'\nencoder = "auto" takes {SHARED.choose().name}.')
    raise typer.Exit


def doctor(
    target: Annotated[
        str | None,
        typer.Argument(metavar="URL|ID", help="A URL, a bare address or the id of a camera. Without one: the server."),
    ] = None,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    encoders: Annotated[
        bool,
        typer.Option("--encoders", is_eager=True, callback=_show_encoders, help="Try the H.264 encoders instead."),
    ] = False,
) -> None:
    """Look at the server and its machine, or probe a camera, and explain what is wrong and what to do.

    Exit status 1 when something is wrong with the server, or the camera gives no pictures.

    Examples:

      framecast doctor

      framecast doctor 192.168.1.20

      framecast doctor http://192.168.1.20:81/stream

      framecast doctor --encoders
    """
    if target is None:
        checkup.check(config, data, as_json=as_json)
        return
    findings = _Findings(quiet=as_json)
    _probe(target, config, data, findings.add)
    result = findings.result
    if result is None:
        raise CommandError("the probe ended without a result")
    if as_json:
        # A picture of some 100 kB in base64 is of no use on a terminal.
        console.as_json({key: value for key, value in result.items() if key != "preview"})
    else:
        _explain(result)
    if not result.get("ok"):
        raise typer.Exit(1)


class _Findings:
    """The messages of a probe: steps are printed as they come, the result is kept."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.result: dict[str, Any] | None = None

    def add(self, message: dict[str, Any]) -> None:
        """Take one message."""
        if "step" in message and not self._quiet:
            print(f"{'ok' if message.get('ok', True) else 'no':>4}  {console.shown(message['text'])}", flush=True)
        self.result = message.get("result", self.result)


def _probe(target: str, config: Path | None, data: Path | None, add: Add) -> None:
    """Probe from the running server for its own cameras, else from here."""
    import asyncio

    from framecast.service.config import CAMERA_ID
    from framecast.service.store.state import State

    url, user, password = target, "", ""
    if CAMERA_ID.fullmatch(target):
        configuration = options.load(config, data)
        folder = configuration.settings.server.data
        if server := Server.find(folder):
            # The server may hold the one connection that the camera accepts.
            for message in server.lines("POST", "/api/v1/probe", {"camera": target}):
                add(message)
            return
        if folder.exists():
            with State.open(folder) as state:
                configuration = configuration.with_changes(state.changes())
        camera = configuration.settings.cameras.get(target)
        if camera is None:
            raise CommandError(
                f"there is no camera {target}, and a bare name is no address: give http://{target}/ to probe it."
                + elsewhere(folder)
            )
        url = camera.url
        user, password = camera.username, camera.password
    asyncio.run(_probe_here(url, user, password, add))


async def _probe_here(url: str, user: str, password: str, add: Add) -> None:
    from framecast.app import open_url
    from framecast.ingest.probe import probe

    result = await probe(
        url, user=user, password=password, open_source=open_url, on_step=lambda step: add(step.to_json())
    )
    add({"result": result.to_json()})


def _explain(result: dict[str, Any]) -> None:
    if result.get("ok"):
        print(f"\n{console.shown(result['url'])}  {console.shown(result['dialect'])}")
        rate = f"{result['fps']:.1f} fps" if result.get("fps") else "fps unknown"
        print(f"{result['width']}x{result['height']}  {rate}  {round(result['bytes_per_frame'] / 1000)} kB a picture")
    problems = result.get("problems", [])
    for problem in problems:
        title = console.shown(problem["title"])
        print(f"\n{_SEVERITIES.get(problem['severity'], problem['severity'])}: {title} [{problem['code']}]")
        if problem.get("advice"):
            print(f"  {console.shown(problem['advice'])}")
    if result.get("ok") and not problems:
        print("Nothing is wrong with it.")
    if result.get("candidates") and not result.get("ok"):
        print("\nTried: " + ", ".join(map(console.shown, result["candidates"])))
