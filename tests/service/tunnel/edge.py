"""What tests of tunnels share: the stand-in for `cloudflared`, and a way to the public name that it gives out."""

from __future__ import annotations

import datetime
import json
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

STAND_IN = Path(__file__).with_name("cloudflared.py")
NAME = "four-words-of-chance.trycloudflare.com"


class Report:
    """Keeps what a provider reports."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def online(self, url: str) -> None:
        self.told.append(("online", url))

    def waiting(self, reason: str) -> None:
        self.told.append(("waiting", reason))


class Standin:
    """The stand-in, installed as a program of its own in ``folder``."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        self.folder = folder
        self.program = folder / "cloudflared"
        self.calls_file = folder / "calls.jsonl"
        self._plan = folder / "plan.json"
        self.plan(**plan)
        words = shlex.join([sys.executable, "-S", "-E", str(STAND_IN), str(self._plan)])
        self.program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        self.program.chmod(0o700)

    def plan(self, **plan: Any) -> None:
        """How it goes from the next start on."""
        self._plan.write_text(json.dumps({"name": NAME, "calls": str(self.calls_file), **plan}))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """With what it was called so far."""
        if not self.calls_file.exists():
            return []
        *lines, _ = self.calls_file.read_text().split("\n")  # the last one may be half written
        return [json.loads(line) for line in lines]


class Resolver(AbstractResolver):
    """Finds every name at a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self.port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        return None


def certificate(folder: Path, name: str = NAME) -> tuple[dict[str, str], bytes]:
    """Paths of a certificate and key for a name, and the authority that is to be trusted for it, PEM."""
    now = datetime.datetime.now(datetime.UTC)

    def made(subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, *, authority: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )

    above, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = made("authority", above, "authority", authority=True).sign(above, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    own = made(name, key, "authority", authority=False).add_extension(names, critical=False)
    files = {"certificate": str(folder / "edge.crt"), "key": str(folder / "edge.key")}
    pem = serialization.Encoding.PEM
    Path(files["certificate"]).write_bytes(own.sign(above, hashes.SHA256()).public_bytes(pem))
    Path(files["key"]).write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files, authority.public_bytes(pem)
