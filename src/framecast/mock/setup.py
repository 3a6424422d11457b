"""What a fake device needs before it can run: its dialect, faults that fit it, a target or a port."""

from __future__ import annotations

import difflib
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from framecast.core.errors import Misuse
from framecast.mock.audio import sound_path, speaker_path
from framecast.mock.dialects import DIALECTS, Dialect
from framecast.mock.faults import Fault, parse
from framecast.mock.pushing import Pushing
from framecast.mock.speaker import Speaker, fetch
from framecast.mock.target import Target

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def find(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        Misuse: There is none; the message lists them.
    """
    dialect = DIALECTS.get(name)
    if dialect is None:
        close = difflib.get_close_matches(name, DIALECTS, n=1)
        hint = f"; did you mean {close[0]}?" if close else f": {', '.join(DIALECTS)}"
        raise Misuse(f"There is no dialect {name!r}{hint}")
    return dialect


def checked(dialect: Dialect, faults: Iterable[str | Fault], *, sound: bool = False) -> dict[str, Fault]:
    """The faults by name, each one that the dialect can have.

    Raises:
        Misuse: No such fault, or the dialect can't have it, or it needs sound and there is none.
    """
    parsed = [parse(fault) if isinstance(fault, str) else fault for fault in faults]
    for fault in parsed:
        if not (fault.kind.pushes if dialect.pushes else fault.kind.listens):
            raise Misuse(f"{dialect.name} can't have the fault {fault.name}: it {_way(dialect)}")
        if fault.kind.sound and not sound:
            raise Misuse(f"the fault {fault.name} needs sound: --audio")
    named = {fault.name: fault for fault in parsed}
    if dialect.name == "prusaconnect":
        named.setdefault("bogus-exif", parse("bogus-exif"))  # its firmware always writes it
    return named


def _way(dialect: Dialect) -> str:
    return "pushes" if dialect.pushes else "is asked"


def target(to: str, dialect: Dialect) -> Target:
    """Where a device that pushes pushes to; a URL without a path gets the dialect's own.

    Raises:
        Misuse: No URL that it can push to.
    """
    found = _parsed(to)
    if found is None:
        raise Misuse(f"{dialect.name} pushes and needs a URL to push to, such as {dialect.scheme}://127.0.0.1:8080")
    path, mark, query = found.path.partition("?")
    return replace(found, path=(dialect.path if path in ("", "/") else path) + mark + query)


def _parsed(url: str) -> Target | None:
    """What a URL names, its path with the query as it stands there; None where it can't be read or dialled."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port beyond the last, half of an IPv6 address
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path + query)


def sound_target(pictures: Target | None, dialect: Dialect) -> Target | None:
    """Where a device that POSTs its pictures to ``pictures`` POSTs its sound to; None for one that sends it otherwise.

    Raises:
        Misuse: The dialect has no sound, or it can't be told where to.
    """
    if not dialect.sends_sound:
        raise Misuse(f"{dialect.name} has no sound")
    if pictures is None or dialect.push_sound is None:
        return None
    return replace(pictures, path=sound_path(pictures.path))


def make_speaker(path: Path, dialect: Dialect, url: str) -> Speaker:
    """A speaker that writes to ``path``.

    Raises:
        Misuse: Nobody knows where what it plays would come from, or the file can't be written.
    """
    if not url and not (dialect.pushes and dialect.sends_sound):
        raise Misuse(f"{dialect.name} pushes no sound, so its speaker needs a URL to listen to: …/cameras/ID/speaker")
    return Speaker(path)


def speaker_target(url: str) -> Target:
    """Where a device asks for what its speaker is to play.

    Raises:
        Misuse: No URL that can be asked.
    """
    found = _parsed(url)
    if found is None or found.scheme not in ("http", "https"):
        raise Misuse(f"A speaker listens to http://… or https://…, not to {url!r}")
    return found if found.path.startswith("/") else replace(found, path=f"/{found.path}")


def dialled(device: Pushing, dialect: Dialect) -> list[Callable[[], Awaitable[None]]]:
    """What a device dials for, each one connection's life."""
    talks: list[Callable[[], Awaitable[None]]] = []
    if dialect.push is not None:
        talks.append(partial(dialect.push, device))
    if dialect.push_sound is not None and device.audio is not None:
        talks.append(partial(dialect.push_sound, device))
    if device.speaker is not None:
        speaker = device.speaker_target
        if speaker is None and dialect.push_sound is not None:
            speaker = replace(device.target, path=speaker_path(device.target.path, device.device_id))
        if speaker is not None:
            talks.append(partial(fetch, device, speaker))
    return talks


def bound(host: str, port: int) -> socket.socket:
    """A TCP socket that has the port and doesn't listen yet.

    Raises:
        Misuse: The port is taken or not ours to have.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
    except (OSError, OverflowError, UnicodeError) as error:  # the latter two: no port, no name at all
        taken.close()
        reason = (error.strerror if isinstance(error, OSError) else "") or error
        raise Misuse(f"Port {port} on {host} can't be used: {reason}") from error
    return taken
