"""``framecast user``: people who log in by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from framecast.cli import console, options
from framecast.cli.control import CommandError, Server
from framecast.core.errors import ConfigError

if TYPE_CHECKING:
    from framecast.service.config import Configuration

app = typer.Typer(no_args_is_help=True, help="Let people log in by name: owners, who may do everything, and viewers.")

Name = Annotated[str, typer.Argument(help="The account's name, in any case.")]
Password = Annotated[
    bool,
    typer.Option("--password", help="Ask for a password here instead, or read it from a pipe."),
]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="By what name this person logs in, such as anna.")],
    role: Annotated[str, typer.Option("--role", "-r", help="owner may do everything, viewer may watch.")] = "viewer",
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", "-c", metavar="ID", help="Limit a viewer to this camera. Repeat for several."),
    ] = None,
    password: Password = False,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Make an account, and print a link by which its holder chooses a password.

    The link works once, for 72 hours. The first account has to be an owner's; from then on everybody has to log in.

    Examples:

      framecast user create anna --role owner

      framecast user create guest --camera door
    """
    from framecast.service.access.accounts import Role
    from framecast.service.config.schema import did_you_mean

    if role not in list(Role):
        raise ConfigError("command line", "role", role, f"one of {', '.join(Role)}{did_you_mean(role, list(Role))}")
    body: dict[str, Any] = {"name": name, "role": role, "cameras": camera or None}
    if password:
        body["password"] = _ask()
    people = _People(config, data)
    made = people.call("POST", "", body)
    if as_json:
        console.as_json(made)
        return
    if "invite" not in made:
        print(f"{made['name']} can log in now, as {role}")
        return
    _show_invitation(people, made)


@app.command("list")
def list_(config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False) -> None:
    """List the accounts."""
    answer = _People(config, data).call("GET", "")
    if as_json:
        console.as_json(answer)
        return
    if not answer["users"]:
        console.note("There are no accounts. Make one with: framecast user create NAME --role owner")
        return
    rows = [
        (
            user["name"],
            user["role"],
            "all" if user["cameras"] is None else ",".join(user["cameras"]),
            console.when(user["created"]),
            console.when(user["last_used"]),
            _state(user),
        )
        for user in answer["users"]
    ]
    console.table(("NAME", "ROLE", "CAMERAS", "CREATED", "LAST USED", "STATE"), rows)


@app.command("passwd")
def passwd(name: Name, config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Set a password; all sessions of the account end. Where input is no terminal, a line of it is read."""
    changed = _People(config, data).call("PATCH", name, {"password": _ask()})
    print(f"{changed['name']} has a new password, and has to log in again")


@app.command("invite")
def invite(
    name: Name, config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False
) -> None:
    """Print a new link by which the holder of an account chooses a password; an earlier link ends."""
    people = _People(config, data)
    changed = people.call("PATCH", name, {"invite": True})
    if as_json:
        console.as_json(changed)
        return
    _show_invitation(people, changed)


@app.command("disable")
def disable(name: Name, config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Keep somebody out at once, without removing the account."""
    changed = _People(config, data).call("PATCH", name, {"disabled": True})
    print(f"{changed['name']} is disabled; framecast user enable lets them in again")


@app.command("enable")
def enable(name: Name, config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Let somebody in again who was disabled."""
    changed = _People(config, data).call("PATCH", name, {"disabled": False})
    print(f"{changed['name']} can log in again")


@app.command("remove")
def remove(name: Name, config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Remove an account; who came in by it is disconnected."""
    _People(config, data).call("DELETE", name)
    print(f"{name} removed")


class _People:
    """The accounts of the server that runs with this data folder, or else of the state in it."""

    def __init__(self, config: Path | None, data: Path | None) -> None:
        self.configuration = options.load(config, data)
        self.server = Server.find(self.configuration.settings.server.data)

    def call(self, method: str, name: str, body: dict[str, Any] | None = None) -> Any:
        """What ``/api/v1/users`` answers."""
        if self.server is not None:
            path = "/api/v1/users" + (f"/{quote(name, safe='')}" if name else "")
            return self.server.call(method, path, body)
        from framecast.service.access.passwords import Passwords
        from framecast.service.accounts.people import People
        from framecast.service.store.audit import keep_command
        from framecast.service.store.state import State

        with State.open(self.configuration.settings.server.data) as state:
            people = People(state.credentials, Passwords())
            answer: Any
            if method == "GET":
                return people.listing()
            if method == "POST":
                answer, done = people.create(body or {}), "added a person"
                name = str((body or {}).get("name", ""))
            elif method == "PATCH":
                answer, done = people.change(name, body or {}), "changed a person"
            else:
                answer, done = people.remove(name), "removed a person"
            keep_command(state.database, done, name)
            return answer

    @property
    def url(self) -> str:
        """Where the pages are, or will be, without a final slash."""
        return ((self.server.url if self.server is not None else "") or _address(self.configuration)).rstrip("/")


def _address(configuration: Configuration) -> str:
    from framecast.service.server import url_of

    return url_of(configuration.settings.server.addresses[0])


def _show_invitation(people: _People, user: dict[str, Any]) -> None:
    print(people.url + user["invite"])
    later = "" if people.server is not None else " once the server runs"
    console.note(f"{user['name']} opens this link{later}, within 72 hours, and chooses a password. It works once.")
    if people.server is not None:
        tunnel = people.server.call("GET", "/api/v1/tunnel")
        if tunnel["state"] == "online":
            console.note(f"From everywhere, while the tunnel is open: {tunnel['url']}{user['invite']}")
    here = urlsplit(people.url)
    if here.hostname in ("127.0.0.1", "::1", "localhost"):
        console.note(f"On another machine, put the address by which that reaches the server in place of {here.netloc}.")


def _state(user: dict[str, Any]) -> str:
    if user["disabled"]:
        return f"disabled {console.when(user['disabled'])}"
    return f"invited until {console.when(user['invited'])}" if user["invited"] else "good"


def _ask() -> str:
    """A password, typed twice without showing it, or read from a pipe."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt="Again"))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise CommandError("no password came; type one, or write it to standard input")
    return line
