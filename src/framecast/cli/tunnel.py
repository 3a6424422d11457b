"""``framecast tunnel``: a public address for this server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from framecast.cli import console, options
from framecast.cli.control import CommandError, Server, elsewhere

if TYPE_CHECKING:
    from framecast.service.config import Configuration

app = typer.Typer(no_args_is_help=True, help="Put the server on the internet, through ngrok or Cloudflare.")

PATIENCE_S = 75.0
"""Time to come online: more than `cloudflared` has to connect."""
PERIOD_S = 0.25
_NAMES = {"ngrok": "ngrok", "cloudflare": "Cloudflare"}

ProviderName = Literal["ngrok", "cloudflare"]


@app.command("start")
def start(
    port: Annotated[
        int | None,
        typer.Argument(metavar="[PORT]", min=1, max=65535, help="Port of the server; by default the running one's."),
    ] = None,
    provider: Annotated[
        ProviderName | None,
        typer.Option("--provider", help="Whose tunnel; by default ngrok where its token is set, else cloudflare."),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option("--domain", metavar="NAME", help="Name reserved at ngrok, or set at Cloudflare."),
    ] = None,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Open a tunnel to the server that runs here, and print the public address; where none runs, start one.

    It refuses while the server has neither accounts nor tokens. ngrok needs the token of an account (NGROK_AUTHTOKEN).
    The tunnel lasts until `framecast tunnel stop`, or until the server stops.

    Examples:

      NGROK_AUTHTOKEN=… framecast tunnel start

      framecast tunnel start 5000 --provider cloudflare
    """
    configuration = options.load(config, data, {"tunnel.domain": domain})
    settings = configuration.settings
    server = Server.find(settings.server.data)
    if server is None:
        _start_with_server(config, data, port, _choice(configuration, provider), domain)
        return
    ports = server.call("GET", "/api/v1/tunnel")["ports"]
    if port is not None and port not in ports:
        raise CommandError(
            f"the server with the data folder {settings.server.data} listens on {_words(ports)}, not on {port}; only "
            f"its own server is put on the internet by Framecast.{elsewhere(settings.server.data)}"
        )
    # What stands in this shell's environment and files counts; the server may have been started from another one.
    chosen = _choice(configuration, provider)
    token = "authtoken" if chosen == "ngrok" else "cloudflare_token"
    wish = {"provider": chosen, "domain": settings.tunnel.domain, token: getattr(settings.tunnel, token)}
    answer = server.call("POST", "/api/v1/tunnel", {key: value for key, value in wish.items() if value})
    until_s = time.monotonic() + PATIENCE_S
    told = ""
    while answer["state"] in ("starting", "waiting") and time.monotonic() < until_s:
        time.sleep(PERIOD_S)
        answer = server.call("GET", "/api/v1/tunnel")
        if answer["state"] != "failed" and answer["error"] not in ("", told):
            told = answer["error"]
            console.note(f"Not yet: {told}")
    if answer["state"] != "online":
        why = answer["error"] or f"nothing came of it within {PATIENCE_S:.0f} s"
        if answer["state"] in ("starting", "waiting"):
            why += "; the server goes on trying (framecast tunnel status)"
        raise CommandError(f"there is no tunnel: {why}")
    show(answer["url"])
    if answer["public"]:
        console.note(f"warning: anybody who finds this address may watch {', '.join(answer['public'])} (public)")
    if answer["status_page"]:
        console.note(f"How it goes: {answer['status_page']}")


@app.command("status")
def status(
    test: Annotated[bool, typer.Option("--test", help="Look from outside first.")] = False,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Tell the public address, and how its tunnel is."""
    server = _server(config, data)
    if test:
        server.call("POST", "/api/v1/tunnel/selftest")
    answer = server.call("GET", "/api/v1/tunnel")
    if as_json:
        console.as_json(answer)
        return
    if answer["state"] == "off":
        print("There is no tunnel. Open one with: framecast tunnel start")
        return
    rows: list[tuple[str, Any]] = [
        ("state", answer["state"]),
        ("address", answer["url"] or "none yet"),
        ("by", _NAMES[answer["provider"]]),
        ("since", console.when(answer["since"])),
        ("came back", f"{answer['reconnects']} times"),
    ]
    if answer["error"]:
        rows.append(("why", answer["error"]))
    if answer["selftest"]:
        rows.append(("self-test", f"{answer['selftest']['words']} ({console.when(answer['selftest']['time'])})"))
    if answer["status_page"]:
        rows.append(("page", answer["status_page"]))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name.ljust(width)}  {value}")


@app.command("stop")
def stop(config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Close the tunnel; who is connected through it is disconnected."""
    server = _server(config, data)
    was = server.call("GET", "/api/v1/tunnel")["state"]
    server.call("DELETE", "/api/v1/tunnel")
    print("There was no tunnel" if was == "off" else "The tunnel is closed")


def show(url: str) -> None:
    """The public address, as text and as a QR code."""
    from framecast.service.tunnel import qr

    print(url, flush=True)
    code = qr.terminal(url)
    if code:
        print(code, flush=True)


def _start_with_server(
    config: Path | None, data: Path | None, port: int | None, provider: ProviderName, domain: str | None
) -> None:
    from framecast.cli import serve

    console.note("No server runs with this data folder, so one is started, too; Ctrl-C stops both.")
    serve.serve(port=port, config=config, data=data, tunnel=provider, domain=domain)


def _choice(configuration: Configuration, provider: ProviderName | None) -> ProviderName:
    """Whose tunnel it is to be."""
    settings = configuration.settings.tunnel
    return provider or settings.provider or ("ngrok" if settings.authtoken else "cloudflare")


def _server(config: Path | None, data: Path | None) -> Server:
    folder = options.load(config, data).settings.server.data
    server = Server.find(folder)
    if server is None:
        raise CommandError(f"no server runs with the data folder {folder}, so there is no tunnel.{elsewhere(folder)}")
    return server


def _words(ports: list[int]) -> str:
    return f"port {ports[0]}" if len(ports) == 1 else "ports " + ", ".join(map(str, ports))
