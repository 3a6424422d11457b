"""``framecast doctor`` without a camera: the server's own things, and what the running one says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from framecast import __version__
from framecast.cli import console, options
from framecast.cli.control import CommandError, Server, elsewhere
from framecast.core.errors import ConfigError

if TYPE_CHECKING:
    from framecast.service.operations.machine import Finding

_MARKS = {"ok": "ok", "note": "note", "warning": "warn", "error": "ERROR"}
_DOWN = ("offline", "failed")


def check(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print a report; exit status 1 when something is wrong."""
    findings = list(_findings(config, data))
    errors, warnings = (sum(each.level == level for each in findings) for level in ("error", "warning"))
    if as_json:
        console.as_json({"ok": not errors, "findings": [asdict(each) for each in findings]})
    else:
        _report(findings)
        counts = [
            f"{number} {noun}" if number == 1 else f"{number} {noun}s"
            for number, noun in ((errors, "error"), (warnings, "warning"))
            if number
        ]
        print(f"\n{', '.join(counts)}." if counts else "\nNothing is wrong.")
    if errors:
        raise typer.Exit(1)


def _report(findings: list[Finding]) -> None:
    width = max(len(each.area) for each in findings)
    for each in findings:
        print(f"{_MARKS[each.level]:>5}  {each.area:<{width}}  {console.shown(each.text)}")
        if each.advice:
            print(f"{'':>5}  {'':<{width}}  > {each.advice}")


def _findings(config: Path | None, data: Path | None) -> Iterator[Finding]:
    from framecast.service.operations import checkup, machine

    try:
        configuration = options.load(config, data)
    except ConfigError as error:
        yield from machine.version()
        yield machine.Finding("configuration", "error", str(error), "change it there; the rest was not looked at")
        return
    try:
        server = Server.find(configuration.settings.server.data)
    except CommandError as error:
        yield machine.Finding("server", "error", str(error), "run this as that user")
        return
    yield from checkup.look(configuration, runs=server is not None)
    if server is None:
        advice = elsewhere(configuration.settings.server.data).strip() or "framecast serve"
        yield machine.Finding("server", "note", "does not run with this data folder", advice)
        return
    yield from _running(server)


def _running(server: Server) -> Iterator[Finding]:
    """What the running server says."""
    from framecast.service.operations.machine import Finding

    try:
        system, numbers = server.call("GET", "/api/v1/system"), server.call("GET", "/api/v1/stats")
        cameras = server.call("GET", "/api/v1/cameras")["cameras"]
        tunnel = server.call("GET", "/api/v1/tunnel")
    except CommandError as error:
        yield Finding("server", "error", str(error), "look at its log, and start it again")
        return
    process = numbers["process"]
    yield Finding(
        "server",
        "ok",
        f"runs at {system.get('url') or 'an unknown address'} for {_hours(numbers['uptime_s'])}: "
        f"{round(process['rss_bytes'] / 1e6)} MB, {process['fds']} open files, {process['cpu_s']:.0f} s of CPU",
    )
    if numbers["version"] != __version__:
        text = f"runs as version {numbers['version']}, and {__version__} is installed"
        yield Finding("server", "warning", text, "start it again")
    try:
        server.call("GET", "/readyz")
    except CommandError as error:
        yield Finding("server", "error", f"not ready: {error}", "its log says more")
    if tunnel.get("state") not in (None, "off", "stopped"):
        yield _tunnel(tunnel)
    for camera in cameras:
        yield _camera(camera)


def _tunnel(tunnel: dict[str, Any]) -> Finding:
    from framecast.service.operations.machine import Finding

    if tunnel["state"] == "online":
        return Finding("tunnel", "ok", f"online at {tunnel.get('url')}")
    reason = f": {tunnel['error']}" if tunnel.get("error") else ""
    return Finding("tunnel", "warning", f"it is {tunnel['state']}{reason}", "framecast tunnel status")


def _camera(camera: dict[str, Any]) -> Finding:
    from framecast.service.operations.machine import Finding

    name, state, reason = camera["id"], camera["state"], camera["reason"]
    if state in _DOWN:
        return Finding("cameras", "warning", f"{name} is {state}: {reason}", f"framecast doctor {name}")
    video = camera["video"]
    rate = f", {video['fps']:.1f} fps" if state == "live" and video else ""
    return Finding("cameras", "ok", f"{name} is {state}{rate}, {camera['viewers']} watching")


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
