"""``framecast token``: keys for devices, programs and people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from framecast.cli import console, options
from framecast.cli.control import CommandError, Server
from framecast.core.errors import ConfigError

if TYPE_CHECKING:
    from framecast.service.store.credentials import Credentials

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the tokens that devices and viewers show.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What to call it, such as front-door or kitchen-display.")],
    right: Annotated[
        list[str], typer.Option("--right", "-r", help="watch, operate (includes watch) or publish. Repeat for several.")
    ],
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", "-c", metavar="ID", help="Limit it to this camera. Repeat for several."),
    ] = None,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a token and print it, once: only its hash is kept.

    From then on a server on loopback asks everybody who they are: make an account for yourself (framecast user).

    Examples:

      framecast token create front-door --right publish --camera door

      framecast token create kitchen-display --right watch
    """
    from framecast.service.accounts import tokenapi
    from framecast.service.config.schema import did_you_mean

    for word in right:
        if word not in tokenapi.GRANTABLE:
            hint = did_you_mean(word, tokenapi.GRANTABLE)
            raise ConfigError("command line", "right", word, f"one of {', '.join(tokenapi.GRANTABLE)}{hint}")
    body = {"name": name, "rights": right, "cameras": camera or None}
    configuration = options.load(config, data)
    folder = configuration.settings.server.data
    if server := Server.find(folder):
        made = server.call("POST", "/api/v1/tokens", body)
    else:
        from framecast.service.store.audit import keep_command
        from framecast.service.store.state import State

        with State.open(folder) as state:
            made = tokenapi.create(state.credentials, body)
            keep_command(state.database, "made a token", name)
            known = list(configuration.with_changes(state.changes()).settings.cameras)
            is_first = len(state.credentials.tokens()) == 1 and not state.credentials.accounts()
    if as_json:
        console.as_json(made)
    else:
        print(made["secret"])
        console.note(f'This is the only time that the token "{name}" is shown. Use it as: Authorization: Bearer TOKEN')
    if server is not None:
        try:  # the token is made and shown by now, whatever becomes of the server
            known = [item["id"] for item in server.call("GET", "/api/v1/cameras")["cameras"]] if camera else []
            is_first = len(server.call("GET", "/api/v1/tokens")["tokens"]) == 1
            is_first = is_first and not server.call("GET", "/api/v1/users")["users"]
        except CommandError:
            return
    if camera:
        _warn_of_unknown(camera, known)
    if is_first:
        place = options.again(config, data)
        console.note(
            f"From now on every page asks who you are; to log in yourself: framecast user create me --role owner{place}"
        )


@app.command("list")
def list_(config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False) -> None:
    """List the tokens, without their secrets."""
    from framecast.service.accounts import tokenapi

    folder = _folder(config, data)
    server = Server.find(folder)
    answer = server.call("GET", "/api/v1/tokens") if server else _stored(folder, tokenapi.listing)
    if as_json:
        console.as_json(answer)
        return
    if not answer["tokens"]:
        console.note("There are no tokens. Make one with: framecast token create NAME --right watch")
        return
    rows = [
        (
            token["name"],
            ",".join(token["rights"]),
            "all" if token["cameras"] is None else ",".join(token["cameras"]),
            console.when(token["created"]),
            console.when(token["last_used"]),
            f"revoked {console.when(token['revoked'])}" if token["revoked"] else "good",
        )
        for token in answer["tokens"]
    ]
    console.table(("NAME", "RIGHTS", "CAMERAS", "CREATED", "LAST USED", "STATE"), rows)


@app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="The token's name.")],
    forget: Annotated[
        bool,
        typer.Option(help="Also drop it from the list. Without any token left, a server on loopback is open again."),
    ] = False,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Make a token useless at once; the sessions of browsers that used it end."""
    from framecast.service.accounts import tokenapi

    folder = _folder(config, data)
    if server := Server.find(folder):
        server.call("DELETE", f"/api/v1/tokens/{quote(name, safe='')}" + ("?forget=1" if forget else ""))
    else:
        from framecast.service.store.audit import keep_command
        from framecast.service.store.state import State

        with State.open(folder) as state:
            tokenapi.revoke(state.credentials, name, forget=forget)
            keep_command(state.database, "revoked a token", name)
    print(f"{name} {'forgotten' if forget else 'revoked'}")


def _warn_of_unknown(cameras: list[str], known: list[str]) -> None:
    """A word on cameras that are not there: a slip, or still to be added."""
    for camera_id in cameras:
        if camera_id not in known:
            there = f"there are {', '.join(sorted(known))}" if known else "there are none yet"
            console.note(f"warning: there is no camera {camera_id}; {there}")


def _folder(config: Path | None, data: Path | None) -> Path:
    return options.load(config, data).settings.server.data


def _stored(folder: Path, ask: Callable[[Credentials], Any]) -> Any:
    """What the state answers when no server runs."""
    from framecast.service.store.state import State

    with State.open(folder) as state:
        return ask(state.credentials)
