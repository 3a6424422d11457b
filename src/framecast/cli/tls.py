"""``framecast tls``: HTTPS with an authority of one's own."""

from __future__ import annotations

import ipaddress
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from framecast.cli import console, options
from framecast.cli.control import Server

if TYPE_CHECKING:
    from framecast.service.config import Configuration
    from framecast.service.front.authority import Issued

app = typer.Typer(no_args_is_help=True, help="Serve HTTPS by an authority of this machine's own.")

Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="NAME", help="A further name or address this machine is called by. Repeat."),
]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TRUST = """\
Trust it once on each device that is to watch. What it may vouch for is limited to local names and addresses, and
to those you named. Compare the fingerprint (SHA-256) where one is shown:
  {fingerprint}
The commands name the file as it lies on this machine; fetched from the server it is called framecast-ca.crt.

Android   Open {url}, then Settings > Security > Encryption & credentials > Install a
          certificate > CA certificate, and choose framecast-ca.crt. (Firefox for Android: also switch on
          Settings > About Firefox > tap the logo > Secret settings > Use third party CA certificates.)
iOS       Open {url} in Safari and allow the profile. Then Settings > General > VPN & Device
          Management > Framecast > Install, and Settings > General > About > Certificate Trust Settings: switch it on.
Windows   As administrator: certutil -addstore Root {file}
macOS     sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {file}
Linux     Debian, Ubuntu: sudo cp {file} /usr/local/share/ca-certificates/framecast-ca.crt
          and sudo update-ca-certificates. Fedora: sudo trust anchor {file}
          Chrome, Chromium: Settings > Privacy and security > Security > Manage certificates > Authorities > Import,
          or certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n Framecast -i {file}
Firefox   Settings > Privacy & Security > View Certificates > Authorities > Import. (On Windows and macOS it takes the
          system's.)
"""


@app.command("init")
def init(
    host: Hosts = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the authority; every device has to trust the new one.")
    ] = False,
    config: options.ConfigFile = None,
    data: options.DataFolder = None,
) -> None:
    """Make an authority and a certificate for this machine; `framecast serve` then serves HTTPS on port 8443 too.

    Example:

      framecast tls init --host cams.example.net
    """
    from framecast.service.front import authority

    configuration = options.load(config, data)
    folder = configuration.settings.server.data
    issued = authority.init(folder, host or (), force=force)
    _tell(configuration, issued)
    _tell_how_to_trust(configuration, issued)
    if configuration.settings.server.tls_cert is not None:
        console.note("The configuration names another certificate (server.tls_cert), which goes on being used.")
    elif not force:
        console.note("A server that is running has to be started again to serve HTTPS.")


@app.command("renew")
def renew(host: Hosts = None, config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Make a new certificate by the same authority; a running server takes it within seconds, no device notices.

    Names given before are kept unless others are given; this machine's own, as it is called now, are always in it.
    """
    from framecast.service.front import authority

    configuration = options.load(config, data)
    _tell(configuration, authority.renew(configuration.settings.server.data, host))


@app.command("trust")
def trust(config: options.ConfigFile = None, data: options.DataFolder = None) -> None:
    """Show again how devices come to trust this machine's authority."""
    from framecast.service.front import authority

    configuration = options.load(config, data)
    _tell_how_to_trust(configuration, authority.present(configuration.settings.server.data))


def _tell(configuration: Configuration, issued: Issued) -> None:
    print(f"A certificate until {issued.expires:%Y-%m-%d} for {', '.join(issued.names)}")


def _tell_how_to_trust(configuration: Configuration, issued: Issued) -> None:
    settings = configuration.settings
    host, port, is_here_only = settings.server.host, settings.server.port, settings.listens_on_loopback_only
    running = Server.find(settings.server.data)
    if running is not None and running.url:
        address = urlsplit(running.url)
        host, port = address.hostname or host, address.port or port
        is_here_only = host in _LOOPBACK
    url = f"http://{_reached_at(issued, host)}:{port}/ca.crt"
    file = Path(settings.server.data) / "tls" / "ca.crt"
    if is_here_only:
        listens = "listens" if running is not None else "would listen"
        console.note(
            f"\nThe server {listens} for this machine only (server.host); with --host 0.0.0.0 others reach it."
        )
    print(f"\nThe authority's certificate: {file}")
    elsewhere = "" if running is not None else f" (started with another port than {port}, there)"
    print(f"While the server runs, it is at {url}{elsewhere}\n")
    _show_code(url)
    print(_TRUST.format(fingerprint=issued.fingerprint, url=url, file=shlex.quote(str(file))), end="")


def _reached_at(issued: Issued, host: str) -> str:
    """The address under which a phone in the same network finds this machine, as far as that can be told."""
    if host not in ("0.0.0.0", "::", *_LOOPBACK):
        return f"[{host}]" if ":" in host else host
    for name in issued.names:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            continue
        if address.version == 4 and not address.is_loopback and not address.is_link_local:
            return name
    return "localhost"


def _show_code(url: str) -> None:
    """The URL as a QR code, where there is what draws it."""
    try:
        import segno
    except ModuleNotFoundError:
        return
    segno.make(url, error="l", micro=False).terminal(compact=True)
    print()
