"""STUN and TURN servers as one text each: RFC 7064 and RFC 7065, with name and secret before an ``@``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

ACCEPTED = (
    "STUN or TURN servers: stun:HOST[:PORT], turn:NAME:SECRET@HOST[:PORT][?transport=udp|tcp] or "
    "turns:NAME:SECRET@HOST[:PORT]"
)
_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?:(?P<user>[^\s@:]+):(?P<secret>[^\s@]+)@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>udp|tcp))?"
)
_SECRET = re.compile(r"^(turns?:[^\s@:]+:)[^\s@]+@")


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server that helps peers to find a path."""

    scheme: str
    host: str
    port: int
    transport: str
    username: str
    credential: str

    @property
    def url(self) -> str:
        """As browsers take it: without name and secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = f"?transport={self.transport}" if self.scheme == "turn" else ""
        return f"{self.scheme}:{host}:{self.port}{query}"

    @property
    def link(self) -> str:
        """As the value of a Link header (RFC 9725, 4.6)."""
        text = f'<{self.url}>; rel="ice-server"'
        if self.scheme.startswith("turn"):
            text += f'; username="{_quoted(self.username)}"; credential="{_quoted(self.credential)}"'
            text += '; credential-type="password"'
        return text


def parse_ice_server(text: str) -> IceServer:
    """The server that ``text`` means; raises ValueError, saying what would be accepted."""
    match = _URL.fullmatch(text.strip())
    if match is None or len(text) > 1024:
        raise ValueError(ACCEPTED)
    scheme, port = match["scheme"], int(match["port"] or (5349 if match["scheme"].endswith("s") else 3478))
    user, secret = unquote(match["user"] or ""), unquote(match["secret"] or "")
    is_turn = scheme.startswith("turn")
    unusual = not (user + secret).isascii() or not (user + secret).isprintable()
    if is_turn != bool(user) or not 1 <= port <= 65_535 or (not is_turn and match["transport"]) or unusual:
        raise ValueError(ACCEPTED)
    transport = match["transport"] or ("tcp" if scheme == "turns" else "udp")
    return IceServer(scheme, match["host"].strip("[]"), port, transport, user, secret)


def check_ice_server(text: str) -> str:
    """``text`` itself; raises ValueError, saying what would be accepted."""
    server = parse_ice_server(text)
    if not server.username:
        return text.strip()
    _, _, rest = text.strip().partition("@")
    return f"{server.scheme}:{quote(server.username, safe='')}:{quote(server.credential, safe='')}@{rest}"


def mask_ice_server(text: str) -> str:
    """``text`` with its secret replaced by ``***``."""
    return _SECRET.sub(r"\1***@", text)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
