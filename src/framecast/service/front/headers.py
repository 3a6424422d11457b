"""The headers that every answer carries, and an answer whose head is written in one go.

A browser that is handed one of our answers as a page, a frame or somebody else's picture does with it what these allow:

    everything             is what its type says, tells no other site where it was found, and is kept by no cache unless
                           its handler says so
    pages                  have a policy of their own (``web.page_policy``), and no power over the machine but to listen
    pictures and sound     may be shown in a page of another site where they came without a cookie: by what the camera
                           opens to everybody, or by a key or link in their address
    scripts                may load what is ours (a service worker asks by the policy of its own answer)
    all else               loads nothing, and is shown in no frame
"""

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
POLICY = "Content-Security-Policy"
SHOWN_BY = "Cross-Origin-Resource-Policy"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    POLICY: "default-src 'none'; frame-ancestors 'none'",
    SHOWN_BY: "same-origin",
    "Cache-Control": "no-store",
}
PAGE = {"Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(self), payment=(), usb=()"}
ALONE = {"Cross-Origin-Opener-Policy": "same-origin"}
"""No site that opened a page of ours holds on to its window. Browsers take it by HTTPS only, and complain otherwise."""
_MEDIA = ("image/", "multipart/", "video/", "audio/", "application/vnd.apple.mpegurl")
_MEDIA_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
_SCRIPT_POLICY = "default-src 'self'; frame-ancestors 'none'"


def decorate(
    request: web.BaseRequest,
    response: web.StreamResponse,
    allowed_origins: Sequence[str],
    *,
    shared: bool = False,
    secure: bool = False,
) -> None:
    """Give an answer, of whatever kind, the headers that every answer carries.

    Args:
        shared: Whether it was had without anything that a browser adds by itself.
        secure: Whether it goes by HTTPS.
    """
    headers = response.headers
    headers["Server"] = SERVER
    kind = headers.get("Content-Type", "")
    if kind.startswith("text/html"):
        for name, value in PAGE.items():
            headers.setdefault(name, value)
        if secure:
            for name, value in ALONE.items():
                headers.setdefault(name, value)
    elif kind.startswith(_MEDIA):
        headers.setdefault(POLICY, " ".join((_MEDIA_POLICY, *allowed_origins)))
        headers.setdefault(SHOWN_BY, "cross-origin" if shared or allowed_origins else "same-site")
    elif kind.startswith("text/javascript"):
        headers.setdefault(POLICY, _SCRIPT_POLICY)
    if allowed_origins and kind.startswith(("text/css", "text/javascript", "text/html")):
        headers.setdefault(SHOWN_BY, "cross-origin")
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
