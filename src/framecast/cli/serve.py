"""``framecast serve`` and ``framecast demo``."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from framecast.cli import console, options
from framecast.cli.control import Server, demo_folder
from framecast.core.errors import ConfigError

if TYPE_CHECKING:
    from framecast.service.config import Configuration

_REASONS = {
    errno.EADDRINUSE: "the address is in use; stop the other program or choose another port (--port)",
    errno.EACCES: "this port needs more rights; choose one above 1023 (--port)",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose another (--host)",
}

Port = Annotated[int | None, typer.Option("--port", "-p", help="Port for everything; 0 takes any free one. [8080]")]


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; 0.0.0.0 for the whole network. [127.0.0.1]")
    ] = None,
    port: Port = None,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            "--camera", "-c", metavar="ID=URL", help="A camera, such as door=http://192.168.1.20:81/stream. Repeat."
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate for HTTPS (PEM).")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key; by default in the same file.")
    ] = None,
    tls_port: Annotated[int | None, typer.Option("--tls-port", metavar="PORT", help="Port for HTTPS. [8443]")] = None,
    tunnel: Annotated[
        Literal["ngrok", "cloudflare"] | None,
        typer.Option("--tunnel", help="Open a tunnel to the internet: ngrok (needs NGROK_AUTHTOKEN) or cloudflare."),
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="The name the tunnel is to have.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="proxied, local, high-quality or mobile (docs/configuration.md).")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info (default), warning or error.")
    ] = None,
    log_format: Annotated[str | None, typer.Option("--log-format", help="text (default) or json.")] = None,
) -> None:
    """Read cameras and serve them to everyone, until Ctrl-C.

    Examples:

      framecast serve --camera door=http://192.168.1.20:81/stream

      framecast serve --host 0.0.0.0 --config framecast.toml
    """
    configuration = options.load(
        config,
        data,
        {
            "server.host": host,
            "server.port": port,
            "server.tls_cert": tls_cert,
            "server.tls_key": tls_key,
            "server.tls_port": tls_port,
            "tunnel.provider": tunnel,
            "tunnel.domain": domain,
            "stream.preset": preset,
            "log.level": log_level,
            "log.format": log_format,
        },
        camera,
    )
    from framecast import app

    _see_that_none_runs(configuration, "Framecast")
    _listening(configuration, lambda: app.serve(configuration))


def demo(
    video: Annotated[
        Path | None,
        typer.Option(
            "--video", metavar="FILE", exists=True, dir_okay=False, help="Show this film instead of drawn pictures."
        ),
    ] = None,
    port: Port = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on. [127.0.0.1]")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help=f"Folder for its state. By default {demo_folder()}.")
    ] = None,
    m5_ports: Annotated[bool, typer.Option(help="Also open the M5Stack ports, 8765 and 8766.")] = True,
) -> None:
    """Show everything with synthetic devices: no configuration, this machine only, nothing to install.

    Neither a configuration file nor the environment is read, but for the folder of models: FRAMECAST_MODEL_DIR.
    """
    from framecast.service.config import defaults

    configuration = defaults(
        {
            "server.host": host,
            "server.port": port,
            "server.data": data or demo_folder(),
            "vision.model_dir": os.environ.get("FRAMECAST_MODEL_DIR") or None,
            "compat.m5_device_port": 8765 if m5_ports else 0,
            "compat.m5_viewer_port": 8766 if m5_ports else 0,
        }
    )
    from framecast import app

    _see_that_none_runs(configuration, "The demo")
    _listening(configuration, lambda: app.demo(configuration, video))


def _see_that_none_runs(configuration: Configuration, what: str) -> None:
    """Say where the server is that has this data folder already, and exit."""
    server = Server.find(configuration.settings.server.data)
    if server is not None:
        where = f" at {server.url}" if server.url else ""
        words = f"{what} already runs{where} (Ctrl-C there stops it); a second one needs --data and --port"
        _say_in_json(configuration, words)
        console.note(f"framecast: {words}")
        raise typer.Exit(2)


def _say_in_json(configuration: Configuration, words: str) -> None:
    """Where the log is JSON, say there why nothing is served, and exit; who reads it can read nothing else."""
    if configuration.settings.log.format == "json":
        from framecast.service.operations import logs

        logs.configure(configuration.settings.log.level, "json")
        logging.getLogger("framecast.cli").critical("%s", words)
        raise typer.Exit(2)


def _listening(configuration: Configuration, run: Callable[[], int]) -> None:
    """Run, and exit with its status; what keeps it from serving becomes one line that says what to change."""
    try:
        _run(configuration, run)
    except ConfigError as error:
        _say_in_json(configuration, str(error))
        raise


def _run(configuration: Configuration, run: Callable[[], int]) -> None:
    try:
        raise typer.Exit(run())
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        main, *others = configuration.settings.server.addresses
        # asyncio puts the address in the text: ('127.0.0.1', 8080)
        other = next((address for address in others if f"'{address.host}', {address.port}" in str(error)), None)
        key, value = ("server.listen", str(other)) if other else ("server.port", main.port)
        tls_port = configuration.settings.server.tls_port
        if tls_port != main.port and f"', {tls_port}" in str(error):
            key, value = "server.tls_port", tls_port
        if key == "server.port" and error.errno == errno.EADDRNOTAVAIL:
            key, value = "server.host", main.host
        reason = _REASONS[error.errno]
        if key == "server.tls_port":
            reason = reason.replace("--port", "--tls-port")
        raise ConfigError(configuration.origin(key), key, value, reason) from error
