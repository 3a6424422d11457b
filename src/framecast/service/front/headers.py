"""The headers that every answer carries, and an answer whose head is written in one go."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

EXPOSED = "ETag, Link, Location, X-Frame-Id, X-Timestamp, X-Frame-Age, X-Sample-Rate, X-Channels, X-Bit-Depth"
"""What pages of other, allowed origins may read."""
ACCEPTED = "Authorization, Content-Type, X-API-Key, X-Sample-Rate, X-Channels, X-Sequence, X-Timestamp, X-Device-Id"
"""What they may send."""

SERVER = "Framecast"
"""Not which versions of what are behind it."""
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def decorate(request: web.BaseRequest, response: web.StreamResponse, allowed_origins: Sequence[str]) -> None:
    """Give an answer, of whatever kind, the headers that every answer carries."""
    headers = response.headers
    headers["Server"] = SERVER
    for name, value in ALWAYS.items():
        headers.setdefault(name, value)
    if not allowed_origins:
        return
    headers.add("Vary", "Origin")  # or a cache would give an answer without what follows to those who need it
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower().rstrip("/") in allowed_origins:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = EXPOSED


_BRIEF = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nDate: {}\r\n" + "".join(
    f"{name}: {value}\r\n" for name, value in {"Server": SERVER, **ALWAYS}.items()
)


class Brief(web.StreamResponse):
    """A small JSON answer to a device that asks many times a second: head and body are one string.

    Building headers is a tenth of what a pushed picture costs. Whoever needs others than those of every answer (a page
    of another origin, a connection that ends, HTTP/1.0) gets them the usual way.

    Args:
        body: The JSON.
    """

    def __init__(self, body: str) -> None:
        super().__init__()
        self._text = body
        self._sent = False

    @property
    def prepared(self) -> bool:
        return self._sent or super().prepared

    @property
    def keep_alive(self) -> bool | None:
        return True if self._sent else super().keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if (
            super().keep_alive is False
            or request.version != HttpVersion11
            or not request.keep_alive
            or transport is None
            or transport.is_closing()
            or "Origin" in request.headers
        ):
            self.content_type = "application/json"
            self.content_length = len(self._text)
            return await super().prepare(request)
        self._sent = True
        head = _BRIEF.format(len(self._text), rfc822_formatted_time())
        transport.write(f"{head}\r\n{self._text}".encode("ascii"))
        await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        if not self._sent:
            await super().write_eof(data or self._text.encode("ascii"))
