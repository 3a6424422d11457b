"""What `cloudflared` says on standard error, line by line; there is no other way to learn a quick tunnel's address.

    2026-08-20T09:00:03Z INF |  https://four-words-of-chance.trycloudflare.com                      |
    2026-08-20T09:00:04Z INF Registered tunnel connection connIndex=0 connection=… ip=… location=ams01 protocol=quic
    2026-08-20T09:05:00Z ERR Serve tunnel error error="timeout: no recent network activity" connIndex=0 event=0 ip=…
    2026-08-20T09:05:00Z INF Retrying connection in up to 1s connIndex=0 event=0 ip=…
    failed to request quick Tunnel: Post "https://…": dial tcp: lookup …: no such host

The messages are those of cmd/cloudflared/tunnel/quick_tunnel.go, connection/observer.go, supervisor/ and metrics/ of
its source, and of versions back to 2022. The first line's address stands in a box, among others that don't.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MAX_LINE = 8192
_MAX_TROUBLE = 300
_MAX_URL = len("https://") + 253
"""A name is no longer (RFC 1035, 2.3.4)."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (?P<level>[A-Z]{3}) ?(?P<message>.*)")
_LABEL = "[A-Za-z0-9-]{1,63}"
_URL = re.compile(rf"\|\s+(https://{_LABEL}(?:\.{_LABEL})+)/?\s+\|")
_METRICS = re.compile(r"Starting metrics server on (127\.0\.0\.1|\[::1\]|localhost):(\d{1,5})/metrics")
_INDEX = re.compile(r"\bconnIndex=(\d{1,3})\b")
_CONNECTED = re.compile(r"Registered tunnel connection\b|Connection [0-9a-f-]{36} registered\b")
_LOST = (
    "Lost connection with the edge",
    "Unregistered tunnel connection",
    "Retrying connection in up to",
    "Connection terminated",
    "Serve tunnel error",
    "failed to serve tunnel connection",
    "Failed to dial a quic connection",
    "Unable to establish connection",
    "Register tunnel error from server side",
)
_QUIET = ("Configuration file", "Cannot determine default", "cloudflared will not automatically update")


@dataclass(frozen=True, slots=True)
class Said:
    """What a line says.

    Attributes:
        kind: ``url`` and ``metrics`` carry an address, ``connected`` and ``lost`` the connection's index; ``trouble``
            is anything else that went wrong.
        text: The address, or what is wrong; of ``lost`` too.
        index: Which connection.
    """

    kind: Literal["url", "metrics", "connected", "lost", "trouble"]
    text: str = ""
    index: int = 0


def read(line: str) -> Said | None:
    """What a line says that matters here; None when nothing does."""
    line = _ANSI.sub("", line[:MAX_LINE]).strip()
    found = _LINE.fullmatch(line)
    if found is None:
        # What it prints before it gives up has no time in front.
        return Said("trouble", line[:_MAX_TROUBLE]) if line else None
    level, message = found["level"], found["message"]
    index = _INDEX.search(message)
    number = int(index[1]) if index else 0
    if (url := _URL.fullmatch(message)) and len(url[1]) <= _MAX_URL:
        return Said("url", url[1].lower())
    if metrics := _METRICS.search(message):
        return Said("metrics", f"{metrics[1].strip('[]')} {metrics[2]}")
    if _CONNECTED.match(message):
        return Said("connected", index=number)
    if index and any(words in message for words in _LOST):
        return Said("lost", _why(message) if level != "INF" else "", number)
    if level in ("WRN", "ERR", "FTL") and not message.startswith(_QUIET) and not message.startswith("|"):
        return Said("trouble", _why(message))
    return None


def _why(message: str) -> str:
    """The words of a message that are for people: what stands behind ``error=``, else what stands in front."""
    told = re.search(r'\berror="((?:[^"\\]|\\.)*)"', message)
    words = re.sub(r"\s\w+=(?:\"(?:[^\"\\]|\\.)*\"|\S*)", "", " " + message).strip()
    reason = told[1].replace('\\"', '"') if told else ""
    return (f"{words}: {reason}" if words and reason else words or reason)[:_MAX_TROUBLE]
