"""The command and its parts, and what becomes of an error: one line and an exit status.

0  done
1  it could not be done (no such camera, server refuses, device unreachable)
2  misuse: an unknown option, a configuration that can't be used
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from framecast import __version__
from framecast.cli import backup, cameras, config, doctor, mock, serve, tls, token, tunnel, user
from framecast.core.errors import ConfigError, FramecastError

app = typer.Typer(
    name="framecast",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Read a small camera once and give every frame to everyone, live.",
    epilog="Start with: framecast demo",
)
app.command("demo")(serve.demo)
app.command("serve")(serve.serve)
app.command("mock-camera")(mock.mock_camera)
app.command("doctor")(doctor.doctor)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(cameras.app, name="cameras")
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
app.add_typer(tls.app, name="tls")
app.add_typer(tunnel.app, name="tunnel")
app.add_typer(config.app, name="config")


def main(arguments: list[str] | None = None) -> int:
    """Run the command with ``arguments`` (those of the process if None) and return its exit status."""
    try:
        app(args=arguments, prog_name="framecast")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except ConfigError as error:
        print(f"framecast: {error}", file=sys.stderr)
        return 2
    except FramecastError as error:
        print(f"framecast: {error}", file=sys.stderr)
        return 1
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        print(f"framecast {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read a small camera once and give every frame to everyone, live."""
