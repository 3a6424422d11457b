"""The command and its parts, and what becomes of an error: one line and an exit status.

0  done
1  it could not be done (no such camera, server refuses, device unreachable)
2  misuse: an unknown option, a configuration that can't be used
130  Ctrl-C
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Annotated

import typer

from framecast import __version__
from framecast.cli import streams
from framecast.core.errors import ConfigError, FramecastError

COMMANDS = {
    "demo": "serve:demo",
    "serve": "serve:serve",
    "mock-camera": "mock:mock_camera",
    "doctor": "doctor:doctor",
    "backup": "backup:backup",
    "restore": "backup:restore",
}
"""Commands, and where in this folder the function of each is."""

GROUPS = ("cameras", "models", "user", "token", "tls", "tunnel", "config", "faces")
"""Commands that have commands of their own; each is a module of this folder."""

SERVERS = ("demo", "serve")
"""Commands that turn the garbage collector on themselves, once they serve (`framecast.app`)."""


def make_app(word: str = "") -> typer.Typer:
    """The command with all its parts, or with the one called ``word`` alone: making all of them takes 70 ms."""
    app = typer.Typer(
        name="framecast",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Read a small camera once and give every frame to everyone, live.",
        epilog="Start with: framecast demo",
    )
    app.callback()(_root)
    for name in [word] if word in (*COMMANDS, *GROUPS) else (*COMMANDS, *GROUPS):
        module, _, function = COMMANDS.get(name, name).partition(":")
        part = import_module(f"framecast.cli.{module}")
        if function:
            app.command(name)(getattr(part, function))
        else:
            app.add_typer(part.app, name=name)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run the command with ``arguments`` (those of the process if None) and return its exit status."""
    streams.prepare()
    status = _status(sys.argv[1:] if arguments is None else arguments)
    return status if streams.finish() else status or 1


def _status(given: list[str]) -> int:
    word = given[0] if given else ""
    if word in SERVERS:
        # Hardly anything that a start makes is garbage, and looking for it took an eighth of the time to be ready.
        gc.disable()
    try:
        make_app(word)(args=given, prog_name="framecast")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except ConfigError as error:
        print(f"framecast: {error}", file=sys.stderr)
        return 2
    except FramecastError as error:
        print(f"framecast: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before it began, else typer has seen to it
        return 130
    except OSError:
        if streams.finish():
            raise
        return 1
    finally:
        gc.enable()
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        print(f"framecast {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read a small camera once and give every frame to everyone, live."""
