"""``framecast cameras``: through the running server or, without one, for its next start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import console, doctor, options
from framecast.cli.control import CommandError, Server, elsewhere
from framecast.core.errors import ConfigError

if TYPE_CHECKING:
    from framecast.service.config import Configuration

app = typer.Typer(no_args_is_help=True, help="List, add, remove and probe cameras.")

CameraId = Annotated[str, typer.Argument(metavar="ID", help="The camera's id.")]


@app.command("list")
def list_(config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False) -> None:
    """List the cameras; with a server running, how they are doing as well."""
    configuration = options.load(config, data)
    folder = configuration.settings.server.data
    server = Server.find(folder)
    if server is not None:
        cameras = server.call("GET", "/api/v1/cameras")["cameras"]
    else:
        cameras = _configured(configuration)
    if as_json:
        console.as_json({"cameras": cameras})
    elif not cameras:
        note = "There are no cameras." + ("" if server else elsewhere(folder))
        console.note(f"{note}\nAdd one with: framecast cameras add door http://192.168.1.20:81/stream")
    elif server is None:
        console.table(
            ("ID", "NAME", "URL", "FROM"), [[item[key] for key in ("id", "name", "url", "origin")] for item in cameras]
        )
        console.note("No server is running with this data folder." + elsewhere(folder))
    else:
        console.table(("ID", "NAME", "STATE", "FPS", "SIZE", "VIEWERS", "URL"), [_row(camera) for camera in cameras])


@app.command("add")
def add(
    camera_id: CameraId,
    url: Annotated[str, typer.Argument(help="http://…, rtsp://…, push:, file:PATH, v4l2:/dev/video0 or mock:")],
    name: Annotated[str | None, typer.Option("--name", help="Name shown to people.")] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="on_demand or always.")] = None,
    rotate: Annotated[int | None, typer.Option("--rotate", help="0, 90, 180 or 270 degrees clockwise.")] = None,
    mirror: Annotated[str | None, typer.Option("--mirror", help="none, horizontal or vertical.")] = None,
    audio_url: Annotated[
        str | None, typer.Option("--audio-url", help="Where its sound is, when not with the pictures: http://…")
    ] = None,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Add a camera and keep it.

    Example:

      framecast cameras add door http://192.168.1.20:81/stream --name "Front door"
    """
    from framecast.service.config import CAMERA_ID, absolute_file, check_camera

    if not CAMERA_ID.fullmatch(camera_id):
        raise ConfigError(
            "command line", "id", camera_id, "a camera id has 1 to 63 of a-z, 0-9, - and _, a letter or digit first"
        )
    given = {"url": absolute_file(url, Path.cwd()), "name": name, "policy": policy, "rotate": rotate, "mirror": mirror}
    given["audio_url"] = audio_url
    fields = {key: value for key, value in given.items() if value is not None}
    check_camera(fields, "command line")
    configuration = options.load(config, data)
    folder = configuration.settings.server.data
    if server := Server.find(folder):
        camera = server.call("POST", "/api/v1/cameras", {"id": camera_id, **fields})
    else:
        from framecast.service.store.state import State

        with State.open(folder) as state:
            if camera_id in configuration.with_changes(state.changes()).settings.cameras:
                raise CommandError(f"there is a camera {camera_id} already")
            state.save_camera(camera_id, fields, trusted=True, new=True)
        camera = {"id": camera_id, **fields}
    if as_json:
        console.as_json(camera)
    else:
        print(f"{camera_id} added")


@app.command("remove")
def remove(
    camera_id: CameraId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Remove a camera; one that stands in the configuration file stays away until it is added again."""
    configuration = options.load(config, data)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Remove camera {camera_id}? Its viewers are disconnected.", abort=True)
    folder = configuration.settings.server.data
    if server := Server.find(folder):
        server.call("DELETE", f"/api/v1/cameras/{camera_id}")
    else:
        from framecast.service.store.state import State

        with State.open(folder) as state:
            if camera_id not in configuration.with_changes(state.changes()).settings.cameras:
                raise CommandError(f"there is no camera {camera_id}")
            state.delete_camera(camera_id, configured=camera_id in configuration.settings.cameras)
    print(f"{camera_id} removed")


app.command("probe")(doctor.doctor)


def _configured(configuration: Configuration) -> list[dict[str, Any]]:
    """What a server would start with."""
    from framecast.service.config import mask_url
    from framecast.service.store.state import State

    folder = configuration.settings.server.data
    if folder.exists():
        with State.open(folder) as state:
            configuration = configuration.with_changes(state.changes())
    return [
        {
            "id": camera_id,
            "name": camera.name or camera_id,
            "url": mask_url(camera.url),
            "kind": camera.kind,
            "origin": configuration.camera_origin(camera_id),
        }
        for camera_id, camera in sorted(configuration.settings.cameras.items())
    ]


def _row(camera: dict[str, Any]) -> tuple[object, ...]:
    video = camera.get("video")
    fps, size = (f"{video['fps']:.1f}", f"{video['width']}x{video['height']}") if video else ("-", "-")
    state = f"{camera['state']} ({camera['reason']})" if camera.get("reason") else camera["state"]
    return camera["id"], camera["name"], state, fps, size, camera["viewers"], camera["url"]
