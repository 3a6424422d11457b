"""``framecast faces``: people whom the cameras know by their faces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import console, options
from framecast.cli.control import CommandError, Server

if TYPE_CHECKING:
    from framecast.service.faces.album import Album
    from framecast.service.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Have people known by their faces, and forget them.")

PEOPLE = "/api/v1/people"
Name = Annotated[str, typer.Argument(help="By what name this person is known, in any case.")]


@app.command("enroll")
def enroll(
    name: Annotated[str, typer.Argument(help="What the cameras are to call this person.")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO…", help="JPEG or PNG files, one face on each.")],
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Make somebody known, or better known, by photos. Three or four from different sides are best.

    Examples:

      framecast faces enroll Anna anna1.jpg anna2.jpg
    """
    pictures = [(path, _read(path)) for path in photos]
    refused: list[str] = []
    taken = 0
    with _faces(config, data) as faces:
        is_new = _named(faces.listing(), name) is None
        person = faces.person(name, make=True)
        for path, picture in pictures:
            try:
                person = faces.add_photo(person, picture)
                taken += 1
            except CommandError as error:
                refused.append(f"{path}: {error}")
        if is_new and not person["photos"]:
            faces.forget(person)
    for words in refused:
        console.note(words)
    if refused:
        raise CommandError(f"{len(refused)} of {len(pictures)} photos could not be taken")
    print(f"{person['name']} is known by {len(person['photos'])} {_photos(len(person['photos']))}")


@app.command("list")
def list_(config: options.ConfigFile = None, data: options.DataFolder = None, as_json: options.AsJson = False) -> None:
    """List who is known, and how many unknown faces wait for a name."""
    with _faces(config, data) as faces:
        answer, unknown = faces.listing(), faces.unknown()
    if as_json:
        console.as_json({**answer, **unknown})
        return
    if answer["faces"]["reason"]:
        console.note(f"Faces are not recognised now: {answer['faces']['reason']}")
    if not answer["people"]:
        console.note("Nobody is known. Make somebody known with: framecast faces enroll NAME PHOTO")
    else:
        rows = [
            (each["name"], len(each["photos"]), console.when(each["created"]), console.when(each["last_seen"]))
            for each in answer["people"]
        ]
        console.table(("NAME", "PHOTOS", "KNOWN SINCE", "LAST SEEN"), rows)
    if unknown["unknown"]:
        console.note(f"{len(unknown['unknown'])} unknown faces wait for a name on the page /people")


@app.command("rename")
def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Give somebody another name; events keep the one that they had."""
    with _faces(config, data) as faces:
        changed = faces.rename(faces.person(name), new)
    print(f"{name} is called {changed['name']} now")


@app.command("forget")
def forget(name: Name, config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Forget somebody, with all photos and all that was kept of the face."""
    with _faces(config, data) as faces:
        person = faces.person(name)
        faces.forget(person)
    print(f"{person['name']} is forgotten")


@contextmanager
def _faces(config: Path | None, data: Path | None) -> Iterator[_Running | _Kept]:
    """Those of the server that runs with this data folder, or else of the state in it."""
    configuration = options.load(config, data)
    settings = configuration.settings
    server = Server.find(settings.server.data)
    if server is not None:
        yield _Running(server)
        return
    from framecast.service.faces.album import Album
    from framecast.service.store.state import State
    from framecast.vision.catalog import folders
    from framecast.vision.faces.register import Register
    from framecast.vision.faces.tools import Workshop

    workshop = Workshop(folders(settings.server.data, settings.vision.model_dir))
    with State.open(settings.server.data) as state:
        album = Album(state.database, Register(), workshop, settings.vision.faces)
        album.tell()
        try:
            yield _Kept(album, state.database)
        finally:
            workshop.close()


class _Running:
    """The people of a running server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def listing(self) -> Any:
        return self._server.call("GET", PEOPLE)

    def unknown(self) -> Any:
        return self._server.call("GET", f"{PEOPLE}/unknown")

    def person(self, name: str, *, make: bool = False) -> Any:
        return _named(self.listing(), name) or self._make(name, make)

    def _make(self, name: str, make: bool) -> Any:
        if not make:
            raise _nobody(name)
        return self._server.call("POST", PEOPLE, {"name": name})

    def add_photo(self, person: Any, picture: bytes) -> Any:
        return self._server.call("POST", f"{PEOPLE}/{person['id']}/photos", picture)

    def rename(self, person: Any, name: str) -> Any:
        return self._server.call("PATCH", f"{PEOPLE}/{person['id']}", {"name": name})

    def forget(self, person: Any) -> None:
        self._server.call("DELETE", f"{PEOPLE}/{person['id']}")


class _Kept:
    """The people of a state file that no server uses."""

    def __init__(self, album: Album, database: Database) -> None:
        self._album = album
        self._database = database

    def listing(self) -> Any:
        return self._album.listing()

    def unknown(self) -> Any:
        return self._album.unknown()

    def person(self, name: str, *, make: bool = False) -> Any:
        known = _named(self.listing(), name)
        if known is None and not make:
            raise _nobody(name)
        return known or self._album.create({"name": name})

    def add_photo(self, person: Any, picture: bytes) -> Any:
        from framecast.service.errors import Refused

        try:
            changed = self._album.add_photo(str(person["id"]), picture)
        except Refused as error:
            raise CommandError(str(error)) from None
        self._note("added a photo of a face", person["name"])
        return changed

    def rename(self, person: Any, name: str) -> Any:
        changed = self._album.rename(str(person["id"]), {"name": name})
        self._note("renamed a face's person", name)
        return changed

    def forget(self, person: Any) -> None:
        self._album.forget(str(person["id"]))
        self._note("forgot a face", person["name"])

    def _note(self, action: str, target: str) -> None:
        from framecast.service.store.audit import keep_command

        keep_command(self._database, action, target)


def _named(listing: Any, name: str) -> Any:
    from framecast.service.access.accounts import folded

    return next((each for each in listing["people"] if folded(each["name"]) == folded(name.strip())), None)


def _nobody(name: str) -> CommandError:
    return CommandError(f"nobody called {name!r} is known; framecast faces list shows who is")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None


def _photos(count: int) -> str:
    return "photo" if count == 1 else "photos"
