"""Options that several commands share, and the configuration they lead to."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import platformdirs
import typer

if TYPE_CHECKING:
    from framecast.service.config import Configuration

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Configuration file (TOML). Else framecast.toml here, if there is one."
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help=f"Folder for state, tokens and the control socket. By default {platformdirs.user_data_path('framecast')}.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def load(
    file: Path | None, data: Path | None, options: dict[str, Any] | None = None, cameras: list[str] | None = None
) -> Configuration:
    """The configuration for a command; raises ConfigError."""
    from framecast.service import config

    return config.load(file=file, options={"server.data": data, **(options or {})}, cameras=cameras)


def again(file: Path | None, data: Path | None) -> str:
    """These two options as they have to be given with a further command, for the end of its line."""
    given = (("--config", file), ("--data", data))
    return "".join(f" {option} {shlex.quote(str(path))}" for option, path in given if path is not None)
