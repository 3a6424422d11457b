"""Where the tunnel comes in: a port of its own on 127.0.0.1, so that nobody who comes by it passes for somebody near.

Whoever comes this way is told apart by the header that the tunnel's own service writes, not by the socket, whose other
end is always this machine; and never by a header that a client can write itself.
"""

from __future__ import annotations

import ipaddress
from typing import Literal

from framecast.service.front.client import Client, Headers, Proxies

ProviderName = Literal["ngrok", "cloudflare"]
SOMEBODY = "tunnel"
"""Address of those whose own is not told: no network of `publish_from` holds it."""
_BY: dict[ProviderName, str] = {"ngrok": "X-Forwarded-For", "cloudflare": "CF-Connecting-IP"}


class Entrance(Proxies):
    """Reads requests as a tunnel passes them on.

    Attributes:
        provider: Whose tunnel it is.
        host: The public name, once it is known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.any = True
        self.provider: ProviderName = "ngrok"
        self.host = ""

    def trusts(self, address: str) -> bool:
        """Yes: only the tunnel's own end connects here, for many."""
        return True

    def client(self, peer: str, headers: Headers, path: str, *, secure: bool) -> Client:
        """Who sent a request: over HTTPS if by the public name, which is served by nothing else.

        Their service adds what it saw on the right of what a client may have written. By another name somebody on this
        machine found the port, a page of another site in a browser here for example.
        """
        told = headers.getall(_BY[self.provider], [""])[-1].rpartition(",")[2].strip()
        host = headers.get("Host", "")
        is_public = host.lower() == self.host != ""
        return Client(_address(told), host, is_public, "", forwarded=True, peer=peer)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return SOMEBODY
