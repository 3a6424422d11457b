"""An HTTP/1.1 request as bytes: exactly the lines that were asked for, whatever stands in a name or a value.

Sources: RFC 9112, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE_IN_TARGET = re.compile(r"[^!-~]")
_UNSAFE_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def request(
    method: str,
    host: str,
    target: str = "/",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> bytes:
    """A whole HTTP/1.1 request.

    Args:
        method: ``GET``, ``POST``, …
        host: What goes into the Host header: name or address, with ``:port`` unless it is the default.
        target: Path and query, percent-encoded.
        headers: Further headers; ``Content-Length`` is added when there is a body.
        body: May be empty.

    Raises:
        ValueError: A part holds what could begin another line or another request.
    """
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"{method!r} is no method")
    if not host or _UNSAFE_IN_TARGET.search(host) or "/" in host:
        raise ValueError(f"{host!r} is no host")
    if not target.startswith(("/", "http://", "https://")) and target != "*":
        raise ValueError(f"{target!r} is no request target")
    if _UNSAFE_IN_TARGET.search(target):
        raise ValueError(f"{target!r} holds a space, a control character or one that is not ASCII")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if _UNSAFE_IN_VALUE.search(value):
            raise ValueError(f"the value of {name} holds a control character")
        lines.append(f"{name}: {value}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("utf-8") + body
