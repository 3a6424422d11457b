"""``framecast models``: what looks at the pictures, as files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from framecast.cli import console, options
from framecast.cli.control import CommandError

app = typer.Typer(no_args_is_help=True, help="Models that find things and faces: list, install, verify.")

_KINDS = {"objects": "objects", "faces": "faces", "embedding": "whose face"}


@app.command("list")
def list_models(
    config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False
) -> None:
    """List the models that can be installed, and those that are here."""
    from framecast.vision import catalog

    where = _folders(config, data)
    here = {found.name: found for found in catalog.present(where)}
    own = [found for found in here.values() if found.model is None]
    if as_json:
        console.as_json({"folders": [str(folder) for folder in where], "models": catalog.entries(where)})
        return
    rows = [
        (
            model.name,
            _KINDS[model.kind],
            f"{model.size_bytes / 1e6:.1f} MB",
            model.licence,
            str(here[model.name].path) if model.name in here else "not here",
            model.about,
        )
        for model in catalog.MODELS
    ]
    rows += [(each.name, _KINDS[each.kind], _size(each.path), "your own", str(each.path), "") for each in own]
    console.table(("NAME", "FOR", "SIZE", "LICENCE", "FILE", "WHAT"), rows)


@app.command("install")
def install(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the model: see framecast models list.")],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take this file, and fetch nothing.")
    ] = None,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="Fetch the same file from elsewhere, as from a mirror.")
    ] = "",
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="What a model of your own finds, one a line in its order."),
    ] = None,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Put a model into the data folder, after its SHA-256 was checked; a running server takes it within seconds.

    With --from and a name that is not in the list, it is a model of your own: it is opened and tried first.

    Examples:

      framecast models install yolox_nano

      framecast models install garden --from best.onnx
    """
    from framecast.vision import catalog, modelfiles

    folder, *_ = _folders(config, data)
    model = catalog.known(name)
    if source is not None and url:
        raise CommandError("give --from or --url, not both")
    if labels is not None and (model is not None or source is None):
        raise CommandError(
            "--labels goes with a model of your own: framecast models install NAME --from FILE --labels FILE"
        )
    if model is not None:
        if source is None:
            path = modelfiles.fetch(model, folder, url, _progress(model.size_bytes))
        else:
            path = modelfiles.take(model, source, folder)
    elif source is None:
        names = ", ".join(each.name for each in catalog.MODELS)
        raise CommandError(f"there is no model {name!r} to fetch: {names}; one of your own comes with --from FILE")
    elif not catalog.is_name(name):
        raise CommandError(f"{name!r} can't be a model's name: letters, digits, - and _, no path, and not hog")
    else:
        try:
            path = modelfiles.take_own(name, source, folder, labels)
        except ModuleNotFoundError as error:
            raise CommandError(f"trying a model needs {error.name}: pip install 'framecast[vision]'") from None
    print(f"{name} is installed: {path}")
    names_file = catalog.labels_file(path)
    if model is None and labels is None and names_file.exists():
        print(f"What it finds is called as {names_file} says, which was there before; --labels FILE gives other names.")


@app.command("verify")
def verify(config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False) -> None:
    """Check the model files that are here: the sums of those in the list, and whether your own can be opened.

    Exit status 1 when one is not what it should be.
    """
    from framecast.vision import catalog, modelfiles

    where = _folders(config, data)
    there = catalog.present(where)
    results = []
    for found in there:
        try:
            reason = modelfiles.fault(found)
        except ModuleNotFoundError as error:
            reason = f"it can't be tried without {error.name}: pip install 'framecast[vision]'"
        results.append((found, reason))
    if as_json:
        console.as_json([{"name": each.name, "file": str(each.path), "fault": reason} for each, reason in results])
    elif not there:
        print(f"There is no model in {' and '.join(map(str, where))}: framecast models install yolox_nano")
    for found, reason in () if as_json else results:
        print(f"{'ERROR' if reason else 'ok':>5}  {found.name}  {found.path}{f': {reason}' if reason else ''}")
    if any(reason for _, reason in results):
        raise typer.Exit(1)


def _folders(config: Path | None, data: Path | None) -> tuple[Path, ...]:
    from framecast.vision import catalog

    settings = options.load(config, data).settings
    return catalog.folders(settings.server.data, settings.vision.model_dir)


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size / 1e6:.1f} MB"
    except OSError:
        return "?"


def _progress(total_bytes: int) -> Callable[[int], None] | None:
    """Shows how far it is, where somebody looks."""
    if not sys.stderr.isatty():
        return None

    def show(size_bytes: int) -> None:
        end = "\n" if size_bytes >= total_bytes else ""
        print(f"\r{min(100, 100 * size_bytes // total_bytes):3d} %", end=end, file=sys.stderr, flush=True)

    return show
