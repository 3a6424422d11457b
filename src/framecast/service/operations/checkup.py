"""A look at this machine and the server's own things: what would keep it from its work, and what to do about it.

Nothing is changed by looking: no folder is made, no file written. Each check gives its findings by itself, so that one
that can't be made keeps no other from being made.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shutil
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from framecast.core.errors import ConfigError
from framecast.service.config import Address, Configuration
from framecast.service.front.tls import Files, Pair, expires_s
from framecast.service.operations.machine import (
    Finding,
    Level,
    clock,
    codecs,
    descriptors,
    disk,
    install_command,
    memory,
    size_text,
    version,
)
from framecast.service.operations.vision import faces, sight
from framecast.service.store.database import FILE_NAME
from framecast.service.store.migrations import MIGRATIONS

SOON_S = 30 * 86_400.0


def look(configuration: Configuration, *, runs: bool) -> Iterator[Finding]:
    """Everything that can be seen from outside the server.

    Args:
        runs: Whether a server runs with this data folder: its ports are then taken by itself.
    """
    settings = configuration.settings
    data = settings.server.data
    yield from version()
    yield from config_file(configuration)
    yield from folder(data)
    yield from state(data)
    yield from disk(data)
    yield from clock(data)
    if not runs:
        yield from ports(configuration)
    yield from descriptors(settings.limits.max_connections)
    yield from memory()
    yield from codecs()
    yield from sight(configuration)
    yield from faces(configuration)
    yield from certificate(configuration)
    yield from tunnel(configuration)
    yield from access(configuration)


def config_file(configuration: Configuration) -> Iterator[Finding]:
    """The configuration: where it is, what was wrong with it, who can read its secrets."""
    file = configuration.file
    where = str(file) if file is not None else "no file; defaults, environment and options"
    yield Finding("configuration", "ok", f"{where}, {_count(len(configuration.settings.cameras), 'camera')}")
    for text in configuration.warnings:
        yield Finding("configuration", "warning", text, "change it where it stands")
    if file is not None and _is_shared(file):
        yield Finding(
            "configuration",
            "warning",
            f"{file} can be read by other users of this machine, and may hold cameras' passwords",
            f"chmod 600 {file}",
        )


def folder(data: Path) -> Iterator[Finding]:
    """The data folder: whether it is there, ours, and nobody else's."""
    if not data.exists():
        parent = next((each for each in data.parents if each.exists()), data)
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding("data", "ok", f"{data} is made at the first start")
        else:
            yield Finding(
                "data", "error", f"{data} can't be made: {parent} can't be written", "name another: --data DIR"
            )
        return
    if not data.is_dir():
        yield Finding("data", "error", f"{data} is no folder", "name another: --data DIR")
        return
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "data", "error", f"{data} can't be read and written by this user", "run it as the user who owns it"
        )
        return
    yield Finding("data", "ok", str(data))
    if _is_shared(data):
        yield Finding("data", "warning", f"{data} is open to other users of this machine", f"chmod 700 {data}")
    tls = Files.of(data)
    for file in (data / FILE_NAME, tls.authority_key, tls.certificate):
        with contextlib.suppress(OSError):
            if _is_shared(file):
                yield Finding("data", "warning", f"{file} can be read by other users", f"chmod 600 {file}")


