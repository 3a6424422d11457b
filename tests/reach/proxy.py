"""A real nginx or Caddy in front of a server, with the configurations of deploy/ as they stand there.

Only what differs from machine to machine is replaced: names, ports and certificates.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "localhost"
START_S = 20.0

Buffering = Literal["as deployed", "nginx's default", "forced"]
"""``forced``: what a careless administrator, or somebody's CDN, makes of it. It is without HTTP/2, over which nginx
hands on what it gets, whatever it is told."""

_FRAME = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{inside}
}}
"""

_CADDY = """\
{
    admin off
    grace_period 100ms
    auto_https disable_redirects
    skip_install_trust
}
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of localhost, signed by itself."""

    chain: Path
    key: Path

    def pin(self) -> str:
        """By what Chromium can be told to trust it: the hash of its public key."""
        loaded = x509.load_pem_x509_certificate(self.chain.read_bytes())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        der = loaded.public_key().public_bytes(serialization.Encoding.DER, form)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def trusted(self) -> ssl.SSLContext:
        """What trusts it, and nothing else."""
        return ssl.create_default_context(cafile=str(self.chain))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy.

    Attributes:
        url: Where it has the server, without a final slash.
        prefix: Its path; empty at the top.
        certificate: What it shows.
    """

    url: str
    prefix: str
    certificate: Certificate

    @property
    def origin(self) -> str:
        """As a browser writes it."""
        return self.url.removesuffix(self.prefix)


@functools.cache
def certificate() -> Certificate:
    """Made once for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="framecast-reach-"))
    made = Certificate(folder / "chain.pem", folder / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(made.key), "-out", str(made.chain)),
        ],
        check=True,
        capture_output=True,
    )
    return made


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """The text with all of these replaced; each has to be there."""
    for before, after in pairs:
        assert before in text, f"{before!r} is not in the configuration any more"
        text = text.replace(before, after)
    return text


@contextmanager
def nginx(
    folder: Path, upstream: int, *, prefix: str = "", buffering: Buffering = "as deployed", sockets: bool = True
) -> Iterator[Proxy]:
    """nginx in front of a server's port.

    Args:
        prefix: ``/cams`` takes the configuration for a path of another server.
        buffering: What is made of the answers.
        sockets: Whether WebSockets are let through.
    """
    port, plain, made = free_port(), free_port(), certificate()
    server = f"listen 127.0.0.1:{port} ssl{'' if buffering == 'forced' else ' http2'};"
    keys = f"ssl_certificate {made.chain}; ssl_certificate_key {made.key};"
    if prefix:
        inside = (DEPLOY / "nginx-subpath.conf").read_text()
        inside = f"server {{ {server} server_name {NAME}; {keys}\n{inside}\n}}"
    else:
        inside = replaced(
            (DEPLOY / "nginx.conf").read_text(),
            ("    listen [::]:443 ssl http2;\n", ""),
            ("    listen [::]:80;\n", ""),
            ("listen 443 ssl http2;", server),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("cams.example.net;", f"{NAME};"),
            ("/etc/letsencrypt/live/cams.example.net/fullchain.pem", str(made.chain)),
            ("/etc/letsencrypt/live/cams.example.net/privkey.pem", str(made.key)),
        )
    inside = replaced(inside, ("127.0.0.1:8080", f"127.0.0.1:{upstream}"))
    if buffering != "as deployed":
        ignore = " proxy_ignore_headers X-Accel-Buffering; proxy_buffers 16 64k;" if buffering == "forced" else ""
        inside = replaced(inside, ("proxy_buffering         off;", f"proxy_buffering on;{ignore}"))
    if not sockets:
        inside = replaced(inside, ("proxy_set_header Upgrade            $http_upgrade;", ""))
    with _running(folder, _nginx(folder, inside), port):
        yield Proxy(f"https://{NAME}:{port}{prefix}", prefix, made)


@contextmanager
def bare(folder: Path, upstream: int) -> Iterator[str]:
    """nginx with nothing but a ``proxy_pass``, by plain HTTP; its address."""
    port = free_port()
    inside = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; }} }}"
    with _running(folder, _nginx(folder, inside), port):
        yield f"http://{NAME}:{port}"


@contextmanager
def caddy(folder: Path, upstream: int, *, prefix: str = "") -> Iterator[Proxy]:
    """Caddy in front of a server's port; see `nginx`."""
    port, made = free_port(), certificate()
    name, other = ("cams.example.net", "home.example.net")[:: -1 if prefix else 1]
    keys = f"tls {made.chain} {made.key}"
    inside = replaced(
        (DEPLOY / "Caddyfile").read_text(),
        (f"{name} {{", f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n\t{keys}"),
        (f"{other} {{", f"https://{other}:{port} {{\n\tbind 127.0.0.1\n\t{keys}"),
        ("127.0.0.1:8080", f"127.0.0.1:{upstream}"),
    )
    file = folder / "Caddyfile"
    file.write_text(_CADDY + inside)
    with _running(folder, [_found("caddy"), "run", "--adapter", "caddyfile", "--config", str(file)], port):
        yield Proxy(f"https://{NAME}:{port}{prefix}", prefix, made)


@contextmanager
def _running(folder: Path, command: list[str], port: int) -> Iterator[None]:
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    log = folder / "proxy.log"
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    try:
        until = time.monotonic() + START_S
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()
        sys.stderr.write(log.read_text())


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _nginx(folder: Path, inside: str) -> list[str]:
    """The command that runs it with these servers."""
    file = folder / "nginx.conf"
    file.write_text(_FRAME.format(folder=folder, inside=inside, user="user root;" if os.geteuid() == 0 else ""))
    return [_found("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(file)]


def _found(program: str) -> str:
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    assert path is not None, f"{program} is missing: make system"
    return path
