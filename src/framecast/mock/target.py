"""Where devices that push do so, and how they get there."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from framecast.mock.line import Line, Link


@dataclass(frozen=True, slots=True)
class Target:
    """Where to push to.

    Attributes:
        scheme: ``http``, ``https``, ``ws`` or ``wss``.
        host: Name or address.
        port: Port.
        path: With the query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """``host:port``, the port left out where it is the scheme's own."""
        usual = 443 if self.scheme in ("https", "wss") else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"


async def dial(target: Target, link: Link) -> Line:
    """A new connection.

    Raises:
        OSError: Nobody answers.
    """
    secure = ssl.create_default_context() if target.scheme in ("https", "wss") else None
    if secure is not None:
        # Small firmwares don't check certificates.
        secure.check_hostname = False
        secure.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=secure)
    return Line(reader, writer, link)
