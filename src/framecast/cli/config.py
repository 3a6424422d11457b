"""``framecast config``: what holds, why, and what there is."""

from __future__ import annotations

import typer

from framecast.cli import console, options
from framecast.cli.control import Server

app = typer.Typer(no_args_is_help=True, help="Show the settings.")


@app.command("show")
def show(config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False) -> None:
    """Print every setting that holds for a server started here, and where it was given; secrets are masked."""
    from framecast.service.config import report
    from framecast.service.store.state import State

    configuration = options.load(config, data)
    if (configuration.settings.server.data / "framecast.db").exists():
        with State.open(configuration.settings.server.data) as state:
            configuration = configuration.with_changes(state.changes())
    rows = report.effective(configuration)
    if as_json:
        console.as_json([row._asdict() for row in rows])
    else:
        console.table(("SETTING", "VALUE", "FROM"), [(row.key, row.toml, row.origin) for row in rows])
    if server := Server.find(configuration.settings.server.data):
        console.note(
            f"A server is running{f' at {server.url}' if server.url else ''}: it may have been started with options, "
            "an environment or a file that are not seen here. This is what holds for the next start."
        )
    for warning in configuration.warnings:
        console.note(f"warning: {warning}")


@app.command("reference")
def reference() -> None:
    """Print the table of all settings, as in docs/configuration.md."""
    from framecast.service.config import report

    print(report.reference())