def state(data: Path) -> Iterator[Finding]:
    """The state file: whether it is whole, and of a version that we know."""
    file = data / FILE_NAME
    if not file.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            (known,) = connection.execute("PRAGMA user_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        yield Finding("state", "error", f"{file} can't be read: {error}", "framecast restore FILE brings a backup back")
        return
    if verdict != "ok":
        yield Finding("state", "error", f"{file} is damaged: {verdict}", "framecast restore FILE brings a backup back")
    elif known > len(MIGRATIONS):
        text = f"{file} is of layout {known}, and this Framecast knows up to {len(MIGRATIONS)}"
        yield Finding("state", "error", text, "update Framecast, or restore a backup from before")
    else:
        older = "" if known == len(MIGRATIONS) else f"; it becomes {len(MIGRATIONS)} at the next start"
        yield Finding("state", "ok", f"whole, layout {known}{older}, {size_text(file.stat().st_size)}")


def ports(configuration: Configuration) -> Iterator[Finding]:
    """Whether the ports that would be listened on are free."""
    settings = configuration.settings
    server, compat = settings.server, settings.compat
    wanted = [("server.port", server.addresses[0]), *(("server.listen", each) for each in server.addresses[1:])]
    if Pair.of(configuration) is not None:
        wanted.append(("server.tls_port", Address(server.host, server.tls_port)))
    wanted += [
        (f"compat.{name}", Address(server.host, getattr(compat, name)))
        for name in ("m5_device_port", "m5_viewer_port")
        if getattr(compat, name)
    ]
    for key, address in wanted:
        if not address.port:
            yield Finding("ports", "ok", f"any free one ({key})")
            continue
        reason = _why_not(address)
        if reason:
            yield Finding("ports", "error", f"{address} can't be had: {reason}", f"change {key}")
        else:
            yield Finding("ports", "ok", f"{address} is free ({key})")


def certificate(configuration: Configuration, now_s: Callable[[], float] = time.time) -> Iterator[Finding]:
    """The certificate for HTTPS: whether it can be used, and for how long."""
    try:
        pair = Pair.of(configuration)
    except ConfigError as error:
        yield Finding("certificate", "error", str(error), "name both")
        return
    if pair is None:
        yield Finding("certificate", "ok", "none: HTTP only (framecast tls init makes one)")
        return
    renewal = "framecast tls renew" if pair.is_own else "renew it"
    try:
        ends_s = expires_s(pair, pair.context())
    except OSError as error:
        text = f"{pair.certificate} can't be used: {error.strerror or error}"
        yield Finding("certificate", "error", text, "a certificate and its key are needed, as PEM without a password")
        return
    if _is_shared(pair.key):
        yield Finding("certificate", "warning", f"the key {pair.key} can be read by others", f"chmod 600 {pair.key}")
    if ends_s is None or ends_s <= now_s():
        yield Finding("certificate", "error", f"{pair.certificate} has ended", renewal)
        return
    days = int((ends_s - now_s()) / 86_400)
    level: Level = "warning" if ends_s - now_s() < SOON_S else "ok"
    ends = time.strftime("%Y-%m-%d", time.gmtime(ends_s))
    yield Finding("certificate", level, f"good until {ends}, {days} days", renewal if level == "warning" else "")


def tunnel(configuration: Configuration) -> Iterator[Finding]:
    """Whether the tunnel that is configured could be opened."""
    wanted = configuration.settings.tunnel
    if not wanted.provider:
        yield Finding("tunnel", "ok", "none configured")
    elif wanted.provider == "ngrok" and importlib.util.find_spec("ngrok") is None:
        yield Finding("tunnel", "error", "ngrok's SDK is not installed", install_command("tunnel"))
    elif wanted.provider == "ngrok" and not wanted.authtoken:
        yield Finding("tunnel", "error", "ngrok wants the token of an account", "set NGROK_AUTHTOKEN")
    elif wanted.provider == "cloudflare" and shutil.which(wanted.cloudflared) is None:
        text = f"there is no program {wanted.cloudflared}"
        yield Finding("tunnel", "error", text, "install cloudflared, or name it: tunnel.cloudflared")
    else:
        yield Finding("tunnel", "ok", wanted.provider)


def access(configuration: Configuration) -> Iterator[Finding]:
    """Who can reach it, and what is open to everybody."""
    settings = configuration.settings
    if settings.listens_on_loopback_only:
        yield Finding("access", "ok", "listens for this machine only")
    else:
        hosts = ", ".join(dict.fromkeys(address.host for address in settings.server.addresses))
        yield Finding("access", "ok", f"listens for others at {hosts}")
        yield from owner(settings.server.data)
        if Pair.of(configuration) is None:
            text = "others reach it by HTTP: passwords, tokens and pictures can be read on the way"
            yield Finding("access", "note", text, "framecast tls init, or a proxy with HTTPS before it")
    for camera_id, camera in settings.cameras.items():
        if camera.public:
            yield Finding("access", "note", f"{camera_id}: anybody who can connect may watch (public)")
        if camera.publish_from:
            networks = ", ".join(camera.publish_from)
            yield Finding("access", "note", f"{camera_id}: devices in {networks} may push without a token")
        if camera.allow_query_key:
            yield Finding("access", "note", f"{camera_id}: tokens are taken from addresses, which end up in logs")


def owner(data: Path) -> Iterator[Finding]:
    """Whether anybody can log in as the owner of a server that others reach."""
    advice = "open the owner link that the server prints when it starts"
    if _exists(data, "accounts WHERE role = 'owner' AND disabled_s IS NULL AND password IS NOT NULL"):
        return
    if _exists(data, f"accounts WHERE role = 'owner' AND disabled_s IS NULL AND invited_until_s > {time.time():.0f}"):
        text, advice = "nobody owns it yet: an owner is invited", "framecast user invite NAME makes the link anew"
    elif _exists(data, "accounts") or _exists(data, "tokens"):
        text = "nobody can log in as an owner: people, tokens and the tunnel are managed by commands here only"
        advice += ", or: framecast user create NAME --role owner"
    else:
        text = "there is no account and no token, so nobody can log in"
    yield Finding("access", "note", text, advice)


def _exists(data: Path, rows: str) -> bool:
    """Whether there is such a row; False where that can't be told."""
    file = data / FILE_NAME
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return bool(connection.execute(f"SELECT EXISTS (SELECT 1 FROM {rows})").fetchone()[0])
    return False


def _is_shared(path: Path) -> bool:
    """Whether others of this machine may do anything with it; never so where modes mean nothing."""
    return os.name == "posix" and path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _why_not(address: Address) -> str:
    """Why an address can't be listened on; empty if it can."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    host = "127.0.0.1" if address.host == "localhost" else address.host
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, address.port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "another program has it"
            if error.errno == errno.EACCES:
                return "ports below 1024 need more rights"
            return (error.strerror or str(error)).lower()
    return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
