"""Serving HTTPS: which certificate, and taking a new one without a restart.

A certificate is renewed while the server runs, by `framecast tls renew` or by whoever looks after the files that the
configuration names. So the files are looked at now and then, and what they hold is used for new connections once it is
whole: a certificate whose key has not been written yet changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from framecast.core.errors import ConfigError
from framecast.service.config import Configuration

log = logging.getLogger("framecast.service.front.tls")

FOLDER_NAME = "tls"
LOOK_S = 10.0
DAY_S = 86_400.0
REMIND_S = 30 * DAY_S

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Files:
    """What `framecast tls init` makes in the data folder.

    Attributes:
        authority: Certificate of the authority, for others to trust.
        authority_key: Its key.
        certificate: Key and certificate of the server, in one file.
    """

    folder: Path
    authority: Path
    authority_key: Path
    certificate: Path

    @classmethod
    def of(cls, data: Path) -> Self:
        """Those of this data folder."""
        folder = data / FOLDER_NAME
        return cls(folder, folder / "ca.crt", folder / "ca.key", folder / "server.pem")


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a certificate and its key are.

    Attributes:
        certificate: PEM, with whatever stands between it and the authority behind it.
        key: PEM; the same file where both are in one.
        is_own: Whether `framecast tls init` made them.
    """

    certificate: Path
    key: Path
    is_own: bool = False

    @classmethod
    def of(cls, configuration: Configuration) -> Pair | None:
        """The configured pair, else the one in the data folder; None where there is neither.

        Raises:
            ConfigError: A key is configured and no certificate.
        """
        server = configuration.settings.server
        if server.tls_cert is not None:
            return cls(server.tls_cert, server.tls_key or server.tls_cert)
        if server.tls_key is not None:
            where = configuration.origin("server.tls_key")
            raise ConfigError(where, "server.tls_key", str(server.tls_key), "server.tls_cert is needed as well")
        own = Files.of(server.data).certificate
        return cls(own, own, is_own=True) if own.exists() else None

    def stamp(self) -> Stamp:
        """Changes when a file does; raises OSError."""
        found = [path.stat() for path in dict.fromkeys((self.certificate, self.key))]
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def context(self) -> ssl.SSLContext:
        """A server's context with this certificate; raises OSError (ssl.SSLError is one) when it can't be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.certificate, self.key, password=_no_password)
        return context


@dataclass(frozen=True, slots=True)
class Https:
    """What others may know of it.

    Attributes:
        port: Where it is served.
        authority: Certificate of the authority that `framecast tls init` made; None where somebody else vouches.
        tls: The certificate.
    """

    port: int
    authority: Path | None
    tls: Tls


class Tls:
    """The certificate of the running server.

    Args:
        pair: Where it is.

    Attributes:
        context: For listening sockets; connections get the newest certificate.
        expires_s: When the certificate ends, Unix seconds; None when that can't be told.
    """

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._stamp = pair.stamp()
        self._newest = pair.context()
        self._refused: Stamp | None = None
        self._warned_s = 0.0
        self.expires_s = expires_s(pair, self._newest)
        self.context = pair.context()
        self.context.sni_callback = self._choose

    @classmethod
    def open(cls, configuration: Configuration) -> Tls | None:
        """That of this configuration; None where there is none.

        Raises:
            ConfigError: It can't be used.
        """
        pair = Pair.of(configuration)
        if pair is None:
            return None
        try:
            return cls(pair)
        except OSError as error:
            key, path = "server.tls_cert", pair.certificate
            if path.exists() and not pair.key.exists():
                key, path = "server.tls_key", pair.key
            where = str(path) if pair.is_own else configuration.origin(key)
            accepted = f"a certificate and its key are needed, as PEM without a password ({_reason(error)})"
            raise ConfigError(where, key, str(path), accepted) from None

    def look(self) -> bool:
        """Take a new certificate if there is one; blocking. One that can't be used is told of once, and not taken."""
        stamp: Stamp = ()
        try:
            stamp = self.pair.stamp()
            if stamp in (self._stamp, self._refused):
                return False
            newest = self.pair.context()
        except OSError as error:
            if self._refused != stamp:
                log.warning("the certificate was changed and can't be used, the one before stays: %s", _reason(error))
            self._refused = stamp
            return False
        self._newest, self._stamp, self._refused = newest, stamp, None
        self.expires_s, self._warned_s = expires_s(self.pair, newest), 0.0
        log.info("a new certificate is used from now on (%s)", self.pair.certificate)
        return True

    async def keep(self, period_s: float = LOOK_S) -> None:
        """Look now and then until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.remind(time.time())
            await asyncio.sleep(period_s)
            await loop.run_in_executor(None, self.look)

    def remind(self, now_s: float) -> None:
        """Warn once a day when the certificate ends soon."""
        if self.expires_s is None or self.expires_s - now_s > REMIND_S or now_s - self._warned_s < DAY_S:
            return
        self._warned_s = now_s
        ends = time.strftime("%Y-%m-%d", time.gmtime(self.expires_s))
        hint = "; renew it: framecast tls renew" if self.pair.is_own else ""
        log.warning("the certificate %s %s%s", "ended" if self.expires_s <= now_s else "ends", ends, hint)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called within each handshake, whether the client names a host or not."""
        connection.context = self._newest


def expires_s(pair: Pair, context: ssl.SSLContext) -> float | None:
    """When a certificate ends, Unix seconds; None when that can't be told, of one that has ended already, say.

    Python shows a certificate's fields only to a client that has verified it: so there is a handshake in memory, with
    one that trusts this very certificate.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client_context.load_verify_locations(pair.certificate)
        client = client_context.wrap_bio(back, there)
        server = context.wrap_bio(there, back, server_side=True)
        for side in (client, server, client):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        certificate = client.getpeercert()
    except (OSError, ValueError):
        return None
    ends = certificate.get("notAfter") if certificate else None
    return float(ssl.cert_time_to_seconds(ends)) if isinstance(ends, str) else None


def _no_password() -> str:
    raise OSError("the key is protected by a password, which nobody is here to give")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.strerror or str(error)
